//! The conformance suite: each promise of [`Backend`] as a test in the same words.
//!
//! Say how to set a [`Stage`] for your backend, and expand the suite in a test file of your crate, which
//! needs tokio with `macros`, `rt-multi-thread` and `time` to run it:
//!
//! ```
//! use cache_core::testing::MemoryStage;
//!
//! cache_core::conformance_suite!(async { MemoryStage::new() });
//! # fn main() {}
//! ```

#![allow(clippy::expect_used, reason = "a failed expectation is how a conformance test fails")]

pub mod bus;
pub mod calls;
pub mod entries;
pub mod epochs;
pub mod fills;
pub mod invalidation;
pub mod leases;
pub mod many;
mod source;

use std::future::Future;
use std::time::Duration;

use crate::backend::{
    Backend, Claim, EntryKey, Fill, FillRequest, Found, FrameBytes, Grant, Lease, LeaseRequest, LeaseToken,
    Prefix, Refill, RefillRequest, TagKey, Tags,
};

/// Sets a store up for one test, and does to it what a backend cannot.
pub trait Stage: Send + Sync + 'static {
    /// The backend under test.
    type Backend: Backend;

    /// A view of the store under [`prefix`](Self::prefix), as a process of its own would have it. The store
    /// holds nothing under this prefix when the test begins.
    fn process(&self) -> impl Future<Output = Self::Backend> + Send;

    /// The prefix of this test. One with `-other` behind it is used too.
    fn prefix(&self) -> Prefix;

    /// The shortest time that this stage tells apart reliably: as long as it likes under a manual clock, some
    /// 50 ms in real time.
    fn tick(&self) -> Duration;

    /// Lets time pass for the store: moves its clock, or waits.
    fn advance(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Removes the epochs of tags under the prefix from the store, as an eviction would.
    fn lose_tags(&self, tags: &[TagKey]) -> impl Future<Output = ()> + Send;

    /// Breaks what subscriptions hear through, so that they may miss something, and lets them recover.
    fn cut_bus(&self) -> impl Future<Output = ()> + Send;
}

/// Expands to one `#[tokio::test]` for each promise of [`Backend`], on the stage that the
/// expression, a future, sets. A test that hangs fails after a minute.
///
/// ```
/// cache_core::conformance_suite!(async { cache_core::testing::MemoryStage::new() });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_suite {
    (@names [] $($module:ident { $($name:ident)* })*) => {
        &[$($(stringify!($name)),*),*]
    };
    (@tests [$stage:expr] $($module:ident { $($name:ident)* })*) => {
        $($(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = async {
                    let stage = $stage.await;
                    $crate::testing::conformance::$module::$name(&stage).await;
                };
                let limit = ::std::time::Duration::from_secs(60);
                ::tokio::time::timeout(limit, test).await.expect("the test ends within a minute");
            }
        )*)*
    };
    (@list $what:ident [$($stage:expr)?]) => {
        $crate::conformance_suite! { @$what [$($stage)?]
            entries {
                what_was_filled_is_read_back_byte_for_byte
                a_frame_of_eight_mebibytes_is_stored_whole
                an_empty_frame_is_an_entry
                an_entry_is_gone_when_its_life_has_ended
                a_life_of_zero_keeps_nothing
                any_text_is_a_key
                two_prefixes_share_nothing
                a_read_answers_the_epochs_in_the_order_of_its_tags
                many_entries_are_read_as_each_of_them_would_be
            }
            leases {
                a_free_key_is_granted_with_the_epochs_of_its_tags
                of_many_who_ask_at_once_one_is_granted
                the_others_are_told_how_long_the_lease_lives
                asking_again_with_the_same_token_is_granted_the_same
                a_lease_ends_with_its_life
                a_renewed_lease_lives_on
                only_the_current_grant_is_renewed
                a_released_lease_is_free_at_once
                only_the_holder_releases
                whoever_saw_no_entry_is_given_the_one_filled_meanwhile
                whoever_saw_an_entry_is_granted_its_replacement
                taking_a_key_voids_the_lease_of_another
            }
            fills {
                a_fill_ends_its_lease
                a_repeated_fill_changes_nothing
                a_fill_under_another_grant_is_refused
                a_fill_after_an_invalidation_is_refused
                a_fill_after_its_lease_ended_is_refused
                a_grant_does_not_come_back_with_its_token
                a_refill_keeps_the_value_under_a_new_head
                a_refill_of_another_frame_changes_nothing
                a_refill_after_an_invalidation_is_refused
            }
            invalidation {
                an_invalidation_removes_the_entry
                an_invalidation_voids_the_lease
                invalidating_what_is_absent_succeeds
                no_entry_is_older_than_the_invalidation_of_its_key
                an_expired_entry_stays_readable_and_is_marked
                expiring_never_lengthens_a_life
                expiring_voids_the_lease
                expiring_an_absent_key_creates_nothing
                an_expired_entry_does_not_answer_a_lease
                a_fill_takes_the_mark_away
            }
            many {
                each_of_many_invalidations_takes_effect
                many_invalidations_answer_the_epochs_in_the_order_of_their_tags
                many_invalidations_void_the_leases_of_their_keys
                what_is_named_twice_is_invalidated
                thousands_are_invalidated_in_one_call
                invalidating_nothing_succeeds
            }
            epochs {
                any_text_is_a_tag
                an_epoch_stays_until_its_tag_is_invalidated
                invalidating_a_tag_makes_its_epoch_greater
                a_lost_epoch_comes_back_as_another
                an_epoch_lives_as_long_as_it_is_needed
                an_invalidation_after_the_grant_is_younger_than_the_grant
                no_entry_is_older_than_the_invalidation_of_its_tag
                clearing_a_prefix_leaves_the_others
            }
            bus {
                an_invalidation_is_heard_by_all
                an_expiry_is_heard_by_all
                an_invalidated_tag_is_heard_with_its_new_epoch
                who_was_told_held_hears_of_the_fill
                who_was_told_held_hears_of_the_release
                the_fill_of_a_taken_key_is_heard_by_all
                every_message_names_its_origin
                a_heartbeat_is_heard_by_its_sender_alone
                what_may_be_missing_is_told_as_a_gap
                a_dropped_subscription_leaves_the_others
            }
            calls {
                a_call_dropped_half_way_leaves_the_store_in_order
                every_call_may_be_repeated
                health_tells_the_time_of_the_store
            }
        }
    };
    ($stage:expr) => { $crate::conformance_suite! { @list tests [$stage] } };
}

/// The names of all tests, in the order of the contract.
pub const NAMES: &[&str] = conformance_suite!(@list names []);

fn key(text: &str) -> EntryKey {
    EntryKey::from(text)
}

fn tag(text: &str) -> TagKey {
    crate::Tag::from(text).into()
}

fn frame(bytes: &[u8]) -> FrameBytes {
    FrameBytes::from(bytes)
}

/// One flight's request for a lease of ten ticks, to be adapted.
fn request<'a>(stage: &impl Stage, key: &'a EntryKey) -> LeaseRequest<'a> {
    LeaseRequest {
        key,
        token: LeaseToken::random(),
        life: stage.tick() * 10,
        tags: Tags::NONE,
        claim: Claim::Absent,
    }
}

async fn lease(backend: &impl Backend, request: LeaseRequest<'_>) -> Lease {
    backend.lease(request).await.expect("a lease is answered")
}

async fn granted(backend: &impl Backend, request: LeaseRequest<'_>) -> Grant {
    match lease(backend, request).await {
        Lease::Granted { grant, .. } => grant,
        other => panic!("{:?} should have been granted, not {other:?}", request.key),
    }
}

async fn assert_held(backend: &impl Backend, request: LeaseRequest<'_>) {
    let answer = lease(backend, request).await;
    assert!(matches!(answer, Lease::Held { .. }), "{:?} should be held, not {answer:?}", request.key);
}

async fn fill(
    stage: &impl Stage,
    backend: &impl Backend,
    key: &EntryKey,
    grant: &Grant,
    frame: &FrameBytes,
) -> Fill {
    let life = stage.tick() * 100;
    let request = FillRequest { key, grant, frame, life, tags: Tags::NONE };
    backend.fill(request).await.expect("a fill is answered")
}

/// Takes the key and fills it.
async fn put(stage: &impl Stage, backend: &impl Backend, key: &EntryKey, bytes: &[u8]) {
    let grant = granted(backend, LeaseRequest { claim: Claim::Take, ..request(stage, key) }).await;
    assert_eq!(fill(stage, backend, key, &grant, &frame(bytes)).await, Fill::Stored);
}

async fn found(backend: &impl Backend, key: &EntryKey) -> Option<Found> {
    backend.read(key, &[]).await.expect("a read is answered").found
}

async fn bytes(backend: &impl Backend, key: &EntryKey) -> Option<Vec<u8>> {
    found(backend, key).await.map(|found| found.frame.to_vec())
}

fn other_prefix(stage: &impl Stage) -> Prefix {
    Prefix::new(&format!("{}-other", stage.prefix())).expect("the prefix of the stage leaves six bytes free")
}
