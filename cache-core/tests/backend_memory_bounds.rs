//! `Memory` forgets what has ended, to the tick, and stays within its bounds.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use cache_core::backend::{
    Backend, Claim, EntryKey, Fill, FillRequest, FrameBytes, Grant, Heard, Lease, LeaseRequest, LeaseToken,
    Memory, TagKey, Tags,
};
use cache_core::testing::MemoryStage;
use cache_core::{ErrorKind, Tag};

const MILLI: Duration = Duration::from_millis(1);
const MICRO: Duration = Duration::from_micros(1);

fn request(key: &EntryKey, life: Duration) -> LeaseRequest<'_> {
    LeaseRequest { key, token: LeaseToken::random(), life, tags: Tags::NONE, claim: Claim::Absent }
}

async fn grant(backend: &Memory, key: &EntryKey, life: Duration) -> Option<Grant> {
    match backend.lease(request(key, life)).await.unwrap() {
        Lease::Granted { grant, .. } => Some(grant),
        _ => None,
    }
}

async fn store(backend: &Memory, key: &EntryKey, bytes: usize, life: Duration) {
    let grant = grant(backend, key, MILLI).await.expect("the key is free");
    let frame = FrameBytes::from(vec![0; bytes]);
    let fill = FillRequest { key, grant: &grant, frame: &frame, life, tags: Tags::NONE };
    assert_eq!(backend.fill(fill).await.unwrap(), Fill::Stored);
}

async fn holds(backend: &Memory, key: &EntryKey) -> bool {
    backend.read(key, &[]).await.unwrap().found.is_some()
}

/// `(entries, leases, epochs, bytes)`, as `Debug` shows them.
fn holdings(backend: &Memory) -> [usize; 4] {
    let shown = format!("{backend:?}");
    ["entries: ", "leases: ", "epochs: ", "bytes: "].map(|field| {
        let (_, rest) = shown.split_once(field).unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    })
}

#[tokio::test]
async fn lives_end_at_the_tick() {
    // given an entry, a lease and an epoch of 10 ms each
    let stage = MemoryStage::new();
    let (backend, entry, lease, tags) = (stage.memory(), "e".into(), "l".into(), [TagKey::Everything]);
    store(backend, &entry, 1, MILLI * 10).await;
    assert!(grant(backend, &lease, MILLI * 10).await.is_some());
    backend.epochs(Tags { keys: &tags, life: MILLI * 10 }).await.unwrap();

    // when one tick is missing, then they are there
    stage.pass(MILLI * 10 - MICRO);
    assert!(holds(backend, &entry).await);
    assert!(grant(backend, &lease, MILLI).await.is_none());
    assert!(backend.read(&entry, &tags).await.unwrap().epochs[0].is_some());

    // when it has passed, then they are gone
    stage.pass(MICRO);
    assert!(!holds(backend, &entry).await);
    assert!(grant(backend, &lease, MILLI).await.is_some());
    assert!(backend.read(&entry, &tags).await.unwrap().epochs[0].is_none());
}

#[tokio::test]
async fn lives_are_rounded_up_to_milliseconds() {
    // given an entry of 1 ns
    let stage = MemoryStage::new();
    let (backend, key) = (stage.memory(), "k".into());
    store(backend, &key, 1, Duration::from_nanos(1)).await;

    // when nearly 1 ms has passed, then it is there; then it is not
    stage.pass(MILLI - MICRO);
    assert!(holds(backend, &key).await);
    stage.pass(MICRO);
    assert!(!holds(backend, &key).await);
}

#[tokio::test]
async fn the_longest_life_does_not_overflow() {
    // given a life as long as they come
    let stage = MemoryStage::new();
    let (backend, key) = (stage.memory(), "k".into());

    // when an entry lives for it
    store(backend, &key, 1, Duration::MAX).await;
    backend.expire(&key, Duration::MAX).await.unwrap();
    backend.epochs(Tags { keys: &[TagKey::Everything], life: Duration::MAX }).await.unwrap();

    // then it is there a century later
    stage.pass(Duration::from_secs(100 * 365 * 86_400));
    assert!(holds(backend, &key).await);
}

#[tokio::test]
async fn what_has_ended_takes_no_memory() {
    // given waves of keys, each with an entry, a dead lease and a tag, that nobody asks for again
    let stage = MemoryStage::new();
    let backend = stage.memory();
    for wave in 0..50 {
        for n in 0..100 {
            store(backend, &format!("entry {wave} {n}").into(), 100, MILLI * 10).await;
            grant(backend, &format!("lease {wave} {n}").into(), MILLI * 10).await;
            let tag = [Tag::from(format!("{wave} {n}").as_str()).into()];
            backend.epochs(Tags { keys: &tag, life: MILLI * 10 }).await.unwrap();
        }
        stage.pass(MILLI * 10);
    }

    // then the waves before the last have left nothing, though nobody swept
    let [entries, leases, epochs, bytes] = holdings(backend);
    assert!(entries <= 100 && leases <= 100 && epochs <= 100, "{backend:?}");
    assert!(bytes <= 200 * 400, "{backend:?}");

    // when a little more happens, then the last is gone too
    for _ in 0..20 {
        backend.health().await.unwrap();
    }
    assert_eq!(holdings(backend), [0; 4]);
}

#[tokio::test]
async fn rewriting_one_key_takes_no_memory() {
    // given one key that is stored, expired, invalidated and renewed over and over, with long lives
    let stage = MemoryStage::new();
    let (backend, key, tags) = (stage.memory(), "k".into(), [TagKey::Everything]);
    let hour = Duration::from_secs(3600);
    for _ in 0..1000 {
        store(backend, &key, 100, hour).await;
        backend.expire(&key, hour).await.unwrap();
        backend.invalidate(&key).await.unwrap();
        backend.invalidate_tags(Tags { keys: &tags, life: hour }).await.unwrap();
        store(backend, &key, 100, hour).await;
        backend.expire(&key, hour / 2).await.unwrap();
    }

    // then one entry and one epoch are there, and all accounts agree
    let [entries, leases, epochs, bytes] = holdings(backend);
    assert_eq!([entries, leases, epochs], [1, 0, 1]);
    backend.invalidate(&key).await.unwrap();
    backend.lose_tags(&tags);
    assert_eq!(holdings(backend), [0; 4], "{bytes} before");
}

#[tokio::test]
async fn the_store_is_bounded_in_bytes() {
    // given a store of 100 kB
    let stage = MemoryStage::new();
    let backend = stage.memory().clone().with_max_bytes(100_000);
    let second = Duration::from_secs(1);

    // when far more is stored, later keys living longer
    for n in 0..1000_u32 {
        store(&backend, &n.to_string().into(), 1000, second * (n + 1)).await;
        let tag = [Tag::from(n.to_string().as_str()).into()];
        backend.epochs(Tags { keys: &tag, life: second }).await.unwrap();
    }

    // then it is full but for one entry, and what would have ended first had to go
    let [entries, _, _, bytes] = holdings(&backend);
    assert!(bytes <= 100_000, "{bytes}");
    assert!(entries < 100, "{entries}");
    assert!(!holds(&backend, &"0".into()).await);
}

#[tokio::test]
async fn a_frame_larger_than_the_store_is_refused_and_voids_nothing() {
    // given a store of 1 kB and a lease
    let stage = MemoryStage::new();
    let backend = stage.memory().clone().with_max_bytes(1000);
    let key = "k".into();
    let grant = grant(&backend, &key, MILLI).await.unwrap();

    // when a frame of 1001 bytes is to be stored
    let frame = FrameBytes::from(vec![0; 1001]);
    let fill = FillRequest { key: &key, grant: &grant, frame: &frame, life: MILLI, tags: Tags::NONE };
    let error = backend.fill(fill).await.unwrap_err();

    // then the error says what to do, and a smaller one fits
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().ends_with("raise with_max_bytes(..)"), "{error}");
    let frame = FrameBytes::from(vec![0; 100]);
    assert_eq!(backend.fill(FillRequest { frame: &frame, ..fill }).await.unwrap(), Fill::Stored);
}

#[tokio::test]
async fn a_subscriber_that_lags_is_told_of_a_gap_and_hears_what_follows() {
    // given a subscriber that does not listen
    let stage = MemoryStage::new();
    let backend = stage.memory();
    let mut subscription = backend.subscribe().await.unwrap();

    // when more messages arrive than its queue holds, and then one more
    for n in 0..4097 {
        backend.heartbeat(n).await.unwrap();
    }
    backend.heartbeat(u64::MAX).await.unwrap();

    // then it hears of the gap first, and of what followed
    assert_eq!(subscription.hear().await, Some(Heard::Gap));
    let Some(Heard::Message(message)) = subscription.hear().await else { panic!("nothing followed") };
    assert_eq!(message.change, cache_core::backend::Change::Heartbeat { nonce: u64::MAX });
}

#[tokio::test]
async fn an_epoch_grows_although_the_clock_goes_back() {
    // given an epoch
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    let time = Arc::new(AtomicU64::new(1_000_000));
    let clock = Arc::clone(&time);
    let backend = Memory::with_clock(move || clock.load(Ordering::SeqCst));
    let tags = Tags { keys: &[TagKey::Everything], life: MILLI * 10_000 };
    let before = backend.epochs(tags).await.unwrap()[0];

    // when the clock is set back, and the tag invalidated
    time.store(10, Ordering::SeqCst);
    let after = backend.invalidate_tags(tags).await.unwrap()[0];

    // then its epoch is greater all the same
    assert!(after.micros > before.micros, "{after:?} after {before:?}");
}
