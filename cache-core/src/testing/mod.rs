//! What tests use: a clock to move, a conformance suite for backends, and a backend that fails on demand.

pub mod conformance;
mod faults;
mod faulty;
mod memory_stage;

pub use crate::clock::ManualClock;
pub use faults::{Faults, Gate, Late, Operation};
pub use faulty::Faulty;
pub use memory_stage::MemoryStage;
