use std::time::Duration;

use larder::cached;

#[cached(ttl = |menu| menu.lives * id, tags_from = |menu| [format!("{id}:{menu}")])]
async fn arguments(id: u32) -> u64 {
    id.into()
}

struct Repo {
    ttl: Duration,
}

impl Repo {
    #[cached(ttl = |_| self.ttl, skip(self), tags_from = |_| self.tags())]
    async fn receiver(&self, id: u32) -> u64 {
        id.into()
    }
}

#[cached(ttl = || Duration::from_secs(1), tags_from = |value, id| [value])]
async fn arity(id: u32) -> u64 {
    id.into()
}

#[cached(ttl = 60, tags_from = tags_of)]
async fn no_closure(id: u32) -> u64 {
    id.into()
}

#[cached(ttl = 60, local_ttl = |value| value.lives)]
async fn others(id: u32) -> u64 {
    id.into()
}

fn main() {}
