//! The compiler checks an invalidation against the function's own arguments.
use larder::cached;

#[cached(ttl = 60, skip(db))]
async fn menu(db: &str, restaurant_id: u64) -> usize {
    db.len() + restaurant_id as usize
}

fn main() {
    let _ = menu_entry("db", 1);
    let _ = menu_entry("one");
}
