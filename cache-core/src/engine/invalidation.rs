//! What is to be invalidated: a set, put together first and applied in one go.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Cache, Entry, Inner};
use crate::backend::TagKey;
use crate::epochs::Severity;
use crate::error::Error;
use crate::function::{Functions, tag_of};
use crate::key::{Key, Tag};

/// A set of what is to be invalidated: tags, entries, functions, everything.
///
/// It does nothing by itself: [`Cache::apply`] applies all of it in one go, a [`Deferred`](super::Deferred) later, and
/// [`Cache::on`] says which set an event means.
///
/// ```
/// use cache_core::{Cache, Invalidate, Key};
///
/// # async fn example(cache: &Cache, ids: Vec<u64>) -> Result<(), cache_core::Error> {
/// let menus: Invalidate = ids.iter().map(|id| Invalidate::tag(format!("restaurant:{id}"))).collect();
/// cache.apply(menus.and(Invalidate::key(&Key::of("popular", ())?))).await?;
///
/// // Stale from now on: with `grace` the old value may stand in while a new one cannot be had.
/// cache.apply(Invalidate::function("menu_of").softly()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it invalidates nothing by itself: write `cache.apply(..).await?`"]
pub struct Invalidate {
    /// Of the cache that applies it.
    own: Targets,
    /// Of caches that handles belong to.
    of_handles: Vec<(Cache, Targets)>,
    /// Why a handle names no entry.
    failure: Option<Error>,
}

/// What one cache is to invalidate.
#[derive(Debug, Clone, Default)]
struct Targets {
    keys: Vec<(Key, How)>,
    tags: Vec<(Target, Severity)>,
}

/// How an entry is invalidated, and what the shared tier keeps it for if that is softly.
#[derive(Debug, Clone, Copy)]
struct How {
    severity: Severity,
    keep: Duration,
}

/// What many entries have in common.
#[derive(Debug, Clone)]
enum Target {
    Tag(TagKey),
    /// The functions called so in the cache that is asked.
    Named(Arc<str>),
}

/// What one cache is to invalidate, each once.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) removed: Vec<Key>,
    /// With how long the shared tier keeps each.
    pub(super) expired: Vec<(Key, Duration)>,
    pub(super) tags: Vec<(TagKey, Severity)>,
}

impl Invalidate {
    /// Nothing, to be added to.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Every entry that bears `tag`.
    pub fn tag(tag: impl Into<Tag>) -> Self {
        Self::target(Target::Tag(TagKey::Tag(tag.into())))
    }

    /// Every entry that bears one of `tags`.
    pub fn tags<T: Into<Tag>>(tags: impl IntoIterator<Item = T>) -> Self {
        let tags = tags.into_iter().map(|tag| (Target::Tag(TagKey::Tag(tag.into())), Severity::Hard));
        Self::of(Targets { keys: Vec::new(), tags: tags.collect() })
    }

    /// The entry of `key`.
    pub fn key(key: &Key) -> Self {
        // Whoever reads it knows its grace; the server never keeps it longer than it would have.
        let how = How { severity: Severity::Hard, keep: Duration::MAX };
        Self::of(Targets { keys: vec![(key.clone(), how)], tags: Vec::new() })
    }

    /// The entry that a handle names, in the handle's own cache: `Invalidate::entry(&menu_of_entry(42))`.
    ///
    /// A handle that names none (an argument's `Serialize` failed) makes applying the set an error; the rest of the set is
    /// applied all the same.
    pub fn entry<R>(entry: &Entry<R>) -> Self {
        match entry.key() {
            Ok(key) => Self::key_in(entry.cache(), key, entry.grace()),
            Err(error) => Self { failure: Some(error), ..Self::default() },
        }
    }

    /// The entry of `key` in `cache`, whose value may stand in for `grace`.
    pub(super) fn key_in(cache: &Cache, key: &Key, grace: Duration) -> Self {
        let how = How { severity: Severity::Hard, keep: grace };
        Self::of_handle(cache, Targets { keys: vec![(key.clone(), how)], tags: Vec::new() })
    }

    /// Every entry of the functions called `name`, as for [`Cache::invalidate_function`].
    pub fn function(name: impl Into<Arc<str>>) -> Self {
        Self::target(Target::Named(name.into()))
    }

    /// Every entry of the function of a handle, in the handle's own cache: all versions and type instances.
    pub fn function_of<R>(entry: &Entry<R>) -> Self {
        match entry.key() {
            Ok(key) => Self::path_in(entry.cache(), key.identity().function()),
            Err(error) => Self { failure: Some(error), ..Self::default() },
        }
    }

    /// Everything under the prefix of the cache that applies it.
    pub fn everything() -> Self {
        Self::target(Target::Tag(TagKey::Everything))
    }

    /// Every entry of the function at `path` in `cache`.
    pub(super) fn path_in(cache: &Cache, path: &str) -> Self {
        let tags = vec![(Target::Tag(tag_of(path)), Severity::Hard)];
        Self::of_handle(cache, Targets { keys: Vec::new(), tags })
    }

    /// This set and `other` as one. What is in both is invalidated once; hard, if one of them says so.
    pub fn and(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    /// The same set, softly: what it holds up to now becomes stale instead of being removed. With `grace` the old value may
    /// stand in while a new one cannot be had.
    ///
    /// Other processes and the shared tier know softness of entries alone: what is named by tag or function is removed
    /// there.
    pub fn softly(mut self) -> Self {
        for targets in self.all_targets() {
            targets.keys.iter_mut().for_each(|(_, how)| how.severity = Severity::Soft);
            targets.tags.iter_mut().for_each(|(_, severity)| *severity = Severity::Soft);
        }
        self
    }

    /// Whether there is nothing in it: applying it does nothing and succeeds.
    pub fn is_empty(&self) -> bool {
        self.failure.is_none()
            && self.own.is_empty()
            && self.of_handles.iter().all(|(_, targets)| targets.is_empty())
    }

    fn of(own: Targets) -> Self {
        Self { own, ..Self::default() }
    }

    fn target(target: Target) -> Self {
        Self::of(Targets { keys: Vec::new(), tags: vec![(target, Severity::Hard)] })
    }

    fn of_handle(cache: &Cache, targets: Targets) -> Self {
        Self { of_handles: vec![(cache.clone(), targets)], ..Self::default() }
    }

    /// The same set for `cache`, whoever applies it.
    pub(super) fn within(mut self, cache: &Cache) -> Self {
        let own = std::mem::take(&mut self.own);
        if !own.is_empty() {
            add_to(&mut self.of_handles, cache.clone(), own);
        }
        self
    }

    /// The same set for later, without keeping the caches of its handles alive. What is not of a handle is of `cache`.
    pub(super) fn weakly(self, cache: &Cache) -> Weakly {
        let parts = self.within(cache).of_handles.into_iter();
        Weakly(parts.map(|(cache, targets)| (Arc::downgrade(&cache.0), targets)).collect())
    }

    fn all_targets(&mut self) -> impl Iterator<Item = &mut Targets> {
        std::iter::once(&mut self.own).chain(self.of_handles.iter_mut().map(|(_, targets)| targets))
    }

    pub(super) fn add(&mut self, other: Self) {
        self.own.add(other.own);
        for (cache, targets) in other.of_handles {
            add_to(&mut self.of_handles, cache, targets);
        }
        self.failure = self.failure.take().or(other.failure);
    }

    /// What each cache is to do, if `cache` applies it; and what is wrong with it.
    pub(super) fn by_cache(self, cache: &Cache) -> (Vec<(Cache, Resolved)>, Option<Error>) {
        let Self { of_handles, failure, .. } = self.within(cache);
        let resolved = |(cache, targets): (Cache, Targets)| {
            let resolved = targets.resolved(&cache.0.functions);
            (cache, resolved)
        };
        (of_handles.into_iter().map(resolved).collect(), failure)
    }
}

/// One entry a cache: its invalidations go in one call.
fn add_to(all: &mut Vec<(Cache, Targets)>, cache: Cache, targets: Targets) {
    let is_same = |other: &Arc<Inner>| Arc::ptr_eq(other, &cache.0);
    match all.iter_mut().find(|(other, _)| is_same(&other.0)) {
        Some((_, known)) => known.add(targets),
        None => all.push((cache, targets)),
    }
}

/// A set that does not keep its caches alive.
pub(super) struct Weakly(Vec<(Weak<Inner>, Targets)>);

impl Weakly {
    /// The set, as far as its caches are still there.
    pub(super) fn again(self) -> Invalidate {
        let parts = self.0.into_iter();
        let of_handles = parts.filter_map(|(cache, targets)| Some((Cache(cache.upgrade()?), targets)));
        Invalidate { of_handles: of_handles.collect(), ..Invalidate::default() }
    }
}

impl Targets {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tags.is_empty()
    }

    fn add(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
        self.tags.append(&mut other.tags);
    }

    /// Each target once, the hard one of two.
    fn resolved(self, functions: &Functions) -> Resolved {
        let harder = |one: &mut How, other: How| {
            *one = How { severity: one.severity.max(other.severity), keep: one.keep.min(other.keep) };
        };
        let mut resolved = Resolved::default();
        for (key, How { severity, keep }) in once_each(self.keys, harder) {
            match severity {
                Severity::Hard => resolved.removed.push(key),
                Severity::Soft => resolved.expired.push((key, keep)),
            }
        }
        let tags = self.tags.into_iter().flat_map(|(target, severity)| {
            let tags = match target {
                Target::Tag(tag) => vec![tag],
                Target::Named(name) => functions.tags_of(&name),
            };
            tags.into_iter().map(move |tag| (tag, severity))
        });
        resolved.tags = once_each(tags.collect(), |one, other| *one = (*one).max(other));
        resolved
    }
}

impl Resolved {
    pub(super) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.expired.is_empty() && self.tags.is_empty()
    }
}

/// `items` in their order, those of one name as one.
fn once_each<K: Clone + Eq + Hash, V>(items: Vec<(K, V)>, unite: impl Fn(&mut V, V)) -> Vec<(K, V)> {
    if items.len() <= 1 {
        return items;
    }
    let mut places: HashMap<K, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut once: Vec<(K, V)> = Vec::with_capacity(items.len());
    for (name, value) in items {
        match places.get(&name) {
            Some(&at) => unite(&mut once[at].1, value),
            None => {
                places.insert(name.clone(), once.len());
                once.push((name, value));
            }
        }
    }
    once
}

impl Extend<Self> for Invalidate {
    fn extend<I: IntoIterator<Item = Self>>(&mut self, sets: I) {
        sets.into_iter().for_each(|set| self.add(set));
    }
}

impl FromIterator<Self> for Invalidate {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        let mut all = Self::nothing();
        all.extend(sets);
        all
    }
}

impl<R> From<&Entry<R>> for Invalidate {
    fn from(entry: &Entry<R>) -> Self {
        Self::entry(entry)
    }
}
