//! Several attributes on one function, whose arguments are patterns: each sees the names that the patterns bind.

use std::sync::atomic::{AtomicU64, Ordering};

use larder::{Cache, cached, invalidates, updates};

/// How often each of the four was computed.
#[derive(Debug, Default)]
struct Runs([AtomicU64; 4]);

impl Runs {
    fn take(&self) -> [u64; 4] {
        std::array::from_fn(|at| self.0[at].swap(0, Ordering::SeqCst))
    }
}

#[cached(ttl = 60, tags = ["even:{id}"], skip(runs))]
async fn noted(runs: &Runs, id: u64) -> u64 {
    runs.0[id as usize].fetch_add(1, Ordering::SeqCst);
    id
}

#[derive(Clone, Copy)]
struct Pair {
    a: u64,
    b: u64,
}

#[invalidates(tags = ["even:{a}"])]
#[invalidates(tags = ["even:{b}"], entries = [noted_entry(*c)])]
async fn twice(Pair { a, b }: Pair, (c, _): (u64, String)) -> u64 {
    a + b + c
}

#[invalidates(entries = [noted_entry(*a + result - result)])]
#[updates(entry = noted_entry(*b), value = |result| *result + *a, when = |_| *b > 0)]
#[larder::invalidates(tags = ["even:{c}:{result}", "even:{c}"])]
async fn thrice(&Pair { a, mut b }: &Pair, [c, ..]: [u64; 3]) -> u64 {
    b += c;
    a + b
}

/// What each of the numbers answers, after `write`, and which of them were computed then.
async fn after<T>(write: impl Future<Output = T>) -> ([u64; 4], [u64; 4]) {
    let runs = Runs::default();
    let all = async || {
        let mut answers = [0; 4];
        for (id, answer) in answers.iter_mut().enumerate() {
            *answer = noted(&runs, id as u64).await;
        }
        answers
    };
    Cache::default()
        .scope(async {
            all().await;
            runs.take();
            write.await;
            (all().await, runs.take())
        })
        .await
}

#[tokio::test]
async fn two_invalidations_see_what_the_patterns_bind() {
    let written = after(twice(Pair { a: 0, b: 1 }, (3, String::new()))).await;

    assert_eq!(written, ([0, 1, 2, 3], [1, 1, 0, 1]));
}

#[tokio::test]
async fn so_do_invalidations_around_an_update() {
    let written = after(thrice(&Pair { a: 1, b: 2 }, [3, 0, 0])).await;

    assert_eq!(written, ([0, 1, 7, 3], [0, 1, 0, 1]));
}

#[cached(ttl = 60)]
async fn name_of(id: u64) -> String {
    format!("old {id}")
}

#[cached(ttl = 60)]
async fn label_of(id: u64) -> Result<String, String> {
    Err(format!("no {id}"))
}

#[updates(entry = name_of_entry(id), value = |_| name)]
#[cfg_attr(all(), invalidates(tags = ["x:{name}:{result}"], when = |_| name.len() > 2))]
#[updates(entry = label_of_entry(id), value = |_| Ok(name))]
async fn rename(id: u64, name: String) -> u64 {
    drop(name);
    id
}

#[tokio::test]
async fn each_attribute_may_move_the_arguments_that_it_uses_with_the_result() {
    Cache::default()
        .scope(async {
            rename(1, "new".to_owned()).await;

            assert_eq!((name_of(1).await.as_str(), label_of(1).await), ("new", Ok("new".to_owned())));
        })
        .await;
}

#[tokio::test]
async fn what_stands_above_a_cached_attribute_is_apart_from_what_stands_below() {
    #[invalidates(tags = ["even:{a}"])]
    #[cached(ttl = 60, tags = ["pair:{a}"], key = (a, b))]
    #[invalidates(tags = ["even:{b}"])]
    async fn around((a, b): (u64, u64)) -> u64 {
        a + b
    }

    assert_eq!(after(around((1, 2))).await.1, [0, 1, 1, 0]);
    assert_eq!(after(around_uncached((1, 2))).await.1, [0, 1, 0, 0]);
}

#[tokio::test]
async fn a_cached_function_may_invalidate_above_and_below_its_attribute() {
    #[invalidates(tags = ["even:{a}"])]
    #[cached(ttl = 60, tags = ["pair:{a}"], skip(c), store_if = |sum| *sum > 0)]
    async fn above((a, b): (u64, u64), (c, _): (u64, u64)) -> u64 {
        a + b + c
    }
    #[cached(ttl = 60, tags = ["pair:{a}"], key = (a, b))]
    #[invalidates(tags = ["even:{a}"])]
    async fn below((a, b): (u64, u64), (c, _): (u64, u64)) -> u64 {
        a + b + c
    }

    // The one above belongs to the body, the one below to the function.
    assert_eq!(after(above((1, 2), (3, 4))).await.1, [0, 1, 0, 0]);
    assert_eq!(after(above_uncached((1, 2), (3, 4))).await.1, [0, 1, 0, 0]);
    assert_eq!(after(above_refresh((1, 2), (3, 4))).await.1, [0, 1, 0, 0]);
    assert_eq!(after(below((1, 2), (3, 4))).await.1, [0, 1, 0, 0]);
    assert_eq!(after(below_uncached((1, 2), (3, 4))).await.1, [0, 0, 0, 0]);
    let runs = Runs::default();
    Cache::default()
        .scope(async {
            for _ in 0..3 {
                above((1, 2), (3, 4)).await;
                noted(&runs, 1).await;
            }
            assert_eq!(runs.take(), [0, 1, 0, 0], "a hit runs no body");
            for _ in 0..3 {
                below((1, 2), (3, 4)).await;
                noted(&runs, 1).await;
            }
            assert_eq!(runs.take(), [0, 3, 0, 0], "each call");
        })
        .await;

    Cache::default()
        .scope(async {
            assert_eq!(above((1, 2), (3, 4)).await, 6);
            assert_eq!(above((1, 2), (9, 4)).await, 6, "`c` is skipped");
            above_entry((1, 2)).invalidate().await.expect("no shared tier that could fail");
            assert_eq!(above((1, 2), (9, 4)).await, 12);
        })
        .await;
}
