//! Two different calls never share an entry, and bytes of another type are never misread.

mod support;

use larder::{Cache, Key, Options, cached};
use std::time::Duration;
use support::{Db, Stage};

mod breakfast {
    #[larder::cached(ttl = "1h")]
    pub(crate) async fn dish(id: u64) -> String {
        format!("porridge {id}")
    }
}

mod dinner {
    #[larder::cached(ttl = "1h")]
    pub(crate) async fn dish(id: u64) -> String {
        format!("roast {id}")
    }
}

#[test]
fn functions_of_one_name_in_two_modules() {
    let stage = Stage::new();

    let told =
        stage.run(async { [breakfast::dish(1).await, dinner::dish(1).await, breakfast::dish(1).await] });

    assert_eq!(told, ["porridge 1", "roast 1", "porridge 1"]);
}

#[test]
fn functions_inside_two_functions() {
    async fn outer_one() -> u64 {
        #[cached(ttl = "1h")]
        async fn inner() -> u64 {
            1
        }
        inner().await
    }
    async fn outer_two() -> u64 {
        #[cached(ttl = "1h")]
        async fn inner() -> u64 {
            2
        }
        inner().await
    }
    let stage = Stage::new();

    assert_eq!(stage.run(async { (outer_one().await, outer_two().await, outer_one().await) }), (1, 2, 1));
}

trait Named {
    const NAME: &'static str;
}
#[derive(Debug)]
struct Soup;
#[derive(Debug)]
struct Salad;
impl Named for Soup {
    const NAME: &'static str = "soup";
}
impl Named for Salad {
    const NAME: &'static str = "salad";
}

#[test]
fn instances_of_a_generic_function() {
    #[cached(ttl = "1h")]
    async fn name_of<T: Named>(id: u64) -> String {
        format!("{} {id}", T::NAME)
    }
    let stage = Stage::new();

    let told =
        stage.run(async { [name_of::<Soup>(1).await, name_of::<Salad>(1).await, name_of::<Soup>(1).await] });

    assert_eq!(told, ["soup 1", "salad 1", "soup 1"]);
    assert_eq!(stage.cache.stats().hits(), 1);
}

#[test]
fn instances_by_a_constant() {
    #[cached(ttl = "1h")]
    async fn size_of<const N: usize>() -> usize {
        N
    }
    let stage = Stage::new();

    assert_eq!(
        stage.run(async { (size_of::<1>().await, size_of::<2>().await, size_of::<1>().await) }),
        (1, 2, 1)
    );
}

#[test]
fn methods_of_a_generic_type() {
    #[derive(Debug)]
    struct Shelf<T>(std::marker::PhantomData<T>);
    impl<T: Named> Shelf<T> {
        #[cached(ttl = "1h")]
        async fn label(id: u64) -> String {
            format!("{} {id}", T::NAME)
        }
        #[cached(ttl = "1h", name = "shelf_title", version = 3)]
        async fn title(id: u64) -> String {
            format!("{}! {id}", T::NAME)
        }
    }
    let stage = Stage::new();

    let labels = stage.run(async { [Shelf::<Soup>::label(1).await, Shelf::<Salad>::label(1).await] });
    let titles = stage.run(async { [Shelf::<Soup>::title(1).await, Shelf::<Salad>::title(1).await] });

    assert_eq!(
        (labels, titles),
        (["soup 1", "salad 1"].map(String::from), ["soup! 1", "salad! 1"].map(String::from))
    );
}

impl Soup {
    #[cached(ttl = "1h")]
    async fn price() -> u64 {
        1
    }
}
impl Salad {
    #[cached(ttl = "1h")]
    async fn price() -> u64 {
        2
    }
}

#[test]
fn one_method_of_two_types_and_of_two_traits() {
    let stage = Stage::new();

    assert_eq!(
        stage.run(async { (Soup::price().await, Salad::price().await, Soup::price().await) }),
        (1, 2, 1)
    );
}

#[test]
fn receivers_with_other_contents() {
    #[derive(Debug, Clone, serde::Serialize)]
    struct Tenant(u64);
    impl Tenant {
        #[cached(ttl = "1h")]
        async fn quota(&self, id: u64) -> u64 {
            self.0 * 100 + id
        }
    }
    let stage = Stage::new();

    assert_eq!(stage.run(async { (Tenant(1).quota(5).await, Tenant(2).quota(5).await) }), (105, 205));
}

#[test]
fn arguments_that_run_into_one_another() {
    #[cached(ttl = "1h")]
    async fn joined(a: &str, b: &str) -> String {
        format!("{a}|{b}")
    }
    let stage = Stage::new();
    let pairs = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("", "abc"),
        ("a\0", "bc"),
        ("a", "\0bc"),
        ("a:\"b", "c"),
        ("a", "b\":c"),
    ];

    for _ in 0..2 {
        for (a, b) in pairs {
            assert_eq!(stage.run(joined(a, b)), format!("{a}|{b}"));
        }
    }

    assert_eq!((stage.cache.stats().computations(), stage.cache.stats().hits()), (8, 8));
}

#[test]
fn an_empty_argument_and_none() {
    #[cached(ttl = "1h")]
    async fn told(text: Option<&str>, list: &[Option<String>], nested: Option<Option<u8>>) -> String {
        format!("{text:?} {list:?} {nested:?}")
    }
    let stage = Stage::new();
    let texts = [None, Some(""), Some("\0"), Some("None")];
    let lists = [vec![], vec![None], vec![Some(String::new())], vec![None, None]];
    let nested = [None, Some(None), Some(Some(0))];

    for _ in 0..2 {
        for text in texts {
            for list in &lists {
                for nested in nested {
                    assert_eq!(stage.run(told(text, list, nested)), format!("{text:?} {list:?} {nested:?}"));
                }
            }
        }
    }

    assert_eq!(stage.cache.stats().computations(), 4 * 4 * 3);
}

#[test]
fn long_arguments_that_differ_in_their_last_byte() {
    #[cached(ttl = "1h")]
    async fn last(text: &str) -> Option<char> {
        text.chars().last()
    }
    let stage = Stage::new();
    let long = |last| format!("{}{last}", "x".repeat(5_000));

    assert_eq!(stage.run(async { (last(&long('a')).await, last(&long('b')).await) }), (Some('a'), Some('b')));
}

#[test]
fn secrets_that_differ() {
    #[cached(ttl = "1h", secret(token))]
    async fn owner(token: &str) -> String {
        token.to_owned()
    }
    let stage = Stage::new();

    assert_eq!(
        stage.run(async { (owner("a").await, owner("b").await, owner("a").await) }),
        ("a".into(), "b".into(), "a".into())
    );
    let key = stage.run(async { owner_entry("hunter2").key().map(ToString::to_string) }).expect("a key");
    assert!(!key.contains("hunter2"), "{key}");
}

#[test]
fn versions_of_one_name() {
    mod old {
        #[larder::cached(ttl = "1h", name = "total", version = 1)]
        pub(super) async fn total() -> u64 {
            1
        }
    }
    mod new {
        #[larder::cached(ttl = "1h", name = "total", version = 2)]
        pub(super) async fn total() -> u64 {
            2
        }
    }
    let stage = Stage::new();

    assert_eq!(stage.run(async { (old::total().await, new::total().await, old::total().await) }), (1, 2, 1));
}

#[test]
fn two_caches() {
    #[cached(ttl = "1h", skip(db))]
    async fn row(db: &Db) -> u64 {
        db.read().await
    }
    let (one, two, db) = (Stage::new(), Stage::new(), Db::open());

    assert_eq!(one.run(row(&db)), 0);
    db.write();
    assert_eq!((two.run(row(&db)), one.run(row(&db))), (1, 0));
}

mod shared_name {
    #[larder::cached(ttl = "1h", name = "dish_of_the_day", skip(db))]
    pub(crate) async fn number(db: &super::Db) -> u64 {
        db.read().await
    }

    #[larder::cached(ttl = "1h", name = "dish_of_the_day", skip(db))]
    pub(crate) async fn text(db: &super::Db) -> String {
        db.read().await.to_string()
    }
}

#[test]
fn one_name_for_two_types_is_a_miss_and_no_misreading() {
    use shared_name::{number, text};
    let (stage, db) = (Stage::new(), Db::open());
    assert_eq!(stage.run(number(&db)), 0);

    assert_eq!(stage.run(text(&db)), "0");
    assert_eq!(stage.run(number(&db)), 0);

    let stats = stage.stats("dish_of_the_day");
    assert_eq!((stats.misses.absent, stats.misses.undecodable, stats.hits), (1, 2, 0));
}

#[test]
fn one_name_for_two_types_in_flight_is_computed_by_each() {
    use shared_name::{number, text};
    let (stage, db) = (Stage::new(), Db::held());
    let (number, text) = (stage.begin(number(&db)), stage.begin(text(&db)));

    db.release();

    assert_eq!((number.end(), text.end()), (0, "0".to_owned()));
    assert_eq!((db.asked(), stage.cache.computations_in_flight()), (2, 0));
}

#[test]
fn one_name_for_two_error_types_is_not_shared() {
    #[derive(Debug, Clone, PartialEq)]
    struct Cold;
    #[derive(Debug, Clone, PartialEq)]
    struct Burnt;
    #[cached(ttl = "1h", name = "dessert", skip(db))]
    async fn ice(db: &Db) -> Result<u64, Cold> {
        db.read().await;
        Err(Cold)
    }
    #[cached(ttl = "1h", name = "dessert", skip(db))]
    async fn cake(db: &Db) -> Result<u64, Burnt> {
        db.read().await;
        Err(Burnt)
    }
    let (stage, db) = (Stage::new(), Db::held());
    let (ice, cake) = (stage.begin(ice(&db)), stage.begin(cake(&db)));

    db.release();

    assert_eq!((ice.end(), cake.end()), (Err(Cold), Err(Burnt)));
}

#[test]
fn a_direct_key_and_an_attribute_share_only_what_is_of_one_type() {
    let (cache, options) = (Cache::default(), Options::ttl(Duration::from_secs(60)));
    let key = Key::of("direct", 1).expect("a key");
    let stage = Stage::new();

    stage.run(cache.put(&key, 7_u32, &options)).expect("stored");

    assert_eq!(stage.run(cache.get::<u64>(&key, &options)).expect("in process it cannot fail"), None);
    assert_eq!(stage.run(cache.get::<u32>(&key, &options)).expect("in process it cannot fail"), Some(7));
    assert_eq!(stage.run(cache.get_or_compute(&key, &options, || async { "x".to_owned() })), "x");
    assert_eq!(stage.run(cache.get::<u32>(&key, &options)).expect("in process it cannot fail"), None);
}

mod written_by_a_macro {
    use larder::{Entry, cached};

    macro_rules! loads {
        ($($kind:ident),*) => {$(
            pub(crate) struct $kind;
            const _: () = {
                type Kind = $kind;

                #[cached(ttl = "1h")]
                async fn load(id: u64) -> String {
                    format!("{} {id}", std::any::type_name::<Kind>())
                }

                impl $kind {
                    pub(crate) async fn get(id: u64) -> String {
                        load(id).await
                    }

                    pub(crate) fn handle(id: u64) -> Entry<String> {
                        load_entry(id)
                    }
                }
            };
        )*};
    }
    loads!(User, Order);
}

#[test]
fn functions_that_a_macro_writes_at_one_place_are_two() {
    use written_by_a_macro::{Order, User};
    let stage = Stage::new();
    let told = |ids: [u64; 2]| stage.run(async { (User::get(ids[0]).await, Order::get(ids[1]).await) });

    let (user, order) = told([1, 1]);
    assert!(user.ends_with("User 1") && order.ends_with("Order 1"), "{user}, {order}");

    stage.run(async {
        Order::handle(1).put("put".to_owned()).await.unwrap();
        User::handle(1).invalidate().await.unwrap();
    });
    assert_eq!(told([1, 1]), (user, "put".to_owned()));
}

#[tokio::test]
async fn functions_of_one_name_in_two_blocks_of_one_function_are_two() {
    async fn both() -> (u8, u8) {
        let one = {
            #[cached(ttl = 60)]
            async fn of(n: u8) -> u8 {
                n
            }
            of(1).await
        };
        let two = {
            #[cached(ttl = 60)]
            async fn of(n: u8) -> u8 {
                n + 50
            }
            of_entry(1).invalidate().await.unwrap();
            of(1).await
        };
        (one, two)
    }
    let cache = Cache::default();

    let first = cache.scope(both()).await;
    let again = cache.scope(both()).await;

    assert_eq!((first, again), ((1, 51), (1, 51)));
    assert_eq!((cache.stats().hits(), cache.stats().computations()), (1, 3));
}

trait Table {
    const NAME: &'static str;
}

struct Guests;
struct Rooms;

impl Table for Guests {
    const NAME: &'static str = "guests";
}

impl Table for Rooms {
    const NAME: &'static str = "rooms";
}

/// A connection that knows what it reads.
struct Of<T>(std::marker::PhantomData<T>);

trait Client<T> {}

impl<T> Client<T> for Of<T> {}

#[cached(ttl = "1h", skip(table))]
async fn of_a_table<T: Table>(table: &Of<T>, id: u64) -> String {
    let _ = table;
    format!("{} {id}", T::NAME)
}

#[cached(ttl = "1h", skip(client))]
async fn through_a_client<T: Table, C: Client<T>>(client: &C, id: u64) -> String {
    let _ = client;
    format!("{} {id}", T::NAME)
}

/// Whichever connection it is that reads.
#[cached(ttl = "1h", skip(db, other))]
async fn by_any<C: std::ops::Deref<Target = Db>, D>(db: &C, other: Option<&D>, id: u64) -> u64 {
    let _ = other;
    db.row(id).await
}

#[test]
fn a_type_parameter_in_the_type_of_a_skipped_argument() {
    let (guests, rooms) = (Of::<Guests>(std::marker::PhantomData), Of::<Rooms>(std::marker::PhantomData));
    let stage = Stage::new();

    let told = stage.run(async {
        [
            of_a_table(&guests, 1).await,
            of_a_table(&rooms, 1).await,
            through_a_client(&guests, 1).await,
            through_a_client(&rooms, 1).await,
        ]
    });

    assert_eq!(told, ["guests 1", "rooms 1", "guests 1", "rooms 1"]);
    stage.run(of_a_table_entry::<Guests>(1).invalidate()).unwrap();
}

#[test]
fn what_only_is_the_type_of_a_skipped_argument_does_not_count() {
    let (stage, db) = (Stage::new(), std::rc::Rc::new(Db::open()));
    stage.run(async {
        by_any(&db, Some(&1_u8), 1).await;
        by_any(&&*db, Some(&"x"), 1).await;
    });

    assert_eq!((stage.stats("by_any").calls(), stage.stats("by_any").hits), (2, 1));
    stage.run(by_any_entry(1).invalidate()).unwrap();
}

/// Goes on after the serializer has refused something.
struct Careless(Vec<(Option<u64>, Option<u64>)>);

impl serde::Serialize for Careless {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            _ = key.map(|key| map.serialize_key(&key));
            _ = value.map(|value| map.serialize_value(&value));
        }
        map.end()
    }
}

#[test]
fn a_map_that_lost_something_is_no_key() {
    assert!(Key::of("f", Careless(vec![(Some(1), Some(2))])).is_ok());
    for lost in [
        vec![(Some(1), Some(2)), (None, Some(3))],
        vec![(None, Some(3)), (Some(1), Some(2))],
        vec![(Some(1), None), (Some(7), Some(2))],
    ] {
        assert!(Key::of("f", Careless(lost.clone())).is_err(), "{lost:?}");
    }
}
