use larder::cached;

#[cached(ttl = |value| *value)]
async fn no_duration(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, tags_from = |value| [*value])]
async fn no_tag(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, tags_from = |value| *value)]
async fn no_list(id: u64) -> u64 {
    id
}

fn main() {
    let local = 1;
    #[larder::cached(ttl = |_| std::time::Duration::from_secs(local))]
    async fn inner(id: u64) -> u64 {
        id
    }
}
