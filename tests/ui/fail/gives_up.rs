use larder::cached;

#[cached(ttl = 60, timeout(hard = "2s"))]
async fn plain(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, timeout(hard = "2s"))]
async fn optional(id: u64) -> Option<u64> {
    Some(id)
}

#[derive(Debug)]
struct DbError;

type QueryResult<T> = Result<T, DbError>;

#[cached(ttl = 60, timeout(hard = "2s"))]
async fn aliased(id: u64) -> QueryResult<u64> {
    Ok(id)
}

#[cached(ttl = 60, err_ttl = 1, timeout(hard = "2s"))]
async fn remembered(id: u64) -> Result<Option<u64>, String> {
    Ok(Some(id))
}

fn main() {}
