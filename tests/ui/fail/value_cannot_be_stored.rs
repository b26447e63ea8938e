use larder::cached;

struct Menu;

#[derive(Clone)]
struct Plain;

#[cached(ttl = 60)]
async fn not_even_clone(id: u64) -> Result<Menu, std::io::Error> {
    let _ = id;
    Ok(Menu)
}

#[cached(ttl = 60)]
async fn not_serialize(id: u64) -> Option<Plain> {
    let _ = id;
    None
}

#[cached(ttl = 60, tier = local)]
async fn not_clone(id: u64) -> Vec<Menu> {
    let _ = id;
    Vec::new()
}

fn main() {}
