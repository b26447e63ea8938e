use larder::cached;

#[cached]
async fn menu(id: u64) -> u64 {
    id
}

#[cached(tags = ["menu"])]
async fn other(id: u64) -> u64 {
    id
}

// Told once, where it stands.
#[cached(60)]
async fn nameless(id: u64) -> u64 {
    id
}

#[cached("1h", tags = ["menu"])]
async fn nameless_text(id: u64) -> u64 {
    id
}

#[cached(tll = 60)]
async fn misspelt(id: u64) -> u64 {
    id
}

fn main() {}
