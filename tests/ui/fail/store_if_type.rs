//! `store_if` takes the stored value by reference and gives a bool.

use larder::cached;

#[cached(ttl = 60, store_if = |value: &u8| *value > 1)]
async fn wrong_value(id: u8) -> Option<u8> {
    Some(id)
}

#[cached(ttl = 60, key = "{id}")]
async fn text_for_a_key(id: u8) -> u8 {
    id
}

fn main() {}
