use larder::{cached, invalidates, updates};

#[cached(ttl = 60)]
async fn menu(id: u64, #[cfg(any())] language: String, #[cfg(all())] page: u64) -> u64 {
    id + page
}

#[invalidates(tags = ["menu:{id}"])]
async fn write(id: u64, #[cfg(any())] language: String) -> u64 {
    id
}

#[updates(entry = menu_entry(id, 1), value = |result| *result)]
async fn put(id: u64, #[cfg(any())] language: String) -> u64 {
    id
}

fn main() {}
