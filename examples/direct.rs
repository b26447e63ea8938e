//! The cache without the attribute: for keys that no function stands for.
//!
//! `cargo run --example direct`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::time::Duration;

use larder::{Cache, Key, Local, Options};

#[tokio::main]
async fn main() -> Result<(), larder::Error> {
    let cache = Cache::builder().prefix("direct").local(Local::bytes(16 << 20)).build()?;
    let options = Options::ttl(Duration::from_secs(3600)).tags(["menu"]);
    // A name, and whatever tells one value from another: any `Serialize`, never glued into a text.
    let key = Key::of("dishes", ("Ritz", 1900))?;

    let computed: u64 = cache.get_or_compute(&key, &options, || async { 67 }).await;
    let found: u64 = cache.get_or_compute(&key, &options, || async { unreachable!("it is stored") }).await;
    assert_eq!((computed, found), (67, 67));

    cache.put(&key, 68_u64, &options).await?;
    assert_eq!(cache.get::<u64>(&key, &options).await?, Some(68));

    cache.invalidate_tags(["menu"]).await?;
    assert_eq!(cache.get::<u64>(&key, &options).await?, None);

    println!("{}", cache.stats());
    Ok(())
}
