use larder::cached;

#[cached(ttl = 60, key = id, skip(db))]
async fn menu(db: &str, id: u64) -> usize {
    db.len() + id as usize
}

#[cached(ttl = 60, key = id, secret(token))]
async fn secret(token: &str, id: u64) -> usize {
    token.len() + id as usize
}

fn main() {}
