use larder::{cached, invalidates, updates};

struct Secret(u64);

#[derive(Debug)]
struct Trouble;

#[cached(ttl = 60)]
async fn menu(id: u64) -> u64 {
    id
}

#[invalidates(entries = [menu_entry(secret.0 + result)])]
async fn not_clone(secret: Secret) -> u64 {
    secret.0
}

#[invalidates(tags = ["menu"], when = |result| *result > ids.len())]
async fn not_kept(ids: &mut Vec<u64>) -> usize {
    ids.len()
}

#[invalidates(tags = ["menu:{secret}:{result}"])]
async fn not_display(secret: Secret) -> u64 {
    secret.0
}

#[invalidates(entries = [id, "menu"])]
async fn not_a_handle(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["menu"], strict)]
async fn no_place_for_the_error(id: u64) -> Result<u64, Trouble> {
    Ok(id)
}

#[invalidates(tags = ["menu"], strict)]
async fn no_error(id: u64) -> u64 {
    id
}

#[updates(entry = menu_entry(id), value = |result| *result, strict)]
async fn no_error_either(id: u64) -> Option<u64> {
    Some(id)
}

#[invalidates(function = nobody)]
async fn not_cached(id: u64) -> u64 {
    id
}

async fn nobody() {}

fn main() {}
