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
}

/// What a write touched, by index in the catalogue; the caller holds the claim on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touched {
    pub(crate) menu: usize,
    pub(crate) restaurant: usize,
    /// Where a menu that moved is now.
    pub(crate) target: Option<usize>,
}

/// Compares the cached functions with the database, all at once: the claim is held meanwhile.
pub(crate) async fn compare(
    db: &Database,
    catalogue: &Catalogue,
    touched: Touched,
) -> Result<Findings, DbError> {
    let card = &catalogue.cards[touched.menu];
    let place = &catalogue.places[card.place].text;
    let name = |restaurant: usize| catalogue.restaurants[restaurant].text.as_str();
    let (menu, search, list, target) = tokio::try_join!(
        differ(menus::menu(db, card.id), menus::menu_uncached(db, card.id)),
        differ(menus::search(db, place, card.decade), menus::search_uncached(db, place, card.decade)),
        list_differs(db, Some(name(touched.restaurant))),
        list_differs(db, touched.target.map(name)),
    )?;
    let mut findings = Findings::default();
    for is_different in [Some(menu), Some(search), list, target].into_iter().flatten() {
        findings.compared += 1;
        findings.different += u64::from(is_different);
    }
    Ok(findings)
}

async fn list_differs(db: &Database, restaurant: Option<&str>) -> Result<Option<bool>, DbError> {
    let Some(name) = restaurant else { return Ok(None) };
    differ(menus::menus_of(db, name), menus::menus_of_uncached(db, name)).await.map(Some)
}

async fn differ<T: PartialEq>(
    cached: impl Future<Output = Result<T, DbError>>,
    direct: impl Future<Output = Result<T, DbError>>,
) -> Result<bool, DbError> {
    let (cached, direct) = tokio::try_join!(cached, direct)?;
    Ok(cached != direct)
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
