//! Ranks as a Zipf law has them: the first of many is asked for most.

/// The share of rank `k` is proportional to `1 / k^EXPONENT`, as in the usual load of key-value stores.
const EXPONENT: f64 = 0.99;

/// Draws ranks by rejection-inversion: W. Hoermann and G. Derflinger, "Rejection-inversion to generate variates from
/// monotone discrete distributions", ACM TOMACS 6 (1996). It needs no table, whatever the number of ranks.
#[derive(Clone)]
pub(crate) struct Zipf {
    ranks: u64,
    first: f64,
    last: f64,
    /// So near to the right a draw is accepted without looking closer.
    near: f64,
    state: u64,
}

impl Zipf {
    pub(crate) fn new(ranks: u64, seed: u64) -> Self {
        Self {
            ranks,
            first: area(1.5) - 1.0,
            last: area(ranks as f64 + 0.5),
            near: 2.0 - side(area(2.5) - height(2.0)),
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// The next rank, 0 to the number of ranks less one.
    pub(crate) fn next(&mut self) -> u64 {
        loop {
            let drawn = self.last + self.uniform() * (self.first - self.last);
            let x = side(drawn);
            let rank = x.round().clamp(1.0, self.ranks as f64);
            if rank - x <= self.near || drawn >= area(rank + 0.5) - height(rank) {
                return rank as u64 - 1;
            }
        }
    }

    /// 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn height(x: f64) -> f64 {
    x.powf(-EXPONENT)
}

/// The integral of [`height`].
fn area(x: f64) -> f64 {
    x.powf(1.0 - EXPONENT) / (1.0 - EXPONENT)
}

/// Its inverse.
fn side(area: f64) -> f64 {
    (area * (1.0 - EXPONENT)).powf(1.0 / (1.0 - EXPONENT))
}
