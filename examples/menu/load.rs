//! The load: callers that ask and write, each again as soon as it is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::Cache;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::catalogue::Catalogue;
use crate::chance::Chance;
use crate::check::{Findings, Ledger, Subject};
use crate::database::{Database, DbError};
use crate::latency::{Latency, now};
use crate::menus::{self, WriteError};
use crate::plan::{Call, Plan, Question};
use crate::progress::{self, Meter};
use crate::write::Writer;

/// A caller tells the meter after as many calls.
const REPORT: u64 = 32;

/// What one phase came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Of the reads.
    pub(crate) reads: Latency,
    pub(crate) writes: u64,
    pub(crate) findings: Findings,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Reads and writes per second. What the check asks is not counted.
    pub(crate) fn throughput(&self) -> f64 {
        (self.reads.total() + self.writes) as f64 / self.took.as_secs_f64()
    }

    fn add(&mut self, other: &Self) {
        self.reads.add(&other.reads);
        self.writes += other.writes;
        self.findings.add(other.findings);
    }
}

/// What the callers share.
#[derive(Debug)]
pub(crate) struct Load {
    db: Arc<Database>,
    catalogue: Catalogue,
    ledger: Ledger,
    plan: Plan,
    args: Args,
}

impl Load {
    pub(crate) fn new(db: Arc<Database>, catalogue: Catalogue, args: Args) -> Self {
        Self {
            ledger: Ledger::of(&catalogue),
            plan: Plan::new(args.writes, args.seed, &catalogue),
            db,
            catalogue,
            args,
        }
    }

    /// Lets all callers work for the length of a phase, inside the scope of a cache or with the installed one.
    ///
    /// Each phase draws the same calls and makes the same checks; nothing but the cache differs.
    pub(crate) async fn run(
        self: &Arc<Self>,
        phase: &str,
        scope: Option<&Cache>,
    ) -> Result<Outcome, WriteError> {
        let (start, meter) = (now(), Meter::default());
        let mut callers = JoinSet::new();
        for number in 0..self.args.tasks as u64 {
            let (load, scope, meter) = (Arc::clone(self), scope.cloned(), meter.clone());
            callers.spawn(async move {
                let calls = load.call_until(start + load.args.phase, number, &meter);
                match scope {
                    Some(cache) => cache.scope(calls).await,
                    None => calls.await,
                }
            });
        }
        let progress = progress::show(phase, self.args.phase, meter);
        let mut outcome = tokio::select! {
            outcome = sum(callers) => outcome?,
            never = progress => match never {},
        };
        outcome.took = start.elapsed();
        Ok(outcome)
    }

    async fn call_until(&self, end: Instant, number: u64, meter: &Meter) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::default();
        let mut chance = Chance::branch(self.args.seed, number);
        let writer = Writer {
            db: &self.db,
            catalogue: &self.catalogue,
            ledger: &self.ledger,
            invalidation: self.args.invalidation,
        };
        let mut calls: u64 = 0;
        while now() < end {
            match self.plan.draw(&mut chance) {
                Call::Read(question) => self.read(question, &mut outcome).await?,
                Call::Write(card) => {
                    outcome.findings.add(writer.write(card, &mut chance).await?);
                    outcome.writes += 1;
                }
            }
            calls += 1;
            if calls.is_multiple_of(REPORT) {
                meter.add(REPORT);
            }
            // A hit never waits: without this a caller that only hits would keep its thread for itself.
            tokio::task::coop::consume_budget().await;
        }
        Ok(outcome)
    }

    async fn read(&self, question: Question, outcome: &mut Outcome) -> Result<(), DbError> {
        let acknowledged = subject(question).map_or(0, |subject| self.ledger.acknowledged(subject));
        let start = now();
        let revision = self.ask(question).await?;
        outcome.reads.record(start.elapsed());
        outcome.findings.date(revision, acknowledged);
        Ok(())
    }

    /// The revision of the answer; 0, the oldest, where there is none.
    async fn ask(&self, question: Question) -> Result<u64, DbError> {
        let (db, catalogue) = (&*self.db, &self.catalogue);
        let menu = match question {
            Question::Menu(card) => menus::menu(db, catalogue.cards[card].id).await?,
            Question::Unknown(id) => menus::menu(db, id).await?,
            Question::List(restaurant) => {
                let list = menus::menus_of(db, &catalogue.restaurants[restaurant].text).await?;
                return Ok(list.revision);
            }
            Question::Search(place, decade) => {
                let result = menus::search(db, &catalogue.places[place].text, decade).await?;
                return Ok(result.revision);
            }
        };
        Ok(menu.map_or(0, |menu| menu.revision))
    }
}

/// What the answer to a question shows.
fn subject(question: Question) -> Option<Subject> {
    match question {
        Question::Menu(card) => Some(Subject::Menu(card)),
        Question::Unknown(_) => None,
        Question::List(restaurant) => Some(Subject::Restaurant(restaurant)),
        Question::Search(place, _) => Some(Subject::Place(place)),
    }
}

/// Adds up what all callers did; the first error ends the phase and the others.
async fn sum(mut callers: JoinSet<Result<Outcome, WriteError>>) -> Result<Outcome, WriteError> {
    let mut outcome = Outcome::default();
    while let Some(caller) = callers.join_next().await {
        outcome.add(&caller.map_err(DbError::Interrupted)??);
    }
    Ok(outcome)
}
