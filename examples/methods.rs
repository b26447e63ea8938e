//! Methods: what becomes of `self`, which arguments make the key, and secrets.
//!
//! `cargo run --example methods`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::cached;

/// Talks to a database; cannot be part of a key, and need not.
#[derive(Debug, Default)]
struct Menus {
    city: String,
    asked: AtomicU32,
}

impl Menus {
    fn of(city: &str) -> Self {
        Self { city: city.to_owned(), asked: AtomicU32::new(0) }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// `key = (..)` says what tells one call from another: here the city, not the whole of `self`.
    #[cached(ttl = "1h", key = (&self.city, restaurant))]
    async fn dishes(&self, restaurant: &str) -> usize {
        self.asked.fetch_add(1, Ordering::Relaxed);
        restaurant.len() + self.city.len()
    }

    /// `skip(self)`: every `Menus` gives the same answer. The token is part of the key, but only as a keyed digest:
    /// nobody reads it in a log, an event or a store.
    #[cached(ttl = "10m", skip(self), secret(token))]
    async fn guest(&self, token: &str) -> Option<String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        token.strip_prefix("guest-").map(str::to_owned)
    }
}

/// Under `#[async_trait]`, write `#[cached]` on the method as anywhere else.
#[async_trait::async_trait]
trait Prices {
    async fn price(&self, dish: u64) -> u64;
}

#[async_trait::async_trait]
impl Prices for Menus {
    #[cached(ttl = "1h", key = (&self.city, dish))]
    async fn price(&self, dish: u64) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed);
        dish * 5
    }
}

#[tokio::main]
async fn main() {
    let (boston, paris) = (Menus::of("Boston"), Menus::of("Paris"));

    boston.dishes("Ritz").await;
    boston.dishes("Ritz").await;
    assert_eq!(boston.asked(), 1, "the same city and restaurant: a hit");
    paris.dishes("Ritz").await;
    assert_eq!(paris.asked(), 1, "another city: another key");

    assert_eq!(boston.guest("guest-ada").await.as_deref(), Some("ada"));
    assert_eq!(paris.guest("guest-ada").await.as_deref(), Some("ada"));
    assert_eq!((boston.asked(), paris.asked()), (2, 1), "`self` was skipped: both share the entry");

    assert_eq!(boston.price(7).await, 35);
    assert_eq!(boston.price(7).await, 35);
    assert_eq!(boston.asked(), 3, "a method of a trait is cached like any other");

    println!("Boston was asked {} times, Paris {}", boston.asked(), paris.asked());
}
