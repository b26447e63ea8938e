//! Events of the program, and what each of them invalidates.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::invalidation::Invalidate;
use super::{Cache, Inner};
use crate::error::Error;

type Handler = Arc<dyn Fn(&dyn Any) -> Invalidate + Send + Sync>;

/// What was registered on one cache, by the type of the event.
#[derive(Default)]
pub(super) struct Handlers(RwLock<Table>);

#[derive(Default)]
struct Table {
    by_event: HashMap<TypeId, Vec<(u64, Handler)>>,
    last: u64,
}

/// What [`Cache::on`] has registered. It stays for the life of the cache; dropping this changes nothing.
#[derive(Clone)]
pub struct Registration {
    cache: Weak<Inner>,
    event: TypeId,
    number: u64,
}

impl Cache {
    /// Says what an event means for this cache: `handler` makes a set of it, which [`emit`](Self::emit) applies.
    ///
    /// So whoever writes says what has happened, and what has to be invalidated for that stands in one place. An event is any
    /// type of yours. Several handlers of one type add up. They stay for the life of the cache, or until
    /// [`Registration::remove`]; one that holds the cache itself keeps it alive.
    ///
    /// ```
    /// use cache_core::{Cache, Invalidate};
    ///
    /// struct MenuUpdated {
    ///     restaurant: u64,
    /// }
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// let cache = Cache::default();
    /// cache.on(|event: &MenuUpdated| Invalidate::tag(format!("restaurant:{}", event.restaurant)));
    /// cache.on(|_: &MenuUpdated| Invalidate::function("popular_dishes"));
    ///
    /// cache.emit(MenuUpdated { restaurant: 42 }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<E: Any>(&self, handler: impl Fn(&E) -> Invalidate + Send + Sync + 'static) -> Registration {
        let event = TypeId::of::<E>();
        let handler: Handler = Arc::new(move |event| match event.downcast_ref() {
            Some(event) => handler(event),
            // Never: it is kept under its type.
            None => Invalidate::nothing(),
        });
        let mut table = self.0.handlers.0.write().unwrap_or_else(PoisonError::into_inner);
        table.last += 1;
        let number = table.last;
        table.by_event.entry(event).or_default().push((number, handler));
        Registration { cache: Arc::downgrade(&self.0), event, number }
    }

    /// Tells of an event: what all its handlers make of it is applied in one go, as by [`apply`](Self::apply). Handlers run
    /// in this process, at once; what they invalidate takes effect in all. Without a handler nothing happens.
    ///
    /// Inside of [`Deferred::scope`](super::Deferred::scope) it is recorded.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    ///
    /// # Panics
    ///
    /// Where a handler does. Nothing is invalidated then.
    ///
    /// # Cancel safety
    ///
    /// As [`apply`](Self::apply).
    pub fn emit<E: Any>(&self, event: E) -> impl Future<Output = Result<(), Error>> + Send {
        // Not in the future: so the event need not be `Send`.
        let set = self.0.handlers.meaning_of(&event);
        self.apply_or_record(set)
    }
}

impl Handlers {
    fn meaning_of<E: Any>(&self, event: &E) -> Invalidate {
        let handlers: Vec<Handler> = {
            let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let handlers = table.by_event.get(&TypeId::of::<E>());
            handlers.into_iter().flatten().map(|(_, handler)| Arc::clone(handler)).collect()
        };
        // Outside the lock: a handler may register another one.
        handlers.iter().map(|handler| handler(event)).collect()
    }
}

impl Registration {
    /// Takes the handler back: events that are emitted from now on mean nothing to it.
    pub fn remove(self) {
        let Some(cache) = self.cache.upgrade() else { return };
        let removed = {
            let mut table = cache.handlers.0.write().unwrap_or_else(PoisonError::into_inner);
            let Some(handlers) = table.by_event.get_mut(&self.event) else { return };
            let place = handlers.iter().position(|(number, _)| *number == self.number);
            let removed = place.map(|place| handlers.remove(place));
            if handlers.is_empty() {
                table.by_event.remove(&self.event);
            }
            removed
        };
        // Outside the lock: it holds what the user gave it.
        drop(removed);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("number", &self.number).finish_non_exhaustive()
    }
}
