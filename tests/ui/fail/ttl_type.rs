use larder::cached;

const TTL: u64 = 60;

#[cached(ttl = TTL)]
async fn menu(id: u64) -> u64 {
    id
}

fn main() {}
