//! Compares with a golden file. `LARDER_BLESS=1 cargo test` writes them anew: look at the difference before committing
//! it, as it means that stored data of older versions is no longer read.

#![allow(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

use std::path::Path;

/// Fails, with the first line that differs, unless `actual` is what the file `name` holds.
pub(crate) fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LARDER_BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (expected, actual)) in expected.lines().zip(actual.lines()).enumerate() {
        assert_eq!(expected, actual, "line {} of {name} differs", number + 1);
    }
    assert_eq!(expected.lines().count(), actual.lines().count(), "{name} has another number of lines");
}

/// Bytes as hexadecimal text.
#[allow(dead_code, reason = "not every test that includes this file needs it")]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
