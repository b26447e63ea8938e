//! stub
pub use cache_core::*;
