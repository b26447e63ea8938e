use larder::{cached, invalidates, updates};

#[cached(ttl = 60)]
async fn menu(id: u64) -> u64 {
    id
}

// What is wrong with a later attribute is shown there.
struct Opaque;

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(tags = ["dish:{dish}"])]
async fn no_text(id: u64, dish: Opaque) {
    let _ = (id, dish);
}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(tags = ["dish:{result}"])]
async fn no_text_afterwards(id: u64) -> Opaque {
    Opaque
}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(entries = [menu(id)])]
async fn no_handle(id: u64) {}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(function = menus)]
async fn no_function(id: u64) {}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(tags = [id])]
async fn no_tag(id: u64) {}

#[invalidates(tags = ["menu:{id}"])]
#[updates(entry = menu(id), value = |result| *result)]
async fn no_entry(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["menu:{id}"])]
#[updates(entry = menu_entry(id), value = |result| *result, when = |result| *result)]
async fn no_condition(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(function = menu, strict)]
async fn no_error(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(function = menu, when = |_| opaque.0)]
async fn not_kept(id: u64, opaque: Opaque) {
    drop(opaque);
}

#[invalidates(tags = ["menu:{id}"])]
#[invalidates(function = menu, cache = id)]
async fn no_cache(id: u64) {}

fn main() {}
