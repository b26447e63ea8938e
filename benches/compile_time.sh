#!/usr/bin/env bash
# What cached functions cost a debug build: a crate of 100 functions, plain, cached with one type of values, and cached
# with a type for each. The dependencies are built first and not counted.
#
#   bash benches/compile_time.sh [functions] [rounds]
#
# LARDER is the tree that is measured, if it is not this one.
set -euo pipefail
larder="${LARDER:-$(cd "$(dirname "$0")/.." && pwd)}"
functions="${1:-100}" rounds="${2:-3}"
crate="$(mktemp -d)"
trap 'rm -rf "$crate"' EXIT
mkdir "$crate/src"

cat >"$crate/Cargo.toml" <<TOML
[package]
name = "compile-time"
edition = "2024"
[workspace]
[dependencies]
larder = { path = "$larder" }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "rt"] }
TOML

# The attribute of each function, or nothing; whether each has a type of its own.
source_of() {
    local attribute="$1" own_types="$2" n type=0
    echo "#[derive(Debug)] pub struct Failed;"
    for ((n = 0; n < functions; n++)); do
        if [ "$n" = 0 ] || [ "$own_types" = yes ]; then
            type=$n
            echo "#[derive(Clone, serde::Serialize, serde::Deserialize)] pub struct Row$n { id: u64, name: String, tags: Vec<String> }"
        fi
        echo "$attribute"
        echo "pub async fn f$n(id: u64, name: &str) -> Result<Option<Row$type>, Failed> {"
        echo "    tokio::task::yield_now().await;"
        echo "    Ok(Some(Row$type { id, name: name.to_owned(), tags: Vec::new() }))"
        echo "}"
    done
    echo "#[tokio::main(flavor = \"current_thread\")]"
    echo "async fn main() {"
    for ((n = 0; n < functions; n++)); do
        echo "    if let Ok(Some(row)) = f$n(1, \"a\").await { assert_eq!((row.id, row.name.len(), row.tags.len()), (1, 1, 0)); }"
    done
    echo "}"
}

cached='#[larder::cached(ttl = 60, tags = ["row:{id}"])]'
source_of "" no >"$crate/plain.rs"
source_of "$cached" no >"$crate/one.rs"
source_of "$cached" yes >"$crate/own.rs"

build() {
    cp "$crate/$1.rs" "$crate/src/main.rs"
    touch "$crate/src/main.rs"
    cargo build --quiet --manifest-path "$crate/Cargo.toml"
}
export CARGO_TARGET_DIR="$crate/target" CARGO_INCREMENTAL=0
build plain
echo "$functions functions, debug build without its dependencies, $rounds rounds in turns:"
for ((round = 0; round < rounds; round++)); do
    for subject in plain one own; do
        began="$(date +%s%N)"
        build "$subject"
        echo "$(($(date +%s%N) - began)) $(stat -c %s "$crate/target/debug/compile-time")" >>"$crate/$subject.took"
    done
done
plain="$(sort -n "$crate/plain.took" | awk '{ took[NR] = $1 } END { print took[int((NR + 1) / 2)] }')"
for subject in plain:"plain" one:"cached, one type of values" own:"cached, a type for each"; do
    sort -n "$crate/${subject%%:*}.took" | awk -v name="${subject#*:}" -v functions="$functions" -v plain="$plain" '
        { took[NR] = $1; size = $2 }
        END { median = took[int((NR + 1) / 2)]
              printf "%-28s %6.1f s  %5.1f x  %5.0f ms each  %4.0f MB\n", name, median / 1e9, median / plain, median / 1e6 / functions, size / 1e6 }'
done
