use larder::cached;

#[cached(ttl = 60, each)]
async fn menus(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

fn main() {}
