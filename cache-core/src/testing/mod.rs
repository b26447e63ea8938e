//! What tests use: a clock to move, a conformance suite for backends, and a backend that fails on demand.

pub mod conformance;
mod faulty;
mod memory_stage;

pub use crate::clock::ManualClock;
pub use faulty::{Faults, Faulty, Gate, Late, Operation};
pub use memory_stage::MemoryStage;
