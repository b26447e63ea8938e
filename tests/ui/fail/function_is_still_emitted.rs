//! The call of a function whose options are wrong draws no second error.
use larder::cached;

#[cached(ttl = 0, skip(nobody))]
async fn menu(id: u64) -> u64 {
    id
}

fn main() {
    let _ = menu(1);
}
