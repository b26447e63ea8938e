//! `lease` is a constant that gives renewals the time to get through, and is for a tier that others use.

use std::time::Duration;

use larder::cached;

const SHORT: Duration = Duration::from_millis(99);

#[cached(ttl = 60, lease = 0)]
async fn zero(id: u64) -> u64 { id }

#[cached(ttl = 60, lease = "99ms")]
async fn short(id: u64) -> u64 { id }

#[cached(ttl = 60, lease = SHORT)]
async fn short_by_name(id: u64) -> u64 { id }

#[cached(ttl = 60, lease = "10s", tier = local)]
async fn nobody_waits(id: u64) -> u64 { id }

#[cached(ttl = 60, lease = Duration::from_secs(id))]
async fn not_constant(id: u64) -> u64 { id }

#[cached(ttl = 60, lease = 1.5)]
async fn fraction(id: u64) -> u64 { id }

#[cached(ttl = 60, lease)]
async fn no_value(id: u64) -> u64 { id }

#[cached(ttl = 60, lease = "100ms")]
async fn shortest(id: u64) -> u64 { id }

fn main() {}
