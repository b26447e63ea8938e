use larder::cached;

#[derive(Clone)]
struct Conn;

async fn acquire() -> Result<Conn, larder::Error> {
    Ok(Conn)
}

#[cached(ttl = 60, skip(conn), refresh(with(con = acquire().await?, self = 1)))]
async fn unknown(conn: Conn, id: u64) -> Result<u64, larder::Error> {
    let _ = conn;
    Ok(id)
}

#[cached(ttl = 60, skip(conn), refresh(with(conn = Conn, id = 7)))]
async fn part_of_the_key(conn: Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, key = id, refresh(with(id = 7)))]
async fn part_of_a_stated_key(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, skip(conn), refresh(with(conn = conn.clone())))]
async fn its_own(conn: &mut Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, skip(conn, pool), refresh(with(conn = pool.clone(), pool = Conn)))]
async fn out_of_order(conn: &mut Conn, pool: &Conn, id: u64) -> u64 {
    let _ = (conn, pool);
    id
}

#[cached(ttl = 60, skip(a), refresh(with(a = Conn)))]
async fn pattern((a, _b): (Conn, u64), id: u64) -> u64 {
    let _ = a;
    id
}

#[cached(ttl = 60, skip(conn), timeout(hard = "2s", with(conn = acquire().await?)))]
async fn no_background(conn: &mut Conn, id: u64) -> Result<u64, larder::Error> {
    let _ = conn;
    Ok(id)
}

#[cached(ttl = 60, skip(conn), refresh(with(conn = Conn)), grace = 60, timeout(soft = 1, with(conn = Conn)))]
async fn twice(conn: &mut Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, skip(conn), refresh(with(conn = Conn)), store_if = |_| format!("{conn:?}").is_empty())]
async fn judged(conn: &Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, skip(conn), refresh(with()))]
async fn nothing(conn: Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

#[cached(ttl = 60, skip(conn), refresh(with(conn), with = Conn))]
async fn spelling(conn: Conn, id: u64) -> u64 {
    let _ = conn;
    id
}

fn main() {}
