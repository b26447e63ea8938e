//! How long the bus vouches for what is known.

use std::time::Duration;

use proptest::prelude::*;

use super::trust::Trust;
use crate::clock::Tick;

const STALENESS: Duration = Duration::from_secs(2);

fn at(seconds: u64) -> Tick {
    Tick::from_raw(seconds << 32)
}

#[test]
fn a_heartbeat_vouches_from_its_sending_and_no_longer_than_the_staleness() {
    let trust = Trust::none_yet(STALENESS);
    assert!(!trust.is_given(at(10)));

    trust.confirm(at(10));

    let end = at(12).raw();
    assert!(trust.is_given(Tick::from_raw(end - 1)));
    assert!(!trust.is_given(Tick::from_raw(end)));
}

#[test]
fn a_heartbeat_that_comes_late_does_not_shorten_what_a_later_one_gave() {
    let trust = Trust::none_yet(STALENESS);

    trust.confirm(at(20));
    trust.confirm(at(10));

    assert!(trust.is_given(at(21)));
}

#[test]
fn what_was_missed_takes_the_trust_away() {
    let trust = Trust::none_yet(STALENESS);
    trust.confirm(at(10));

    trust.withdraw();

    assert!(!trust.is_given(at(11)));
}

#[test]
fn what_was_begun_before_a_gap_stands_in_for_the_staleness_alone() {
    let trust = Trust::none_yet(STALENESS);
    trust.confirm(at(10));

    trust.gap(at(11));
    trust.confirm(at(12));

    assert!(trust.covers_stale(at(12), at(11)), "begun less than the staleness ago");
    assert!(!trust.covers_stale(at(13), at(11)), "invalidated in the gap, perhaps");
    assert!(trust.covers_stale(at(13), at(12)));
}

proptest! {
    #[test]
    fn nothing_is_used_longer_than_the_staleness_after_it_was_last_known_to_be_current(
        sent in 0..1_000_u64, begun in 0..1_000_u64, now in 0..1_000_u64,
    ) {
        let trust = Trust::none_yet(STALENESS);
        trust.confirm(at(sent));

        let last_known = sent.max(begun);

        prop_assert_eq!(trust.covers(at(now), at(begun)), now < last_known + STALENESS.as_secs());
    }

    #[test]
    fn without_a_shared_tier_everything_is_covered(now in any::<u64>(), begun in any::<u64>()) {
        prop_assert!(Trust::unlimited().covers(Tick::from_raw(now - now % 2), Tick::from_raw(begun)));
    }
}
