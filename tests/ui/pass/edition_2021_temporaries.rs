//! A temporary at the end of the body may borrow from an argument.
use std::sync::Mutex;

#[larder::cached(ttl = 60, skip(cell))]
async fn locked((cell, _id): (Mutex<u64>, u64)) -> u64 {
    *cell.lock().unwrap()
}

#[larder::cached(ttl = 60)]
async fn coerced(id: u64) -> Box<[u64]> {
    if id == 0 {
        return Box::new([]);
    }
    Box::new([id])
}

#[larder::cached(ttl = 60, skip(cell), refresh(with(cell = &Mutex::new(1))))]
async fn refreshed(cell: &Mutex<u64>, _id: u64) -> u64 {
    *cell.lock().unwrap()
}

fn main() {
    let _ = (locked((Mutex::new(1), 2)), coerced(1), refreshed(&Mutex::new(1), 2));
}
