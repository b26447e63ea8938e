//! Tools for testing backends, and caches over them: the conformance suite and a backend that fails on demand.

pub mod conformance;
mod faults;
mod faulty;
mod memory_stage;

pub use faults::{Faults, Gate, Late, Operation};
pub use faulty::Faulty;
pub use memory_stage::MemoryStage;
