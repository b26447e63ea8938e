//! What the callers ask for: popularity by Zipf's law, over a random order of what there is.

use crate::catalogue::Catalogue;
use crate::chance::{Chance, Zipf};

/// Of the reads: this share asks for a menu, the next for the menus of a restaurant, the rest searches.
const MENUS: f64 = 0.70;
const LISTS: f64 = 0.20;
/// Of the reads of a menu: this share asks for one that does not exist.
const UNKNOWN: f64 = 0.01;
/// What requests to a web site are like.
const EXPONENT: f64 = 1.0;

/// One call. Numbers are indices in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Read(Question),
    /// Change this menu.
    Write(usize),
}

/// One call that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Menu(usize),
    /// A menu that does not exist, by its id.
    Unknown(u64),
    /// The menus of this restaurant.
    List(usize),
    /// A place and a decade.
    Search(usize, u16),
}

/// Draws calls.
#[derive(Debug)]
pub(crate) struct Plan {
    writes: f64,
    menus: Popularity<usize>,
    restaurants: Popularity<usize>,
    searches: Popularity<(usize, u16)>,
    last_id: u64,
}

impl Plan {
    /// A plan with this share of writes, between 0 and 1.
    pub(crate) fn new(writes: f64, seed: u64, catalogue: &Catalogue) -> Self {
        let mut chance = Chance::seeded(seed);
        Self {
            writes,
            menus: Popularity::new((0..catalogue.cards.len()).collect(), &mut chance),
            restaurants: Popularity::new((0..catalogue.restaurants.len()).collect(), &mut chance),
            searches: Popularity::new(catalogue.searches.clone(), &mut chance),
            last_id: catalogue.last_id,
        }
    }

    /// The next call of the caller whose `chance` it is.
    pub(crate) fn draw(&self, chance: &mut Chance) -> Call {
        // Popular menus are also those that change most.
        if chance.share() < self.writes {
            return Call::Write(self.menus.draw(chance));
        }
        let kind = chance.share();
        Call::Read(if kind < MENUS * UNKNOWN {
            Question::Unknown(self.last_id + 1 + chance.below(100) as u64)
        } else if kind < MENUS {
            Question::Menu(self.menus.draw(chance))
        } else if kind < MENUS + LISTS {
            Question::List(self.restaurants.draw(chance))
        } else {
            let (place, decade) = self.searches.draw(chance);
            Question::Search(place, decade)
        })
    }
}

/// Items, the most popular first.
#[derive(Debug)]
struct Popularity<T> {
    items: Vec<T>,
    ranks: Zipf,
}

impl<T: Copy> Popularity<T> {
    fn new(mut items: Vec<T>, chance: &mut Chance) -> Self {
        chance.shuffle(&mut items);
        Self { ranks: Zipf::new(items.len(), EXPONENT), items }
    }

    fn draw(&self, chance: &mut Chance) -> T {
        self.items[self.ranks.sample(chance)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw_many(writes: f64, seed: u64) -> Vec<Call> {
        let plan = Plan::new(writes, seed, &Catalogue::of(&crate::sample::collection().menus));
        let mut chance = Chance::branch(seed, 0);
        (0..20_000).map(|_| plan.draw(&mut chance)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_calls() {
        assert_eq!(draw_many(0.01, 1), draw_many(0.01, 1));
        assert_ne!(draw_many(0.01, 1), draw_many(0.01, 2));
    }

    #[test]
    fn the_share_of_writes_is_kept() {
        let writes = |share| draw_many(share, 1).iter().filter(|call| matches!(call, Call::Write(_))).count();

        assert_eq!(writes(0.0), 0);
        assert!((1_700..2_300).contains(&writes(0.1)), "{}", writes(0.1));
        assert_eq!(writes(1.0), 20_000);
    }
}
