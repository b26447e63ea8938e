use larder::cached;

#[cached(
    ttl = 60,
    refresh(after = 0.8),
    grace = "10m",
    timeout(soft = "50ms"),
    tags_from = |value| [value],
    policy = POLICY,
    each
)]
async fn menu(id: u64) -> u64 {
    id
}

fn main() {}
