//! The bus, when nodes go away.

use cache_redis::testing::Reply;

use super::*;

/// The place of the node where somebody of this name listens.
fn listens_at(cluster: &Cluster, alive: impl Fn(usize) -> bool) -> Option<usize> {
    (0..cluster.nodes().len()).filter(|&at| alive(at)).find(|&at| clients(&cluster.nodes()[at], "PUBSUB") > 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_moves_to_another_node_and_invalidations_reach_everyone() {
    let _room = with_another().await;
    let mut cluster = Cluster::start();
    let redis = join(&cluster).await;
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    let node = listens_at(&cluster, |_| true).expect("somebody listens");

    cluster.node(node).kill();
    hear_gap(&mut ear).await;
    hear_gap(&mut ear).await;
    until_heard(&redis, &mut ear).await;

    assert_ne!(listens_at(&cluster, |at| at != node), None);
    // From every shard, once it has a master again.
    let other = patiently(&cluster).await;
    for master in [0, 1, 2] {
        let known = (0..3).find(|&at| at != node).expect("one of three");
        let keys = (0..).map(|n: u32| format!("{n}"));
        let key = keys.filter(|key| {
            let slots = cluster.master_as_known_to(known, &format!("larder:e:{{{key}}}"));
            slots == master || (slots >= 3 && master == node)
        });
        let key = EntryKey::from(key.into_iter().next().expect("one of many"));
        until_ok(|| other.invalidate(&key)).await;
        let hearing = async {
            loop {
                if let Some(Heard::Message(Message { change: Change::Invalidated { key: heard }, .. })) =
                    ear.hear().await
                    && heard == key
                {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), hearing).await.expect("it is heard");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_not_listened_to_any_more() {
    let _room = with_another().await;
    let cluster = Cluster::start();
    let redis = join(&cluster).await;
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    let node = listens_at(&cluster, |_| true).expect("somebody listens");

    cluster.nodes()[node].pause();
    hear_gap(&mut ear).await;
    until_heard(&redis, &mut ear).await;

    assert_ne!(listens_at(&cluster, |at| at != node), None);
    cluster.nodes()[node].resume();
}

/// So that each node in turn shows that what it sends is heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_by_each_master_in_turn() {
    let _room = with_another().await;
    let cluster = Cluster::of(3, 0, &[]);
    let redis = patiently(&cluster).await;
    let _ear = redis.subscribe().await.expect("a subscription is answered");

    for nonce in 0..6 {
        redis.heartbeat(nonce).await.expect("it is sent");
    }

    for node in cluster.nodes() {
        let stats = node.command(&["INFO", "commandstats"]).text();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_publish:")).expect("it was asked");
        assert!(line.contains("calls=2,"), "{line}");
    }
}

/// It is there for clients, and answers them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_from_the_others_is_left_by_who_listens_again() {
    let _room = with_another().await;
    let cluster = Cluster::of(3, 0, &[]);
    let redis = patiently(&cluster).await;
    let mut ear = redis.subscribe().await.expect("a subscription is answered");
    until_heard(&redis, &mut ear).await;
    let node = listens_at(&cluster, |_| true).expect("somebody listens");

    let id = cluster.nodes()[node].command(&["CLUSTER", "MYID"]).text();
    for other in (0..3).filter(|at| *at != node) {
        let forgotten = cluster.nodes()[other].command(&["CLUSTER", "FORGET", &id]);
        assert_eq!(forgotten, Reply::Text(b"OK".to_vec()));
    }
    // It hears what it sends itself: some by its turn, others not.
    for nonce in 1.. {
        redis.heartbeat(nonce).await.expect("it is sent");
        let hearing = tokio::time::timeout(LIMIT, hear_beat(&mut ear, nonce));
        if hearing.await.is_err() {
            break;
        }
    }
    let mut ear = redis.subscribe().await.expect("a subscription is answered");

    until_heard(&redis, &mut ear).await;
    until("the node is left", || clients(&cluster.nodes()[node], "PUBSUB") == 0).await;
    assert!(listens_at(&cluster, |at| at != node).is_some());
}
