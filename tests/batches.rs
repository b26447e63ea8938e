//! `each`: many ids in one call, each an entry of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use larder::{Cache, cached};

/// What was asked of a body, call by call.
#[derive(Default, Clone)]
struct Calls(Arc<Mutex<Vec<Vec<u64>>>>);

impl Calls {
    fn note(&self, ids: &[u64]) {
        self.0.lock().unwrap().push(ids.to_vec());
    }

    fn take(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[cached(ttl = 60, name = "batches/item", tags = ["item:{id}"], each = ids, skip(calls))]
async fn items(calls: &Calls, ids: &[u64]) -> Result<HashMap<u64, String>, std::io::Error> {
    calls.note(ids);
    Ok(ids.iter().filter(|id| **id < 100).map(|id| (*id, format!("item {id}"))).collect())
}

#[cached(ttl = 60, name = "batches/item", tags = ["item:{id}"], skip(calls))]
async fn item(calls: &Calls, id: u64) -> Result<String, std::io::Error> {
    calls.note(&[id]);
    Ok(format!("item {id}"))
}

fn of(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().map(|id| (*id, format!("item {id}"))).collect()
}

#[tokio::test]
async fn only_what_is_missing_is_computed_and_once() {
    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            assert_eq!(items(&calls, &[1, 2, 3]).await.unwrap(), of(&[1, 2, 3]));
            assert_eq!(items(&calls, &[4, 2, 5, 4]).await.unwrap(), of(&[2, 4, 5]));
            assert_eq!(items(&calls, &[5, 1]).await.unwrap(), of(&[1, 5]));
            assert_eq!(items(&calls, &[]).await.unwrap(), of(&[]));
        })
        .await;

    assert_eq!(calls.take(), [vec![1, 2, 3], vec![4, 5]]);
    assert_eq!(cache.computations_in_flight(), 0);
}

#[cached(ttl = 60, each = ids, skip(calls), when = id < 50)]
async fn low_items(calls: &Calls, ids: &[u64]) -> HashMap<u64, String> {
    calls.note(ids);
    of(ids)
}

#[tokio::test]
async fn what_goes_past_the_cache_goes_to_the_body_with_what_is_missing() {
    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            assert_eq!(low_items(&calls, &[70, 1, 80, 2]).await, of(&[70, 1, 80, 2]));
            assert_eq!(low_items(&calls, &[1, 70, 2]).await, of(&[1, 70, 2]));
        })
        .await;

    assert_eq!(calls.take(), [vec![70, 1, 80, 2], vec![70]]);
}

#[tokio::test]
async fn items_are_shared_with_the_function_of_one() {
    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            assert_eq!(item(&calls, 7).await.unwrap(), "item 7");
            assert_eq!(items(&calls, &[7, 8]).await.unwrap(), of(&[7, 8]));
            assert_eq!(item(&calls, 8).await.unwrap(), "item 8");

            cache.invalidate_tags(["item:7"]).await.unwrap();
            items_entry(8).invalidate().await.unwrap();
            assert_eq!(items(&calls, &[7, 8]).await.unwrap(), of(&[7, 8]));
        })
        .await;

    assert_eq!(calls.take(), [vec![7], vec![8], vec![7, 8]]);
}

#[tokio::test]
async fn an_entry_of_a_batch_is_that_of_one_item() {
    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            assert!(items_entry(1).peek().await.unwrap().is_none());
            items_entry(1).put(Ok(Some("put".to_owned()))).await.unwrap();
            assert_eq!(items(&calls, &[1]).await.unwrap()[&1], "put");
            assert_eq!(items_entry(1).key().unwrap(), item_entry(1).key().unwrap());
            assert_eq!(items_refresh(&calls, &[1]).await.unwrap()[&1], "item 1");
            assert_eq!(item(&calls, 1).await.unwrap(), "item 1");
            assert_eq!(items_uncached(&calls, &[1]).await.unwrap()[&1], "item 1");
        })
        .await;

    assert_eq!(calls.take(), [[1], [1]]);
}

#[tokio::test]
async fn that_there_is_none_is_stored_with_none_ttl_alone() {
    #[cached(ttl = 60, none_ttl = 60, each = ids, skip(calls))]
    async fn known(calls: &Calls, ids: &[u64]) -> HashMap<u64, u64> {
        calls.note(ids);
        ids.iter().filter(|id| **id < 100).map(|id| (*id, *id)).collect()
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            for _ in 0..2 {
                assert_eq!(items(&calls, &[1, 100]).await.unwrap(), of(&[1]));
            }
            assert_eq!(calls.take(), [vec![1, 100], vec![100]]);
            for _ in 0..2 {
                assert_eq!(known(&calls, &[1, 100]).await, HashMap::from([(1, 1)]));
            }
            assert_eq!(calls.take(), [vec![1, 100]]);
        })
        .await;
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Row {
    id: u64,
    text: String,
}

#[tokio::test]
async fn each_form_of_an_answer_keeps_its_order() {
    #[cached(ttl = 60, each(id in ids, by = |row| row.id), skip(calls))]
    async fn rows(calls: &Calls, ids: &[u64]) -> Vec<Row> {
        calls.note(ids);
        let ids = ids.iter().rev().filter(|id| **id < 100);
        ids.map(|id| Row { id: *id, text: id.to_string() }).collect()
    }
    #[cached(ttl = 60, each = ids, skip(calls))]
    async fn in_order(calls: &Calls, ids: Vec<u64>) -> Result<Vec<Option<u64>>, String> {
        calls.note(&ids);
        Ok(ids.into_iter().map(|id| (id < 100).then_some(id)).collect())
    }
    #[cached(ttl = 60, each = ids, skip(calls))]
    async fn sorted(calls: &Calls, ids: HashSet<u64>) -> BTreeMap<u64, u64> {
        calls.note(&ids.iter().copied().collect::<Vec<_>>());
        ids.into_iter().map(|id| (id, id * id)).collect()
    }
    #[cached(ttl = 60, each(word in words), skip(calls))]
    async fn lengths(calls: &Calls, words: &[&str]) -> Vec<Option<usize>> {
        calls.note(&[words.len() as u64]);
        words.iter().map(|word| Some(word.len())).collect()
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            for _ in 0..2 {
                let ids: Vec<u64> = rows(&calls, &[3, 100, 1, 3, 2]).await.iter().map(|row| row.id).collect();
                assert_eq!(ids, [3, 1, 2]);
            }
            assert_eq!(calls.take(), [vec![3, 100, 1, 2], vec![100]]);
            for _ in 0..2 {
                let answer = in_order(&calls, vec![3, 100, 1, 3]).await.unwrap();
                assert_eq!(answer, [Some(3), None, Some(1), Some(3)]);
            }
            assert_eq!(calls.take(), [vec![3, 100, 1], vec![100]]);
            let answer = sorted(&calls, HashSet::from([2, 1])).await;
            assert_eq!(answer.into_iter().collect::<Vec<_>>(), [(1, 1), (2, 4)]);
            calls.take();
            assert_eq!(lengths(&calls, &["a", "bb"]).await, [Some(1), Some(2)]);
            assert_eq!(lengths(&calls, &["bb", "ccc"]).await, [Some(2), Some(3)]);
            assert_eq!(calls.take(), [[2], [1]]);
        })
        .await;
}

#[tokio::test]
async fn the_body_gets_no_more_than_it_may() {
    #[cached(ttl = 60, each(id in ids, at_most = 2), skip(calls))]
    async fn few(calls: &Calls, ids: &[u64]) -> HashMap<u64, u64> {
        calls.note(ids);
        ids.iter().map(|id| (*id, *id)).collect()
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    let answer = cache.scope(few(&calls, &[1, 2, 3, 4, 5])).await;

    assert_eq!(answer.len(), 5);
    assert_eq!(calls.take(), [vec![1, 2], vec![3, 4], vec![5]]);
}

#[tokio::test]
async fn a_list_that_does_not_fit_is_answered_and_not_stored() {
    #[cached(ttl = 60, each = ids, skip(calls))]
    async fn short(calls: &Calls, ids: &[u64]) -> Vec<Option<u64>> {
        calls.note(ids);
        vec![Some(1)]
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    for _ in 0..2 {
        assert_eq!(cache.scope(short(&calls, &[1, 2])).await, [Some(1)]);
    }

    assert_eq!(calls.take(), [[1, 2], [1, 2]]);
    assert_eq!(cache.stats().local_entries, 0);
}

#[tokio::test]
async fn an_error_is_returned_and_nothing_is_stored() {
    #[cached(ttl = 60, each = ids, skip(calls))]
    async fn failing(calls: &Calls, ids: &[u64]) -> Result<HashMap<u64, u64>, Arc<str>> {
        calls.note(ids);
        if ids.contains(&0) {
            return Err("zero".into());
        }
        Ok(ids.iter().map(|id| (*id, *id)).collect())
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            assert_eq!(failing(&calls, &[1]).await.unwrap().len(), 1);
            assert_eq!(failing(&calls, &[0, 1, 2]).await.unwrap_err().as_ref(), "zero");
            assert_eq!(failing(&calls, &[1, 2]).await.unwrap().len(), 2);
        })
        .await;

    assert_eq!(calls.take(), [vec![1], vec![0, 2], vec![2]]);
    assert_eq!(cache.computations_in_flight(), 0);
}

#[derive(Clone)]
struct Repo(Calls, Cache);

impl Repo {
    #[cached(ttl = 60, each = ids, skip(self), cache = self.1, tags = ["tenant:{tenant}", "{tenant}:{id}"])]
    async fn of_tenant(&self, tenant: u64, ids: &[u64]) -> Result<HashMap<u64, Self>, String> {
        self.0.note(ids);
        if tenant == 0 {
            Err("none".to_owned())
        } else {
            Ok(ids.iter().map(|id| (*id, self.clone())).collect())
        }
    }
}

impl serde::Serialize for Repo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> serde::Deserialize<'de> for Repo {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("never read back here"))
    }
}

#[tokio::test]
async fn methods_have_batches_and_the_other_arguments_count() {
    let repo = Repo(Calls::default(), Cache::default());

    repo.of_tenant(1, &[1, 2]).await.unwrap();
    repo.of_tenant(2, &[1, 2]).await.unwrap();
    repo.of_tenant_entry(1, 2).invalidate().await.unwrap();
    repo.of_tenant(1, &[1, 2]).await.unwrap();
    repo.1.invalidate_tags(["tenant:2"]).await.unwrap();
    repo.of_tenant(2, &[1, 2]).await.unwrap();

    assert_eq!(repo.0.take(), [vec![1, 2], vec![1, 2], vec![2], vec![1, 2]]);
}

#[tokio::test]
async fn a_connection_goes_to_each_run_of_the_body() {
    #[cached(ttl = 60, each(id in ids, at_most = 1), skip(conn))]
    async fn through<C: AsMut<Vec<u64>>>(mut conn: &mut C, ids: &[u64]) -> HashMap<u64, u64> {
        conn = &mut *conn;
        conn.as_mut().extend(ids);
        ids.iter().map(|id| (*id, *id)).collect()
    }

    let mut conn = vec![];
    Cache::default().scope(through(&mut conn, &[1, 2])).await;

    assert_eq!(conn, [1, 2]);
}

#[tokio::test]
async fn a_batch_is_send() {
    let (cache, calls) = (Cache::default(), Calls::default());
    let answer = tokio::spawn({
        let calls = calls.clone();
        async move { cache.scope(items(&calls, &[1, 2])).await.map(|all| all.len()).ok() }
    });

    assert_eq!(answer.await.unwrap(), Some(2));
}

#[tokio::test]
async fn two_items_of_one_id_are_answered_and_not_stored() {
    #[cached(ttl = 60, each(user in users, by = |order| order.0), skip(calls))]
    async fn orders(calls: &Calls, users: &[u64]) -> Vec<(u64, u64)> {
        calls.note(users);
        users.iter().flat_map(|user| [(*user, 1), (*user, 2)]).collect()
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    for _ in 0..2 {
        assert_eq!(cache.scope(orders(&calls, &[7])).await, [(7, 1), (7, 2)]);
    }

    assert_eq!(calls.take(), [[7], [7]]);
}

#[tokio::test]
async fn a_forced_batch_tells_how_it_went() {
    #[cached(ttl = 60, grace = 60, each = ids, skip(calls))]
    async fn fragile(calls: &Calls, ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
        calls.note(ids);
        if calls.0.lock().unwrap().len() > 1 { Err("down".to_owned()) } else { Ok(of_numbers(ids)) }
    }
    fn of_numbers(ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    cache
        .scope(async {
            fragile(&calls, &[1, 2]).await.unwrap();
            assert_eq!(fragile_refresh(&calls, &[1, 2]).await.unwrap_err(), "down");
            // What was stored goes on, and stands in where it went stale.
            assert_eq!(fragile(&calls, &[1, 2]).await.unwrap().len(), 2);
            fragile_entry(1).expire().await.unwrap();
            assert_eq!(fragile(&calls, &[1, 2]).await.unwrap().len(), 2);
            assert_eq!(fragile(&calls, &[1, 3]).await.unwrap_err(), "down");
            fragile_clear().await.unwrap();
            assert_eq!(fragile(&calls, &[1, 2]).await.unwrap_err(), "down");
        })
        .await;
}

#[tokio::test]
async fn an_error_that_is_not_sync_leaves_a_batch_send() {
    #[cached(ttl = 60, each = ids)]
    async fn failing(ids: Vec<u64>) -> Result<HashMap<u64, u64>, Box<dyn std::error::Error + Send>> {
        Ok(ids.into_iter().map(|id| (id, id)).collect())
    }

    let answer = tokio::spawn(async { failing(vec![1]).await.map(|all| all.len()).ok() });

    assert_eq!(answer.await.unwrap(), Some(1));
}

#[tokio::test]
async fn what_is_not_to_be_stored_of_a_batch_is_returned_all_the_same() {
    #[expect(clippy::ptr_arg, reason = "it is asked about what is stored")]
    fn is_short(value: &String) -> bool {
        value.len() < 7
    }
    #[cached(ttl = 60, each = ids, skip(calls), store_if = |name| name.len() < 7)]
    async fn names(calls: &Calls, ids: &[u64]) -> HashMap<u64, String> {
        calls.note(ids);
        of(ids)
    }
    #[cached(ttl = 60, each = ids, skip(calls), store_if = is_short)]
    async fn by_function(calls: &Calls, ids: &[u64]) -> Result<HashMap<u64, String>, std::io::Error> {
        calls.note(ids);
        Ok(of(ids))
    }
    #[cached(ttl = 60, each = ids, skip(calls), store_if = { let most = least + 5; move |name| name.len() < most })]
    async fn by_block(calls: &Calls, least: usize, ids: &[u64]) -> HashMap<u64, String> {
        let _ = least;
        calls.note(ids);
        of(ids)
    }
    #[cached(ttl = 60, each(n in ids), skip(calls), none_ttl = 1, store_if = |name| name.as_ref().is_none_or(is_short))]
    async fn or_none(calls: &Calls, ids: &[u64]) -> HashMap<u64, String> {
        calls.note(ids);
        of(ids).into_iter().filter(|(id, _)| *id != 7).collect()
    }

    let (cache, calls) = (Cache::default(), Calls::default());
    let all = [1, 10, 2];
    cache
        .scope(async {
            for _ in 0..2 {
                assert_eq!(names(&calls, &all).await, of(&all));
                assert_eq!(by_function(&calls, &all).await.unwrap(), of(&all));
                assert_eq!(by_block(&calls, 2, &all).await, of(&all));
                assert_eq!(or_none(&calls, &[1, 10, 2, 7]).await, of(&all));
            }
        })
        .await;

    let asked = calls.take();
    assert_eq!(asked[..4], [vec![1, 10, 2], vec![1, 10, 2], vec![1, 10, 2], vec![1, 10, 2, 7]]);
    assert_eq!(asked[4..], [[10], [10], [10], [10]], "what was refused is computed again, and nothing else");
}

#[tokio::test]
async fn the_type_of_the_ids_may_come_from_a_macro() {
    macro_rules! batch {
        ($name:ident, $ids:ty, $other:ty, $answer:ty) => {
            #[cached(ttl = 60, each = ids, skip(calls))]
            async fn $name(calls: $other, ids: $ids) -> $answer {
                let ids: Vec<u64> = ids.iter().copied().collect();
                calls.note(&ids);
                ids.iter().map(|id| Some(*id)).collect()
            }
        };
    }
    batch!(of_slice, &[u64], &Calls, Vec<Option<u64>>);
    batch!(of_list, Vec<u64>, &Calls, Vec<Option<u64>>);
    batch!(of_set, &BTreeSet<u64>, &mut Calls, Vec<Option<u64>>);

    let mut calls = Calls::default();
    let all = Some(vec![Some(1), Some(2)]);
    Cache::default()
        .scope(async {
            for _ in 0..2 {
                assert_eq!(Some(of_slice(&calls, &[1, 2]).await), all);
                assert_eq!(Some(of_list(&calls, vec![1, 2]).await), all);
                assert_eq!(Some(of_set(&mut calls, &BTreeSet::from([1, 2])).await), all);
            }
        })
        .await;
    assert_eq!(calls.take(), [[1, 2], [1, 2], [1, 2]]);
}

#[tokio::test]
async fn a_list_that_does_not_fit_gives_no_id_the_item_of_another() {
    /// As a query that leaves out what it does not find.
    #[cached(ttl = 60, each = ids)]
    async fn list(ids: &[u64]) -> Vec<Option<u64>> {
        ids.iter().filter(|id| **id != 2).map(|id| Some(id * 10)).collect()
    }
    let test = async {
        assert_eq!(list(&[1]).await, [Some(10)]);

        assert_eq!(list(&[1, 2, 3]).await, [Some(10), None, None], "2 and 3 could be either's");

        assert_eq!(list(&[3]).await, [Some(30)]);
    };
    Cache::default().scope(test).await;
}
