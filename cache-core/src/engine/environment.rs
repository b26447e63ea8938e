//! What the environment says of a cache.

use super::builder::{CacheBuilder, check_prefix};
use crate::error::{Error, ErrorKind};
use crate::local::Local;
impl CacheBuilder {
    /// Takes over what the environment sets; what it does not set stays as it is. So what is set before this is a default, and what
    /// is set after it cannot be changed from outside.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `LARDER_URL` | the tiers, see below | `memory:` |
    /// | `LARDER_PREFIX` | as [`prefix`](Self::prefix); services on one Redis that do not set it share their entries | `larder` |
    /// | `LARDER_SECRET_KEY` | as [`secret_key`](Self::secret_key), 64 hex digits | as there |
    ///
    /// | `LARDER_URL` | tiers | feature |
    /// |---|---|---|
    /// | `off` | none: every call computes, as with [`Cache::disabled`](crate::Cache::disabled) | |
    /// | `memory:` | a local tier of 64 MiB, and no shared one | |
    /// | `memory:256MiB` | a local tier of another size (`KiB`, `MiB`, `GiB`) | |
    /// | `redis://host:6379`, `valkey://host:6379`, `unix:///path` | one server behind the local tier | `redis` |
    /// | `redis+cluster://host:6379,host:6379` | a Redis Cluster | `redis-cluster` |
    /// | `redis+sentinel://host:26379,host:26379/primary/0` | what sentinels name | `redis-sentinel` |
    /// | `rediss://..`, `rediss+cluster://..`, `rediss+sentinel://..` | the same, encrypted | `redis-tls` and the above |
    ///
    /// A variable that is empty counts as unset, and a line break at its end is dropped (files of secrets end in one).
    ///
    /// A shared tier is connected to with the first call that needs it: the program starts although it is down.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_core::{Cache, Local};
    ///
    /// let builder = Cache::builder().prefix("menus").local(Local::bytes(256 << 20));
    /// let cache = builder.env()?.max_local_staleness(Duration::from_secs(1)).build()?;
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Configuration`, when a variable is set to something else, or to a scheme whose feature is not compiled
    /// in; the message names the variable and what to write.
    pub fn env(mut self) -> Result<Self, Error> {
        if let Some(url) = variable("LARDER_URL")? {
            self = tiers_of(self, &url)?;
        }
        if let Some(prefix) = variable("LARDER_PREFIX")? {
            check_prefix(&prefix).map_err(|error| error.in_context("read LARDER_PREFIX"))?;
            self = self.prefix(prefix);
        }
        if let Some(digits) = variable("LARDER_SECRET_KEY")? {
            self = self.secret_key(secret_of(&digits)?);
        }
        Ok(self)
    }
}

/// The tiers that `url` names.
fn tiers_of(mut builder: CacheBuilder, url: &str) -> Result<CacheBuilder, Error> {
    // Schemes are alike in all cases; who opens them need not know.
    let lower = url.split_once(':').map(|(scheme, rest)| format!("{}:{rest}", scheme.to_ascii_lowercase()));
    let url = lower.as_deref().unwrap_or(url);
    #[cfg(feature = "schemes")]
    if let Some(opened) = crate::backend::Scheme::open(url) {
        let opened = opened.map_err(|error| error.in_context("read LARDER_URL"))?;
        builder.shared = Some(opened.0);
        return Ok(builder);
    }
    if url.eq_ignore_ascii_case("off") {
        builder.is_off = true;
        return Ok(builder);
    }
    builder.shared = None;
    Ok(builder.local(local_of(url)?))
}

fn secret_of(digits: &str) -> Result<[u8; 32], Error> {
    let wrong = || {
        // Its text is a secret, and not repeated.
        let what = "read LARDER_SECRET_KEY: it is no key; write 64 hex digits, as `openssl rand -hex 32` prints them";
        Error::new(ErrorKind::Configuration, what)
    };
    let mut key = [0; 32];
    if digits.len() != 2 * key.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

fn variable(name: &str) -> Result<Option<String>, Error> {
    match std::env::var(name) {
        // Files of secrets end in a line break, and what is set to nothing was meant to be unset.
        Ok(value) => {
            Ok(Some(value.trim_end_matches(['\r', '\n']).to_owned()).filter(|value| !value.is_empty()))
        }
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::new(
            ErrorKind::Configuration,
            format!("read {name}: it is no UTF-8; write plain text"),
        )),
    }
}

/// Schemes of tiers that other crates bring, and the features that bring them.
const SCHEMES: [(&str, &str); 13] = [
    ("redis", "redis"),
    ("valkey", "redis"),
    ("unix", "redis"),
    ("rediss", "redis-tls"),
    ("valkeys", "redis-tls"),
    ("redis+cluster", "redis-cluster"),
    ("valkey+cluster", "redis-cluster"),
    ("redis+sentinel", "redis-sentinel"),
    ("valkey+sentinel", "redis-sentinel"),
    ("rediss+cluster", "redis-cluster` and `redis-tls"),
    ("valkeys+cluster", "redis-cluster` and `redis-tls"),
    ("rediss+sentinel", "redis-sentinel` and `redis-tls"),
    ("valkeys+sentinel", "redis-sentinel` and `redis-tls"),
];

fn local_of(url: &str) -> Result<Local, Error> {
    let wrong = |what: String| Err(Error::new(ErrorKind::Configuration, what));
    // The text of a URL may hold a password: only its scheme is repeated, and only what can be nothing else.
    let Some((scheme, rest)) = url.split_once(':') else {
        return wrong(
            "read LARDER_URL: it has no scheme; write `memory:` or `memory:256MiB`, `redis://host:6379` for a shared tier, or `off`".into(),
        );
    };
    if let Some((_, feature)) = SCHEMES.iter().find(|(known, _)| *known == scheme) {
        return wrong(format!(
            "read LARDER_URL: the scheme `{scheme}:` needs the feature `{feature}`, which this build of larder \
             does not have; write `memory:`, or add the feature `{feature}`"
        ));
    }
    if is_address(scheme, rest) {
        return wrong(format!(
            "read LARDER_URL: `{scheme}:{rest}` has no scheme; write `redis://{scheme}:{rest}`"
        ));
    }
    if scheme != "memory" {
        let is_one = rest.starts_with("//") && is_scheme(scheme);
        let which = if is_one { format!(" `{scheme}:`") } else { String::new() };
        return wrong(format!(
            "read LARDER_URL: the scheme{which} is unknown; write `memory:`, or `redis://host:6379` for a shared tier"
        ));
    }
    if rest.is_empty() {
        return Ok(Local::default());
    }
    match bytes_of(rest) {
        Some(bytes) => Ok(Local::bytes(bytes)),
        None => {
            let meant = meant_by(rest).map_or_else(
                || "write a whole number and a unit, as in `memory:256MiB` (KiB, MiB, GiB)".to_owned(),
                |size| format!("write `memory:{size}`"),
            );
            wrong(format!("read LARDER_URL: what follows `memory:` is no size; {meant}"))
        }
    }
}

/// Whether a text has the form of a scheme (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(is_inner)
}

/// Whether a host and its port stand alone.
fn is_address(host: &str, port: &str) -> bool {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    host != "memory" && !host.is_empty() && host.chars().all(is_of_host) && port.parse::<u16>().is_ok()
}

/// `256MiB` for `256MB`, `256m` and the like.
fn meant_by(size: &str) -> Option<String> {
    let unit = size.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &size[..size.len() - unit.len()];
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => return None,
    };
    let size = format!("{number}{unit}");
    bytes_of(&size).map(|_| size)
}

fn bytes_of(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_size_of_the_local_tier() {
        let capacity = |url| local_of(url).unwrap().capacity();

        assert_eq!(capacity("memory:"), 64 << 20);
        assert_eq!(capacity("memory:256MiB"), 256 << 20);
        assert_eq!(capacity("memory:3GiB"), 3 << 30);
    }

    #[test]
    fn a_wrong_url_is_an_error_that_ends_with_the_fix() {
        for (url, says) in [
            ("redis://:hunter2@host", "needs the feature `redis`"),
            ("rediss://host", "needs the feature `redis-tls`"),
            ("redis+cluster://host", "needs the feature `redis-cluster`"),
            ("memcached://host", "`memcached:` is unknown"),
            ("hunter2@cache.internal:6379", "the scheme is unknown"),
            ("hunter2@host://", "the scheme is unknown"),
            ("hunter2:x@host", "the scheme is unknown"),
            (":hunter2@host", "the scheme is unknown"),
            ("hunter2", "has no scheme"),
            ("memory://:hunter2@host", "is no size"),
            ("memory", "has no scheme"),
            ("unix:///tmp/redis", "needs the feature `redis`"),
            ("localhost:6379", "write `redis://localhost:6379`"),
            ("memory:12", "is no size"),
            ("memory:256MB", "is no size; write `memory:256MiB`"),
            ("memory:3 g", "is no size; write `memory:3GiB`"),
            ("memory:+1MiB", "is no size"),
            ("memory:99999999999GiB", "is no size"),
        ] {
            let error = local_of(url).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{url}: {error}");
            assert!(
                error.to_string().contains("; write `memory:")
                    || error.to_string().contains("; write a whole")
                    || error.to_string().contains("; write `redis://localhost:")
            );
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
