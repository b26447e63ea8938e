//! A writer says what it changes: after `Ok` nobody reads what was there before.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::testing::Operation;
use larder::{Cache, ErrorKind, Invalidate, cached, invalidates, updates};
use serde::{Deserialize, Serialize};
use support::pair::Pair;
use support::processes::{hears, until};
use support::{Stage, Task};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dish {
    id: u64,
    restaurant: u64,
    name: String,
}

#[derive(Debug, PartialEq)]
enum Trouble {
    Refused,
    Cache(ErrorKind),
}

impl From<larder::Error> for Trouble {
    fn from(error: larder::Error) -> Self {
        Self::Cache(error.kind())
    }
}

type Written<T> = std::result::Result<T, Trouble>;

/// The only table: of one restaurant's dish.
#[derive(Debug, Default)]
struct Db {
    name: Mutex<Option<String>>,
    asked: AtomicU64,
}

impl Db {
    fn name(&self) -> Option<String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.name.lock().unwrap().clone()
    }

    fn set(&self, name: &str) -> Dish {
        *self.name.lock().unwrap() = Some(name.to_owned());
        Dish { id: 1, restaurant: 7, name: name.to_owned() }
    }
}

#[cached(ttl = "1h", none_ttl = "1h", grace = "1h", tags = ["restaurant:7", "dish:{id}", "pair:{id}-007"], skip(db))]
async fn dish_name(db: &Db, id: u64) -> Written<Option<String>> {
    let _ = id;
    Ok(db.name())
}

/// What `dish_name` answers after `write`, when it was asked before it.
async fn after<T>(db: &Db, write: impl Future<Output = T>) -> (T, Option<String>) {
    dish_name(db, 1).await.unwrap();
    let written = write.await;
    (written, dish_name(db, 1).await.unwrap())
}

fn run<T>(test: impl AsyncFnOnce(&Db, &Stage) -> T) -> T {
    let (stage, db) = (Stage::new(), Db::default());
    stage.run(test(&db, &stage))
}

#[invalidates(tags = ["dish:{id}"])]
async fn by_argument(db: &Db, id: u64, name: String) -> Written<Dish> {
    if name.is_empty() {
        return Err(Trouble::Refused);
    }
    // The body moves what it likes.
    let moved = (id, name);
    Ok(db.set(&moved.1))
}

#[invalidates(tags = ["restaurant:{result.restaurant}"])]
async fn by_result(db: &Db, name: &str) -> Written<Dish> {
    Ok(db.set(name))
}

#[invalidates(tags = ["pair:{result.id:>1}-{place.0:03}", format!("other:{}", result.id)])]
async fn by_both(db: &Db, place: (u64, String)) -> Written<Dish> {
    let (_, name) = place;
    Ok(db.set(&name))
}

#[invalidates(entries = [dish_name_entry(id), dish_name_entry(result.id + id - 1)])]
async fn by_entry(db: &Db, id: u64, name: &str) -> Written<Dish> {
    Ok(db.set(name))
}

#[invalidates(function = dish_name)]
async fn by_function(db: &Db, name: &str) -> Written<()> {
    db.set(name);
    Ok(())
}

#[invalidates(functions = [self::dish_name, dish_name])]
async fn by_functions(db: &Db, name: &str) -> Dish {
    db.set(name)
}

#[invalidates(tags = ["dish:{id}"])]
async fn by_pattern(Renaming { db, id, name }: Renaming<'_>) -> Option<Dish> {
    Some(db.set(&name).with_id(id))
}

#[invalidates(entries = [dish_name_entry(*id + result.id - 1)], when = |result| result.name == *name)]
async fn by_pattern_and_result(Renaming { db, id, name }: Renaming<'_>) -> Dish {
    db.set(&name).with_id(id)
}

struct Renaming<'d> {
    db: &'d Db,
    id: u64,
    name: String,
}

fn renaming(db: &Db) -> Renaming<'_> {
    Renaming { db, id: 1, name: "a".to_owned() }
}

impl Dish {
    fn with_id(self, id: u64) -> Self {
        Self { id, ..self }
    }
}

#[test]
fn whatever_names_the_entry_the_next_call_computes() {
    let some = |name: &str| Some(name.to_owned());
    run(async |db, _| assert_eq!(after(db, by_argument(db, 1, "a".to_owned())).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_result(db, "a")).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_both(db, (7, "a".to_owned()))).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_entry(db, 1, "a")).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_function(db, "a")).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_functions(db, "a")).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_pattern(renaming(db))).await.1, some("a")));
    run(async |db, _| assert_eq!(after(db, by_pattern_and_result(renaming(db))).await.1, some("a")));
}

#[test]
fn what_a_writer_does_not_name_stays() {
    run(async |db, _| assert_eq!(after(db, by_argument(db, 2, "a".to_owned())).await.1, None));
    run(async |db, _| assert_eq!(after(db, by_both(db, (8, "a".to_owned()))).await.1, None));
}

#[test]
fn an_error_invalidates_nothing() {
    run(async |db, _| {
        let (written, _) = after(db, by_argument(db, 1, String::new())).await;

        assert_eq!(written, Err(Trouble::Refused));
        assert_eq!(db.asked.load(Ordering::SeqCst), 1);
    });
}

/// What a writer creates was cached as `None`, and bears the same tags.
#[test]
fn what_is_created_was_remembered_as_missing() {
    run(async |db, _| {
        assert_eq!(dish_name(db, 1).await.unwrap(), None);
        assert_eq!(dish_name(db, 1).await.unwrap(), None);
        assert_eq!(db.asked.load(Ordering::SeqCst), 1, "it is remembered");

        by_result(db, "new").await.unwrap();

        assert_eq!(dish_name(db, 1).await.unwrap().as_deref(), Some("new"));
    });
}

#[invalidates(tags = ["dish:1"], expire)]
async fn softly(db: &Db, name: &str) -> Written<()> {
    db.set(name);
    Ok(())
}

#[test]
fn expire_leaves_a_value_that_may_stand_in() {
    run(async |db, _| {
        dish_name(db, 1).await.unwrap();

        softly(db, "a").await.unwrap();

        let peek = dish_name_entry(1).peek().await.unwrap().expect("it is still there");
        assert!(!peek.is_fresh);
        assert_eq!(dish_name(db, 1).await.unwrap().as_deref(), Some("a"));
    });
}

#[invalidates(tags = ["dish:{id}"], when = |result| result.name != name)]
async fn unless_it_is(db: &Db, id: u64, name: String) -> Written<Dish> {
    let before = db.name().unwrap_or_default();
    db.set(&name);
    Ok(Dish { id, restaurant: 7, name: before })
}

#[test]
fn when_is_asked_with_the_result_and_the_arguments() {
    run(async |db, _| {
        db.set("a");
        let asked = || db.asked.load(Ordering::SeqCst);
        dish_name(db, 1).await.unwrap();

        unless_it_is(db, 1, "a".to_owned()).await.unwrap();
        dish_name(db, 1).await.unwrap();
        assert_eq!(asked(), 2, "nothing has changed");

        unless_it_is(db, 1, "b".to_owned()).await.unwrap();
        assert_eq!(dish_name(db, 1).await.unwrap().as_deref(), Some("b"));
    });
}

struct Repo {
    cache: Cache,
    db: Db,
    restaurant: u64,
}

#[async_trait]
trait Renames {
    async fn rename(&mut self, id: u64, name: &str) -> Written<Dish>;
    async fn rename_by_ref(&self, id: u64, name: &str) -> Written<Dish>;
}

#[async_trait]
impl Renames for Repo {
    #[invalidates(tags = ["restaurant:{self.restaurant}", "dish:{id}-{result.id}"], cache = self.cache)]
    async fn rename(&mut self, id: u64, name: &str) -> Written<Dish> {
        self.restaurant += 1;
        let _ = id;
        Ok(self.db.set(name))
    }

    #[invalidates(tags = ["restaurant:{self.restaurant}"], entries = [self.name_entry(id + result.id)], cache = self.cache)]
    async fn rename_by_ref(&self, id: u64, name: &str) -> Written<Dish> {
        let _ = id;
        Ok(self.db.set(name))
    }
}

trait Creates {
    async fn create(self, name: String) -> Option<Dish>;
    fn create_boxed<'a>(
        &'a self,
        name: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Written<Dish>> + Send + 'a>>;
}

impl Creates for &Repo {
    #[invalidates(entries = [self.name_clear()], cache = &self.cache)]
    async fn create(self, name: String) -> Option<Dish> {
        Some(self.db.set(&name))
    }

    #[invalidates(tags = ["restaurant:{self.restaurant}"], cache = &self.cache)]
    fn create_boxed<'a>(
        &'a self,
        name: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Written<Dish>> + Send + 'a>> {
        if name.is_empty() {
            return Box::pin(async { Err(Trouble::Refused) });
        }
        Box::pin(async move { Ok(self.db.set(name)) })
    }
}

impl Repo {
    fn new() -> Self {
        Self { cache: Cache::default(), db: Db::default(), restaurant: 7 }
    }

    #[cached(ttl = "1h", none_ttl = "1h", tags = ["restaurant:{self.restaurant}"], key = id, cache = self.cache)]
    async fn name(&self, id: u64) -> Option<String> {
        let _ = id;
        self.db.name()
    }

    #[invalidates(entries = [Self::name_entry(self, 1)], cache = self.cache)]
    async fn set<S: Into<String> + Send>(&self, name: S) -> impl fmt::Debug + Send {
        self.db.set(&name.into())
    }
}

#[tokio::test]
async fn methods_and_functions_of_traits_are_writers() {
    let mut repo = Repo::new();
    let name = async |repo: &Repo| repo.name(1).await;

    assert_eq!(name(&repo).await, None);
    repo.set("a").await;
    assert_eq!(name(&repo).await.as_deref(), Some("a"));

    repo.rename(1, "b").await.unwrap();
    assert_eq!(name(&repo).await.as_deref(), Some("b"), "told before the body changed the restaurant");

    // It is 8 by now, and the entry bears that.
    let mut repo = Repo { restaurant: 7, ..repo };
    repo.rename_by_ref(0, "c").await.unwrap();
    assert_eq!(name(&repo).await.as_deref(), Some("c"));

    (&repo).create("d".to_owned()).await.unwrap();
    assert_eq!(name(&repo).await.as_deref(), Some("d"));
    (&&repo).create_boxed("e").await.unwrap();
    assert_eq!(name(&repo).await.as_deref(), Some("e"));
    assert_eq!((&&repo).create_boxed("").await, Err(Trouble::Refused));
    repo.restaurant = 0;
}

#[invalidates(tags = ["dish:1"])]
async fn panics(db: &Db, name: &str) -> Written<()> {
    db.set(name);
    assert!(name.is_empty(), "as planned");
    Ok(())
}

#[tokio::test]
async fn a_body_that_panics_invalidates_nothing() {
    let cache = Cache::default();
    let db: &'static Db = Box::leak(Box::default());
    cache.scope(dish_name(db, 1)).await.unwrap();

    let ended = tokio::spawn(cache.scope_owned(panics(db, "a"))).await;

    assert!(ended.unwrap_err().is_panic());
    assert_eq!(cache.scope(dish_name(db, 1)).await.unwrap(), None);
}

/// So that a scope can be spawned.
trait ScopeOwned {
    fn scope_owned<F: Future + Send>(
        &self,
        future: F,
    ) -> impl Future<Output = F::Output> + Send + use<Self, F>;
}

impl ScopeOwned for Cache {
    fn scope_owned<F: Future + Send>(&self, future: F) -> impl Future<Output = F::Output> + Send + use<F> {
        let cache = self.clone();
        async move { cache.scope(future).await }
    }
}

#[invalidates(tags = ["dish:1"])]
async fn waits(db: &Db, name: &str, go: tokio::sync::oneshot::Receiver<()>) -> Written<()> {
    db.set(name);
    go.await.map_err(|_| Trouble::Refused)
}

#[test]
fn a_body_that_is_dropped_invalidates_nothing() {
    run(async |db, stage| {
        dish_name(db, 1).await.unwrap();
        let (_send, receive) = tokio::sync::oneshot::channel();

        drop(Task::begun(stage.cache.scope(waits(db, "a", receive))));

        assert_eq!(dish_name(db, 1).await.unwrap(), None);
    });
}

#[tokio::test]
async fn once_the_body_was_ok_the_invalidation_takes_effect_whoever_leaves() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    pair.cache.scope(dish_name(&db, 1)).await.unwrap();
    let gate = pair.faults.hold(Operation::InvalidateTags);
    let mut writing = Task::begun(pair.cache.scope(by_result(&db, "a")));
    gate.arrived().await;
    assert!(writing.waits());

    drop(writing);
    gate.open();

    until(|| pair.faults.calls(Operation::InvalidateTags) == 1).await;
    for cache in [&pair.cache, &pair.other] {
        let name = async || cache.scope(dish_name(&db, 1)).await.unwrap();
        let reading = async {
            while name().await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("it is invalidated");
    }
}

#[invalidates(tags = ["dish:1"], strict)]
async fn strictly(db: &Db, name: &str) -> Written<Dish> {
    Ok(db.set(name))
}

#[tokio::test]
async fn a_shared_tier_that_is_away_is_told_when_it_is_back_and_the_value_returned() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    pair.cache.scope(dish_name(&db, 1)).await.unwrap();
    pair.faults.fail(Operation::InvalidateTags);

    let written = pair.cache.scope(by_result(&db, "a")).await;

    assert_eq!(written.unwrap().name, "a");
    assert_eq!(pair.cache.stats().failed_invalidations, 1);
    assert!(pair.cache.stats().to_string().contains("failed invalidations after writes: 1"));
    assert_eq!(pair.cache.scope(dish_name(&db, 1)).await.unwrap().as_deref(), Some("a"));
    pair.comes_about(|pair| pair.shared().repeated_invalidations == 1).await;
    let third = pair.third();
    assert_eq!(third.scope(dish_name(&db, 1)).await.unwrap().as_deref(), Some("a"));
}

#[tokio::test]
async fn a_strict_writer_answers_the_error() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    pair.faults.fail(Operation::InvalidateTags);

    let written = pair.cache.scope(strictly(&db, "a")).await;

    assert_eq!(written, Err(Trouble::Cache(ErrorKind::Unreachable)));
    assert_eq!(pair.cache.stats().failed_invalidations, 0, "somebody was told");
    assert_eq!(pair.cache.scope(strictly(&db, "b")).await.unwrap().name, "b");
}

#[updates(entry = dish_name_entry(id), value = |result| Ok(Some(result.name.clone())))]
async fn through(db: &Db, id: u64, name: &str) -> Written<Dish> {
    if name.is_empty() {
        return Err(Trouble::Refused);
    }
    Ok(db.set(name).with_id(id))
}

#[updates(
    entry = dish_name_entry(result.id),
    value = |result| Ok(Some(format!("{}{suffix}", result.name))),
    when = |result| !result.name.starts_with(&suffix),
    strict,
)]
async fn through_result(db: &Db, name: &str, suffix: String) -> Written<Dish> {
    drop(suffix);
    Ok(db.set(name))
}

#[test]
fn an_update_is_a_hit_for_the_next_call() {
    run(async |db, _| {
        let (written, name) = after(db, through(db, 1, "a")).await;
        assert_eq!((written.unwrap().name.as_str(), name.as_deref()), ("a", Some("a")));
        assert_eq!(db.asked.load(Ordering::SeqCst), 1, "what was put was found");

        assert_eq!(after(db, through(db, 1, "")).await.1.as_deref(), Some("a"));
        assert_eq!(after(db, through_result(db, "b", "!".to_owned())).await.1.as_deref(), Some("b!"));
        assert_eq!(after(db, through_result(db, "?", "?".to_owned())).await.1.as_deref(), Some("b!"));
        assert_eq!(db.asked.load(Ordering::SeqCst), 1);
    });
}

#[tokio::test]
async fn an_update_that_cannot_be_stored_invalidates_instead() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    hears(&pair.other).await;
    let name = async |cache: &Cache| cache.scope(dish_name(&db, 1)).await.unwrap();
    for cache in [&pair.cache, &pair.other] {
        assert_eq!(name(cache).await, None);
    }
    // It is taken in vain, and then removed.
    pair.faults.fail_as(Operation::Lease, ErrorKind::Refused);

    let written = pair.cache.scope(through(&db, 1, "a")).await;

    assert_eq!(written.unwrap().name, "a");
    assert_eq!(pair.cache.stats().failed_invalidations, 0);
    assert_eq!(name(&pair.cache).await.as_deref(), Some("a"));
    let heard = async {
        while name(&pair.other).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.expect("it is invalidated there");
}

#[tokio::test]
async fn an_update_that_fails_altogether_is_repeated_as_an_invalidation() {
    for is_strict in [false, true] {
        let (pair, db) = (Pair::new(), Db::default());
        hears(&pair.cache).await;
        let name = async |cache: &Cache| cache.scope(dish_name(&db, 1)).await.unwrap();
        assert_eq!(name(&pair.cache).await, None);
        pair.faults.fail(Operation::Lease);
        pair.faults.fail(Operation::Invalidate);

        let written = pair
            .cache
            .scope(async {
                match is_strict {
                    true => through_result(&db, "a", String::from("!")).await,
                    false => through(&db, 1, "a").await,
                }
            })
            .await;

        assert_eq!(written.is_err(), is_strict);
        assert_eq!(pair.cache.stats().failed_invalidations, u64::from(!is_strict));
        pair.comes_about(|pair| pair.shared().repeated_invalidations == 1).await;
        assert_eq!(name(&pair.third()).await.as_deref(), Some("a"));
    }
}

#[tokio::test]
async fn an_update_whose_caller_goes_away_leaves_no_old_value() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    let name = async |cache: &Cache| cache.scope(dish_name(&db, 1)).await.unwrap();
    assert_eq!(name(&pair.cache).await, None);
    let gate = pair.faults.hold(Operation::Lease);
    let writing = Task::begun(pair.cache.scope(through(&db, 1, "a")));
    gate.arrived().await;

    drop(writing);
    gate.open();

    until(|| pair.faults.calls(Operation::Invalidate) == 1).await;
    for cache in [&pair.cache, &pair.third()] {
        let reading = async {
            while name(cache).await.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("it is invalidated");
    }
}

#[invalidates(tags = ["restaurant:{result.restaurant}"])]
#[updates(entry = dish_name_entry(id), value = |result| Ok(Some(result.name.clone())))]
async fn stacked(db: &Db, id: u64, name: &str) -> Written<Dish> {
    Ok(db.set(name).with_id(id))
}

#[test]
fn attributes_stack_in_their_order() {
    run(async |db, _| {
        let (_, name) = after(db, stacked(db, 1, "a")).await;

        // Invalidated first, and put then.
        assert_eq!((name.as_deref(), db.asked.load(Ordering::SeqCst)), (Some("a"), 1));
    });
}

#[cached(ttl = "1h", none_ttl = "1h", skip(db))]
async fn other_name(db: &Db, id: u64) -> Written<Option<String>> {
    let _ = id;
    Ok(db.name())
}

#[invalidates(tags = ["dish:{id}"], strict)]
#[invalidates(entries = [other_name_entry(id)])]
async fn both(db: &Db, id: u64, name: &str) -> Written<Dish> {
    Ok(db.set(name).with_id(id))
}

/// Reads until it finds something else than at first: that there is nothing.
async fn until_found(cache: &Cache, db: &Db) {
    let reading = cache.scope(async {
        while dish_name(db, 1).await.unwrap().is_none() || other_name(db, 1).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    });
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("both are invalidated");
}

#[tokio::test]
async fn all_attributes_take_effect_when_the_caller_goes_away_during_the_first() {
    let (pair, db) = (Pair::new(), Db::default());
    for cache in [&pair.cache, &pair.other] {
        hears(cache).await;
        cache.scope(async { (dish_name(&db, 1).await.unwrap(), other_name(&db, 1).await.unwrap()) }).await;
    }
    let gate = pair.faults.hold(Operation::InvalidateTags);
    let writing = Task::begun(pair.cache.scope(both(&db, 1, "a")));
    gate.arrived().await;

    drop(writing);
    gate.open();

    for cache in [&pair.cache, &pair.other] {
        until_found(cache, &db).await;
    }
}

#[tokio::test]
async fn all_attributes_take_effect_where_a_strict_one_fails() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    pair.cache.scope(async { (dish_name(&db, 1).await.unwrap(), other_name(&db, 1).await.unwrap()) }).await;
    pair.faults.fail(Operation::InvalidateTags);

    let written = pair.cache.scope(both(&db, 1, "a")).await;

    assert_eq!(written, Err(Trouble::Cache(ErrorKind::Unreachable)));
    until_found(&pair.cache, &db).await;
}

#[invalidates(entries = [other_name_entry(1)], strict)]
#[invalidates(tags = ["dish:1"], strict)]
async fn doubly_strict(db: &Db) -> Written<Dish> {
    Ok(db.set("a"))
}

#[tokio::test]
async fn of_two_strict_attributes_either_answers_its_error() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;
    for failing in [Operation::Invalidate, Operation::InvalidateTags] {
        pair.faults.fail(failing);

        let written = pair.cache.scope(doubly_strict(&db)).await;

        assert_eq!(written, Err(Trouble::Cache(ErrorKind::Unreachable)));
        pair.comes_about(|pair| pair.shared().queued_invalidations == 0).await;
    }
    assert_eq!(pair.cache.scope(doubly_strict(&db)).await.unwrap().name, "a");
}

#[invalidates(entries = [dish_name_entry(id)])]
#[updates(entry = other_name_entry(id), value = |result: &Dish| -> Written<Option<String>> { unreachable!("{}", result.name) })]
async fn broken(db: &Db, id: u64) -> Written<Dish> {
    Ok(db.set("a").with_id(id))
}

#[tokio::test]
async fn the_first_attribute_takes_effect_where_a_closure_of_the_second_panics() {
    let db = std::sync::Arc::new(Db::default());
    let (cache, task_db) = (Cache::default(), db.clone());
    assert_eq!(cache.scope(dish_name(&db, 1)).await, Ok(None));
    let (task_cache, here) = (cache.clone(), cache.clone());

    let writing = tokio::spawn(async move { task_cache.scope(broken(&task_db, 1)).await });

    assert!(writing.await.expect_err("it panics").is_panic());
    assert_eq!(here.scope(dish_name(&db, 1)).await.unwrap().as_deref(), Some("a"));
}

#[updates(entry = dish_name_entry(id), value = |result: &Dish| -> Written<Option<String>> { unreachable!("{}", result.name) })]
#[invalidates(entries = [other_name_entry(id)])]
async fn broken_first(db: &Db, id: u64) -> Written<Dish> {
    Ok(db.set("a").with_id(id))
}

#[invalidates(entries = [dish_name_entry(id)], when = |result: &Dish| -> bool { unreachable!("{}", result.name) })]
#[invalidates(entries = [other_name_entry(id)], tags = ["dish:{result.name}"])]
async fn undecided(db: &Db, id: u64) -> Written<Dish> {
    Ok(db.set("a").with_id(id))
}

#[invalidates(entries = [dish_name_entry(id)], when = |result: &Dish| -> bool { unreachable!("{}", result.name) })]
#[updates(entry = other_name_entry(id), value = |result: &Dish| Ok(Some(result.name.clone())))]
async fn undecided_first(db: &Db, id: u64) -> Written<Dish> {
    Ok(db.set("a").with_id(id))
}

#[test]
fn a_closure_that_panics_keeps_nothing_from_its_effect_that_is_known_without_it() {
    for which in 0..3 {
        let (stage, db) = (Stage::new(), Db::default());
        let names = || [stage.run(dish_name(&db, 1)).unwrap(), stage.run(other_name(&db, 1)).unwrap()];
        assert_eq!(names(), [None, None]);
        let writing = async {
            match which {
                0 => broken_first(&db, 1).await,
                1 => undecided(&db, 1).await,
                _ => undecided_first(&db, 1).await,
            }
        };
        let mut writing = Task::new(stage.cache.scope(writing));

        catch_unwind(AssertUnwindSafe(|| writing.poll())).expect_err("it panics");
        drop(writing);

        assert_eq!(names(), [Some("a".to_owned()), Some("a".to_owned())], "{which}");
    }
}

#[test]
fn so_it_is_recorded_where_it_is_deferred() {
    let (stage, db) = (Stage::new(), Db::default());
    assert_eq!(stage.run(dish_name(&db, 1)), Ok(None));
    let changes = stage.cache.deferred();
    let mut writing = Task::new(stage.cache.scope(changes.scope(broken(&db, 1))));

    catch_unwind(AssertUnwindSafe(|| writing.poll())).expect_err("it panics");
    drop(writing);

    assert!(!changes.is_empty());
    stage.run(changes.apply()).unwrap();
    assert_eq!(stage.run(dish_name(&db, 1)).unwrap().as_deref(), Some("a"));
}

#[tokio::test]
async fn each_attribute_takes_effect_once() {
    let (pair, db) = (Pair::new(), Db::default());
    hears(&pair.cache).await;

    pair.cache.scope(both(&db, 1, "a")).await.unwrap();

    let calls = |operation| pair.faults.calls(operation);
    assert_eq!((calls(Operation::InvalidateTags), calls(Operation::Invalidate)), (1, 1));
}

#[test]
fn what_several_attributes_change_is_recorded() {
    run(async |db, stage| {
        dish_name(db, 1).await.unwrap();
        other_name(db, 1).await.unwrap();
        let changes = stage.cache.deferred();

        changes.scope(both(db, 1, "a")).await.unwrap();

        assert_eq!((dish_name(db, 1).await, other_name(db, 1).await), (Ok(None), Ok(None)));
        changes.apply().await.unwrap();
        let names = [dish_name(db, 1).await.unwrap(), other_name(db, 1).await.unwrap()];
        assert_eq!(names, [Some("a".to_owned()), Some("a".to_owned())]);
    });
}

#[test]
fn what_writers_in_its_scope_change_is_recorded() {
    run(async |db, stage| {
        dish_name(db, 1).await.unwrap();
        let changes = stage.cache.deferred();

        changes.scope(async { by_argument(db, 1, "a".to_owned()).await.unwrap() }).await;
        changes.scope(async { through(db, 1, "b").await.unwrap() }).await;
        changes.scope(async { by_argument(db, 1, String::new()).await.unwrap_err() }).await;

        assert!(!changes.is_empty());
        assert_eq!(dish_name(db, 1).await.unwrap(), None, "nothing was applied yet");
        changes.apply().await.unwrap();
        assert_eq!(dish_name(db, 1).await.unwrap().as_deref(), Some("b"));
    });
}

#[test]
fn what_is_dropped_unapplied_invalidates_nothing() {
    run(async |db, stage| {
        dish_name(db, 1).await.unwrap();
        let changes = stage.cache.deferred();
        changes.scope(by_result(db, "a")).await.unwrap();

        drop(changes);

        assert_eq!(dish_name(db, 1).await.unwrap(), None);
    });
}

#[test]
fn what_is_recorded_is_for_the_cache_of_the_writer() {
    let repo = Repo::new();
    run(async |_, stage| {
        assert_eq!(repo.name(1).await, None);
        // By a handle, and by a tag: what names no cache is of the writer's, too.
        for name in ["a", "b"] {
            let changes = stage.cache.deferred();
            let before = repo.name(1).await;
            match name {
                "a" => drop(changes.scope(repo.set(name)).await),
                _ => drop(changes.scope((&&repo).create_boxed(name)).await.unwrap()),
            }
            assert_eq!(repo.name(1).await, before);

            changes.apply().await.unwrap();

            assert_eq!(repo.name(1).await.as_deref(), Some(name));
        }
    });
}

#[invalidates(tags = ["dish:1"])]
async fn not_sync(cell: Cell<u64>, db: &Db) -> u64 {
    db.set("a");
    tokio::task::yield_now().await;
    cell.replace(1)
}

#[test]
fn a_writer_asks_no_more_of_its_arguments_than_its_body_does() {
    fn check<F: Future + Send>(_: F) {}

    check(not_sync(Cell::new(0), &Db::default()));
    check(by_both(&Db::default(), (1, String::new())));
    check(through(&Db::default(), 1, ""));
    check(Cache::default().emit(std::rc::Rc::new(1)));
    check(Cache::default().deferred().apply());
    let _ = Invalidate::nothing();
}

#[invalidates(tags = ["dish:{result.1}"], when = |result| result.0.len() < name.len() + others.len())]
async fn borrowed<'a>(db: &Db, name: &'a str, mut others: Vec<&'a str>) -> Written<(&'a str, u64)> {
    db.set(name);
    others.push(name);
    let last = others.pop().ok_or(Trouble::Refused)?;
    Ok((last, 1))
}

#[test]
fn what_is_returned_may_borrow_from_the_arguments() {
    run(async |db, _| {
        let (written, name) = after(db, borrowed(db, "a", vec!["b"])).await;

        assert_eq!((written, name.as_deref()), (Ok(("a", 1)), Some("a")));
    });
}
