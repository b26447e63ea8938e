//! What an entry weighs.

/// Up to this weight in bytes a value is cheap to clone.
const LIGHT: u64 = 4 << 10;
/// Beside the weight: nobody knows what the value keeps outside of its own struct. No entry is as heavy as this.
const UNKNOWN: u64 = 1 << 63;

/// What an entry weighs in bytes, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight(u64);

impl Weight {
    /// Of an entry, and of what its value keeps elsewhere, where that is known.
    pub(crate) fn new(own: usize, elsewhere: Option<usize>) -> Self {
        // A user's weigher may say anything.
        let bytes = (own.saturating_add(elsewhere.unwrap_or(0)) as u64).min(UNKNOWN - 1);
        Self(if elsewhere.is_none() { bytes | UNKNOWN } else { bytes })
    }

    pub(crate) fn bytes(self) -> u64 {
        self.0 & !UNKNOWN
    }

    /// Whether cloning the value is known to take little.
    #[inline]
    pub(crate) fn is_light(self) -> bool {
        self.0 <= LIGHT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_counts_as_nothing_and_is_not_light() {
        for (weight, bytes, is_light) in [
            (Weight::new(100, Some(200)), 300, true),
            (Weight::new(100, None), 100, false),
            (Weight::new(100, Some(4 << 10)), (4 << 10) + 100, false),
            (Weight::new(100, Some(usize::MAX)), UNKNOWN - 1, false),
        ] {
            assert_eq!((weight.bytes(), weight.is_light()), (bytes, is_light));
        }
    }
}
