//! What the facade gives out can be sent to other threads and shared with them, and so can its futures.

use std::fmt::Debug;

use larder::{Cache, Entry, Invalidate, Key, Options, cached, invalidates, updates};

#[test]
fn every_public_type_is_send_and_sync_and_debug() {
    fn check<T: Send + Sync + Debug + 'static>() {}

    check::<Cache>();
    check::<larder::CacheBuilder>();
    check::<larder::Clear>();
    check::<larder::Deferred>();
    check::<larder::Invalidate>();
    check::<larder::Registration>();
    check::<larder::Clock>();
    check::<Entry<Result<Option<String>, std::fmt::Error>>>();
    check::<larder::Error>();
    check::<larder::Event>();
    check::<larder::Events>();
    check::<larder::ErrorKind>();
    check::<larder::FunctionStats>();
    check::<Key>();
    check::<larder::Local>();
    check::<larder::Misses>();
    check::<Options>();
    check::<larder::Peek<String>>();
    check::<larder::Stats>();
    check::<larder::Tag>();
    check::<larder::Timing>();
    check::<larder::key::Identity>();
    check::<larder::key::KeyWriter>();
    check::<larder::key::SecretKey>();
    #[cfg(feature = "memory")]
    check::<larder::backend::Memory>();
    #[cfg(feature = "redis")]
    check::<larder::Redis>();
    #[cfg(feature = "redis")]
    check::<larder::RedisBuilder>();
    #[cfg(feature = "redis")]
    check::<larder::Credentials>();
    #[cfg(feature = "redis-tls")]
    check::<larder::Tls>();
    check::<larder::codec::AnyCodec>();
    check::<larder::codec::Bincode>();
}

#[cfg(feature = "testing")]
#[test]
fn every_type_for_tests_is_send_and_sync_and_debug() {
    fn check<T: Send + Sync + Debug + 'static>() {}

    check::<larder::testing::ManualClock>();
    check::<larder::testing::Faulty<larder::backend::Memory>>();
    #[cfg(feature = "redis")]
    check::<larder::testing::redis::Server>();
    #[cfg(feature = "redis")]
    check::<larder::testing::redis::Proxy>();
    #[cfg(feature = "redis-cluster")]
    check::<larder::testing::redis::Cluster>();
    #[cfg(feature = "redis-sentinel")]
    check::<larder::testing::redis::Sentinels>();
}

/// The handle is not bound to what the function returns: it holds none of it.
#[test]
fn a_handle_is_send_and_sync_whatever_the_function_returns() {
    fn check<T: Send + Sync>() {}

    check::<Entry<std::rc::Rc<u8>>>();
}

#[cached(ttl = 60)]
async fn answer(of: &str) -> Result<String, std::fmt::Error> {
    Ok(of.to_owned())
}

#[test]
fn every_future_can_be_sent() {
    fn check<F: Future + Send>(_: F) {}
    let (cache, options) = (Cache::disabled(), Options::ttl(std::time::Duration::from_secs(60)));
    let key = Key::of("answer", 42).unwrap();

    check(answer("all"));
    check(answer_refresh("all"));
    check(answer_entry("all").invalidate());
    check(answer_entry("all").put(Ok(String::new())));
    check(cache.scope(answer("all")));
    check(cache.get_or_compute(&key, &options, || async { 42_u64 }));
    check(cache.get::<u64>(&key, &options));
    check(cache.put(&key, 42_u64, &options));
    check(cache.invalidate(&key));
    check(cache.invalidate_tags(["menu"]));
    check(cache.clear());
    check(cache.apply(Invalidate::tag("menu")));
    check(cache.emit(()));
    check(cache.deferred().apply());
    check(answer_clear().into_future());
    check(ask("all"));
}

#[invalidates(tags = ["{of}"], entries = [answer_entry(of)], when = |result| result == of, strict)]
#[updates(entry = answer_entry(result), value = |result| Ok(result.clone()))]
async fn ask(of: &str) -> Result<String, larder::Error> {
    Ok(of.to_owned())
}
