//! `tier` names the one tier that is used, and leaves no other's options a meaning.

use larder::cached;

#[derive(Clone)]
struct Plain;

#[cached(ttl = 60, tier = shared, local_ttl = "5s")]
async fn nothing_is_kept_here(id: u64) -> u64 { id }

#[cached(ttl = 60, tier = (local, shared))]
async fn both(id: u64) -> u64 { id }

#[cached(ttl = 60, tier = both)]
async fn one_word(id: u64) -> u64 { id }

#[cached(ttl = 60, tier = local, tier = shared)]
async fn one_after_the_other(id: u64) -> u64 { id }

#[cached(ttl = 60, tier = redis)]
async fn unknown(id: u64) -> u64 { id }

#[cached(ttl = 60, tier = "shared")]
async fn text(id: u64) -> u64 { id }

#[cached(ttl = 60, tier)]
async fn no_value(id: u64) -> u64 { id }

#[cached(ttl = 60, tier = shared)]
async fn not_serialize(id: u64) -> Option<Plain> {
    let _ = id;
    None
}

fn main() {}
