//! Every order in which threads can meet in the table of flights, tried by loom.
//!
//! Compiles the engine's own file against loom's primitives. A model has as few threads and steps as show the
//! matter: the orders grow with the factorial of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

#[path = "../src/engine/flight.rs"]
#[allow(dead_code, reason = "the models use what they need")]
mod flight;

#[path = "../src/hashed.rs"]
mod hashed;

/// What `flight.rs` takes from `crate::sync`, from loom.
mod sync {
    // Loom's `Arc` cannot be a receiver (`self: &Arc<Self>`) on stable Rust; what it would check beside is the
    // standard library's own counting.
    pub(crate) use std::sync::Arc;

    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use flight::{Bearing, Flights, Follow, Joined};
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

const KEY: u8 = 1;

/// The epoch of the one tag there is, and what was read of it.
struct Borne {
    world: Arc<World>,
    /// `None` as long as nobody knows the tag.
    number: Option<u64>,
    is_late: bool,
}

impl Bearing for Borne {
    fn is_current(&self) -> bool {
        self.number.is_none_or(|number| self.world.epoch.load(Ordering::Acquire) == number)
    }

    fn is_late(&self) -> bool {
        self.is_late
    }
}

/// The landing is what the computation read of the truth.
type Table = Flights<u8, Borne, u64>;

/// A truth that changes, its epoch, the table, and a store of one slot.
struct World {
    /// Whether the tag is one that only the value knows.
    is_late: bool,
    truth: AtomicU64,
    epoch: AtomicU64,
    flights: Table,
    slot: loom::sync::Mutex<Option<Stored>>,
    computations: AtomicU64,
}

/// An entry of the local tier, in small.
#[derive(Clone, Copy)]
struct Stored {
    value: u64,
    borne: u64,
}

impl World {
    fn new(is_late: bool) -> Arc<Self> {
        Arc::new(Self {
            is_late,
            truth: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            // One part: which of many a key falls into is drawn at random, and models must repeat.
            flights: Flights::new(1),
            slot: loom::sync::Mutex::new(None),
            computations: AtomicU64::new(0),
        })
    }

    /// What is stored, if it is current.
    fn find(&self) -> Option<u64> {
        let stored = (*self.slot.lock().unwrap())?;
        (self.epoch.load(Ordering::Acquire) == stored.borne).then_some(stored.value)
    }

    /// A call, as `fetch` makes it: look, join or lead, bear, compute, land.
    fn call(self: &Arc<Self>) -> u64 {
        if let Some(found) = self.find() {
            return found;
        }
        loop {
            match self.flights.join(&KEY, |_| true, || self.find()) {
                Joined::Found(found) => return found,
                Joined::Lead(lead) => return self.compute(lead),
                Joined::Follow(follow) => {
                    if let Some(landing) = block_on(follow) {
                        return landing;
                    }
                }
            }
        }
    }

    fn compute(self: &Arc<Self>, lead: flight::Lead<'_, u8, Borne, u64>) -> u64 {
        let number = self.epoch.load(Ordering::Acquire);
        let borne = |number| Borne { world: self.clone(), number, is_late: self.is_late };
        lead.bear(borne((!self.is_late).then_some(number)));
        self.computations.fetch_add(1, Ordering::Relaxed);
        let value = self.truth.load(Ordering::Acquire);
        if self.is_late {
            lead.learn(borne(Some(number)));
        }
        lead.land(value, |may_store| {
            if may_store {
                *self.slot.lock().unwrap() = Some(Stored { value, borne: number });
            }
        });
        value
    }

    /// Changes the truth and invalidates the entry.
    fn change_and_invalidate_entry(&self) {
        self.truth.store(1, Ordering::Release);
        self.flights.detach(&KEY, || *self.slot.lock().unwrap() = None);
    }

    /// Changes the truth and invalidates the tag.
    fn change_and_invalidate_tag(&self) {
        self.truth.store(1, Ordering::Release);
        self.epoch.store(1, Ordering::Release);
    }
}

/// Runs a model over all orders with at most three switches between threads that both could go on.
fn model(body: impl Fn(Arc<World>) + Send + Sync + 'static) {
    model_of(false, body);
}

fn model_of(is_late: bool, body: impl Fn(Arc<World>) + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let world = World::new(is_late);
        body(world.clone());
        assert_eq!(world.flights.len(), 0, "the table drains");
    });
}

#[test]
fn two_callers_cause_one_computation() {
    model(|world| {
        let other = thread::spawn({
            let world = world.clone();
            move || world.call()
        });
        assert_eq!((world.call(), other.join().unwrap()), (0, 0));
        assert_eq!(world.computations.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn two_followers_get_what_the_leader_lands() {
    model(|world| {
        let Joined::Lead(lead) = world.flights.join(&KEY, |_| true, || None::<()>) else {
            panic!("nobody flies yet")
        };
        let followers = [(), ()].map(|()| {
            let world = world.clone();
            thread::spawn(move || world.call())
        });
        world.compute(lead);
        for follower in followers {
            assert_eq!(follower.join().unwrap(), 0);
        }
        assert_eq!(world.computations.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_follower_wakes_and_leads_when_the_leader_goes_away() {
    model(|world| {
        let Joined::Lead(lead) = world.flights.join(&KEY, |_| true, || None::<()>) else {
            panic!("nobody flies yet")
        };
        let follower = thread::spawn({
            let world = world.clone();
            move || world.call()
        });
        drop(lead);
        assert_eq!(follower.join().unwrap(), 0);
        assert_eq!(world.computations.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn one_of_two_followers_leads_when_the_leader_goes_away() {
    model(|world| {
        let Joined::Lead(lead) = world.flights.join(&KEY, |_| true, || None::<()>) else {
            panic!("nobody flies yet")
        };
        let followers = [(), ()].map(|()| {
            let world = world.clone();
            thread::spawn(move || world.call())
        });
        drop(lead);
        for follower in followers {
            assert_eq!(follower.join().unwrap(), 0);
        }
        assert_eq!(world.computations.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_follower_that_goes_away_leaves_the_other_waiting() {
    model(|world| {
        let Joined::Lead(lead) = world.flights.join(&KEY, |_| true, || None::<()>) else {
            panic!("nobody flies yet")
        };
        let (Joined::Follow(fickle), Joined::Follow(faithful)) = (
            world.flights.join(&KEY, |_| true, || None::<()>),
            world.flights.join(&KEY, |_| true, || None::<()>),
        ) else {
            panic!("somebody flies")
        };
        let goes = thread::spawn(move || drop(polled_once(fickle)));
        let waits = thread::spawn(move || block_on(faithful));
        world.compute(lead);
        goes.join().unwrap();
        assert_eq!(waits.join().unwrap(), Some(0));
    });
}

/// Polls a follower with a waker that nobody waits on.
fn polled_once(mut follow: Follow<Borne, u64>) -> Follow<Borne, u64> {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Waker::from(Arc::new(Nobody));
    match Pin::new(&mut follow).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(landing) => assert_eq!(landing, Some(0)),
        Poll::Pending => {}
    }
    follow
}

/// A computation is in flight while another thread changes the truth and invalidates. What that thread reads
/// afterwards, and what anybody reads in the end, is the new truth.
fn nothing_old_after(is_late: bool, change_and_invalidate: fn(&World)) {
    model_of(is_late, move |world| {
        let early = thread::spawn({
            let world = world.clone();
            move || world.call()
        });
        change_and_invalidate(&world);
        assert_eq!(world.call(), 1, "a later call got what was true before");
        early.join().unwrap();
        assert_eq!(world.call(), 1, "what was true before is stored");
    });
}

#[test]
fn nothing_old_is_read_after_an_entry_was_invalidated() {
    nothing_old_after(false, World::change_and_invalidate_entry);
}

#[test]
fn nothing_old_is_read_after_a_tag_was_invalidated() {
    nothing_old_after(false, World::change_and_invalidate_tag);
}

/// Who joins cannot see that the flight bears it.
#[test]
fn nothing_old_is_read_after_a_tag_was_invalidated_that_only_the_value_knows() {
    nothing_old_after(true, World::change_and_invalidate_tag);
}

#[test]
fn a_follower_that_began_before_an_invalidation_ends_as_well() {
    model(|world| {
        let early = [(), ()].map(|()| {
            let world = world.clone();
            thread::spawn(move || world.call())
        });
        world.change_and_invalidate_entry();
        for early in early {
            assert!(early.join().unwrap() <= 1);
        }
        assert_eq!(world.call(), 1);
    });
}

#[test]
fn a_value_put_is_not_overwritten_by_a_computation_in_flight() {
    model(|world| {
        let early = thread::spawn({
            let world = world.clone();
            move || world.call()
        });
        world.flights.detach(&KEY, || *world.slot.lock().unwrap() = Some(Stored { value: 7, borne: 0 }));
        assert_eq!(world.call(), 7);
        early.join().unwrap();
        assert_eq!(world.call(), 7);
    });
}

#[test]
fn a_value_put_elsewhere_is_not_overwritten_by_what_was_read_before() {
    model(|world| {
        let early = thread::spawn({
            let world = world.clone();
            move || world.call()
        });
        world.truth.store(1, Ordering::Release);
        world.flights.overtake(&KEY, || *world.slot.lock().unwrap() = None);
        early.join().unwrap();
        assert_eq!(world.call(), 1);
    });
}

#[test]
fn a_refresh_that_begins_while_another_computes_outlives_it() {
    model(|world| {
        let early = thread::spawn({
            let world = world.clone();
            move || world.call()
        });
        world.truth.store(1, Ordering::Release);
        let refresh = world.flights.lead(&KEY);
        assert_eq!(world.compute(refresh), 1);
        early.join().unwrap();
        assert_eq!(world.call(), 1, "the older computation stored over the newer");
    });
}

#[test]
fn a_leader_that_is_given_up_does_not_store_over_its_successor() {
    model(|world| {
        let Joined::Lead(silent) = world.flights.join(&KEY, |_| true, || None::<()>) else {
            panic!("nobody flies yet")
        };
        let Joined::Follow(follow) = world.flights.join(&KEY, |_| true, || None::<()>) else {
            panic!("somebody flies")
        };
        let successor = thread::spawn({
            let world = world.clone();
            move || {
                world.flights.give_up(&KEY, &follow);
                drop(follow);
                world.truth.store(1, Ordering::Release);
                world.compute(world.flights.lead(&KEY));
            }
        });
        // It comes back, with the oldest of truths.
        silent.bear(Borne { world: world.clone(), number: Some(0), is_late: false });
        silent.land(0, |may_store| {
            if may_store {
                *world.slot.lock().unwrap() = Some(Stored { value: 0, borne: 0 });
            }
        });
        successor.join().unwrap();
        assert_eq!(world.find(), Some(1));
    });
}
