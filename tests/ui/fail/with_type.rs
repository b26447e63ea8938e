use larder::cached;

struct Conn;
struct Other;

async fn acquire() -> Result<Conn, larder::Error> {
    Ok(Conn)
}

#[cached(ttl = 60, skip(conn), refresh(with(conn = Other)))]
async fn another_type(conn: &mut Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, skip(conn), refresh(with(conn = acquire().await?)))]
async fn no_error_to_return(conn: &mut Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

fn main() {}
