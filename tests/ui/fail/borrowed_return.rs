use larder::cached;

struct View<'a>(&'a str);

#[cached(ttl = 60)]
async fn reference(text: &str) -> &str {
    text
}

#[cached(ttl = 60)]
async fn parameter<'a>(text: &'a str) -> Result<View<'a>, ()> {
    Ok(View(text))
}

#[cached(ttl = 60)]
async fn elided(text: &str) -> Option<View<'_>> {
    Some(View(text))
}

#[cached(ttl = 60)]
async fn opaque(id: u64) -> impl Iterator<Item = u64> {
    0..id
}

fn main() {}
