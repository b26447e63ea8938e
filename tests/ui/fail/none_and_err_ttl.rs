use larder::cached;

#[cached(ttl = 60, none_ttl = "30s", err_ttl = "5s")]
async fn plain(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, none_ttl = "30s")]
async fn result(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cached(ttl = 60, err_ttl = std::time::Duration::from_secs(id))]
async fn not_constant(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
