//! Room for what asks for leases, and stores: no more is under way than comes in a small part of the time limit. What waits for room is
//! not on its way yet, so its limit does not run, and what else is asked is not held up by all of it.
//!
//! Nobody is relied on: who has room and is not polled any more loses it with its time, and who is woken and does not come takes
//! nothing along. So this is no semaphore, which gives room to those who wait, whether they come or not.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use cache_core::{Error, ErrorKind};

use super::deadline::Term;
use super::traffic::{LARGE, MIB};
use crate::clock::Moment;

/// How many time limits somebody waits at most.
const LONGEST: u32 = 10;

/// What the smallest takes. So 256 are under way at most: each is some scripts that the server runs.
const LEAST: usize = 4 << 10;

/// Room on the way to the servers, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    /// On the connection that all share.
    small: Side,
    /// On those for large values.
    large: Side,
}

#[derive(Debug)]
struct Side(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// What is under way, with its size, and when its time is over.
    taken: HashMap<u64, (usize, Moment)>,
    /// Who waits, with what it needs, in their order.
    waiting: BTreeMap<u64, (usize, Waker)>,
    next: u64,
    /// Whether what ended last did not come in time, and when something was answered last.
    is_lost: bool,
    answered: Moment,
}

/// What somebody has of it, until it is dropped or its time is over.
pub(crate) struct Place<'r> {
    side: &'r Side,
    id: u64,
}

/// What is under way does not come.
#[derive(Debug)]
pub(crate) struct Lost;

impl Room {
    /// With so many connections for large values.
    pub(crate) fn new(large_connections: usize) -> Self {
        Self { small: Side::new(MIB), large: Side::new(MIB.saturating_mul(large_connections)) }
    }

    /// Waits for room for a value of this size, 0 for what has none: for ten times `limit` at most, which is how long it may be under way
    /// then.
    ///
    /// Whoever has waited for `limit`, and learns that nothing comes through, has waited long enough.
    pub(crate) async fn take(&self, bytes: usize, limit: Duration) -> Result<Place<'_>, Lost> {
        let side = if bytes <= LARGE { &self.small } else { &self.large };
        let needed = bytes.clamp(LEAST, MIB);
        let begin = |state: &mut State| Place { side, id: state.begin(needed, limit) };
        let at_once = {
            let mut state = side.lock();
            (state.free >= needed && state.waiting.is_empty()).then(|| begin(&mut state))
        };
        if let Some(place) = at_once {
            return Ok(place);
        }
        let (mut waiting, began) = (Waiting { side, id: None }, Moment::now());
        for _ in 0..LONGEST {
            let taking = poll_fn(|context| {
                let mut state = side.lock();
                if state.free < needed {
                    waiting.wait(&mut state, needed, context.waker());
                    return Poll::Pending;
                }
                waiting.leave(&mut state);
                // What is under way ends a little earlier.
                let is_long = |since: Moment| since.elapsed() >= limit * 4 / 5;
                let is_lost = state.is_lost && is_long(began) && is_long(state.answered);
                Poll::Ready(if is_lost { Err(Lost) } else { Ok(begin(&mut state)) })
            });
            if let Some(taken) = Term::of(limit).keep(pin!(taking)).await {
                return taken;
            }
            side.take_back();
        }
        Err(Lost)
    }
}

impl Side {
    fn new(bytes: usize) -> Self {
        Self(Mutex::new(State {
            free: bytes,
            taken: HashMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            is_lost: false,
            answered: Moment::now(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back what those have whose time is over: they are not polled any more.
    fn take_back(&self) {
        let now = Moment::now();
        let mut state = self.lock();
        let over = state.taken.extract_if(|_, (_, ends)| *ends <= now);
        let bytes: usize = over.map(|(_, (bytes, _))| bytes).sum();
        state.free += bytes;
        wake(state);
    }

    /// Gives back what one has, if it has it yet.
    fn give_back(&self, id: u64) {
        let mut state = self.lock();
        if let Some((bytes, _)) = state.taken.remove(&id) {
            state.free += bytes;
        }
        wake(state);
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn begin(&mut self, bytes: usize, limit: Duration) -> u64 {
        let id = self.number();
        self.free -= bytes;
        self.taken.insert(id, (bytes, Moment::now().later(limit)));
        id
    }
}

/// Wakes those for whom there is room now. Whether they come or not, they wait no longer in front of others.
fn wake(mut state: MutexGuard<'_, State>) {
    let mut free = state.free;
    let mut woken = Vec::new();
    while let Some(first) = state.waiting.first_entry()
        && first.get().0 <= free
    {
        let (needed, waker) = first.remove();
        free -= needed;
        woken.push(waker);
    }
    drop(state);
    woken.into_iter().for_each(Waker::wake);
}

/// One who waits.
struct Waiting<'r> {
    side: &'r Side,
    id: Option<u64>,
}

impl Waiting<'_> {
    /// Waits on, in its place if it has one.
    fn wait(&mut self, state: &mut State, needed: usize, waker: &Waker) {
        let id = *self.id.get_or_insert_with(|| state.number());
        state.waiting.insert(id, (needed, waker.clone()));
    }

    fn leave(&mut self, state: &mut State) {
        if let Some(id) = self.id.take() {
            state.waiting.remove(&id);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.id.is_some() {
            let mut state = self.side.lock();
            self.leave(&mut state);
            // It may have been woken in the place of others.
            wake(state);
        }
    }
}

impl Place<'_> {
    /// What was sent has been answered, or not.
    pub(crate) fn ended<T>(self, answer: &Result<T, Error>) {
        let is_lost = answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unreachable);
        // Before the next one gets the place.
        let mut state = self.side.lock();
        state.is_lost = is_lost;
        if !is_lost {
            state.answered = Moment::now();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.side.give_back(self.id);
    }
}
