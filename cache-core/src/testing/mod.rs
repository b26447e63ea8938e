//! Tools for testing backends, and caches over them: the conformance suite and a backend that fails on demand.

pub mod conformance;
mod faulty;
mod memory_stage;

pub use faulty::{Faults, Faulty, Gate, Late, Operation};
pub use memory_stage::MemoryStage;
