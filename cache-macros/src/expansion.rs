//! A number that tells one expansion of an attribute from all others.
//!
//! The place in the source does not: what a `macro_rules!` writes stands where that macro was called, all of it at one place,
//! and in blocks without a name even the paths of two functions can be equal.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use proc_macro2::TokenStream;

/// How often each text came.
static SEEN: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);

/// The number of this expansion: made of what the attribute sees, and of how often it has seen just that before in this crate. So
/// a change elsewhere mostly leaves it as it is, and the function need not be compiled again.
pub(crate) fn number(options: &TokenStream, item: &TokenStream) -> u64 {
    let text = format!("{options} | {item}");
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let times = seen.entry(text).or_default();
    times.hash(&mut hasher);
    *times += 1;
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn no_expansion_has_the_number_of_another() {
        let item = |name: &str| quote!(async fn load() -> String { #name.to_owned() });
        let numbers = ["a", "b", "a", "a", "b"].map(|name| number(&quote!(ttl = 1), &item(name)));

        let different: std::collections::HashSet<_> = numbers.into_iter().collect();
        assert_eq!(different.len(), numbers.len());
    }
}
