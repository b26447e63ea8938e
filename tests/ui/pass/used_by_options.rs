//! An argument that only a tag or a handle uses is used.
#![deny(warnings)]

use larder::{cached, invalidates};

#[cached(ttl = 60, tags = ["tenant:{tenant}"])]
pub async fn free(tenant: u64, id: u64) -> u64 {
    id
}

#[invalidates(tags = ["tenant:{tenant}", "{a}"])]
pub async fn write(tenant: u64, (a, _): (u64, u64)) -> u64 {
    1
}

#[cached(ttl = 60)]
#[invalidates(tags = ["tenant:{tenant}", "{a}"])]
pub async fn both(tenant: u64, (a, _): (u64, u64)) -> u64 {
    1
}

pub struct Repo;

impl Repo {
    #[cached(ttl = 60, skip(self), tags = ["tenant:{tenant}:{a}"])]
    pub async fn method(&self, tenant: u64, (a, _): (u64, u64), id: u64) -> u64 {
        id
    }
}

#[async_trait::async_trait]
pub trait Boxed {
    async fn read(&self, tenant: u64, id: u64) -> u64;
    async fn write(&self, id: u64, tenant: u64) -> u64;
}

#[async_trait::async_trait]
impl Boxed for Repo {
    #[cached(ttl = 60, skip(self), tags = ["tenant:{tenant}"])]
    async fn read(&self, tenant: u64, id: u64) -> u64 {
        id
    }

    #[invalidates(tags = ["tenant:{tenant}"])]
    #[invalidates(entries = [free_entry(tenant, id)])]
    async fn write(&self, id: u64, tenant: u64) -> u64 {
        1
    }
}

pub trait Plain {
    fn read(&self, tenant: u64, id: u64) -> impl Future<Output = u64>;
}

impl Plain for Repo {
    #[cached(ttl = 60, skip(self), in_trait, tags = ["tenant:{tenant}"])]
    async fn read(&self, tenant: u64, id: u64) -> u64 {
        id
    }
}

fn main() {}
