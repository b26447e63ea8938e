use larder::cached;

#[cached]
async fn menu(id: u64) -> u64 {
    id
}

#[cached(tags = ["menu"])]
async fn other(id: u64) -> u64 {
    id
}

fn main() {}
