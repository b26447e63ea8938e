use larder::cached;

trait Menus {
    async fn menu(&self, id: u64) -> u64;
}

struct Db;

impl Menus for Db {
    #[cached(ttl = 60, skip(self))]
    async fn menu(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
