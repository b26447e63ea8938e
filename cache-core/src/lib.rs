//! The engine of Larder: keys, tiers, flights and epochs.
//!
//! Programs use it through the facade, `larder`.

#[doc(hidden)]
pub mod __private;
mod answer;
pub mod backend;
mod batched;
mod call_site;
mod chance;
mod clock;
pub mod codec;
mod decide;
mod engine;
pub mod entry;
mod epochs;
mod error;
mod event;
mod function;
mod give_up;
mod hashed;
mod kept;
pub mod key;
mod local;
mod owned;
mod policy;
mod storage;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use clock::Clock;
pub use engine::{
    Answered, Cache, CacheBuilder, Clear, Computation, Deferred, Entry, Invalidate, Options, Peek, Progress,
    Registration, Trace, TracedCall, WarmUp, Warmed, computation as current, trace, warm_up,
};
pub use entry::MissReason;
pub use error::{Error, ErrorKind};
pub use event::{
    Event, Events, FunctionStats, Invalidated, Invalidator, Misses, RefreshStats, SharedStats, Stats, Tier,
    Timing,
};
pub use key::{Key, Tag};
pub use local::Local;
pub use policy::Policy;
