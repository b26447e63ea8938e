//! A server that loads its data.

use cache_core::backend::*;
use cache_redis::testing::Server;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_unreachable_until_it_has_loaded() {
    let delays = ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"];
    let server = Server::with_args(&[&["--enable-debug-command", "yes"], &delays[..]].concat());
    let redis = patient(&server).await;
    server.command(&["DEBUG", "POPULATE", "100", "k", "1100"]);

    let seen = std::thread::scope(|threads| {
        let loading = threads.spawn(|| server.command(&["DEBUG", "RELOAD"]));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut seen = None;
                while !loading.is_finished() {
                    if let Err(error) = redis.read(&"k".into(), &[]).await {
                        seen = Some(error);
                    }
                }
                seen
            })
        })
    });

    let error = assert_refused(seen.map_or(Ok(()), Err));
    assert!(error.to_string().contains("LOADING"), "{error}");
    until_ok(|| redis.health()).await;
}
