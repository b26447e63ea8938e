#![deny(dead_code)]

use larder::{cached, invalidates, updates};

#[cached(ttl = 60)]
async fn never(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["never"])]
async fn never_written(id: u64) -> u64 {
    id
}

#[updates(entry = called_entry(id), value = |id| *id)]
async fn never_updated(id: u64) -> u64 {
    id
}

#[cached(ttl = 60)]
async fn called(id: u64) -> u64 {
    id
}

fn main() {
    drop(called(1));
}
