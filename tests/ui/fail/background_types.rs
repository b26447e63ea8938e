use std::rc::Rc;

use larder::cached;
use serde::Serialize;

struct Db;

#[cached(ttl = 60, skip(db), refresh)]
async fn reference(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[cached(ttl = 60, skip(db), refresh)]
async fn value(db: Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[cached(ttl = 60, skip(db), refresh)]
async fn optional(db: Option<&Db>, id: u64) -> u64 {
    let _ = db;
    id
}

#[cached(ttl = 60, skip(rc), refresh)]
async fn not_send(rc: Rc<u64>, id: u64) -> u64 {
    let _ = rc;
    id
}

#[cached(ttl = 60, skip(log), refresh)]
async fn opaque(name: impl Into<String> + Serialize, log: &dyn Fn(u64)) -> String {
    log(1);
    name.into()
}

#[cached(ttl = 60, refresh)]
async fn generic<T: Serialize + ToString>(id: &T) -> String {
    id.to_string()
}

#[cached(ttl = 60, grace = 60, timeout(soft = "50ms"))]
async fn no_time_is_stated<T: Serialize + ToString + Clone + Send + Sync>(id: &T) -> String {
    id.to_string()
}

impl Db {
    #[cached(ttl = 60, skip(self), refresh)]
    async fn receiver(&self, id: u64) -> u64 {
        id
    }
}

#[cached(ttl = 60, refresh)]
async fn body_is_not_send(id: u64) -> u64 {
    let shared = Rc::new(id);
    std::future::ready(()).await;
    *shared
}

#[cached(ttl = 60, grace = 60, timeout(soft = "50ms"))]
async fn nor_is_this(id: u64) -> u64 {
    let shared = Rc::new(id);
    std::future::ready(()).await;
    *shared
}

struct Trouble(Rc<u64>);

#[cached(ttl = 60, refresh)]
async fn error_is_not_send(id: u64) -> Result<u64, Trouble> {
    Err(Trouble(Rc::new(id)))
}

fn main() {}
