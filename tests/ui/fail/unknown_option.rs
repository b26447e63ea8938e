use larder::cached;

#[cached(tll = 60, tag = ["menu"], frobnicate(1, 2), ttl = 60, ttl = 70, tier = shard, version = -1, name = "a b", name2)]
async fn menu(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, stagger = 1.5, version = "2", name = "", tags = ["menu"] when = true)]
async fn values(id: u64) -> u64 {
    id
}

// Options of an option.
#[cached(ttl = 60, each = ids, at_most = 2, refresh, after = 0.5, hard = 1)]
async fn in_another_place(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

fn main() {}
