#!/usr/bin/env bash
# Runs every check: format, lints, features, dependencies, tests, documentation, examples.
#
#   bash test.sh
#
# Needs a Rust toolchain with rustfmt and clippy, a C compiler (the examples bundle SQLite), a package registry or
# a filled cargo cache, and redis-server, which it installs with apt-get if it is missing; nothing else. Stops at
# the first failure.
set -euo pipefail
cd "$(dirname "$0")"

if [ -n "${CI:-}" ]; then
    # A cold start has no use for what makes the next build faster, nor for a debugger's tables.
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
fi

now="starting"
trap '[ $? = 0 ] || echo "FAILED: $now" >&2' EXIT

step() {
    now="$1"
    printf '\n== %s (%s s so far)\n' "$now" "$SECONDS"
    shift
    "$@"
}

# The lock file is part of what is tested.
locked() { cargo --locked "$@"; }

# The tests start servers of their own; the package's daemon is not needed, and none is stopped.
redis_server() {
    command -v redis-server >/dev/null && return
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        echo "redis-server is missing and cannot be installed from here: install it (Redis 6.2 or later)" >&2
        return 1
    fi
    "${as_root[@]}" apt-get update -q >/dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q redis-server >/dev/null
    command -v redis-server >/dev/null
}

# The names in the `[features]` of a manifest.
features_of() {
    awk '/^\[/ { inside = ($0 == "[features]") } inside && /^[a-z]/ { print $1 }' "$1"
}

lint() { locked clippy --quiet "$@" -- --deny warnings; }

# Each feature of each package, alone. Those that the facade passes on are checked together with its own, which is half the work.
every_feature() {
    local of_larder feature behind
    of_larder="$(features_of Cargo.toml)"
    is_passed_on() { grep -qx "$1" <<<"$of_larder"; }

    echo "larder, cache-core: no features"
    lint --package larder --package cache-core --no-default-features
    for feature in $of_larder; do
        [[ "$feature" = redis* ]] && behind=cache-redis || behind=cache-core
        echo "larder, $behind: $feature"
        lint --package larder --package "$behind" --no-default-features --features "larder/$feature"
    done
    for feature in $(features_of cache-core/Cargo.toml); do
        is_passed_on "$feature" && continue
        echo "cache-core: $feature"
        lint --package cache-core --no-default-features --features "$feature"
    done
    for feature in $(features_of cache-redis/Cargo.toml); do
        is_passed_on "redis-$feature" && continue
        echo "cache-redis: $feature"
        lint --package cache-redis --no-default-features --features "$feature"
    done
}

# The packages that a package brings into a program, itself and its workspace left out.
brought_by() {
    locked tree --package "$1" --edges normal --prefix none --target x86_64-unknown-linux-gnu |
        awk '{ print $1 }' | grep -vxE 'larder|cache-core|cache-macros|cache-redis' | sort -u
}

# A package more or less is a decision: it is made here, and README.md says why.
dependencies() {
    diff <(brought_by larder) - <<'LIST'
arrayvec
bincode
blake3
cfg-if
coarsetime
constant_time_eq
cpufeatures
equivalent
foldhash
hashbrown
libc
once_cell
pin-project-lite
proc-macro2
quick_cache
quote
serde
serde_core
serde_derive
syn
tokio
unicode-ident
unty
LIST
    diff <(brought_by cache-macros) - <<'LIST'
proc-macro2
quote
syn
unicode-ident
LIST
    diff <(brought_by cache-redis) - <<'LIST'
arcstr
arrayvec
async-lock
bincode
blake3
bytes
cfg-if
coarsetime
combine
constant_time_eq
cpufeatures
displaydoc
equivalent
event-listener
event-listener-strategy
foldhash
form_urlencoded
futures-core
futures-sink
futures-task
futures-util
hashbrown
icu_collections
icu_locale_core
icu_normalizer
icu_normalizer_data
icu_properties
icu_properties_data
icu_provider
idna
idna_adapter
inventory
itoa
libc
litemap
memchr
mio
once_cell
parking
percent-encoding
pin-project-lite
potential_utf
proc-macro2
quick_cache
quote
redis
ryu
serde
serde_core
serde_derive
serde_json
sha1_smol
slab
smallvec
socket2
stable_deref_trait
syn
synstructure
tinystr
tokio
tokio-util
unicode-ident
unty
url
utf8_iter
utf_types
writeable
xxhash-rust
yoke
yoke-derive
zerofrom
zerofrom-derive
zerotrie
zerovec
zerovec-derive
zmij
LIST
}

# The advisories need a database from the network, which a test may lack; they are for `cargo deny check`.
licenses() {
    if cargo deny --version >/dev/null 2>&1; then
        cargo deny --all-features check licenses bans sources
    else
        echo "SKIPPED: cargo-deny is not installed, so licenses, bans and sources were NOT checked;" \
            "cargo install --locked cargo-deny" >&2
    fi
}

examples() {
    local path name
    for path in examples/*.rs; do
        name="$(basename "$path" .rs)"
        echo "example $name"
        locked run --quiet --all-features --example "$name" >/dev/null
    done
    locked run --quiet --all-features --example menu -- --seconds 1 </dev/null
}

step "redis-server" redis_server
step "format" cargo fmt --all --check
step "dependencies" dependencies
step "licenses" licenses
step "lints" lint --workspace --all-targets --all-features
step "each feature alone" every_feature
# Not the benches: they measure for minutes, and the lints have compiled them.
step "tests" locked test --quiet --workspace --all-features --lib --bins --tests --examples
step "documentation tests" locked test --quiet --workspace --all-features --doc
RUSTDOCFLAGS="--deny warnings" step "documentation" locked doc --quiet --workspace --all-features --no-deps
step "examples" examples

now="the end"
printf '\nALL CHECKS PASSED in %s s\n' "$SECONDS"
