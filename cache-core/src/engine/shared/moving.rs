//! Changes of tags by this process that are under way.
//!
//! Who gives a tag a new epoch moves the epoch here when the answer has come. The message of that comes back over the bus,
//! before the answer or after it, and does not tell whether the tag was invalidated hard or softly: here it is known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::TagKey;
use crate::epochs::Severity;

/// For each tag how many changes are under way, soft ones and hard ones.
#[derive(Debug, Default)]
pub(super) struct Moving(Mutex<HashMap<TagKey, Underway>>);

#[derive(Debug, Default)]
struct Underway {
    soft: u32,
    hard: u32,
}

impl Underway {
    fn count(&mut self, severity: Severity) -> &mut u32 {
        match severity {
            Severity::Soft => &mut self.soft,
            Severity::Hard => &mut self.hard,
        }
    }
}

/// Changes that are under way for as long as this lives.
pub(in crate::engine) struct Moves<'m> {
    moving: &'m Moving,
    tags: &'m [(TagKey, Severity)],
}

impl Moving {
    /// Changes of `tags` are about to be sent.
    pub(super) fn begin<'m>(&'m self, tags: &'m [(TagKey, Severity)]) -> Moves<'m> {
        let mut table = self.lock();
        for (tag, severity) in tags {
            *table.entry(tag.clone()).or_default().count(*severity) += 1;
        }
        drop(table);
        Moves { moving: self, tags }
    }

    /// How an own message about `tag` is meant. Where hard and soft changes are under way at once, nobody knows whose it is; `None` where
    /// none is under way: whoever made the change has applied it.
    pub(super) fn severity(&self, tag: &TagKey) -> Option<Severity> {
        Some(match self.lock().get(tag)? {
            Underway { soft: 1.., hard: 0 } => Severity::Soft,
            _ => Severity::Hard,
        })
    }

    /// Whether one of `tags` is being changed.
    pub(super) fn is_any<'t>(&self, tags: impl IntoIterator<Item = &'t TagKey>) -> bool {
        let table = self.lock();
        !table.is_empty() && tags.into_iter().any(|tag| table.contains_key(tag))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TagKey, Underway>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Moves<'_> {
    fn drop(&mut self) {
        let mut table = self.moving.lock();
        for (tag, severity) in self.tags {
            let Some(underway) = table.get_mut(tag) else { continue };
            *underway.count(*severity) -= 1;
            if underway.soft + underway.hard == 0 {
                table.remove(tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_soft_while_nothing_but_soft_changes_are_under_way() {
        let (moving, tag) = (Moving::default(), TagKey::Function("menu".into()));
        let [softly, hard] = [Severity::Soft, Severity::Hard].map(|severity| [(tag.clone(), severity)]);

        let one = moving.begin(&softly);
        assert_eq!((moving.severity(&tag), moving.is_any([&tag])), (Some(Severity::Soft), true));
        let other = moving.begin(&hard);
        assert_eq!(moving.severity(&tag), Some(Severity::Hard));
        drop(other);
        assert_eq!(moving.severity(&tag), Some(Severity::Soft));
        drop(one);

        assert_eq!((moving.severity(&tag), moving.is_any([&tag])), (None, false));
        assert!(moving.lock().is_empty());
    }
}
