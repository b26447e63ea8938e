//! `Memory` keeps the contract of a backend.
#![cfg(feature = "testing")]

use cache_core::testing::MemoryStage;

cache_core::conformance_suite!(async { MemoryStage::new() });
