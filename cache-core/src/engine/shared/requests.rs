//! What programs that are not Larder ask for on the bus: made in the shared tier by each process that hears it, since nobody
//! knows whether another one does. Twice costs misses at most.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::hear::with_key;
use super::{Shared, TAG_LIFE};
use crate::backend::{EntryKey, InvalidateRequest, TagKey, Tags};
use crate::engine::Cache;
use crate::epochs::Severity;
use crate::event::{Invalidated, Invalidator};

/// So many are kept one by one. Beyond, one for everything stands for all.
const MOST: usize = 10_000;

/// What was asked for and is not made yet. However much that is, one task makes it, some after some.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Set,
    is_underway: bool,
}

#[derive(Debug, Default)]
struct Set {
    keys: HashSet<EntryKey>,
    tags: HashSet<TagKey>,
}

/// Making them. However it ends, another can go on where it has stopped.
struct Underway<'r> {
    requests: &'r Requests,
    /// What is being made.
    taken: (Vec<EntryKey>, Vec<TagKey>),
    is_over: bool,
}

impl Requests {
    fn push(&self, keys: impl IntoIterator<Item = EntryKey>, tags: impl IntoIterator<Item = TagKey>) {
        let waiting = &mut self.lock().waiting;
        waiting.keys.extend(keys);
        waiting.tags.extend(tags);
        if waiting.keys.len() + waiting.tags.len() > MOST {
            *waiting = Set { keys: HashSet::new(), tags: HashSet::from([TagKey::Everything]) };
        }
    }

    /// Begins to make what waits; `None` if nothing does, or somebody has begun.
    fn begin(&self) -> Option<Underway<'_>> {
        let mut queue = self.lock();
        if queue.is_underway || queue.waiting.is_empty() {
            return None;
        }
        queue.is_underway = true;
        Some(Underway { requests: self, taken: (Vec::new(), Vec::new()), is_over: false })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tags.is_empty()
    }
}

impl Underway<'_> {
    /// What is to be made now; `None` at the end. What was told before is made.
    fn next(&mut self) -> Option<&(Vec<EntryKey>, Vec<TagKey>)> {
        self.taken = (Vec::new(), Vec::new());
        let mut queue = self.requests.lock();
        if queue.waiting.is_empty() {
            // Under the lock: what is asked for from here on begins anew.
            queue.is_underway = false;
            self.is_over = true;
            return None;
        }
        let Set { keys, tags } = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.taken = (keys.into_iter().collect(), tags.into_iter().collect());
        Some(&self.taken)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        // At its end another may be under way already.
        if !self.is_over {
            let (keys, tags) = std::mem::take(&mut self.taken);
            self.requests.push(keys, tags);
            self.requests.lock().is_underway = false;
        }
    }
}

impl Shared {
    /// Makes what a program outside asks for, here and in the shared tier. What fails there is repeated when it is back.
    pub(super) fn make_requested(&self, cache: &Cache, keys: Vec<EntryKey>, tags: Vec<TagKey>) {
        self.requests.push(keys, tags);
        self.go_on_with_requests(cache);
    }

    /// Makes what was asked for and is not made, if nobody does.
    pub(super) fn go_on_with_requests(&self, cache: &Cache) {
        {
            let requests = self.requests.lock();
            if requests.waiting.is_empty() || requests.is_underway {
                return;
            }
        }
        let cache = cache.clone();
        let making = async move {
            if let Some(shared) = cache.0.shared.as_deref() {
                shared.make_requests(&cache).await;
            }
        };
        // Where there is no runtime nobody hears, either; who hears next goes on.
        drop(self.run(making));
    }

    async fn make_requests(&self, cache: &Cache) {
        let Some(mut underway) = self.requests.begin() else { return };
        while let Some((keys, tags)) = underway.next() {
            let expecting: Vec<_> = keys.iter().map(|key| self.expect_echo(key)).collect();
            let hard: Vec<_> = tags.iter().map(|tag| (tag.clone(), Severity::Hard)).collect();
            let moves = self.expect_moves(&hard);
            let tags_there = Tags { keys: tags, life: TAG_LIFE };
            let made = self.invalidate(InvalidateRequest { keys, expired: &[], tags: tags_there }).await;
            let epochs = made.as_deref().unwrap_or_default();
            for key in keys {
                with_key(key, |key| cache.0.remove_here(key));
                let entry = || Invalidated::Entry(key.as_str().into());
                cache.0.tell_invalidation(entry, Severity::Hard, Invalidator::Outside);
            }
            for (index, tag) in tags.iter().enumerate() {
                cache.0.move_here(tag, epochs.get(index).copied(), Severity::Hard);
                cache.0.tell_invalidation(|| tag.into(), Severity::Hard, Invalidator::Outside);
            }
            drop(moves);
            if made.is_ok() {
                expecting.into_iter().for_each(|one| one.answered());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> EntryKey {
        EntryKey::from(n.to_string())
    }

    #[test]
    fn one_makes_all_that_is_asked_for_meanwhile() {
        let requests = Requests::default();
        requests.push([key(1), key(1)], []);
        let mut underway = requests.begin().expect("it is the first");
        assert_eq!(underway.next(), Some(&(vec![key(1)], Vec::new())));

        requests.push([key(1)], [TagKey::Everything]);

        assert!(requests.begin().is_none(), "somebody has begun");
        // Once more: it was asked for while it was made.
        assert_eq!(underway.next(), Some(&(vec![key(1)], vec![TagKey::Everything])));
        assert_eq!(underway.next(), None);
        assert!(requests.begin().is_none(), "nothing is left");
    }

    #[test]
    fn what_was_not_made_to_its_end_is_made_by_another() {
        let requests = Requests::default();
        requests.push([key(1)], []);
        let mut underway = requests.begin().unwrap();
        underway.next();
        requests.push([key(2)], []);

        drop(underway);

        let mut again = requests.begin().expect("there is something left");
        let (mut keys, _) = again.next().unwrap().clone();
        keys.sort();
        assert_eq!(keys, [key(1), key(2)]);
    }

    #[test]
    fn an_end_does_not_end_who_has_begun_since() {
        let requests = Requests::default();
        requests.push([key(1)], []);
        let mut first = requests.begin().unwrap();
        first.next();
        first.next();
        requests.push([key(2)], []);
        let second = requests.begin().expect("the first is through");

        drop(first);

        assert!(requests.begin().is_none(), "the second goes on");
        drop(second);
        assert!(requests.begin().is_some(), "it has made nothing");
    }

    #[test]
    fn too_many_become_one_for_everything() {
        let requests = Requests::default();

        requests.push((0..=MOST).map(key), []);

        let mut underway = requests.begin().unwrap();
        assert_eq!(underway.next(), Some(&(Vec::new(), vec![TagKey::Everything])));
    }
}
