//! What the options of the attribute do to a call: when the body runs, and when it does not.

#![allow(unused_variables, reason = "many bodies count and do nothing else")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::{Cache, Invalidate, cached, invalidates};

/// Counts in one test alone; it is skipped in every key.
#[derive(Debug, Default)]
struct Runs(AtomicUsize);

impl Runs {
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_call_that_when_refuses_runs_the_body_and_stores_nothing() {
    #[cached(ttl = 60, when = page < 10, skip(runs))]
    async fn search(runs: &Runs, page: u32) -> usize {
        runs.next()
    }
    let runs = Runs::default();

    let refused = [search(&runs, 10).await, search(&runs, 10).await];
    let cached = [search(&runs, 1).await, search(&runs, 1).await];

    assert_eq!((refused, cached), ([1, 2], [3, 3]));
}

#[tokio::test]
async fn any_character_fills_a_placeholder() {
    #[cached(ttl = 60, tags = ["x:{id:*>4}", "y:{id:$^5}", "z:{id:é<3}"], skip(runs))]
    async fn page(runs: &Runs, id: u64) -> usize {
        runs.next()
    }
    #[invalidates(tags = ["{name:->3}:{id:*>4}"])]
    async fn write(name: &str, id: u64) {}
    let runs = Runs::default();

    for (clear, before) in [("x:***7", 1), ("y:$$7$$", 2), ("z:7éé", 3)] {
        assert_eq!(page(&runs, 7).await, before);
        let tags = Invalidate::tag(clear);
        Cache::current().apply(tags).await.expect("no shared tier that could fail");
    }
    assert_eq!(page(&runs, 7).await, 4);
    write("x", 7).await;
    assert_eq!(page(&runs, 7).await, 4, "another tag: `--x`");
}

#[tokio::test]
async fn a_ttl_of_zero_at_run_time_bypasses_the_cache() {
    #[cached(ttl = Duration::from_secs(seconds), key = (), tags = ["page"])]
    async fn page(runs: &Runs, seconds: u64) -> usize {
        runs.next()
    }
    let runs = Runs::default();

    let bypassed = [page(&runs, 0).await, page(&runs, 0).await];
    let cached = [page(&runs, 60).await, page(&runs, 60).await];
    let bypassed_again = page(&runs, 0).await;

    assert_eq!((bypassed, cached, bypassed_again), ([1, 2], [3, 3], 4), "what is stored does not answer it");
}

#[tokio::test]
async fn a_call_that_when_refuses_is_not_answered_by_what_another_stored() {
    #[cached(ttl = 60, when = !is_admin, key = id)]
    async fn profile(runs: &Runs, id: u64, is_admin: bool) -> usize {
        let _ = (id, is_admin);
        runs.next()
    }
    let runs = Runs::default();

    let cached = [profile(&runs, 7, false).await, profile(&runs, 7, false).await];
    let refused = profile(&runs, 7, true).await;

    assert_eq!((cached, refused, profile(&runs, 7, false).await), ([1, 1], 2, 1));
}

#[tokio::test]
async fn store_if_decides_over_the_value_inside_of_ok() {
    #[cached(ttl = 60, store_if = |value| *value > least, skip(runs))]
    async fn picky(runs: &Runs, least: usize) -> Result<usize, String> {
        Ok(runs.next())
    }
    let runs = Runs::default();

    let each = [picky(&runs, 1).await, picky(&runs, 1).await, picky(&runs, 1).await];

    assert_eq!(each, [Ok(1), Ok(2), Ok(2)]);
}

#[tokio::test]
async fn store_if_is_a_closure_a_function_or_a_block() {
    fn is_even(value: &usize) -> bool {
        value.is_multiple_of(2)
    }
    fn above(least: usize) -> impl Fn(&usize) -> bool {
        move |value| *value > least
    }
    #[cached(ttl = 60, store_if = move |value| *value > least, skip(runs))]
    async fn closure(runs: &Runs, least: usize) -> usize {
        runs.next().max(least)
    }
    #[cached(ttl = 60, store_if = is_even, skip(runs))]
    async fn function(runs: &Runs) -> usize {
        runs.next()
    }
    #[cached(ttl = 60, store_if = above(least), skip(runs))]
    async fn call(runs: &Runs, least: usize) -> usize {
        runs.next()
    }
    #[cached(ttl = 60, store_if = { let above = least; move |value| *value > above }, skip(runs))]
    async fn block(runs: &Runs, least: usize) -> usize {
        runs.next()
    }
    let each: [Runs; 4] = std::array::from_fn(|_| Runs::default());

    for _ in 0..3 {
        closure(&each[0], 1).await;
        function(&each[1]).await;
        call(&each[2], 1).await;
        block(&each[3], 1).await;
    }

    assert_eq!(each.map(|runs| runs.count()), [2; 4]);
}

#[tokio::test]
async fn neither_none_nor_an_error_is_stored_by_default() {
    #[cached(ttl = 60, skip(runs))]
    async fn none(runs: &Runs) -> Option<u64> {
        runs.next();
        None
    }
    #[cached(ttl = 60, skip(runs))]
    async fn error(runs: &Runs) -> Result<u64, std::fmt::Error> {
        runs.next();
        Err(std::fmt::Error)
    }
    let runs = Runs::default();

    for _ in 0..2 {
        assert_eq!(none(&runs).await, None);
        assert_eq!(error(&runs).await, Err(std::fmt::Error));
    }

    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn only_the_parts_of_key_tell_calls_apart() {
    #[cached(ttl = 60, key = (text.to_lowercase(), *pair.1))]
    async fn by_key(runs: &Runs, text: &str, pair: (u64, &u64), ignored: u64) -> usize {
        runs.next()
    }
    let runs = Runs::default();

    let first = by_key(&runs, "A", (1, &2), 3).await;
    let same = by_key(&runs, "a", (9, &2), 9).await;
    let other = by_key(&runs, "a", (1, &3), 3).await;
    let _ = by_key_entry("a", (1, &3)).invalidate().await;
    let anew = by_key(&runs, "a", (1, &3), 3).await;

    assert_eq!([first, same, other, anew], [1, 1, 2, 3]);
}

#[tokio::test]
async fn the_type_of_a_skipped_argument_does_not_divide_the_cache() {
    trait Executor {}
    impl Executor for &str {}
    impl Executor for u8 {}

    #[cached(ttl = 60, skip(runs, executor))]
    async fn load<E: Executor>(runs: &Runs, executor: E, id: u64) -> usize {
        runs.next()
    }
    let runs = Runs::default();

    let (one, other) = (load(&runs, "pool", 1).await, load(&runs, 7_u8, 1).await);

    assert_eq!((one, other), (1, 1));
}

#[tokio::test]
async fn types_and_constants_of_a_function_divide_the_cache() {
    #[cached(ttl = 60, skip(runs))]
    async fn load<T, const N: usize>(runs: &Runs) -> usize {
        runs.next()
    }
    #[cached(ttl = 60, skip(runs))]
    async fn opaque(runs: &Runs, id: impl serde::Serialize) -> usize {
        runs.next()
    }
    let runs = Runs::default();

    let each = [
        load::<u8, 1>(&runs).await,
        load::<u8, 2>(&runs).await,
        load::<u16, 1>(&runs).await,
        opaque(&runs, "1").await,
        opaque(&runs, String::from("1")).await,
        load::<u8, 1>(&runs).await,
    ];

    assert_eq!(each, [1, 2, 3, 4, 5, 1]);
}

#[tokio::test]
async fn functions_of_one_name_in_two_modules_or_types_share_nothing() {
    mod a {
        #[larder::cached(ttl = 60, tier = local)]
        pub(super) async fn name() -> &'static str {
            "a"
        }
    }
    mod b {
        #[larder::cached(ttl = 60, tier = local)]
        pub(super) async fn name() -> &'static str {
            "b"
        }
    }
    struct One;
    struct Two;
    impl One {
        #[cached(ttl = 60)]
        async fn name() -> String {
            "one".to_owned()
        }
    }
    impl Two {
        #[cached(ttl = 60)]
        async fn name() -> String {
            "two".to_owned()
        }
    }

    for _ in 0..2 {
        assert_eq!((a::name().await, b::name().await), ("a", "b"));
        assert_eq!((One::name().await.as_str(), Two::name().await.as_str()), ("one", "two"));
    }
}
