//! What is under way between two processes and their store, each part of it at a gate.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use larder::{Error, ErrorKind};
use tokio::sync::oneshot;

use crate::support::distant::{Leg, Way};

/// What waits for its turn.
pub struct Gate {
    pub number: u64,
    pub what: String,
    /// The process that a message is on its way to.
    pub message_to: Option<usize>,
    pub open: oneshot::Sender<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    Pass,
    Fail,
}

/// All that is under way, in the order in which it set out.
#[derive(Default)]
pub struct Board {
    gates: Mutex<Vec<Gate>>,
    /// Whether all pass at once.
    is_open: AtomicBool,
    /// How many have waited.
    numbers: AtomicU64,
    /// Grows with all that happens.
    happened: AtomicU64,
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.gates.lock().unwrap().iter().map(|gate| &gate.what)).finish()
    }
}

impl Board {
    pub async fn passed(&self, what: String, message_to: Option<usize>) -> Verdict {
        self.happened.fetch_add(1, Ordering::SeqCst);
        if self.is_open.load(Ordering::SeqCst) {
            return Verdict::Pass;
        }
        let (open, opened) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        self.gates.lock().unwrap().push(Gate { number, what, message_to, open });
        let verdict = opened.await.unwrap_or(Verdict::Fail);
        self.happened.fetch_add(1, Ordering::SeqCst);
        verdict
    }

    /// What waits, without what was given up.
    pub fn waiting(&self) -> MutexGuard<'_, Vec<Gate>> {
        let mut gates = self.gates.lock().unwrap();
        gates.retain(|gate| !gate.open.is_closed());
        gates
    }

    /// Lets one of what is under way go on; tells what.
    pub fn pass(&self, nth: usize, verdict: Verdict) -> Option<String> {
        let mut gates = self.waiting();
        if gates.is_empty() {
            return None;
        }
        let nth = nth % gates.len();
        let gate = gates.remove(nth);
        let _ = gate.open.send(verdict);
        Some(gate.what)
    }

    /// Lets all pass at once from now on.
    pub fn open_all(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        while self.pass(0, Verdict::Pass).is_some() {}
    }

    /// Lets nothing pass any more unless it is told to.
    pub fn close(&self) {
        self.is_open.store(false, Ordering::SeqCst);
    }

    /// The number of what comes next.
    pub fn next_number(&self) -> u64 {
        self.numbers.load(Ordering::SeqCst)
    }

    /// The first that has come since, if it is such a one.
    pub fn first_since(&self, number: u64, what: &str) -> Option<u64> {
        let gates = self.waiting();
        let first = gates.iter().find(|gate| gate.number >= number)?;
        first.what.starts_with(what).then_some(first.number)
    }

    pub fn is_waiting(&self, number: Option<u64>) -> bool {
        self.waiting().iter().any(|gate| Some(gate.number) == number)
    }

    pub fn is_message_under_way(&self, process: usize) -> bool {
        self.waiting().iter().any(|gate| gate.message_to == Some(process))
    }

    /// Lets all tasks go on until each waits for its turn.
    pub async fn settle(&self) {
        let mut quiet = 0;
        let mut happened = self.happened.load(Ordering::SeqCst);
        while quiet < 12 {
            tokio::task::yield_now().await;
            let now = self.happened.load(Ordering::SeqCst);
            quiet = if now == happened { quiet + 1 } else { 0 };
            happened = now;
        }
    }
}

/// The way of one process to the store.
#[derive(Debug, Clone)]
pub struct Stepped {
    pub process: usize,
    pub board: Arc<Board>,
}

impl Way for Stepped {
    async fn passed(&self, what: Leg) -> Result<(), Error> {
        let message_to = (what == Leg::Message).then_some(self.process);
        match self.board.passed(format!("{what:?} of {}", self.process), message_to).await {
            Verdict::Fail if what != Leg::Message => {
                Err(Error::new(ErrorKind::Unreachable, "as the test planned"))
            }
            _ => Ok(()),
        }
    }
}
