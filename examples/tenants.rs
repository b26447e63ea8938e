//! A cache per tenant: the functions stay the same, the scope of the request says whose cache they use.
//!
//! `cargo run --example tenants`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::collections::HashMap;

use larder::{Cache, Local, cached};

/// A tenant's own database.
#[derive(Debug)]
struct Db {
    greeting: &'static str,
}

/// The tenant is no argument and no part of the key: its cache is what keeps it apart.
#[cached(ttl = "1h", skip(db))]
async fn greeting(db: &Db, guest: &str) -> String {
    format!("{}, {guest}", db.greeting)
}

/// One tenant: what belongs to it alone.
#[derive(Debug)]
struct Tenant {
    db: Db,
    cache: Cache,
}

impl Tenant {
    fn new(name: &str, greeting: &'static str) -> Result<Self, larder::Error> {
        let cache = Cache::builder().prefix(name).local(Local::bytes(1 << 20)).build()?;
        Ok(Self { db: Db { greeting }, cache })
    }

    /// What a server's middleware would do around each request.
    async fn serve(&self, guest: &str) -> String {
        self.cache.scope(greeting(&self.db, guest)).await
    }
}

#[tokio::main]
async fn main() -> Result<(), larder::Error> {
    let tenants = HashMap::from([
        ("ritz", Tenant::new("ritz", "Good evening")?),
        ("metropole", Tenant::new("metropole", "Bonsoir")?),
    ]);

    for _ in 0..2 {
        assert_eq!(tenants["ritz"].serve("Ada").await, "Good evening, Ada");
        assert_eq!(tenants["metropole"].serve("Ada").await, "Bonsoir, Ada");
    }

    // What one tenant clears, the others keep.
    tenants["ritz"].cache.clear().await?;
    tenants["metropole"].serve("Ada").await;

    for (name, tenant) in &tenants {
        println!("{name}\n{}", tenant.cache.stats());
    }
    Ok(())
}
