use larder::{cached, updates};

#[cached(ttl = 60)]
async fn menu(id: u64) -> u64 {
    id
}

#[updates]
async fn nothing(id: u64) -> u64 {
    id
}

#[updates(7)]
async fn no_option(id: u64) -> u64 {
    id
}

#[updates(entry = menu_entry(id), value = *result, tags = ["menu"], valeu = |result| *result)]
async fn wrong(id: u64) -> u64 {
    id
}

#[updates(entry = menu_entry(id), value = |result| *result, cache = CACHE, strict = 1)]
async fn no_cache(id: u64) -> u64 {
    id
}

#[updates(entry = menu_entry(id), value = |result| *result)]
fn not_async(id: u64) -> u64 {
    id
}

#[updates(entry = menu(id), value = |result| *result)]
async fn the_function_itself(id: u64) -> u64 {
    id
}

#[updates(entry = menu(id + result), value = |result| *result)]
async fn the_function_itself_with_the_result(id: u64) -> u64 {
    id
}

#[updates(entry = menu_entry(id), value = |result| result.to_string())]
async fn another_type(id: u64) -> u64 {
    id
}

fn main() {}
