//! The order of refreshes that are due: by priority, then by what they save; and none waits for ever.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use tokio::runtime::{Handle, Id};

use super::background::Refresher;
use crate::clock::Tick;
use crate::key::Key;

/// One turn in so many goes to the refresh that has waited longest, whatever its rank.
const FAIR: u64 = 8;
/// Refreshes that wait at most. Of more, the least are dropped: reads ask for them again.
const MOST: usize = 10_000;

/// Which of two refreshes comes first: the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) priority: i8,
    /// What it saves: about how often the entry was used, times what computing it takes.
    pub(super) gain: u64,
}

/// A refresh that is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) rank: Rank,
    /// Which value it is to replace.
    pub(super) version: Option<u64>,
    pub(super) refresher: Refresher,
    /// That of whoever asked for it, where it is to run.
    pub(super) runtime: Handle,
}

/// Refreshes that wait for their turn, one a key.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By rank; among equals the one that came first comes first.
    by_rank: BTreeMap<(Rank, Reverse<u64>), (Tick, Due)>,
    by_age: BTreeMap<u64, Rank>,
    /// Those that wait.
    keys: HashSet<Key, foldhash::fast::RandomState>,
    /// Those that run, by the value that they are to replace: one that hangs keeps no later value from being refreshed. Without a
    /// version the entry itself knows whether a refresh of it was asked for.
    running: HashSet<(Key, u64), foldhash::fast::RandomState>,
    next: u64,
    turns: u64,
    dropped: u64,
}

impl Queue {
    /// Takes a refresh in; gives back the one that finds no room, if one does not, or if its key is here already.
    pub(super) fn push(&mut self, due: Due, now: Tick) -> Option<Due> {
        let is_running = |version| self.running.contains(&(due.refresher.key.clone(), version));
        if due.version.is_some_and(is_running) || !self.keys.insert(due.refresher.key.clone()) {
            return Some(due);
        }
        self.next += 1;
        self.by_age.insert(self.next, due.rank);
        self.by_rank.insert((due.rank, Reverse(self.next)), (now, due));
        if self.by_rank.len() <= MOST {
            return None;
        }
        self.dropped += 1;
        let ((_, Reverse(number)), (_, least)) = self.by_rank.pop_first()?;
        self.by_age.remove(&number);
        self.keys.remove(&least.refresher.key);
        Some(least)
    }

    /// The next one, and since when it has waited. It counts as running until it has [`ended`](Self::ended).
    pub(super) fn pop(&mut self) -> Option<(Tick, Due)> {
        self.turns += 1;
        let place = if self.turns.is_multiple_of(FAIR) {
            let (number, rank) = self.by_age.first_key_value()?;
            (*rank, Reverse(*number))
        } else {
            *self.by_rank.last_key_value()?.0
        };
        self.by_age.remove(&place.1.0);
        let next = self.by_rank.remove(&place);
        if let Some((_, due)) = &next {
            self.keys.remove(&due.refresher.key);
            self.running.extend(due.version.map(|version| (due.refresher.key.clone(), version)));
        }
        next
    }

    /// The refresh of `version` under `key` runs no more.
    pub(super) fn ended(&mut self, key: &Key, version: Option<u64>) {
        if let Some(version) = version {
            self.running.remove(&(key.clone(), version));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_rank.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_rank.len()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// When the one came that has waited longest.
    pub(super) fn oldest(&self) -> Option<Tick> {
        let (number, rank) = self.by_age.first_key_value()?;
        self.by_rank.get(&(*rank, Reverse(*number))).map(|(since, _)| *since)
    }

    /// Takes out what was to run on these runtimes.
    pub(super) fn take_of(&mut self, runtimes: &[Id]) -> Vec<Due> {
        let is_one = |(place, (_, due)): (&(Rank, Reverse<u64>), &(Tick, Due))| {
            runtimes.contains(&due.runtime.id()).then_some(*place)
        };
        let places: Vec<_> = self.by_rank.iter().filter_map(is_one).collect();
        let taken: Vec<Due> =
            places.iter().filter_map(|place| self.by_rank.remove(place)).map(|(_, due)| due).collect();
        for (place, due) in places.iter().zip(&taken) {
            self.by_age.remove(&place.1.0);
            self.keys.remove(&due.refresher.key);
        }
        self.dropped += taken.len() as u64;
        taken
    }

    /// Lets go of all that wait.
    pub(super) fn clear(&mut self) -> Vec<Due> {
        self.by_age.clear();
        let waiting: Vec<Due> = std::mem::take(&mut self.by_rank).into_values().map(|(_, due)| due).collect();
        for due in &waiting {
            self.keys.remove(&due.refresher.key);
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// One that has ended.
    fn runtime() -> Handle {
        tokio::runtime::Builder::new_current_thread().build().unwrap().handle().clone()
    }

    fn due(key: u64, priority: i8, gain: u64) -> Due {
        static RUNTIME: LazyLock<Handle> = LazyLock::new(runtime);
        let refresher = Refresher::idle(Key::of("f", key).unwrap());
        Due { rank: Rank { priority, gain }, version: None, refresher, runtime: RUNTIME.clone() }
    }

    fn popped(queue: &mut Queue, count: usize) -> Vec<Key> {
        std::iter::from_fn(|| queue.pop()).take(count).map(|(_, due)| due.refresher.key).collect()
    }

    fn keys(keys: impl IntoIterator<Item = u64>) -> Vec<Key> {
        keys.into_iter().map(|key| Key::of("f", key).unwrap()).collect()
    }

    #[test]
    fn the_higher_priority_comes_first_then_what_saves_most_then_what_came_first() {
        let (mut queue, now) = (Queue::default(), Tick::from_raw(1));
        for (key, priority, gain) in [(1, 0, 5), (2, 0, 9), (3, -1, 99), (4, 7, 0), (5, 0, 5)] {
            assert!(queue.push(due(key, priority, gain), now).is_none());
        }

        assert_eq!(popped(&mut queue, 9), keys([4, 2, 1, 5, 3]));
    }

    #[test]
    fn the_least_is_not_starved() {
        let (mut queue, now) = (Queue::default(), Tick::from_raw(1));
        queue.push(due(0, -100, 0), now);

        let mut turns = 0;
        loop {
            turns += 1;
            queue.push(due(turns, 100, 1), now);
            if queue.pop().unwrap().1.refresher.key == Key::of("f", 0).unwrap() {
                break;
            }
        }

        assert_eq!(turns, FAIR);
    }

    #[test]
    fn a_key_waits_once_and_the_refresh_of_a_value_runs_once() {
        let (mut queue, now) = (Queue::default(), Tick::from_raw(1));
        let due_for = |version| Due { version: Some(version), ..due(1, 5, 5) };
        queue.push(due_for(1), now);

        assert!(queue.push(due_for(1), now).is_some());
        let (_, running) = queue.pop().unwrap();
        assert!(queue.push(due_for(1), now).is_some());
        assert!(queue.push(due_for(2), now).is_none(), "of another value");
        queue.pop();
        queue.ended(&running.refresher.key, running.version);
        assert!(queue.push(due_for(1), now).is_none());
    }

    #[test]
    fn what_was_to_run_on_one_runtime_is_taken_out() {
        let (mut queue, now, other) = (Queue::default(), Tick::from_raw(1), runtime());
        for key in 0..6 {
            let due = due(key, 0, key);
            let runtime = if key % 2 == 0 { due.runtime.clone() } else { other.clone() };
            queue.push(Due { runtime, ..due }, now);
        }

        let taken = queue.take_of(&[other.id()]);

        assert_eq!(taken.into_iter().map(|due| due.refresher.key).collect::<Vec<_>>(), keys([1, 3, 5]));
        assert_eq!(queue.dropped(), 3);
        assert!(queue.push(due(1, 0, 9), now).is_none(), "it may come again");
        assert_eq!(popped(&mut queue, 9), keys([1, 4, 2, 0]));
        assert!(queue.oldest().is_none());
    }

    #[test]
    fn of_too_many_the_least_is_given_back() {
        let (mut queue, now) = (Queue::default(), Tick::from_raw(1));
        for key in 0..MOST as u64 {
            assert!(queue.push(due(key, 0, key + 1), now).is_none());
        }

        let least = queue.push(due(u64::MAX, 0, 50), now).map(|due| due.refresher.key);

        assert_eq!(least, Some(Key::of("f", 0_u64).unwrap()));
        assert_eq!((queue.len(), queue.dropped(), queue.keys.len()), (MOST, 1, MOST));
        assert_eq!((queue.clear().len(), queue.len(), queue.keys.len()), (MOST, 0, 0));
    }
}
