//! Random batches, calls of single items, writes and invalidations, against a model of what is stored.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use larder::{Tag, cached};
use proptest::prelude::*;
use support::Stage;

const IDS: u64 = 6;
const TTL: u64 = 60;
const NONE_TTL: u64 = 10;

/// A table, and what was asked of it. Rows of odd values are not there.
#[derive(Debug, Default)]
struct Table {
    rows: Mutex<HashMap<u64, u64>>,
    asked: Mutex<Vec<Vec<u64>>>,
}

impl Table {
    fn row(&self, id: u64) -> Option<u64> {
        let value = self.rows.lock().unwrap().get(&id).copied().unwrap_or(0);
        value.is_multiple_of(2).then_some(value)
    }

    fn read(&self, ids: &[u64]) -> Vec<Option<u64>> {
        self.asked.lock().unwrap().push(ids.to_vec());
        ids.iter().map(|id| self.row(*id)).collect()
    }
}

fn half(id: u64) -> Tag {
    Tag::from(format!("half:{}", id % 2))
}

#[cached(ttl = 60, none_ttl = 10, name = "model", each = ids, tags = [half(id)], skip(table))]
async fn in_a_map(table: &Table, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().zip(table.read(ids)).filter_map(|(id, row)| Some((*id, row?))).collect()
}

#[cached(ttl = 60, none_ttl = 10, name = "model", each(id in ids, at_most = 3), tags = [half(id)], skip(table))]
async fn in_order(table: &Table, ids: Vec<u64>) -> Vec<Option<u64>> {
    table.read(&ids)
}

#[cached(ttl = 60, none_ttl = 10, name = "model", tags = [half(id)], skip(table))]
async fn single(table: &Table, id: u64) -> Option<u64> {
    table.read(&[id])[0]
}

#[derive(Debug, Clone)]
enum Step {
    Map(Vec<u64>),
    Order(Vec<u64>),
    Single(u64),
    Refresh(Vec<u64>),
    Write(u64),
    Invalidate(u64),
    InvalidateHalf(u64),
    Clear,
    Put(u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ids = || prop::collection::vec(0..IDS, 0..8);
    prop_oneof![
        4 => ids().prop_map(Step::Map),
        4 => ids().prop_map(Step::Order),
        2 => (0..IDS).prop_map(Step::Single),
        1 => ids().prop_map(Step::Refresh),
        4 => (0..IDS).prop_map(Step::Write),
        2 => (0..IDS).prop_map(Step::Invalidate),
        1 => (0..2_u64).prop_map(Step::InvalidateHalf),
        1 => Just(Step::Clear),
        1 => (0..IDS).prop_map(Step::Put),
        2 => (1..40_u64).prop_map(Step::Pass),
    ]
}

/// What is stored, and until when.
#[derive(Default)]
struct Model {
    now: u64,
    stored: BTreeMap<u64, (Option<u64>, u64)>,
}

impl Model {
    /// What a batch answers, and what it asks the table for, `at_most` at once.
    fn many(&mut self, table: &Table, ids: &[u64], at_most: usize) -> (Vec<Option<u64>>, Vec<Vec<u64>>) {
        let mut missing: Vec<u64> = Vec::new();
        for id in ids {
            if self.stored.get(id).is_none_or(|(_, until)| *until <= self.now) && !missing.contains(id) {
                missing.push(*id);
            }
        }
        missing.iter().for_each(|id| self.store(*id, table.row(*id)));
        let asked = missing.chunks(at_most).map(<[u64]>::to_vec).collect();
        (ids.iter().map(|id| self.stored[id].0).collect(), asked)
    }

    fn store(&mut self, id: u64, row: Option<u64>) {
        let ttl = if row.is_some() { TTL } else { NONE_TTL };
        self.stored.insert(id, (row, self.now + ttl));
    }
}

fn pairs(ids: &[u64], rows: &[Option<u64>]) -> HashMap<u64, u64> {
    ids.iter().zip(rows).filter_map(|(id, row)| Some((*id, (*row)?))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_batch_is_what_its_single_calls_would_be(steps in prop::collection::vec(step(), 1..60)) {
        let (stage, table, mut model) = (Stage::new(), Table::default(), Model::default());
        for step in steps {
            table.asked.lock().unwrap().clear();
            let mut asked = Vec::new();
            match step {
                Step::Map(ids) => {
                    let answer = stage.run(in_a_map(&table, &ids));
                    let (rows, expected) = model.many(&table, &ids, usize::MAX);
                    asked = expected;
                    prop_assert_eq!(answer, pairs(&ids, &rows));
                }
                Step::Order(ids) => {
                    let answer = stage.run(in_order(&table, ids.clone()));
                    let (rows, expected) = model.many(&table, &ids, 3);
                    asked = expected;
                    prop_assert_eq!(answer, rows);
                }
                Step::Single(id) => {
                    let answer = stage.run(single(&table, id));
                    let (rows, expected) = model.many(&table, &[id], 1);
                    asked = expected;
                    prop_assert_eq!(answer, rows[0]);
                }
                Step::Refresh(ids) => {
                    let answer = stage.run(in_a_map_refresh(&table, &ids));
                    ids.iter().for_each(|id| { model.stored.remove(id); });
                    let (rows, expected) = model.many(&table, &ids, usize::MAX);
                    asked = expected;
                    prop_assert_eq!(answer, pairs(&ids, &rows));
                }
                Step::Write(id) => *table.rows.lock().unwrap().entry(id).or_default() += 1,
                Step::Invalidate(id) => {
                    stage.run(async { in_order_entry(id).invalidate().await.unwrap() });
                    model.stored.remove(&id);
                }
                Step::InvalidateHalf(which) => {
                    stage.run(stage.cache.invalidate_tags([half(which)])).unwrap();
                    model.stored.retain(|id, _| id % 2 != which);
                }
                Step::Clear => {
                    stage.run(async { in_a_map_entry(0).invalidate_function().await.unwrap() });
                    model.stored.clear();
                }
                Step::Put(id) => {
                    stage.run(async { in_a_map_entry(id).put(Some(1000)).await.unwrap() });
                    model.store(id, Some(1000));
                }
                Step::Pass(seconds) => {
                    stage.clock.advance(Duration::from_secs(seconds));
                    model.now += seconds;
                }
            }
            prop_assert_eq!(&*table.asked.lock().unwrap(), &asked);
        }
        prop_assert_eq!(stage.cache.computations_in_flight(), 0);
    }
}
