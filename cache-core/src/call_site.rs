//! What one `#[cached]` leaves behind: a static record.

use std::time::Duration;

/// The constant part of a function's options.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub(crate) name: Option<&'static str>,
    pub(crate) version: u32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) local_ttl: Option<Duration>,
    pub(crate) none_ttl: Option<Duration>,
    pub(crate) err_ttl: Option<Duration>,
    pub(crate) stagger: f64,
}

impl Policy {
    /// Starts from the defaults: version 0, nothing remembered but values, no stagger.
    #[expect(clippy::new_without_default, reason = "made in constant contexts")]
    pub const fn new() -> Self {
        Self { name: None, version: 0, ttl: None, local_ttl: None, none_ttl: None, err_ttl: None, stagger: 0.0 }
    }
    /// `name = ".."`.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }
    /// `version = ..`.
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
    /// `ttl = ..`, where it is a constant.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
    /// `local_ttl = ..`.
    pub const fn local_ttl(mut self, ttl: Duration) -> Self {
        self.local_ttl = Some(ttl);
        self
    }
    /// `none_ttl = ..`.
    pub const fn none_ttl(mut self, ttl: Duration) -> Self {
        self.none_ttl = Some(ttl);
        self
    }
    /// `err_ttl = ..`.
    pub const fn err_ttl(mut self, ttl: Duration) -> Self {
        self.err_ttl = Some(ttl);
        self
    }
    /// `stagger`, `stagger = ..`: a share between 0 and 1.
    pub const fn stagger(mut self, share: f64) -> Self {
        self.stagger = share;
        self
    }
}

/// The static record that one `#[cached]` leaves behind in each function it emits.
#[derive(Debug)]
pub struct CallSite {
    pub(crate) module: &'static str,
    /// The annotated function, without `r#`.
    pub(crate) function: &'static str,
    /// The emitted function this record sits in: `f`, `f_refresh` or `f_entry`, without `r#`.
    pub(crate) emitted: &'static str,
    pub(crate) policy: Policy,
}

impl CallSite {
    /// Makes the record.
    pub const fn new(
        module: &'static str,
        function: &'static str,
        emitted: &'static str,
        policy: Policy,
    ) -> Self {
        Self { module, function, emitted, policy }
    }
}
