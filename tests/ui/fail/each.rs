use std::collections::HashMap;

use larder::cached;

struct Db;

#[cached(ttl = 60, each)]
async fn unnamed(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[cached(ttl = 60, each = id)]
async fn unknown(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[cached(ttl = 60, each = ids)]
async fn taken(id: u64, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|each| (*each, id)).collect()
}

#[cached(ttl = 60, each = ids)]
async fn opaque(ids: impl Iterator<Item = u64>) -> HashMap<u64, u64> {
    ids.map(|id| (id, id)).collect()
}

#[cached(
    ttl = 60,
    each(id in ids, most = 3, at_most = 0, by = 3),
    refresh,
    timeout(hard = 1),
    err_ttl = 5,
    skip(id),
)]
async fn beside(ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
    Ok(ids.iter().map(|id| (*id, *id)).collect())
}

#[cached(ttl = 60, each(id in ids, at_most = 5k))]
async fn thousands(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[cached(ttl = 60, each = ids, key = tenant)]
async fn one_key(tenant: u64, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, tenant)).collect()
}

#[cached(ttl = 60, each = ids, tags = ["items:{ids}"])]
async fn tagged(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[cached(ttl = 60, each = ids)]
async fn count(ids: &[u64]) -> Result<u64, String> {
    Ok(ids.len() as u64)
}

#[cached(ttl = 60, each = ids)]
async fn whose(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[cached(ttl = 60, each(id in ids, by = |row| *row))]
async fn by_key(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

trait Rows {
    async fn rows(&self, ids: &[u64]) -> HashMap<u64, u64>;
}

impl Rows for Db {
    #[cached(ttl = 60, each = ids, skip(self), in_trait)]
    async fn rows(&self, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }
}

fn main() {}
