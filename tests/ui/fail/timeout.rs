use larder::cached;

#[cached(ttl = 60, timeout = "2s")]
async fn value(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, timeout)]
async fn alone(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, grace = 60, timeout())]
async fn empty(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, grace = 0, timeout(soft = 0, hard = "0ms", firm = 1))]
async fn zero(id: u64) -> Result<u64, larder::Error> {
    Ok(id)
}

#[cached(ttl = 60, timeout(soft = "50ms"))]
async fn nothing_stands_in(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, grace = "1h", timeout(soft = "2s", hard = 2))]
async fn upside_down(id: u64) -> Result<u64, larder::Error> {
    Ok(id)
}

#[cached(ttl = 60, grace = |value| value.grace, timeout(hard = |value| value.limit))]
async fn by_value(id: u64) -> Result<u64, larder::Error> {
    Ok(id)
}

fn main() {}
