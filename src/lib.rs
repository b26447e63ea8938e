//! stub
#[doc(hidden)]
pub use cache_core::__private;
pub use cache_core::*;
pub use cache_macros::cached;
