//! What is told to a log: through `tracing`, where that feature is on; otherwise to nobody.
//!
//! Trouble is logged when it begins and when it ends, not at every call. Target: `larder`.

macro_rules! warning {
    ($error:expr, $message:literal) => {{
        #[cfg(feature = "tracing")]
        ::tracing::warn!(target: "larder", error = %format_args!("{:#}", $error), $message);
        #[cfg(not(feature = "tracing"))]
        let _ = &$error;
    }};
    ($message:literal) => {{
        #[cfg(feature = "tracing")]
        ::tracing::warn!(target: "larder", $message);
    }};
}

macro_rules! information {
    ($message:literal) => {{
        #[cfg(feature = "tracing")]
        ::tracing::info!(target: "larder", $message);
    }};
}

pub(crate) use {information as info, warning as warn};
