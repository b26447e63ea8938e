//! Everything at once, at random: calls of one row, of many, by force, given up half way, of bodies that dawdle, fail and panic; and
//! every way to invalidate. Whatever happens, nobody reads what was invalidated before the call began, nothing hangs, nothing stays
//! behind, and the counts add up.
//!
//! `LARDER_STRESS_SECONDS=600 cargo test --all-features --test everything_at_once -- --nocapture` runs each stage for so long;
//! `LARDER_STRESS_SEED` takes the place of the seed that is printed (what threads do to each other it does not repeat).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]
#![allow(clippy::print_stderr, reason = "a failure is repeated with the seed")]
#![allow(clippy::disallowed_methods, reason = "chance needs time")]

mod support;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::testing::{Faults, Faulty, Operation};
use larder::backend::{Backend, Memory, Prefix};
use larder::{Cache, Local, cached, current, invalidates, updates};
use support::chance::Chance;
use support::distant::{Distant, Short};

const ROWS: u64 = 4;
/// Fewer answers say nothing.
const ENOUGH: u64 = 100;
/// What ends by itself ends much sooner.
const LONG: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq)]
struct Down(String);

impl From<larder::Error> for Down {
    fn from(error: larder::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is true of a row, and what was promised: no call that begins from now on answers with less.
#[derive(Default)]
struct Row {
    truth: AtomicU64,
    promised: AtomicU64,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mix {
    /// Values are put, too.
    Put,
    /// Bodies name tags that are invalidated: values that are put do not bear them.
    Named,
    /// Invalidations are rare, by key, and most bodies fail: old values have to stand in.
    Failing,
}

impl Mix {
    /// How a row may be written, and what was read of it invalidated.
    fn writes(self) -> &'static [Write] {
        match self {
            Self::Put => &[
                Write::Key,
                Write::Tag,
                Write::Function,
                Write::Everything,
                Write::TagOfValue,
                Write::Put,
                Write::Updates,
                Write::Invalidates,
            ],
            Self::Named => &[
                Write::Key,
                Write::Tag,
                Write::Function,
                Write::Everything,
                Write::TagOfValue,
                Write::TagOfBody,
                Write::TagOfBody,
                Write::Invalidates,
            ],
            Self::Failing => &[Write::Key],
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Write {
    Key,
    Tag,
    Function,
    Everything,
    TagOfValue,
    TagOfBody,
    Put,
    Updates,
    Invalidates,
}

struct World {
    rows: [Row; ROWS as usize],
    mix: Mix,
    is_over: AtomicBool,
    chance: Chance,
    /// By what a row was promised to be something.
    kept: Mutex<HashMap<(u64, u64), Write>>,
    /// Calls of the first process, counted for each row: begun, and answered.
    begun: AtomicU64,
    answered: AtomicU64,
}

/// What chance begins with.
fn seed() -> u64 {
    let given = std::env::var("LARDER_STRESS_SEED").ok().map(|seed| seed.parse().expect("a number"));
    given.unwrap_or_else(|| u64::from(std::process::id()))
}

impl World {
    fn new(mix: Mix) -> Self {
        let seed = seed();
        eprintln!("{mix:?}: LARDER_STRESS_SEED={seed}");
        Self {
            rows: Default::default(),
            mix,
            is_over: AtomicBool::new(false),
            chance: Chance::new(seed),
            kept: Mutex::default(),
            begun: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn below(&self, end: u64) -> u64 {
        self.chance.below(end)
    }

    fn chance(&self, percent: u64) -> bool {
        self.chance.percent(percent)
    }

    async fn pause(&self, at_most: u64) {
        tokio::time::sleep(Duration::from_micros(self.below(at_most))).await;
    }

    fn row(&self, id: u64) -> &Row {
        &self.rows[usize::try_from(id).unwrap()]
    }

    /// Reads rows as a slow database does that fails now and then.
    async fn read(&self, ids: &[u64]) -> Result<Rows, Down> {
        let rows = ids.iter().map(|id| (*id, self.row(*id).truth.load(Ordering::SeqCst))).collect();
        for id in ids {
            current().tag(format!("said:{id}"));
        }
        match self.below(8) {
            0 => {}
            1..5 => {
                for _ in 0..self.below(8) {
                    tokio::task::yield_now().await;
                }
            }
            _ => self.pause(4_000).await,
        }
        if self.chance(2) {
            // Without a message: it is meant.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        if self.chance(if self.mix == Mix::Failing { 60 } else { 25 }) {
            return Err(Down("down".to_owned()));
        }
        if self.chance(5) {
            current().do_not_store();
        }
        Ok(rows)
    }

    fn write(&self, id: u64) -> u64 {
        self.row(id).truth.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// The functions of one tier.
trait Family: Send + Sync + 'static {
    fn one(call: Call, id: u64) -> Calling<Rows>;
    fn plain(call: Call, id: u64) -> Calling<Rows>;
    fn many(call: Call, ids: Vec<u64>) -> Calling<Rows>;
    fn one_by_force(call: Call, id: u64) -> Calling<Rows>;
    fn many_by_force(call: Call, ids: Vec<u64>) -> Calling<Rows>;
    fn invalidate(call: Call, id: u64) -> Calling<()>;
    fn clear(call: Call) -> Calling<()>;
    fn put(call: Call, id: u64, value: u64) -> Calling<()>;
    /// Writes the row; what it changes is put.
    fn updater(call: Call, id: u64) -> Calling<u64>;
    /// Writes the row; what it changes is invalidated.
    fn voider(call: Call, id: u64) -> Calling<u64>;
}

/// Rows by their ids.
type Rows = HashMap<u64, u64>;

type Calling<T> = Pin<Box<dyn Future<Output = Result<T, Down>> + Send>>;

#[derive(Clone)]
struct Call {
    cache: Cache,
    world: Arc<World>,
}

macro_rules! family {
    ($family:ident, $module:ident, $name:literal $(, $option:ident = $value:ident)?) => {
        struct $family;

        mod $module {
            use super::*;

            #[cached(ttl = "8ms", name = $name, tags = ["rows", "row:{id}"], tags_from = |_| ["late"], skip(call), cache = call.cache,
                     grace = "10m", refresh, stagger, timeout(soft = "2ms", hard = "40ms") $(, $option = $value)?)]
            pub(super) async fn one(call: &Call, id: u64) -> Result<u64, Down> {
                Ok(call.world.read(&[id]).await?[&id])
            }

            #[cached(ttl = "8ms", name = $name, tags = ["rows", "row:{id}"], tags_from = |_| ["late"], skip(call), cache = call.cache,
                     grace = "10m", each = ids $(, $option = $value)?)]
            pub(super) async fn many(call: &Call, ids: &[u64]) -> Result<HashMap<u64, u64>, Down> {
                call.world.read(ids).await
            }

            /// With neither grace nor timeouts.
            #[cached(ttl = "8ms", name = $name, tags = ["rows", "row:{id}"], tags_from = |_| ["late"], skip(call), cache = call.cache
                     $(, $option = $value)?)]
            pub(super) async fn plain(call: &Call, id: u64) -> Result<u64, Down> {
                Ok(call.world.read(&[id]).await?[&id])
            }

            #[updates(entry = one_entry(call, id), value = |row| Ok(*row))]
            #[invalidates(tags = ["nothing"], cache = call.cache)]
            pub(super) async fn updater(call: &Call, id: u64) -> Result<u64, Down> {
                Ok(call.world.write(id))
            }

            #[invalidates(tags = ["nothing"], cache = call.cache)]
            #[invalidates(entries = [one_entry(call, id)], cache = call.cache, strict)]
            pub(super) async fn voider(call: &Call, id: u64) -> Result<u64, Down> {
                Ok(call.world.write(id))
            }
        }

        impl Family for $family {
            fn one(call: Call, id: u64) -> Calling<Rows> {
                Box::pin(async move { Ok(Rows::from([(id, $module::one(&call, id).await?)])) })
            }
            fn plain(call: Call, id: u64) -> Calling<Rows> {
                Box::pin(async move { Ok(Rows::from([(id, $module::plain(&call, id).await?)])) })
            }
            fn many(call: Call, ids: Vec<u64>) -> Calling<Rows> {
                Box::pin(async move { $module::many(&call, &ids).await })
            }
            fn one_by_force(call: Call, id: u64) -> Calling<Rows> {
                Box::pin(async move { Ok(Rows::from([(id, $module::one_refresh(&call, id).await?)])) })
            }
            fn many_by_force(call: Call, ids: Vec<u64>) -> Calling<Rows> {
                Box::pin(async move { $module::many_refresh(&call, &ids).await })
            }
            fn invalidate(call: Call, id: u64) -> Calling<()> {
                Box::pin(async move { Ok($module::one_entry(&call, id).invalidate().await?) })
            }
            fn clear(call: Call) -> Calling<()> {
                Box::pin(async move { Ok($module::one_clear(&call).await?) })
            }
            fn put(call: Call, id: u64, value: u64) -> Calling<()> {
                Box::pin(async move { Ok($module::one_entry(&call, id).put(Ok(value)).await?) })
            }
            fn updater(call: Call, id: u64) -> Calling<u64> {
                Box::pin(async move { $module::updater(&call, id).await })
            }
            fn voider(call: Call, id: u64) -> Calling<u64> {
                Box::pin(async move { $module::voider(&call, id).await })
            }
        }
    };
}

family!(BothTiers, both_tiers, "all/both");
family!(Through, through, "all/through", tier = shared);

/// Calls at random. Of the first process the answers are checked: to others an invalidation takes its time.
async fn reads<F: Family>(call: Call, is_first: bool) {
    let world = call.world.clone();
    while !world.is_over() {
        let id = world.below(ROWS);
        let ids: Vec<u64> = (0..ROWS).filter(|other| *other == id || world.chance(60)).collect();
        let promised: Vec<u64> = world.rows.iter().map(|row| row.promised.load(Ordering::SeqCst)).collect();
        let kind = world.below(16);
        let (asked, calling) = match kind {
            // Those that are forced do not count as calls.
            0 => (0, F::one_by_force(call.clone(), id)),
            1 => (0, F::many_by_force(call.clone(), ids.clone())),
            2..7 => (ids.len() as u64, F::many(call.clone(), ids.clone())),
            7..9 => (1, F::plain(call.clone(), id)),
            _ => (1, F::one(call.clone(), id)),
        };
        // Some are given up half way.
        let is_patient = !world.chance(20);
        let limit = if is_patient { LONG } else { Duration::from_micros(world.below(3_000)) };
        if is_first {
            world.begun.fetch_add(asked, Ordering::SeqCst);
        }
        let answer = tokio::spawn(async move { tokio::time::timeout(limit, calling).await }).await;
        match answer {
            Ok(Ok(rows)) => {
                if is_first {
                    world.answered.fetch_add(asked, Ordering::SeqCst);
                }
                for (id, row) in rows.into_iter().flatten().filter(|_| is_first) {
                    let promised = promised[usize::try_from(id).unwrap()];
                    if row < promised {
                        world.is_over.store(true, Ordering::SeqCst);
                        let by = world.kept.lock().unwrap().get(&(id, promised)).copied();
                        panic!(
                            "row {id} was promised to be {promised} by {by:?}, and is {row} to call {kind} of {ids:?}"
                        );
                    }
                }
            }
            Ok(Err(_)) if is_patient => {
                world.is_over.store(true, Ordering::SeqCst);
                panic!("call {kind} of {ids:?} hangs");
            }
            // Given up, or the body panicked.
            _ => {}
        }
        match world.chance(10) {
            true => world.pause(2_000).await,
            false => tokio::task::yield_now().await,
        }
    }
}

/// Writes a row again and again, and invalidates what was read of it.
async fn writes<F: Family>(call: Call, id: u64) {
    let world = call.world.clone();
    while !world.is_over() {
        tokio::time::sleep(Duration::from_micros(500)).await;
        world.pause(if world.mix == Mix::Failing { 40_000 } else { 6_000 }).await;
        let kinds = world.mix.writes();
        let kind = kinds[usize::try_from(world.below(kinds.len() as u64)).unwrap()];
        let is_patient = !world.chance(15);
        let limit = if is_patient { LONG } else { Duration::from_micros(world.below(500)) };
        let done = tokio::time::timeout(limit, write::<F>(&call, id, kind)).await;
        match done {
            Ok(Ok(row)) => {
                world.kept.lock().unwrap().insert((id, row), kind);
                world.row(id).promised.fetch_max(row, Ordering::SeqCst);
            }
            Err(_) if is_patient => {
                world.is_over.store(true, Ordering::SeqCst);
                panic!("{kind:?} hangs");
            }
            // It failed, or was given up: nothing is promised.
            _ => {}
        }
    }
}

/// Writes a row, and invalidates what was read of it; answers what it is now.
async fn write<F: Family>(call: &Call, id: u64, kind: Write) -> Result<u64, Down> {
    let (call, cache) = (call.clone(), &call.cache);
    match kind {
        Write::Updates => return F::updater(call, id).await,
        Write::Invalidates => return F::voider(call, id).await,
        _ => {}
    }
    let row = call.world.write(id);
    match kind {
        Write::Tag => cache.invalidate_tags([format!("row:{id}")]).await?,
        Write::TagOfValue => cache.invalidate_tags(["late"]).await?,
        Write::TagOfBody => cache.invalidate_tags([format!("said:{id}")]).await?,
        Write::Everything => cache.clear().await?,
        Write::Function => F::clear(call).await?,
        Write::Put => F::put(call, id, row).await?,
        Write::Key | Write::Updates | Write::Invalidates => F::invalidate(call, id).await?,
    }
    Ok(row)
}

/// Plays with the first process, of which all is asked, and others, which read; what the shared tier is asked fails now and then.
async fn play<F: Family>(first: Cache, others: &[Cache], faults: Option<Faults>) {
    for mix in [Mix::Put, Mix::Named, Mix::Failing] {
        let world = Arc::new(World::new(mix));
        let before = first.stats();
        let call = |cache: &Cache| Call { cache: cache.clone(), world: world.clone() };
        let mut tasks = Vec::new();
        tasks.extend((0..6).map(|_| tokio::spawn(reads::<F>(call(&first), true))));
        tasks.extend((0..ROWS).map(|id| tokio::spawn(writes::<F>(call(&first), id))));
        for other in others {
            tasks.extend((0..4).map(|_| tokio::spawn(reads::<F>(call(other), false))));
        }
        let length = std::env::var("LARDER_STRESS_SECONDS").map_or(1, |text| text.parse().expect("seconds"));
        let answered = || world.answered.load(Ordering::SeqCst);
        let began = Instant::now();
        let has_said_enough = || began.elapsed() >= Duration::from_secs(length) && answered() >= ENOUGH;
        while !has_said_enough()
            && began.elapsed() < LONG.max(Duration::from_secs(length))
            && !world.is_over()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let Some(faults) = faults.as_ref().filter(|_| world.chance(30)) else { continue };
            const FAILING: [Operation; 8] = [
                Operation::Read,
                Operation::ReadMany,
                Operation::Lease,
                Operation::Fill,
                Operation::Refill,
                Operation::Renew,
                Operation::Release,
                Operation::Epochs,
            ];
            let operation = FAILING[usize::try_from(world.below(FAILING.len() as u64)).unwrap()];
            match world.chance(50) {
                true => faults.fail(operation),
                false => faults.lose_answer(operation),
            }
        }
        world.is_over.store(true, Ordering::SeqCst);
        for task in tasks {
            if let Err(failed) = task.await {
                std::panic::resume_unwind(failed.into_panic());
            }
        }
        let stats = first.stats();
        let calls = stats.calls() - before.calls();
        let (begun, answered) = (world.begun.load(Ordering::SeqCst), answered());
        eprintln!("{calls} calls, {} of them answered with stale values", stats.stale() - before.stale());
        assert!(answered <= calls && calls <= begun, "{answered} answered, {calls} counted, {begun} begun");
        assert!(answered >= ENOUGH, "{answered} calls say nothing");
    }
    first.shutdown().await;
    assert_eq!(first.computations_in_flight(), 0);
}

/// A process with a shared tier that fails when told, and another one.
fn two(local: Option<Local>) -> (Cache, Cache, Faults) {
    let store = Memory::new();
    let (backend, faults) = Faulty::new(store.clone());
    let builder = Cache::builder().prefix("app").shared(backend);
    let builder = local.into_iter().fold(builder, larder::CacheBuilder::local);
    (builder.build().unwrap(), Cache::builder().prefix("app").shared(store).build().unwrap(), faults)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_one_process() {
    play::<BothTiers>(Cache::default(), &[], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn over_a_shared_tier() {
    let (first, other, _) = two(None);
    play::<BothTiers>(first, &[other], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn over_a_shared_tier_that_is_some_way_off() {
    let store = Distant::new(Memory::new(), Short::new(seed()));
    let process = |store| Cache::builder().prefix("app").shared(store).build().unwrap();
    let other = process(store.view(&Prefix::new("app").unwrap()));
    play::<BothTiers>(process(store), &[other], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn over_a_shared_tier_that_fails_now_and_then() {
    let (first, other, faults) = two(None);
    play::<BothTiers>(first, &[other], Some(faults)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_local_tier() {
    let (first, other, _) = two(Some(Local::bytes(0)));
    play::<BothTiers>(first, &[other], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_tier_shared() {
    let (first, other, _) = two(None);
    play::<Through>(first, &[other], None).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn over_redis() {
    let server = larder::testing::redis::Server::start();
    let connect = async |local: Option<Local>| {
        let builder =
            Cache::builder().prefix("app").shared(larder::Redis::connect(&server.url()).await.unwrap());
        local.into_iter().fold(builder, larder::CacheBuilder::local).build().unwrap()
    };
    play::<BothTiers>(connect(None).await, &[connect(None).await], None).await;
    play::<BothTiers>(connect(Some(Local::bytes(0))).await, &[connect(None).await], None).await;
    play::<Through>(connect(None).await, &[connect(None).await], None).await;
}
