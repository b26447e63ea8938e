use larder::cached;

#[cached(ttl = 60)]
fn menu(id: u64) -> u64 {
    id
}

#[cached(ttl = 60)]
const fn constant(id: u64) -> u64 {
    id
}

#[cached(ttl = 60)]
extern "C" fn foreign(id: u64) -> u64 {
    id
}

#[cached(ttl = 60)]
async unsafe fn dangerous(id: u64) -> u64 {
    id
}

#[cached(ttl = 60)]
struct Menu;

trait Menus {
    #[cached(ttl = 60)]
    async fn menu(&self) -> u64;
}

fn main() {}
