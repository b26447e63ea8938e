//! A hit changes nothing.
use larder::{cached, invalidates};

struct Shop {
    id: u64,
    seen: Vec<u64>,
}

#[cached(ttl = 60)]
async fn fills(id: u64, out: &mut Vec<u64>) -> u64 {
    out.push(id);
    id
}

#[cached(ttl = 60, refresh)]
async fn fills_in_the_background(id: u64, out: &mut Vec<u64>) -> u64 {
    out.push(id);
    id
}

#[cached(ttl = 60, secret(first))]
async fn more(first: Option<&mut u64>, (second, _): (&mut u64, u8), _: &mut u64) -> u64 {
    *second + first.map_or(0, |first| *first)
}

impl Shop {
    #[cached(ttl = 60)]
    async fn notes(&mut self, id: u64) -> u64 {
        self.seen.push(id);
        id
    }

    #[cached(ttl = 60, key = (self.id, id, out.len()))]
    async fn says_so(&mut self, id: u64, out: &mut Vec<u64>) -> u64 {
        out.push(id);
        id
    }
}

#[invalidates(tags = ["out"])]
async fn writes(out: &mut Vec<u64>) -> usize {
    out.len()
}

fn main() {}
