//! One call of a writer, from the macro's side: what it invalidates, and what it puts, once its body has returned `Ok`.

use super::deferred::Recorded;
use super::invalidation::Invalidate;
use super::{Cache, CacheRef, Clear, Entry};
use crate::error::Error;
use crate::key::Tag;

/// What one call of a writer invalidates, put together by the generated code: a part before the body, a part after it.
#[derive(Debug)]
pub struct Writing {
    cache: CacheRef,
    set: Invalidate,
}

impl Writing {
    /// Begins a call.
    pub fn new(cache: CacheRef) -> Self {
        Self { cache, set: Invalidate::nothing() }
    }

    /// Adds tags, a handle's entry, a function.
    pub fn add(&mut self, named: impl Names) {
        self.set.add(named.into_set());
    }

    /// Adds a tag.
    pub fn tag(&mut self, tag: Tag) {
        self.set.add(Invalidate::tag(tag));
    }

    /// Applies it, or records it where it is to be deferred.
    ///
    /// # Cancel safety
    ///
    /// Takes effect when first polled.
    pub async fn apply(self) -> Result<(), Error> {
        self.cache.apply_or_record(self.set).await
    }

    /// The same for a function whose answer does not depend on it: an error is logged and counted. What could not be
    /// reached is done when it can be.
    pub async fn apply_quietly(self) {
        let cache = Cache::clone(&self.cache);
        if let Err(error) = self.apply().await {
            cache.note_failed_invalidation(&error);
        }
    }
}

/// What a writer changes once its body has returned.
pub trait Change {
    /// Begins it, for a caller that goes away.
    fn begin(self);
}

/// What is due, and takes effect also when its caller goes away before its turn has come.
#[derive(Debug)]
pub struct Due<C: Change>(Option<C>);

impl<C: Change> Due<C> {
    /// A change.
    pub fn new(change: C) -> Self {
        Self(Some(change))
    }

    /// None.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Its turn has come. To be applied at once.
    pub fn take(&mut self) -> Option<C> {
        self.0.take()
    }

    /// `when` says that it is none.
    pub fn cancel(&mut self) {
        self.0 = None;
    }
}

/// What is told of it when it is due already: should that panic, what was told before takes effect.
impl Due<Writing> {
    /// Adds tags, a handle's entry, a function.
    pub fn add(&mut self, named: impl Names) {
        if let Some(writing) = &mut self.0 {
            writing.add(named);
        }
    }

    /// Adds a tag.
    pub fn tag(&mut self, tag: Tag) {
        if let Some(writing) = &mut self.0 {
            writing.tag(tag);
        }
    }

    /// `expire`: all of it softly.
    pub fn softly(&mut self) {
        self.0 = self.0.take().map(|Writing { cache, set }| Writing { cache, set: set.softly() });
    }
}

impl<R> Due<Updating<R>> {
    /// Asks `value` for what is to be put.
    pub fn value<T: ?Sized>(&mut self, result: &T, value: impl FnOnce(&T) -> R) {
        let value = value(result);
        if let Some(updating) = &mut self.0 {
            updating.value = Some(value);
        }
    }
}

impl<C: Change> Drop for Due<C> {
    fn drop(&mut self) {
        if let Some(change) = self.0.take() {
            change.begin();
        }
    }
}

impl Change for Writing {
    fn begin(self) {
        self.cache.begin_or_record(self.set);
    }
}

impl<R> Change for Updating<R> {
    /// The value is not put any more: its entry is invalidated.
    fn begin(self) {
        self.entry.cache().begin_or_record(Invalidate::entry(&self.entry));
    }
}

/// What `entries = [..]` and `functions = [..]` take.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` does not name what is to be invalidated",
    label = "not a handle",
    note = "write the handle of a cached function, `menu_of_entry(id)`, or a set, `Invalidate::tags(ids.iter().map(..))`; for tags write \
            `tags = [..]`"
)]
pub trait Names {
    /// The set that it names.
    fn into_set(self) -> Invalidate;
}

impl<R> Names for Entry<R> {
    fn into_set(self) -> Invalidate {
        Invalidate::entry(&self)
    }
}

impl<R> Names for &Entry<R> {
    fn into_set(self) -> Invalidate {
        Invalidate::entry(self)
    }
}

/// A set, of as many as the arguments or the result name.
impl Names for Invalidate {
    fn into_set(self) -> Invalidate {
        self
    }
}

impl Names for Clear {
    fn into_set(self) -> Invalidate {
        self.into()
    }
}

/// What one call of a writer puts: a value into an entry.
#[derive(Debug)]
pub struct Updating<R> {
    entry: Entry<R>,
    /// `None` as long as nobody has told it: then the entry is invalidated.
    value: Option<R>,
}

impl<R> Updating<R> {
    /// Into `entry`.
    pub fn of(entry: Entry<R>) -> Self {
        Self { entry, value: None }
    }

    /// Puts it. Where that fails, or its caller goes away meanwhile, the entry is invalidated instead; where it is to be
    /// deferred, that is recorded, since nobody knows whether the value will last.
    pub async fn apply(self) -> Result<(), Error> {
        let Self { entry, value } = self;
        if let Some(recorded) = Recorded::here() {
            recorded.record(Invalidate::entry(&entry));
            return Ok(());
        }
        let Some(value) = value else { return entry.invalidate().await };
        let unfinished = Unfinished(Some(&entry));
        let put = entry.put(value).await;
        unfinished.end();
        match put {
            Ok(()) => Ok(()),
            Err(_) => entry.invalidate().await,
        }
    }

    /// The same for a function whose answer does not depend on it: an error is logged and counted.
    pub async fn apply_quietly(self) {
        let cache = self.entry.cache().clone();
        if let Err(error) = self.apply().await {
            cache.note_failed_invalidation(&error);
        }
    }
}

/// A value that is being put. Dropped before its end, the old one may still be there.
struct Unfinished<'e, R>(Option<&'e Entry<R>>);

impl<R> Unfinished<'_, R> {
    fn end(mut self) {
        self.0 = None;
    }
}

impl<R> Drop for Unfinished<'_, R> {
    fn drop(&mut self) {
        let Some(entry) = self.0 else { return };
        if let Ok(key) = entry.key() {
            entry.cache().0.remove_here(key);
        }
        // It goes on by itself: nobody waits for it any more.
        drop(entry.cache().begin_to_apply(Invalidate::entry(entry)));
    }
}

/// Whether `when` holds for the result.
pub fn holds<T: ?Sized>(result: &T, when: impl FnOnce(&T) -> bool) -> bool {
    when(result)
}

impl Cache {
    /// An invalidation has failed, and nobody is told: it is counted, and logged when that begins and now and then.
    pub(super) fn note_failed_invalidation(&self, error: &Error) {
        self.0.failed_invalidations.failed(error);
    }
}
