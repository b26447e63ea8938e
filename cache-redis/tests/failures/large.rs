//! Values that would delay others.

use cache_core::backend::*;
use cache_redis::testing::Server;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_have_connections_of_their_own() {
    let server = Server::start();
    let redis = patient(&server).await;
    let large = vec![7; 1 << 20];

    put(&redis, &"small".into(), b"v").await;
    assert_eq!(connections(&server), 1);
    for n in 0..4 {
        put(&redis, &EntryKey::from(n.to_string()), &large).await;
    }
    // One for small values, two for large ones, made when they were needed.
    assert_eq!(connections(&server), 3);

    assert_eq!(get(&redis, &"0".into()).await, Some(large));
    assert_eq!(get(&redis, &"small".into()).await, Some(b"v".to_vec()));
    put(&redis, &"0".into(), b"small now").await;
    assert_eq!(get(&redis, &"0".into()).await, Some(b"small now".to_vec()));
}

/// The second read knows from the first how large the value is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_known_to_be_large_is_read_beside_the_others() {
    let server = Server::start();
    let (writer, reader) = (patient(&server).await, patient(&server).await);
    let (key, large) = (EntryKey::from("k"), vec![7; 1 << 20]);
    put(&writer, &key, &large).await;
    let others = connections(&server);

    assert_eq!(get(&reader, &key).await.as_ref(), Some(&large));
    assert_eq!(connections(&server), others, "the first read cannot know");
    assert_eq!(get(&reader, &key).await.as_ref(), Some(&large));

    assert_eq!(connections(&server), others + 1);
}
