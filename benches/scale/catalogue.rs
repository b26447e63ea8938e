//! What is cached: prices of articles in shops. An article belongs to one shop.

use std::collections::HashMap;

use larder::{Cache, cached, warm_up};

pub(crate) const SHOPS: u64 = 1_000;
/// Ids in one call.
const BATCH: usize = 1_000;
/// Such calls at once, of each of two tasks.
const AT_ONCE: usize = 2;

/// 32 bytes, which end with the number of the shop.
pub(crate) fn value(id: u64) -> String {
    format!("{:032}", shop_of(id))
}

pub(crate) fn shop_of(id: u64) -> u64 {
    id % SHOPS
}

#[cached(ttl = "1d", name = "price", each = ids, tags = ["shop:{shop}"], skip(cache), cache = cache)]
async fn prices(cache: &Cache, shop: u64, ids: &[u64]) -> HashMap<u64, String> {
    let _ = (cache, shop);
    ids.iter().map(|id| (*id, value(*id))).collect()
}

/// One of [`prices`].
#[cached(ttl = "1d", name = "price", tags = ["shop:{shop}"], skip(cache), cache = cache)]
pub(crate) async fn price(cache: &Cache, shop: u64, id: u64) -> String {
    let _ = (cache, shop);
    value(id)
}

/// The same with a tag that no other entry bears in the place of the shop's.
#[cached(ttl = "1d", name = "offer", each = ids, tags = ["article:{id}"], skip(cache), cache = cache)]
async fn offers(cache: &Cache, shop: u64, ids: &[u64]) -> HashMap<u64, String> {
    let _ = (cache, shop);
    ids.iter().map(|id| (*id, value(*id))).collect()
}

/// The articles of a shop below `count`, in batches.
fn batches(shop: u64, count: u64) -> Vec<(u64, Vec<u64>)> {
    let ids: Vec<u64> = (shop..count).step_by(SHOPS as usize).collect();
    ids.chunks(BATCH).map(|ids| (shop, ids.to_vec())).collect()
}

/// Stores the prices of the articles below `count`.
pub(crate) async fn store_prices(cache: &Cache, count: u64) {
    let halves = [0, 1].map(|half| {
        let cache = cache.clone();
        let shops = (half..SHOPS).step_by(2);
        tokio::spawn(async move {
            let batches = shops.flat_map(|shop| batches(shop, count));
            let call = async |(shop, ids): (u64, Vec<u64>)| drop(prices(&cache, shop, &ids).await);
            warm_up(batches).at_once(AT_ONCE).run(call).await;
        })
    });
    for half in halves {
        half.await.unwrap();
    }
}

/// Stores as many offers.
pub(crate) async fn store_offers(cache: &Cache, count: u64) {
    let batches = (0..SHOPS).flat_map(|shop| batches(shop, count));
    let call = async |(shop, ids): (u64, Vec<u64>)| drop(offers(cache, shop, &ids).await);
    warm_up(batches).at_once(2 * AT_ONCE).run(call).await;
}
