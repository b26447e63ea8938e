use larder::{Policy, cached};

const MENU: Policy = Policy::new();

#[cached(policy)]
async fn no_value(id: u64) -> u64 {
    id
}

#[cached(ttl = 60, policy = MENU.version(version))]
async fn argument(version: u32) -> u32 {
    version
}

struct Repo;

impl Repo {
    const MENU: Policy = MENU;

    #[cached(ttl = 60, policy = Self::MENU)]
    async fn associated(id: u64) -> u64 {
        id
    }
}

#[cached(ttl = 60, policy = "menu")]
async fn text(id: u64) -> u64 {
    id
}

fn main() {}
