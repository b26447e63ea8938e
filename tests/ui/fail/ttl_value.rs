use larder::cached;

#[cached(ttl = 0)]
async fn zero() -> u64 { 1 }

#[cached(ttl = "0s")]
async fn zero_text() -> u64 { 1 }

#[cached(ttl = -5)]
async fn negative() -> u64 { 1 }

#[cached(ttl = 1.5)]
async fn fraction() -> u64 { 1 }

#[cached(ttl = "10")]
async fn no_unit() -> u64 { 1 }

#[cached(ttl = "5ns")]
async fn nanoseconds() -> u64 { 1 }

#[cached(ttl = "")]
async fn empty() -> u64 { 1 }

#[cached(ttl = true)]
async fn not_a_time() -> u64 { 1 }

#[cached(ttl)]
async fn no_value() -> u64 { 1 }

#[cached(ttl = 60, none_ttl = 0)]
async fn none() -> Option<u64> { None }

#[cached(ttl = 60, local_ttl = "2m")]
async fn local() -> u64 { 1 }

#[cached(ttl = 1h)]
async fn unit_without_quotes() -> u64 { 1 }

#[cached(ttl = 60, grace = 500ms, version = 2x)]
async fn more_of_those() -> u64 { 1 }

#[cached(ttl = 5x)]
async fn no_such_unit() -> u64 { 1 }

#[cached(ttl = 60u64)]
async fn typed() -> u64 { 1 }

#[cached(ttl: 60, key(id))]
async fn without_an_equals_sign(id: u64) -> u64 {
    id
}

fn main() {}
