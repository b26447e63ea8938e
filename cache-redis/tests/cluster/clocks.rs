//! Nodes whose clocks differ.

use super::*;

/// An epoch that a slow clock dates must not be older than a grant before it, so grants are dated back by as much as
/// clocks may differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_dated_back() {
    let _alone = alone().await;
    let cluster = Cluster::of(3, 0, &[]);
    let redis = patiently(&cluster).await;

    let key = EntryKey::from("k");
    let (grant, _) = granted(&redis, request(&key, Tags::NONE)).await;
    let after = redis.health().await.expect("health is answered");

    assert!(after.since(grant.granted_at) >= Duration::from_millis(5), "{grant:?} before {after:?}");
    assert_eq!(fill(&redis, &key, &grant, b"v").await.expect("a fill is answered"), Fill::Stored);
}
