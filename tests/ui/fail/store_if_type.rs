//! `store_if` takes the stored value by reference and gives a bool. Each mistake is told once.

use std::collections::HashMap;

use larder::cached;

#[cached(ttl = 60, store_if = |value: &u8| *value > 1)]
async fn wrong_value(id: u8) -> Option<u8> {
    Some(id)
}

#[cached(ttl = 60, store_if = |value| value.len())]
async fn wrong_answer(id: u8) -> String {
    id.to_string()
}

#[cached(ttl = 60, store_if = true)]
async fn no_function(id: u8) -> u8 {
    id
}

#[cached(ttl = 60, store_if = is_large)]
async fn wrong_function(id: u8) -> u8 {
    id
}

fn is_large(value: &u16) -> bool {
    *value > 1
}

#[cached(ttl = 60, key = "{id}")]
async fn text_for_a_key(id: u8) -> u8 {
    id
}

#[cached(ttl = 60, store_if = id > 1)]
async fn of_the_arguments(id: u8) -> u8 {
    id
}

#[cached(ttl = 60, when = |id| id > 1)]
async fn closure_for_an_expression(id: u8) -> u8 {
    id
}

#[cached(ttl = 60, each = ids, store_if = |name: &u8| *name > 1)]
async fn of_each(ids: &[u8]) -> HashMap<u8, String> {
    ids.iter().map(|id| (*id, id.to_string())).collect()
}

#[cached(ttl = 60, each = ids, store_if = |name| name.len())]
async fn of_each_too(ids: &[u8]) -> HashMap<u8, String> {
    ids.iter().map(|id| (*id, id.to_string())).collect()
}

fn main() {}
