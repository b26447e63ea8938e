use larder::cached;

struct Pool;

#[cached(ttl = 60)]
async fn menu(pool: &Pool, id: u64) -> u64 {
    let _ = pool;
    id
}

fn main() {}
