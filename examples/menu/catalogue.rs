//! What can be asked for and changed: the load's view of the menus.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::model::Menu;

/// A decade that a search without any dated menu falls back to.
const ANY_DECADE: u16 = 1900;

/// A menu, as far as the load needs to know it.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) id: u64,
    pub(crate) place: usize,
    pub(crate) decade: u16,
    /// The restaurant. Changed by whoever holds `lock`.
    home: AtomicUsize,
    lock: Mutex<()>,
}

/// A restaurant or a place. Writes to it wait for each other, so that a comparison sees no half-done one.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    lock: Mutex<()>,
}

/// All menus, restaurants and places, each known by its index.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) cards: Vec<Card>,
    pub(crate) restaurants: Vec<Name>,
    pub(crate) places: Vec<Name>,
    /// Every place and decade that has a menu.
    pub(crate) searches: Vec<(usize, u16)>,
    /// The largest id; those above it belong to no menu.
    pub(crate) last_id: u64,
}

/// The right to change one menu, its restaurant (and where it moves to) and its place.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    card: &'a Card,
    pub(crate) home: usize,
    _locks: Vec<MutexGuard<'a, ()>>,
}

impl Claim<'_> {
    /// Notes that the menu is of `restaurant` from now on.
    pub(crate) fn move_to(&self, restaurant: usize) {
        self.card.home.store(restaurant, Ordering::Relaxed);
    }
}

impl Catalogue {
    pub(crate) fn of(menus: &[Menu]) -> Self {
        let (mut restaurants, mut places) = (Index::default(), Index::default());
        let mut searches = std::collections::BTreeSet::new();
        let cards: Vec<Card> = menus
            .iter()
            .map(|menu| {
                let place = places.number(&menu.place);
                let decade = menu.date.map_or(ANY_DECADE, |date| date.decade());
                searches.insert((place, decade));
                let home = AtomicUsize::new(restaurants.number(&menu.restaurant));
                Card { id: menu.id, place, decade, home, lock: Mutex::new(()) }
            })
            .collect();
        Self {
            last_id: cards.iter().map(|card| card.id).max().unwrap_or(0),
            cards,
            restaurants: restaurants.names,
            places: places.names,
            searches: searches.into_iter().collect(),
        }
    }

    /// Waits until no other write touches the menu, its restaurant, its place, or `target`.
    ///
    /// Locks are taken in one order (menu, restaurants by index, place), so no two claims wait for each other.
    pub(crate) async fn claim(&self, card: usize, target: Option<usize>) -> Claim<'_> {
        let card = &self.cards[card];
        let mut locks = vec![card.lock.lock().await];
        // With the menu's lock held, its restaurant stays what it is.
        let home = card.home.load(Ordering::Relaxed);
        let mut touched = vec![home];
        touched.extend(target);
        touched.sort_unstable();
        touched.dedup();
        for restaurant in touched {
            locks.push(self.restaurants[restaurant].lock.lock().await);
        }
        locks.push(self.places[card.place].lock.lock().await);
        Claim { card, home, _locks: locks }
    }
}

/// Names in the order of their first appearance.
#[derive(Default)]
struct Index {
    names: Vec<Name>,
    numbers: HashMap<String, usize>,
}

impl Index {
    fn number(&mut self, text: &str) -> usize {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.names.len();
        self.numbers.insert(text.to_owned(), number);
        self.names.push(Name { text: text.to_owned(), lock: Mutex::new(()) });
        number
    }
}
