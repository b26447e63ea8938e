//! Arguments whose text is long are one entry, by whatever way it is reached.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use larder::{Key, cached};
use support::Stage;

#[cached(ttl = "1h", name = "keys_long/switches")]
async fn switches(on: &[bool]) -> usize {
    on.len()
}

#[cached(ttl = "1h", name = "keys_long/greeting")]
async fn greeting(name: &str) -> usize {
    name.len()
}

/// Computes once, hits once, is removed by the key that another process would read, and is computed again.
macro_rules! assert_one_entry {
    ($function:ident, $entry:ident, $argument:expr) => {{
        let stage = Stage::new();
        stage.run(async {
            let argument = $argument;
            let misses =
                || stage.cache.stats().functions.iter().map(|function| function.misses.total()).sum::<u64>();
            $function(&argument).await;
            $function(&argument).await;
            assert_eq!(misses(), 1, "{argument:?}");

            let text = $entry(&argument).key().unwrap().to_string();
            let key = Key::parse(&text).unwrap().unwrap();
            assert_eq!(key, *$entry(&argument).key().unwrap(), "{argument:?}");
            stage.cache.invalidate(&key).await.unwrap();

            $function(&argument).await;
            assert_eq!(misses(), 2, "{argument:?}");
        });
    }};
}

#[test]
fn many_switches_in_few_bytes() {
    for count in [0, 1, 30, 31, 32, 33, 34, 35, 36, 37, 38, 50, 199] {
        assert_one_entry!(switches, switches_entry, vec![false; count]);
    }
}

#[test]
fn texts_that_are_long_once_escaped() {
    for count in [1, 18, 19, 33, 34, 70, 100] {
        assert_one_entry!(greeting, greeting_entry, "é".repeat(count));
    }
}
