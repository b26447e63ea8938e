use larder::cached;

async fn tenant() -> u64 {
    1
}

#[cached(ttl = 60, key = (tenant().await, text.parse::<u64>()?), when = return Ok(1))]
async fn menu(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[cached(ttl = 60, when = text)]
async fn not_bool(text: &str) -> u64 {
    text.len() as u64
}

#[cached(ttl = 60, cache = 5)]
async fn not_a_cache(text: &str) -> u64 {
    text.len() as u64
}

fn main() {}
