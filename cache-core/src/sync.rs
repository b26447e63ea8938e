//! The synchronisation primitives that the model checker replaces.
//!
//! `engine/flight.rs` and `epochs/checked.rs` name them through this module only; `tests/model_flights.rs` and
//! `tests/model_moves.rs` compile the same files against loom's.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex};

/// Locks, also after a panic elsewhere: each section leaves its data whole at every point it can unwind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
