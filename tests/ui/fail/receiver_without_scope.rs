use larder::cached;

struct Repo;

impl Repo {
    #[cached(ttl = 60)]
    async fn menu(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
