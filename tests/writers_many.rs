//! Writers that change many rows name as many tags and entries as there are.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;

use larder::{Invalidate, cached, invalidates};
use support::Stage;

/// Prices by the id of their dish.
type Prices = Mutex<BTreeMap<u64, u64>>;

#[cached(ttl = "1h", tags = ["price:{id}"], skip(prices))]
async fn price(prices: &Prices, id: u64) -> Option<u64> {
    prices.lock().unwrap().get(&id).copied()
}

#[cached(ttl = "1h", skip(prices))]
async fn is_cheap(prices: &Prices, id: u64) -> bool {
    prices.lock().unwrap().get(&id).is_some_and(|price| *price < 10)
}

fn raise_all(prices: &Prices, ids: &[u64]) -> Vec<u64> {
    let mut prices = prices.lock().unwrap();
    ids.iter().filter(|id| prices.get_mut(id).map(|price| *price += 5).is_some()).copied().collect()
}

/// By what it was asked for.
#[invalidates(entries = [
    Invalidate::tags(ids.iter().map(|id| format!("price:{id}"))),
    ids.iter().map(|id| Invalidate::entry(&is_cheap_entry(*id))).collect::<Invalidate>(),
])]
async fn raise(prices: &Prices, ids: &[u64]) -> Vec<u64> {
    raise_all(prices, ids)
}

/// By what it has changed.
#[invalidates(
    tags = ["prices"],
    entries = [
        Invalidate::tags(result.iter().map(|id| format!("price:{id}"))),
        result.iter().map(|id| Invalidate::entry(&is_cheap_entry(*id))).collect::<Invalidate>(),
    ],
    expire,
)]
async fn raise_known(prices: &Prices, ids: &[u64]) -> Result<Vec<u64>, String> {
    Ok(raise_all(prices, ids))
}

#[test]
fn all_of_them_are_invalidated_and_no_others() {
    for by_result in [false, true] {
        let (stage, prices) = (Stage::new(), Prices::new((1..=3).map(|id| (id, 7)).collect()));
        let read = async |id| (price(&prices, id).await, is_cheap(&prices, id).await);
        stage.run(async {
            for id in 1..=3 {
                assert_eq!(read(id).await, (Some(7), true));
            }
            // The third changes, and nobody says so.
            raise_all(&prices, &[3]);

            let raised = match by_result {
                true => raise_known(&prices, &[1, 2, 9]).await.unwrap(),
                false => raise(&prices, &[1, 2, 9]).await,
            };

            assert_eq!(raised, [1, 2]);
            for id in 1..=2 {
                assert_eq!(read(id).await, (Some(12), false), "{id}, by the result: {by_result}");
            }
            assert_eq!(read(3).await, (Some(7), true), "by the result: {by_result}");
        });
    }
}
