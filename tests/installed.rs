//! The cache of the process: a default until one is installed. One test, since a process has one.

use larder::{Cache, ErrorKind, cached};

#[cached(ttl = "1h")]
async fn answer() -> u64 {
    42
}

#[tokio::test]
async fn the_installed_cache_is_used_and_stays() {
    answer().await;
    let default = Cache::current();
    assert_eq!((default.stats().misses(), default.stats().local_capacity), (1, 64 << 20));

    let installed = Cache::builder().prefix("installed").build().expect("a cache");
    installed.install().expect("the first one");
    answer().await;
    assert_eq!((installed.stats().misses(), Cache::current().prefix()), (1, "installed"));

    let error = Cache::default().install().expect_err("the second one");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("use `cache.scope(future)`"), "{error}");
    assert_eq!(Cache::current().prefix(), "installed");
}
