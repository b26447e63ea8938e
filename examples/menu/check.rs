//! Looks for stale answers, in two ways.
//!
//! The writer compares: once its invalidation is acknowledged, what the cached functions answer must equal
//! what the database says. It still holds its claim, so nobody else changes what is compared.
//!
//! Every reader checks that time does not run backwards: writes are numbered, each answer carries the number of
//! the last write in it, and a call that begins after write 7 was acknowledged must not answer with write 6.
//! This finds a late fill as well, long after the writer looked.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::catalogue::Catalogue;
use crate::database::{Database, DbError};
use crate::menus;

/// What a write touches and an answer shows, by its index in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Menu(usize),
    Restaurant(usize),
    Place(usize),
}

/// The number of the last acknowledged write to each menu, restaurant and place.
#[derive(Debug)]
pub(crate) struct Ledger {
    menus: Vec<AtomicU64>,
    restaurants: Vec<AtomicU64>,
    places: Vec<AtomicU64>,
}

impl Ledger {
    pub(crate) fn of(catalogue: &Catalogue) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            menus: zeros(catalogue.cards.len()),
            restaurants: zeros(catalogue.restaurants.len()),
            places: zeros(catalogue.places.len()),
        }
    }

    /// Notes that the invalidation after write `revision` returned `Ok`.
    pub(crate) fn acknowledge(&self, subject: Subject, revision: u64) {
        self.cell(subject).fetch_max(revision, Ordering::Release);
    }

    /// The oldest revision that a call which begins now may answer with.
    pub(crate) fn acknowledged(&self, subject: Subject) -> u64 {
        self.cell(subject).load(Ordering::Acquire)
    }

    fn cell(&self, subject: Subject) -> &AtomicU64 {
        match subject {
            Subject::Menu(index) => &self.menus[index],
            Subject::Restaurant(index) => &self.restaurants[index],
            Subject::Place(index) => &self.places[index],
        }
    }
}

/// What the two checks came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Answers compared with the database after an invalidation.
    pub(crate) compared: u64,
    /// Of these, different ones.
    pub(crate) different: u64,
    /// Answers whose revision was looked at.
    pub(crate) dated: u64,
    /// Of these, older than what was acknowledged before the call began.
    pub(crate) outdated: u64,
}

impl Findings {
    /// All stale answers.
    pub(crate) fn stale(&self) -> u64 {
        self.different + self.outdated
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.different += other.different;
        self.dated += other.dated;
        self.outdated += other.outdated;
    }

    /// Checks an answer with `revision` against what was acknowledged before the call.
    pub(crate) fn date(&mut self, revision: u64, acknowledged: u64) {
        self.dated += 1;
        self.outdated += u64::from(revision < acknowledged);
    }

    fn compare<T: PartialEq>(&mut self, cached: &T, direct: &T) {
        self.compared += 1;
        self.different += u64::from(cached != direct);
    }
}

/// What a write touched; the caller holds the claim on it.
#[derive(Debug)]
pub(crate) struct Touched {
    pub(crate) menu: usize,
    /// Its restaurant, and the one it left.
    pub(crate) restaurants: Vec<usize>,
}

/// Compares the cached functions with the database.
pub(crate) async fn compare(
    db: &Database,
    catalogue: &Catalogue,
    touched: &Touched,
) -> Result<Findings, DbError> {
    let mut findings = Findings::default();
    let card = &catalogue.cards[touched.menu];
    findings.compare(
        &menus::menu(db, card.id).await?,
        &menus::menu_uncached(db, card.id).await?,
    );
    for &restaurant in &touched.restaurants {
        let name = &catalogue.restaurants[restaurant].text;
        findings.compare(
            &menus::menus_of(db, name).await?,
            &menus::menus_of_uncached(db, name).await?,
        );
    }
    let place = &catalogue.places[card.place].text;
    findings.compare(
        &menus::search(db, place, card.decade).await?,
        &menus::search_uncached(db, place, card.decade).await?,
    );
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_older_than_the_acknowledged_write_is_counted() {
        let mut findings = Findings::default();

        findings.date(6, 7);
        findings.date(7, 7);
        findings.date(8, 7);

        assert_eq!((findings.dated, findings.outdated, findings.stale()), (3, 1, 1));
    }

    #[test]
    fn the_ledger_never_goes_back() {
        let ledger = Ledger::of(&Catalogue::of(&crate::sample::collection().menus));

        ledger.acknowledge(Subject::Place(3), 7);
        ledger.acknowledge(Subject::Place(3), 6);

        assert_eq!(ledger.acknowledged(Subject::Place(3)), 7);
        assert_eq!(ledger.acknowledged(Subject::Restaurant(3)), 0);
    }
}
