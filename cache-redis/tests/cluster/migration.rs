//! Slots that move while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cache_core::ErrorKind;

use super::*;

/// What a source of truth holds, and what was invalidated of it.
#[derive(Default)]
struct Truth {
    now: AtomicU64,
    invalidated: AtomicU64,
    hits: AtomicU64,
    is_over: AtomicBool,
}

async fn write(redis: Redis, key: EntryKey, truth: Arc<Truth>) {
    while !truth.is_over.load(Ordering::Acquire) {
        let version = truth.now.fetch_add(1, Ordering::AcqRel) + 1;
        // One that is only postponed binds nobody yet.
        while redis.invalidate(&key).await.is_err() {
            tokio::task::yield_now().await;
        }
        truth.invalidated.fetch_max(version, Ordering::AcqRel);
        // Somebody is to have the new value, or there would be nothing to be stale; if anybody can.
        let hits = truth.hits.load(Ordering::Acquire);
        let used = async {
            while truth.hits.load(Ordering::Acquire) <= hits + 4 {
                tokio::task::yield_now().await;
            }
        };
        let _is_late = tokio::time::timeout(Duration::from_millis(50), used).await;
    }
}

async fn read(redis: Redis, key: EntryKey, truth: Arc<Truth>) -> (u64, u64) {
    let (mut hits, mut fills) = (0, 0);
    while !truth.is_over.load(Ordering::Acquire) {
        let at_least = truth.invalidated.load(Ordering::Acquire);
        // What is refused at once must not keep others from their turn.
        tokio::task::yield_now().await;
        let Ok(found) = redis.read(&key, &[]).await else { continue };
        if let Some(found) = found.found {
            let version = u64::from_be_bytes(found.frame.to_vec().try_into().expect("eight bytes"));
            assert!(version >= at_least, "{version} was invalidated: {at_least}");
            hits += 1;
            truth.hits.fetch_add(1, Ordering::AcqRel);
            continue;
        }
        let Ok(Lease::Granted { grant, .. }) = redis.lease(request(&key, Tags::NONE)).await else { continue };
        let version = truth.now.load(Ordering::Acquire);
        if let Ok(Fill::Stored) = fill(&redis, &key, &grant, &version.to_be_bytes()).await {
            fills += 1;
        }
    }
    (hits, fills)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stale_is_read_while_slots_move() {
    let _alone = alone().await;
    let cluster = Cluster::of(3, 0, &[]);
    let (one, two) = (patiently(&cluster).await, patiently(&cluster).await);
    let key = key_at(&cluster, 0);
    let truth = Arc::<Truth>::default();
    let writer = tokio::spawn(write(one.clone(), key.clone(), Arc::clone(&truth)));
    let readers: Vec<_> = (0..8)
        .map(|n| {
            let redis = if n % 2 == 0 { &one } else { &two };
            tokio::spawn(read(redis.clone(), key.clone(), Arc::clone(&truth)))
        })
        .collect();

    let name = format!("larder:e:{{{key}}}");
    let cluster = Arc::new(cluster);
    for round in 0..12 {
        let cluster = Arc::clone(&cluster);
        let name = name.clone();
        let moving = tokio::task::spawn_blocking(move || cluster.migrate(&name, round % 3, (round + 1) % 3));
        moving.await.expect("the slot moves");
        let hits = truth.hits.load(Ordering::Acquire);
        until("it is read again", || truth.hits.load(Ordering::Acquire) > hits + 10).await;
    }
    truth.is_over.store(true, Ordering::Release);
    writer.await.expect("it has written");
    let mut sums = (0, 0);
    for reader in readers {
        let (hits, fills) = reader.await.expect("nothing stale was read");
        sums = (sums.0 + hits, sums.1 + fills);
    }

    assert!(sums.0 > 100 && sums.1 > 12, "{sums:?}");
    // All is as ever afterwards.
    until_ok(|| one.invalidate(&key)).await;
    put(&one, &key, b"12345678").await;
    assert_eq!(get(&two, &key).await, Some(b"12345678".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_out_that_a_slot_moves_is_served_all_the_same() {
    let _room = with_another().await;
    let cluster = Cluster::of(3, 0, &[]);
    let redis = patiently(&cluster).await;
    let key = key_at(&cluster, 0);
    let name = format!("larder:e:{{{key}}}");
    put(&redis, &key, b"v").await;

    // The key is there already, the slot is not.
    assert_eq!(cluster.begin_migration(&name, 0, 1), 1);
    assert_eq!(get(&redis, &key).await, Some(b"v".to_vec()));
    // What concerns a key that is nowhere has to wait, and is refused.
    assert_eq!(redis.invalidate(&key).await.expect_err("its lease is nowhere").kind(), ErrorKind::Postponed);

    cluster.migrate(&name, 0, 1);
    until_ok(|| redis.read(&key, &[])).await;
    assert_eq!(get(&redis, &key).await, None, "it is made up for");
    // Who has made no change lately has none to repeat at the next node.
    let other = patiently(&cluster).await;
    put(&other, &key, b"w").await;
    cluster.migrate(&name, 1, 2);
    other.lease(request(&key, Tags::NONE)).await.expect("it is sent on");
}
