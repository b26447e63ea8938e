use std::collections::HashMap;

use larder::cached;

#[derive(Clone)]
struct Row {
    id: u64,
}

struct Connection;

#[cached(ttl = 60, each = ids)]
async fn not_stored(ids: &[u64]) -> HashMap<u64, Row> {
    ids.iter().map(|id| (*id, Row { id: *id })).collect()
}

#[cached(ttl = 60, each = ids, skip(connection))]
async fn once(connection: Connection, ids: &[u64]) -> HashMap<u64, u64> {
    drop(connection);
    ids.iter().map(|id| (*id, *id)).collect()
}

fn main() {}
