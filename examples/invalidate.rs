//! Five ways to say that a stored value is no longer right.
//!
//! `cargo run --example invalidate`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::{Cache, Local, cached};

/// How often a body ran.
static COMPUTED: AtomicU32 = AtomicU32::new(0);

#[cached(ttl = "1h", tags = ["menu", "restaurant:{restaurant}"])]
async fn menu_of(restaurant: &str, language: &str) -> String {
    COMPUTED.fetch_add(1, Ordering::Relaxed);
    format!("the menu of {restaurant}, in {language}")
}

#[cached(ttl = "1h", tags = ["restaurant:{restaurant}"])]
async fn address_of(restaurant: &str) -> String {
    COMPUTED.fetch_add(1, Ordering::Relaxed);
    format!("the address of {restaurant}")
}

/// Asks for everything once, and tells how many of the four answers had to be computed.
async fn computed_again() -> u32 {
    let before = COMPUTED.load(Ordering::Relaxed);
    menu_of("Ritz", "en").await;
    menu_of("Ritz", "fr").await;
    menu_of("Savoy", "en").await;
    address_of("Ritz").await;
    COMPUTED.load(Ordering::Relaxed) - before
}

#[tokio::main]
async fn main() -> Result<(), larder::Error> {
    let cache = Cache::builder().prefix("invalidate").local(Local::entries(1_000)).build()?;
    cache.install()?;
    assert_eq!(computed_again().await, 4, "nothing is stored yet");
    assert_eq!(computed_again().await, 0, "everything is");

    // One entry. The compiler checks the arguments against those of the function.
    menu_of_entry("Ritz", "fr").invalidate().await?;
    assert_eq!(computed_again().await, 1);

    // All that bears a tag, whatever function it is of; it takes as long for a million entries as for one.
    cache.invalidate_tags(["restaurant:Ritz"]).await?;
    assert_eq!(computed_again().await, 3);

    // A whole function.
    menu_of_entry("Ritz", "en").invalidate_function().await?;
    assert_eq!(computed_again().await, 3);

    // Everything.
    cache.clear().await?;
    assert_eq!(computed_again().await, 4);

    // Softly: the value is stale from now on. It may stand in while a new one cannot be had.
    address_of_entry("Ritz").expire().await?;
    assert_eq!(computed_again().await, 1);

    println!("{}", cache.stats());
    Ok(())
}
