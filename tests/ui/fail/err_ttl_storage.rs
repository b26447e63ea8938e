//! With `err_ttl` the error is stored too; what is wrong is the value, or the error.

use larder::cached;

#[derive(Clone)]
struct Menu;

struct Failure;

#[cached(ttl = 60, err_ttl = "5s")]
async fn error_of_std(id: u64) -> Result<u64, std::io::Error> {
    Ok(id)
}

#[cached(ttl = 60, err_ttl = "5s")]
async fn with_none(id: u64) -> Result<Option<u64>, Failure> {
    Ok(Some(id))
}

#[cached(ttl = 60, err_ttl = "5s", tier = local)]
async fn here(id: u64) -> Result<u64, Failure> {
    Ok(id)
}

// The value comes first.
#[cached(ttl = 60, err_ttl = "5s")]
async fn value(id: u64) -> Result<Menu, Failure> {
    let _ = id;
    Ok(Menu)
}

fn main() {}
