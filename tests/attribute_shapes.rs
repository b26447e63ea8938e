//! The attribute on functions as they are found in real applications.

#![deny(warnings)]
#![allow(unreachable_pub, reason = "visibility is part of what is tested")]
#![allow(clippy::disallowed_names, reason = "sample code")]

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::cached;
use serde::{Deserialize, Serialize};

/// How often a body ran.
#[derive(Debug, Default)]
struct Counter(AtomicUsize);

impl Counter {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
    fn up(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An error that is no one's `Clone`, like most.
#[derive(Debug)]
struct DbError;

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("database")
    }
}

impl std::error::Error for DbError {}

type QueryResult<T> = Result<T, DbError>;
type AnyResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Neither `Clone` nor `Sync` nor `Serialize`.
#[derive(Default)]
struct Conn {
    queries: Cell<usize>,
}

impl Conn {
    async fn query(&mut self, id: u64) -> QueryResult<String> {
        self.queries.set(self.queries.get() + 1);
        tokio::task::yield_now().await;
        Ok(format!("row {id}"))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Menu {
    id: u64,
    name: String,
}

fn is_send<T: Send>(value: T) -> T {
    value
}

mod free {
    use super::*;

    #[cached(ttl = 3600, tags = ["menu", "menu:{id}"], stagger, skip(conn))]
    async fn menu(conn: &mut Conn, id: u64) -> QueryResult<String> {
        conn.query(id).await
    }

    #[tokio::test]
    async fn a_mutable_connection_is_skipped_and_used_once() {
        let mut conn = Conn::default();

        let first = is_send(menu(&mut conn, 1)).await.expect("a menu");
        let second = menu(&mut conn, 1).await.expect("a menu");
        let other = menu(&mut conn, 2).await.expect("a menu");

        assert_eq!((first.as_str(), second.as_str(), other.as_str()), ("row 1", "row 1", "row 2"));
        assert_eq!(conn.queries.get(), 2);
    }

    #[tokio::test]
    async fn the_siblings_compute_anew_and_forget() {
        let mut conn = Conn::default();
        menu(&mut conn, 10).await.expect("a menu");

        menu_uncached(&mut conn, 10).await.expect("a menu");
        menu_refresh(&mut conn, 10).await.expect("a menu");
        menu(&mut conn, 10).await.expect("a menu");
        assert_eq!(conn.queries.get(), 3);

        menu_entry(10).invalidate().await.expect("invalidated");
        menu(&mut conn, 10).await.expect("a menu");
        assert_eq!(conn.queries.get(), 4);
    }

    #[cached(ttl = "1h 30m")]
    async fn borrowed(text: &str, parts: &[u64], maybe: Option<&str>, menu: &Menu) -> String {
        format!("{text} {parts:?} {maybe:?} {}", menu.id)
    }

    #[cached(ttl = 60)]
    async fn explicit<'a, 'b>(text: &'a str, other: std::borrow::Cow<'b, str>) -> String
    where
        'b: 'a,
    {
        format!("{text}{other}")
    }

    #[cached(ttl = 60, tags = ["{text}"])]
    async fn elided(text: std::borrow::Cow<'_, str>) -> Vec<String> {
        vec![text.into_owned()]
    }

    #[tokio::test]
    async fn borrowed_arguments_are_key_parts() {
        let menu = Menu { id: 7, name: "m".to_owned() };

        let answer = is_send(borrowed("a", &[1, 2], Some("b"), &menu)).await;
        let _ = borrowed_entry("a", &[1, 2], Some("b"), &menu);
        let text = is_send(explicit("a", "b".into())).await;
        let _ = explicit_entry("a", "b".into());
        let list = is_send(elided("x".into())).await;

        assert_eq!(answer, "a [1, 2] Some(\"b\") 7");
        assert_eq!((text.as_str(), list), ("ab", vec!["x".to_owned()]));
    }

    #[cached(ttl = 60)]
    async fn fails(ok: bool) -> AnyResult<Vec<u64>> {
        let digits = if ok { "1" } else { "x" };
        Ok(vec![digits.parse()?])
    }

    #[cached(ttl = 60)]
    async fn unit(_id: u64) {}

    #[cached(ttl = 60)]
    async fn unit_result(id: u64) -> Result<(), DbError> {
        if id == 0 {
            return Err(DbError);
        }
        Ok(())
    }

    #[cached(ttl = 60, none_ttl = "30s")]
    async fn maybe(id: u64) -> Option<Menu> {
        (id > 0).then(|| Menu { id, name: String::new() })
    }

    #[cached(ttl = 60, none_ttl = 30, err_ttl = "5s")]
    async fn maybe_result(id: u64) -> Result<Option<Menu>, String> {
        let id = u32::try_from(id).map_err(|error| error.to_string())?;
        Ok(maybe(id.into()).await)
    }

    #[cached(ttl = 60, err_ttl = "5s", none_ttl = NONE)]
    async fn remembered(id: u64) -> Result<Option<u64>, String> {
        Err(id.to_string())
    }

    const NONE: std::time::Duration = std::time::Duration::from_secs(1);

    #[cached(ttl = 60)]
    async fn shared(id: u64) -> Arc<Menu> {
        Arc::new(Menu { id, name: String::new() })
    }

    #[cached(ttl = 60, tier = local)]
    async fn object(id: u64) -> Arc<dyn fmt::Debug + Send + Sync> {
        Arc::new(id)
    }

    #[tokio::test]
    async fn every_kind_of_answer_comes_back() {
        assert_eq!(is_send(fails(true)).await.expect("a list"), [1]);
        assert!(fails(false).await.is_err());
        is_send(unit(1)).await;
        unit_result(1).await.expect("unit");
        unit_result(0).await.expect_err("an error");
        assert_eq!(is_send(maybe(0)).await, None);
        assert_eq!(maybe_result(3).await.expect("a menu").map(|menu| menu.id), Some(3));
        assert_eq!(remembered(3).await, Err("3".to_owned()));
        assert_eq!(is_send(shared(4)).await.id, 4);
        assert_eq!(format!("{:?}", is_send(object(4)).await), "4");
    }
}

mod names {
    use super::*;

    #[cached(ttl = 60, tags = ["{key}", "{call}"])]
    #[allow(clippy::too_many_arguments)]
    async fn collides(
        key: u8,
        cache: u8,
        value: u8,
        result: u8,
        call: u8,
        answer: u8,
        storage: u8,
        sharing: u8,
        found: u8,
        output: u8,
        never: u8,
    ) -> u64 {
        [key, cache, value, result, call, answer, storage, sharing, found, output, never]
            .into_iter()
            .map(u64::from)
            .sum()
    }

    #[cached(ttl = 60, tags = ["{type}:{match}"])]
    async fn r#type(r#type: u64, r#match: u64) -> u64 {
        r#type + r#match
    }

    #[derive(Clone, Copy, Serialize)]
    struct Point {
        x: u64,
        y: u64,
    }

    #[cached(ttl = "1h", tags = ["{a}:{x}", "{z}"], when = *a > 0, skip(w))]
    async fn patterns(
        (mut a, b): (u64, String),
        Point { x, ref y }: Point,
        &z: &u64,
        [c, ..]: [u64; 2],
        mut d: u64,
        _: u8,
        w @ (_, _): (u8, u8),
    ) -> u64 {
        a += 1;
        d += 1;
        a + b.len() as u64 + x + *y + z + c + d + u64::from(w.0)
    }

    #[tokio::test]
    async fn no_name_of_an_argument_is_in_the_way() {
        assert_eq!(is_send(collides(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).await, 11);
        assert_eq!(r#type(1, 2).await, 3);
        assert_eq!(type_uncached(1, 3).await, 4);
        let _ = type_refresh(1, 3).await;
        let _ = type_entry(1, 3);
    }

    #[tokio::test]
    async fn patterns_are_matched_in_the_body_and_in_options() {
        let point = Point { x: 3, y: 4 };

        let sum = is_send(patterns((1, "bb".to_owned()), point, &5, [6, 0], 7, 0, (1, 2))).await;
        let _ = patterns_entry((1, "bb".to_owned()), point, &5, [6, 0], 7, 0);

        assert_eq!(sum, 2 + 2 + 3 + 4 + 5 + 6 + 8 + 1);
    }

    #[cached(ttl = Duration::from_secs(u64::from(id) + 1), when = id != 7, store_if = |value| !value.is_empty())]
    async fn options(id: u8, _text: &str) -> String {
        id.to_string()
    }
    use std::time::Duration;

    #[tokio::test]
    async fn options_are_expressions_over_the_arguments() {
        assert_eq!(is_send(options(7, "x")).await, "7");
        let _ = options_refresh(7, "x").await;
        let _ = options_entry(7, "x");
    }
}

mod generic {
    use super::*;

    trait Executor<'c> {
        fn run(self) -> u64;
    }
    impl Executor<'_> for &mut Conn {
        fn run(self) -> u64 {
            1
        }
    }

    #[cached(ttl = 60, skip(executor))]
    async fn executed<'e, 'c: 'e, E>(executor: E, id: u64) -> u64
    where
        E: 'e + Executor<'c>,
    {
        executor.run() + id
    }

    #[cached(ttl = 60)]
    async fn sized<T, const N: usize>(values: [T; N]) -> usize
    where
        T: Serialize + Clone + Send + Sync,
        [T; N]: Serialize,
    {
        values.len()
    }

    #[cached(ttl = 60)]
    async fn default_of<T>() -> T
    where
        T: Default + Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
    {
        T::default()
    }

    #[cached(ttl = 60, skip(log))]
    async fn opaque(id: impl Into<u64> + Serialize, log: impl Fn(u64)) -> u64 {
        let id = id.into();
        log(id);
        id
    }

    #[cached(ttl = 60)]
    async fn constant<const N: u64>() -> u64 {
        N
    }

    #[tokio::test]
    async fn types_and_constants_tell_calls_apart() {
        let mut conn = Conn::default();

        assert_eq!(executed(&mut conn, 4).await, 5);
        let _ = executed_entry(4);
        assert_eq!(sized([1_u8, 2]).await, 2);
        let _ = sized_entry([1_u8, 2]);
        assert_eq!(default_of::<u64>().await, 0);
        assert_eq!(default_of::<String>().await, "");
        let _ = default_of_entry::<u8>();
        assert_eq!(is_send(opaque(3_u8, |_| ())).await, 3);
        let _ = opaque_entry(3_u8);
        assert_eq!((constant::<1>().await, constant::<2>().await), (1, 2));
    }

    #[derive(Debug, Default, Serialize)]
    struct Repo<T> {
        tenant: u64,
        #[serde(skip)]
        computed: Counter,
        mark: std::marker::PhantomData<T>,
    }

    impl<T: Send + Sync + 'static> Repo<T> {
        #[cached(ttl = 60, tags = ["tenant:{self.tenant}"])]
        async fn by_self(&self, id: u64) -> u64 {
            self.computed.up();
            self.tenant + id
        }

        #[cached(ttl = 60, key = (self.tenant, id))]
        async fn by_key(&mut self, id: u64, _conn: &mut Conn) -> u64 {
            self.computed.up();
            self.tenant + id
        }

        #[cached(ttl = 60, skip(self))]
        async fn convert<U: From<u64> + Into<u64>>(&self, id: u64, _unit: [U; 0]) -> u64
        where
            [U; 0]: Serialize,
        {
            U::from(id).into()
        }

        #[cached(ttl = 60)]
        async fn name_of(id: u64) -> String {
            format!("{} {id}", std::any::type_name::<T>())
        }

        #[cached(ttl = 60, skip(self))]
        async fn shared(self: Arc<Self>, id: u64) -> u64 {
            self.tenant + id
        }

        #[cached(ttl = 60)]
        async fn owned(mut self, id: u64) -> u64 {
            self.tenant += id;
            self.tenant
        }
    }

    #[tokio::test]
    async fn methods_of_generic_types_are_cached() {
        let mut repo = Repo::<u8> { tenant: 5, ..Default::default() };

        assert_eq!(is_send(repo.by_self(1)).await, 6);
        assert_eq!(repo.by_self(1).await, 6);
        assert_eq!(repo.computed.count(), 1);
        repo.by_self_entry(1).invalidate().await.expect("invalidated");
        repo.by_self_refresh(1).await;
        assert_eq!(repo.computed.count(), 2);

        assert_eq!(repo.by_key(1, &mut Conn::default()).await, 6);
        assert_eq!(repo.by_key(1, &mut Conn::default()).await, 6);
        let _ = repo.by_key_entry(1);
        assert_eq!(repo.computed.count(), 3);

        assert_eq!(repo.convert::<u64>(3, []).await, 3);
        let _ = Repo::<u8>::convert_entry::<u64>(3, []);
        assert_eq!(is_send(Repo::<u8>::name_of(1)).await, "u8 1");
        assert_eq!(is_send(Repo::<u16>::name_of(1)).await, "u16 1");
        let _ = Repo::<u16>::name_of_entry(1);
        assert_eq!(is_send(Arc::new(Repo::<u8>::default()).shared(1)).await, 1);
        let _ = Repo::<u8>::shared_entry(1);
        assert_eq!(is_send(repo.owned(1)).await, 6);
    }
}

mod inherent {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct User {
        id: u64,
    }

    impl User {
        #[cached(ttl = 60, skip(conn))]
        pub async fn find(conn: &mut Conn, id: u64) -> QueryResult<Self> {
            conn.query(id).await?;
            Ok(Self { id })
        }

        #[cached(ttl = 60, skip(conn))]
        pub async fn exists(conn: &mut Conn, id: u64) -> QueryResult<bool> {
            Ok(!conn.query(id).await?.is_empty())
        }

        #[cached(ttl = 60)]
        async fn friends(&self) -> Vec<Self> {
            vec![self.clone()]
        }
    }

    #[tokio::test]
    async fn associated_functions_return_self() {
        let mut conn = Conn::default();

        let user = is_send(User::find(&mut conn, 1)).await.expect("a user");
        User::find(&mut conn, 1).await.expect("a user");
        assert!(is_send(User::exists(&mut conn, 1)).await.expect("a user"));
        let _ = User::find_entry(1);
        let _ = User::exists_entry(1);

        assert_eq!(is_send(user.friends()).await, [User { id: 1 }]);
        assert_eq!(conn.queries.get(), 2);
    }
}

mod traits {
    use super::*;

    #[async_trait::async_trait]
    trait Menus {
        async fn menu(&self, id: u64, names: &[&str]) -> QueryResult<Menu>;
        async fn all(conn: &mut Conn, limit: usize, pair: (u8, u8)) -> Vec<u64>
        where
            Self: Sized;
        async fn twice<T: Into<u64> + Serialize + Send + Sync>(&self, id: T) -> u64
        where
            Self: Sized;
    }

    #[derive(Default)]
    struct Db {
        computed: Counter,
    }

    #[async_trait::async_trait]
    impl Menus for Db {
        #[cached(ttl = 60, skip(self), tags = ["menu:{id}"])]
        async fn menu(&self, id: u64, names: &[&str]) -> QueryResult<Menu> {
            self.computed.up();
            if names.is_empty() {
                return Err(DbError);
            }
            Ok(Menu { id, name: names.concat() })
        }

        #[cached(ttl = 60, skip(conn))]
        async fn all(conn: &mut Conn, mut limit: usize, (a, b): (u8, u8)) -> Vec<u64> {
            conn.queries.set(9);
            limit += 1;
            vec![limit as u64, a.into(), b.into()]
        }

        #[cached(ttl = 60, skip(self))]
        async fn twice<T: Into<u64> + Serialize + Send + Sync>(&self, id: T) -> u64 {
            id.into() * 2
        }
    }

    #[tokio::test]
    async fn async_trait_implementations_are_cached() {
        let db = Db::default();
        let menus: &dyn Menus = &db;

        let first = is_send(menus.menu(1, &["a", "b"])).await.expect("a menu");
        let second = menus.menu(1, &["a", "b"]).await.expect("a menu");
        menus.menu(1, &[]).await.expect_err("an error");

        assert_eq!((first.name.as_str(), &first), ("ab", &second));
        assert_eq!(db.computed.count(), 2);
        assert_eq!(is_send(Db::all(&mut Conn::default(), 1, (2, 3))).await, [2, 2, 3]);
        assert_eq!(db.twice(4_u8).await, 8);
    }

    trait Native {
        async fn menu(&self, id: u64) -> Menu;
        async fn make(id: u64) -> Option<Self>
        where
            Self: Sized;
        #[cached(ttl = 60, skip(self))]
        async fn provided(&self, id: u64) -> u64 {
            self.menu(id).await.id
        }
    }

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Other(u64);

    impl Native for Other {
        #[cached(ttl = 60, in_trait)]
        async fn menu(&self, id: u64) -> Menu {
            Menu { id: id + self.0, name: String::new() }
        }

        #[cached(ttl = 60, in_trait)]
        async fn make(id: u64) -> Option<Self> {
            Some(Self(id))
        }
    }

    #[tokio::test]
    async fn native_traits_are_cached() {
        let other = Other::make(2).await.expect("one");

        assert_eq!(other.menu(1).await.id, 3);
        assert_eq!(other.provided(1).await, 3);
        other.provided_refresh(1).await;
    }

    #[cached(ttl = 60)]
    fn by_hand<'a>(
        text: &'a str,
        (a, b): (u8, u8),
    ) -> std::pin::Pin<Box<dyn Future<Output = String> + Send + 'a>> {
        Box::pin(async move { format!("{text}{a}{b}") })
    }

    #[tokio::test]
    async fn hand_boxed_futures_are_cached() {
        assert_eq!(by_hand("x", (1, 2)).await, "x12");
    }
}

mod surroundings {
    use super::*;

    #[cached(ttl = 60, skip(conn))]
    #[tracing::instrument(skip(conn), err, fields(extra = id))]
    async fn traced(conn: &mut Conn, id: u64) -> QueryResult<String> {
        conn.query(id).await
    }

    #[tracing::instrument(skip_all)]
    #[cached(ttl = 60, skip(conn))]
    async fn traced_outside(conn: &mut Conn, id: u64) -> QueryResult<String> {
        conn.query(id).await
    }

    struct Traced;

    #[async_trait::async_trait]
    trait Trait {
        async fn traced(&self, id: u64) -> u64;
    }

    #[async_trait::async_trait]
    impl Trait for Traced {
        #[cached(ttl = 60, skip(self))]
        #[tracing::instrument(skip(self))]
        async fn traced(&self, id: u64) -> u64 {
            id
        }
    }

    impl Traced {
        #[tracing::instrument(skip(self))]
        #[cached(ttl = 60, skip(self))]
        async fn own(&self, id: u64) -> Result<u64, DbError> {
            Ok(id)
        }
    }

    #[tokio::test]
    async fn instrumented_functions_are_cached() {
        let mut conn = Conn::default();
        for _ in 0..2 {
            is_send(traced(&mut conn, 1)).await.expect("a row");
            is_send(traced_outside(&mut conn, 1)).await.expect("a row");
            assert_eq!(is_send(Traced.traced(1)).await, 1);
            assert_eq!(is_send(Traced.own(1)).await.expect("a row"), 1);
        }
        assert_eq!(conn.queries.get(), 2);
    }

    #[cached(ttl = 60)]
    async fn fibonacci(n: u64) -> u64 {
        COMPUTED.up();
        match n {
            0 | 1 => n,
            _ => Box::pin(fibonacci(n - 1)).await + Box::pin(fibonacci(n - 2)).await,
        }
    }
    static COMPUTED: Counter = Counter::new();

    #[tokio::test]
    async fn recursion_uses_the_cache() {
        assert_eq!(is_send(fibonacci(20)).await, 6765);
        assert_eq!(COMPUTED.count(), 21);
    }

    #[tokio::test]
    async fn a_function_in_a_function_is_cached() {
        #[cached(ttl = 60)]
        async fn inner(id: u64) -> u64 {
            id + 1
        }

        assert_eq!(inner(1).await, 2);
        inner_entry(1).invalidate().await.expect("invalidated");
    }

    /// Documented.
    #[cfg(any())]
    #[cached(ttl = 60)]
    #[must_use]
    pub async fn absent(id: u64) -> Missing {
        id
    }

    /// Documented.
    #[cached(ttl = 60)]
    #[cfg(any())]
    pub async fn absent(id: u64) -> Missing {
        id
    }

    /// Documented.
    #[cached(ttl = 60)]
    #[cfg(not(any()))]
    #[must_use = "it costs"]
    #[expect(unused_variables, reason = "a test of `expect`")]
    async fn present(id: u64) -> u64 {
        let x = 1;
        1
    }

    #[tokio::test]
    async fn conditions_hold_for_all_emitted_functions() {
        assert_eq!(present(1).await, 1);
        let _ = present_refresh(1).await;
    }

    macro_rules! getter {
        ($name:ident, $argument:ident: $ty:ty => $body:expr, $ttl:expr, $tag:literal) => {
            #[cached(ttl = $ttl, tags = [$tag, "own:{id}"], skip($argument))]
            async fn $name($argument: $ty, id: u64) -> u64 {
                let _ = id;
                $body
            }
        };
    }
    getter!(generated, text: &str => text.len() as u64, "10m", "text");

    macro_rules! method {
        ($name:ident) => {
            #[cached(ttl = 60, tags = ["{self.0}"], key = (self.0, id))]
            async fn $name(&self, id: u64) -> u64 {
                self.0 + id
            }
        };
    }
    struct Holder(u64);
    impl Holder {
        method!(generated);
    }

    #[tokio::test]
    async fn generated_functions_are_cached() {
        assert_eq!(generated("abc", 1).await, 3);
        assert_eq!(Holder(1).generated(2).await, 3);
        let _ = Holder(1).generated_entry(2);
    }

    mod renamed {
        pub(super) mod facade {
            pub(crate) use larder::*;
        }
    }

    #[cached(ttl = 60, crate = renamed::facade)]
    async fn through_another_name(id: u64) -> u64 {
        id
    }

    #[tokio::test]
    async fn the_facade_can_have_another_name() {
        assert_eq!(through_another_name(1).await, 1);
    }

    mod shadowed {
        #![allow(dead_code, non_camel_case_types, reason = "they are in the way on purpose")]

        use larder::cached;

        struct Option;
        struct Some;
        struct None;
        struct Result;
        struct Ok;
        struct Err;
        struct Box;
        struct Vec;
        struct String;
        struct Send;
        struct str;
        mod core {}
        mod std {}
        mod larder_ {}

        #[cached(ttl = 60, tags = ["menu:{id}", "x"], stagger = 0.5)]
        pub(super) async fn answer(id: ::std::primitive::u64) -> ::std::primitive::u64 {
            id
        }
    }

    #[tokio::test]
    async fn a_shadowed_prelude_is_not_in_the_way() {
        assert_eq!(shadowed::answer(3).await, 3);
    }

    #[derive(Debug)]
    struct Context {
        tenant: u64,
        token: String,
    }

    const TAG: &str = "constant";

    #[cached(
        ttl = 60,
        key = (context.tenant, &context.token, id),
        secret(context),
        tags = [TAG, format!("t{}", id), "id:{id}"],
        name = "with/context",
        version = 3,
        local_ttl = "5s",
    )]
    async fn keyed(context: &Context, id: u64, _pool: &mut Conn) -> u64 {
        context.tenant + id + context.token.len() as u64
    }

    #[cached(ttl = 60, secret(token))]
    async fn secretive(token: &str) -> usize {
        token.len()
    }

    #[tokio::test]
    async fn keys_are_expressions_and_secrets_are_digested() {
        let context = Context { tenant: 1, token: "t".to_owned() };

        assert_eq!(is_send(keyed(&context, 1, &mut Conn::default())).await, 3);
        let _ = keyed_entry(&context, 1);
        assert_eq!(is_send(secretive("abc")).await, 3);
        let _ = secretive_entry("abc");
    }
}
