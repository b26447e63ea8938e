//! A server that forgot its scripts.

use cache_core::backend::*;
use cache_redis::testing::Server;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_goes_on() {
    let server = Server::start();
    let redis = patient(&server).await;
    let key = EntryKey::from("k");
    let keys = [tag("a"), TagKey::Everything];
    let tags = Tags { keys: &keys, life: MINUTE };
    let forget = || drop(server.command(&["SCRIPT", "FLUSH"]));

    forget();
    let (grant, epochs) = granted(&redis, request(&key, tags)).await;
    forget();
    assert_eq!(redis.renew(&key, &grant, MINUTE).await.unwrap(), Renewal::Renewed);
    // One script of two is known.
    forget();
    assert_eq!(redis.epochs(tags).await.unwrap(), epochs);
    let frame = FrameBytes::from(vec![1; 1 << 20]);
    let request_to_fill = FillRequest { key: &key, grant: &grant, frame: &frame, life: MINUTE, tags };
    assert_eq!(redis.fill(request_to_fill).await.unwrap(), Fill::Stored);
    forget();
    redis.expire(&key, MINUTE).await.unwrap();
    forget();
    assert!(redis.invalidate_tags(tags).await.unwrap()[0] > epochs[0]);
    assert!(redis.read(&key, &[]).await.unwrap().found.unwrap().is_expired);
    forget();
    redis.invalidate(&key).await.unwrap();
    let (grant, _) = granted(&redis, request(&key, tags)).await;
    forget();
    redis.release(&key, grant.token).await.unwrap();

    granted(&redis, request(&key, tags)).await;
}
