//! After an invalidation nobody who asks gets what was computed before, whatever was in flight.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

mod support;

use std::fmt;

use larder::{Key, cached};
use support::{Db, Stage};

#[cached(ttl = "1h", tags = ["menu", "menu:{id}"], skip(db))]
async fn menu(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

#[cached(ttl = "1h", tags = ["guests"], skip(db))]
async fn guests(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

/// All ways to invalidate an entry of `menu`, hard and soft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Entry,
    EntrySoft,
    Key,
    KeySoft,
    Tag,
    TagSoft,
    NarrowTag,
    Function,
    FunctionSoft,
    FunctionOfEntry,
    FunctionOfEntrySoft,
    Everything,
}

const WAYS: [Way; 12] = [
    Way::Entry,
    Way::EntrySoft,
    Way::Key,
    Way::KeySoft,
    Way::Tag,
    Way::TagSoft,
    Way::NarrowTag,
    Way::Function,
    Way::FunctionSoft,
    Way::FunctionOfEntry,
    Way::FunctionOfEntrySoft,
    Way::Everything,
];

impl Way {
    fn is_soft(self) -> bool {
        matches!(
            self,
            Self::EntrySoft | Self::KeySoft | Self::TagSoft | Self::FunctionSoft | Self::FunctionOfEntrySoft
        )
    }

    /// Whether the entry is found gone, and not found outdated.
    fn removes(self) -> bool {
        matches!(self, Self::Entry | Self::Key | Self::Everything)
    }

    fn invalidate(self, stage: &Stage, id: u64) {
        let cache = &stage.cache;
        let done = stage.run(async {
            let entry = menu_entry(id);
            let key: &Key = entry.key()?;
            match self {
                Self::Entry => entry.invalidate().await,
                Self::EntrySoft => entry.expire().await,
                Self::Key => cache.invalidate(key).await,
                Self::KeySoft => cache.expire(key).await,
                Self::Tag => cache.invalidate_tags(["other", "menu"]).await,
                Self::TagSoft => cache.expire_tags(["menu"]).await,
                Self::NarrowTag => cache.invalidate_tags([format!("menu:{id}")]).await,
                Self::Function => {
                    cache.invalidate_function("invalidation::menu").await.map(|count| assert_eq!(count, 1))
                }
                Self::FunctionSoft => cache.expire_function("menu").await.map(|count| assert_eq!(count, 1)),
                Self::FunctionOfEntry => entry.invalidate_function().await,
                Self::FunctionOfEntrySoft => entry.expire_function().await,
                Self::Everything => cache.clear().await,
            }
        });
        done.expect("in process it cannot fail");
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalidated by {self:?}")
    }
}

#[test]
fn what_was_stored_is_computed_anew() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(menu(&db, 1));
        let new = db.write();

        way.invalidate(&stage, 1);

        assert_eq!(stage.run(menu(&db, 1)), new, "{way}");
        assert_eq!(stage.run(menu(&db, 1)), new, "{way}");
        let stats = stage.stats("menu");
        let misses = (stats.misses.absent, stats.misses.expired, stats.misses.invalidated);
        let expected = match way {
            _ if way.is_soft() => (1, 1, 0),
            _ if way.removes() => (2, 0, 0),
            _ => (1, 0, 1),
        };
        assert_eq!((misses, stats.hits), (expected, 1), "{way}");
    }
}

#[test]
fn what_is_removed_does_not_show_and_what_is_expired_shows_as_stale() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(menu(&db, 1));

        way.invalidate(&stage, 1);

        let peeked = stage.run(async { menu_entry(1).peek().await }).expect("a peek");
        assert_eq!(peeked.map(|peek| peek.is_fresh), way.is_soft().then_some(false), "{way}");
    }
}

#[test]
fn a_computation_that_began_before_is_not_stored() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::held());
        let early = stage.begin(menu(&db, 1));
        let new = db.write();

        way.invalidate(&stage, 1);
        db.release();

        assert_eq!(early.end(), 0, "its own caller began before and gets it: {way}");
        assert_eq!(stage.run(async { menu_entry(1).peek().await }).expect("a peek"), None, "{way}");
        assert_eq!(stage.run(menu(&db, 1)), new, "{way}");
        let stats = stage.stats("menu");
        assert_eq!((stats.refused_fills, stats.fills, stats.computations), (1, 1, 2), "{way}");
        assert_eq!(stage.cache.computations_in_flight(), 0, "{way}");
    }
}

#[test]
fn a_computation_that_began_before_is_not_joined() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::held());
        let (leader, follower) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));
        let new = db.write();

        way.invalidate(&stage, 1);
        let late = stage.begin(menu(&db, 1));
        assert_eq!(db.asked(), 2, "it computes for itself: {way}");
        let joins = stage.begin(menu(&db, 1));
        assert_eq!(db.asked(), 2, "and is joined: {way}");
        db.release();

        // The earlier one lands last: it must not store over the later.
        assert_eq!((late.end(), joins.end()), (new, new), "{way}");
        assert_eq!((leader.end(), follower.end()), (0, 0), "{way}");
        assert_eq!(stage.run(menu(&db, 1)), new, "{way}");
        assert_eq!((db.asked(), stage.stats("menu").refused_fills), (2, 1), "{way}");
        assert_eq!(stage.cache.computations_in_flight(), 0, "{way}");
    }
}

#[test]
fn a_computation_that_began_before_and_lands_first_is_not_stored_either() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::held());
        let early = stage.begin(menu(&db, 1));
        let new = db.write();

        way.invalidate(&stage, 1);
        let late = stage.begin(menu(&db, 1));
        db.release();
        assert_eq!(early.end(), 0, "{way}");
        let mut later = stage.begin(async { (menu(&db, 1).await, menu(&db, 1).await) });
        assert_eq!(db.asked(), 2, "the later computation still runs and is joined: {way}");

        assert_eq!(late.end(), new, "{way}");
        assert!(!later.waits() || later.is_woken(), "{way}");
        assert_eq!(stage.run(menu(&db, 1)), new, "{way}");
        assert_eq!(db.asked(), 2, "{way}");
    }
}

#[test]
fn a_refresh_that_began_before_is_not_stored() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(menu(&db, 1));
        db.hold();
        let early = stage.begin(menu_refresh(&db, 1));
        let new = db.write();

        way.invalidate(&stage, 1);
        let late = stage.begin(menu(&db, 1));
        assert_eq!(db.asked(), 3, "{way}");
        db.release();

        assert_eq!((early.end(), late.end()), (0, new), "{way}");
        assert_eq!(stage.run(menu(&db, 1)), new, "{way}");
        assert_eq!(stage.stats("menu").refused_fills, 1, "{way}");
    }
}

#[test]
fn a_follower_that_takes_over_afterwards_computes_and_stores_the_new() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::held());
        let (leader, follower) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));
        let new = db.write();

        way.invalidate(&stage, 1);
        drop(leader);
        db.release();

        assert_eq!(follower.end(), new, "{way}");
        assert_eq!((stage.run(menu(&db, 1)), db.asked()), (new, 2), "{way}");
    }
}

#[test]
fn an_invalidation_before_the_first_call_changes_nothing() {
    for way in WAYS {
        if matches!(way, Way::Function | Way::FunctionSoft) {
            continue;
        }
        let (stage, db) = (Stage::new(), Db::open());

        way.invalidate(&stage, 1);

        assert_eq!((stage.run(menu(&db, 1)), stage.run(menu(&db, 1)), db.asked()), (0, 0, 1), "{way}");
    }
}

#[test]
fn other_entries_stay() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::open());
        stage.run(async { (menu(&db, 1).await, menu(&db, 2).await, guests(&db, 1).await) });

        way.invalidate(&stage, 1);
        stage.run(async { (menu(&db, 2).await, guests(&db, 1).await) });

        let hits = (stage.stats("menu").hits, stage.stats("guests").hits);
        let expected = match way {
            Way::Entry | Way::EntrySoft | Way::Key | Way::KeySoft | Way::NarrowTag => (1, 1),
            Way::Everything => (0, 0),
            _ => (0, 1),
        };
        assert_eq!(hits, expected, "{way}");
    }
}

#[test]
fn other_caches_stay() {
    for way in WAYS {
        let (stage, other, db) = (Stage::new(), Stage::new(), Db::open());
        stage.run(menu(&db, 1));
        other.run(menu(&db, 1));

        way.invalidate(&stage, 1);
        other.run(menu(&db, 1));

        assert_eq!(other.stats("menu").hits, 1, "{way}");
    }
}

#[test]
fn a_value_put_while_another_is_computed_stays() {
    let (stage, db) = (Stage::new(), Db::held());
    let (leader, follower) = (stage.begin(menu(&db, 1)), stage.begin(menu(&db, 1)));

    stage.run(async { menu_entry(1).put(77).await }).expect("put");
    assert_eq!(stage.run(menu(&db, 1)), 77);
    db.release();

    assert_eq!((leader.end(), follower.end()), (0, 0));
    assert_eq!((stage.run(menu(&db, 1)), db.asked()), (77, 1));
    assert_eq!(stage.stats("menu").refused_fills, 1);
}

#[test]
fn a_value_put_is_invalidated_like_any_other() {
    for way in WAYS {
        let (stage, db) = (Stage::new(), Db::open());
        // The function is known from here on: its name can be invalidated.
        stage.run(menu(&db, 2));
        stage.run(async { menu_entry(1).put(77).await }).expect("put");
        assert_eq!(stage.run(menu(&db, 1)), 77, "{way}");

        way.invalidate(&stage, 1);

        assert_eq!(stage.run(menu(&db, 1)), 0, "{way}");
    }
}

#[test]
fn an_invalidation_while_the_body_itself_runs_holds_for_its_own_value() {
    #[cached(ttl = "1h", tags = ["own"], skip(db))]
    async fn writes(db: &Db, id: u64) -> u64 {
        let row = db.row(id).await;
        db.write();
        larder::Cache::current().invalidate_tags(["own"]).await.expect("in process it cannot fail");
        row
    }
    let (stage, db) = (Stage::new(), Db::open());

    assert_eq!((stage.run(writes(&db, 1)), stage.run(writes(&db, 1))), (0, 1));
    assert_eq!(stage.stats("writes").refused_fills, 2);
}

#[test]
fn a_function_with_type_arguments_is_invalidated_by_its_name() {
    #[cached(ttl = "1h", skip(db))]
    async fn typed<T: Send + Sync + 'static>(db: &Db, id: u64) -> u64 {
        db.row(id).await
    }
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async { (typed::<u8>(&db, 1).await, typed::<u16>(&db, 1).await) });

    let count = stage.run(stage.cache.invalidate_function("typed"));

    assert_eq!(count.expect("in process it cannot fail"), 2);
    stage.run(async { (typed::<u8>(&db, 1).await, typed::<u16>(&db, 1).await) });
    assert_eq!(db.asked(), 4);
}

#[test]
fn a_method_of_a_generic_type_is_invalidated_in_all_its_instances() {
    struct Repo<T>(Db, std::marker::PhantomData<T>);
    impl<T: Send + Sync + 'static> Repo<T> {
        #[cached(ttl = "1h", skip(self))]
        async fn rows(&self, id: u64) -> u64 {
            self.0.row(id).await
        }
    }
    let stage = Stage::new();
    let (bytes, words) =
        (Repo::<u8>(Db::open(), Default::default()), Repo::<u16>(Db::open(), Default::default()));
    let ask = || stage.run(async { (bytes.rows(1).await, words.rows(1).await) });
    let asked = || bytes.0.asked() + words.0.asked();
    ask();

    stage.run(async { Repo::<u8>::rows_clear().await }).expect("in process it cannot fail");
    ask();
    assert_eq!(asked(), 4);
    stage.run(async { Repo::<u8>::rows_entry(1).invalidate_function().await.unwrap() });
    ask();
    assert_eq!(asked(), 6);
    let count = stage.run(stage.cache.invalidate_function("Repo::rows"));
    assert_eq!(count.expect("in process it cannot fail"), 2);
}

#[test]
fn all_versions_of_a_function_are_invalidated_by_its_name() {
    mod old {
        use super::{Db, cached};
        #[cached(ttl = "1h", name = "prices", version = 1, skip(db))]
        pub(super) async fn prices(db: &Db) -> u64 {
            db.read().await
        }
    }
    mod new {
        use super::{Db, cached};
        #[cached(ttl = "1h", name = "prices", version = 2, skip(db))]
        pub(super) async fn prices(db: &Db) -> u64 {
            db.read().await
        }
    }
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(async { (old::prices(&db).await, new::prices(&db).await) });

    let count = stage.run(stage.cache.invalidate_function("prices"));

    assert_eq!(count.expect("in process it cannot fail"), 2);
    stage.run(async { (old::prices(&db).await, new::prices(&db).await) });
    assert_eq!(db.asked(), 4);
}

#[test]
fn the_end_of_a_name_is_no_name() {
    let (stage, db) = (Stage::new(), Db::open());
    stage.run(menu(&db, 1));

    for name in ["enu", "", "::menu", "idation::menu", "menu::"] {
        let count = stage.run(stage.cache.invalidate_function(name)).expect("in process it cannot fail");
        assert_eq!(count, 0, "{name:?}");
    }

    assert_eq!((stage.run(menu(&db, 1)), db.asked()), (0, 1));
}

/// Its whole name is the end of the path of another one.
#[cached(ttl = "1h", name = "tables", skip(db))]
async fn of_a_name(db: &Db, id: u64) -> u64 {
    db.row(id).await
}

mod inner {
    use super::*;

    #[cached(ttl = "1h", skip(db))]
    pub(super) async fn tables(db: &Db, id: u64) -> u64 {
        db.row(id).await
    }
}

#[tokio::test]
async fn a_whole_name_counts_also_where_another_function_ends_so_and_that_of_the_name_was_never_called() {
    let (store, db) = (larder::backend::Memory::new(), Db::open());
    let process = || larder::Cache::builder().shared(store.clone()).build().unwrap();
    let (here, elsewhere) = (process(), process());
    elsewhere.scope(of_a_name(&db, 1)).await;
    here.scope(inner::tables(&db, 1)).await;
    let written = db.write();

    here.invalidate_function("tables").await.unwrap();

    assert_eq!(here.scope(of_a_name(&db, 1)).await, written);
    assert_eq!(here.scope(inner::tables(&db, 1)).await, written);
}
