use larder::cached;

#[cached(ttl = 60, refresh = 0.8)]
async fn value(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, refresh(after = 1.0, priority = 1000, idle = 0, eagerly))]
async fn bounds(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, refresh(after = "80%", priority = high, idle, priorty = 1, after = 0.5))]
async fn kinds(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, refresh(after = 0.9 priority = 1), stagger = 3)]
async fn comma(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, refresh(0.8))]
async fn nameless(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, tier = shared, refresh(idle = "1h"))]
async fn nothing_to_keep_warm(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, refresh(idle = 1h, priority = 3x))]
async fn unit_without_quotes(id: u64) -> u64 {
    id
}

struct Repo;

impl Repo {
    const IDLE: std::time::Duration = std::time::Duration::from_secs(60);

    #[cached(ttl = 60, refresh(idle = Self::IDLE), grace = id, timeout(soft = SOFT, hard = id))]
    async fn constants(id: std::time::Duration) -> Result<u64, larder::Error> {
        Ok(id.as_secs())
    }
}

const SOFT: std::time::Duration = std::time::Duration::from_millis(50);

fn main() {}
