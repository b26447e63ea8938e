use std::borrow::Cow;

use larder::cached;

struct Conn;
struct Context<'a>(&'a str);

#[cached(ttl = 60, skip(conn), refresh)]
async fn mutable(conn: &mut Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, skip(conn, context), grace = "1h", timeout(soft = "50ms"))]
async fn both(conn: &mut Conn, context: &Context<'_>, id: u64) -> u64 {
    let _ = (conn, context);
    id
}

#[cached(ttl = 60, refresh)]
async fn borrowed(name: Cow<'_, str>, parts: &[&str]) -> usize {
    name.len() + parts.len()
}

#[cached(ttl = 60, skip(a), refresh)]
async fn pattern((a, _b): (&mut Conn, u64), id: u64) -> u64 {
    let _ = a;
    id
}

#[cached(ttl = 60, refresh)]
async fn key_part(id: &mut u64) -> u64 {
    *id
}

impl Conn {
    #[cached(ttl = 60, skip(self), refresh)]
    async fn receiver(&mut self, id: u64) -> u64 {
        id
    }

    #[cached(ttl = 60, key = id, refresh(with(self = Conn)))]
    async fn given(&mut self, id: u64, names: Vec<&str>) -> u64 {
        id + names.len() as u64
    }
}

fn main() {}
