use larder::{cached, invalidates, invalidates as clears};

#[cached(ttl = 60)]
#[larder::cached(ttl = 3600)]
async fn twice(id: u64) -> u64 {
    id
}

// An attribute by another name is not told what the pattern was.
#[invalidates(tags = ["menu:{id}"])]
#[clears(tags = ["dish:{id}"])]
async fn by_another_name((id, _): (u64, u64)) -> u64 {
    id
}

fn main() {}
