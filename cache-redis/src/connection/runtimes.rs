//! What is kept for each runtime.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Id;

/// What waits on each runtime for a task there: one on a runtime that stands still does nothing, also not for others.
pub(super) struct EachRuntime<T>(Mutex<Vec<(Id, T)>>);

impl<T> Default for EachRuntime<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> EachRuntime<T> {
    /// Changes what is kept for a runtime; tells whether it is the first for which anything is kept.
    pub(super) fn change<R>(&self, id: Id, change: impl FnOnce(&mut T) -> R) -> (bool, R) {
        let mut all = self.lock();
        let place = all.iter().position(|(other, _)| *other == id);
        let at = place.unwrap_or_else(|| {
            all.push((id, T::default()));
            all.len() - 1
        });
        (place.is_none(), change(&mut all[at].1))
    }

    /// Takes what is kept for a runtime.
    pub(super) fn take(&self, id: Id) -> T {
        let mut all = self.lock();
        let place = all.iter().position(|(other, _)| *other == id);
        place.map_or_else(T::default, |place| all.swap_remove(place).1)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Id, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
