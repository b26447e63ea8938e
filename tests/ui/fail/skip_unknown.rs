use larder::cached;

#[cached(ttl = 60, skip(bd, self, id, id))]
async fn menu(db: &str, id: u64) -> usize {
    db.len() + id as usize
}

#[cached(ttl = 60, skip())]
async fn nothing(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, skip)]
async fn bare(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, skip(token), secret(token, other))]
async fn secret(token: &str) -> usize {
    token.len()
}

fn main() {}
