//! What others stored under our names.

use cache_core::backend::*;
use cache_redis::testing::Server;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_absent_and_overwritten() {
    let server = Server::start();
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    let keys = [tag("t")];
    let tags = Tags { keys: &keys, life: MINUTE };
    let names = ["larder:e:{k}", "larder:l:{k}", "larder:t:{t}"];
    let list = ["RPUSH", "", "x"];
    let text = ["SET", "", "of a length that is none of ours"];
    let empty = ["SET", "", ""];
    let full = [
        "SET",
        "",
        "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
    ];

    for foreign in [list, text, empty, full] {
        let place = || {
            for name in names {
                server.command(&["DEL", name]);
                server.command(&[foreign[0], name, foreign[2]]);
            }
        };
        place();
        let read = redis.read(&key, &keys).await.expect("a read is answered");
        assert_eq!((read.found, read.epochs), (None, vec![None]), "{foreign:?}");

        // Each kind of call, on what is not ours.
        let (grant, epochs) = granted(&redis, request(&key, tags)).await;
        assert_eq!(fill(&redis, &key, &grant, b"v").await.unwrap(), Fill::Stored, "{foreign:?}");
        assert_eq!(get(&redis, &key).await, Some(b"v".to_vec()));
        assert_eq!(redis.read(&key, &keys).await.unwrap().epochs, [Some(epochs[0])]);
        place();
        assert_eq!(redis.renew(&key, &grant, MINUTE).await.unwrap(), Renewal::Refused);
        assert_eq!(fill(&redis, &key, &grant, b"w").await.unwrap(), Fill::Refused);
        redis.release(&key, grant.token).await.unwrap();
        redis.expire(&key, MINUTE).await.unwrap();
        assert_eq!(get(&redis, &key).await, None, "{foreign:?}");
        place();
        let moved = redis.invalidate_tags(tags).await.unwrap();
        assert_eq!(redis.read(&key, &keys).await.unwrap().epochs, [Some(moved[0])]);
        redis.invalidate(&key).await.unwrap();
        assert_eq!(get(&redis, &key).await, None);
    }
}

/// A lease whose end somebody took away would delay others for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_never_end_does() {
    let server = Server::start();
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    let keys = [tag("t")];
    let tags = Tags { keys: &keys, life: MINUTE };
    granted(&redis, request(&key, tags)).await;
    server.command(&["PERSIST", "larder:l:{k}"]);
    server.command(&["PERSIST", "larder:t:{t}"]);

    granted(&redis, request(&key, tags)).await;

    for name in ["larder:l:{k}", "larder:t:{t}"] {
        assert_ne!(server.command(&["PTTL", name]), cache_redis::testing::Reply::Int(-1), "{name}");
    }
}

/// The clock of a server can be set back, or a fail-over can lead to one that is behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_from_the_future_is_exceeded() {
    let server = Server::start();
    let redis = patient(&server).await;
    let keys = [tag("t")];
    // In the year 2096. As text, so that the fixture can send it: 16 bytes, each below 128.
    let future = Epoch::from_bytes(*b"\0\x0e\x22\x22\x22\x22\x22\x22random..");
    let text = String::from_utf8(future.to_bytes().to_vec()).unwrap();
    server.command(&["SET", "larder:t:{t}", &text, "PX", "60000"]);
    assert_eq!(redis.read(&"k".into(), &keys).await.unwrap().epochs, [Some(future)]);

    let moved = redis.invalidate_tags(Tags { keys: &keys, life: MINUTE }).await.unwrap();

    assert_eq!(moved[0].micros, future.micros + 1);
    assert_eq!(redis.epochs(Tags { keys: &keys, life: MINUTE }).await.unwrap(), moved);
}
