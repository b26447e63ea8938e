//! Work left to the background, on functions as they are found in real applications: what it needs of their arguments.

#![deny(warnings)]
#![allow(clippy::disallowed_names, reason = "sample code")]

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, Policy, cached};
use serde::{Deserialize, Serialize};

/// An error that is no one's `Clone`, like most.
#[derive(Debug)]
struct DbError;

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("database")
    }
}

impl std::error::Error for DbError {}

impl From<larder::Error> for DbError {
    fn from(_: larder::Error) -> Self {
        Self
    }
}

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

/// What pools hand out: a connection that goes back when it is dropped.
struct Pooled(Conn);

impl Deref for Pooled {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Pool;

static POOL: Pool = Pool;

impl Pool {
    async fn acquire(&self) -> QueryResult<Pooled> {
        tokio::task::yield_now().await;
        Ok(Pooled(Conn::default()))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Menu {
    id: u64,
    name: String,
    lives: Duration,
}

impl Menu {
    fn new(id: u64) -> Self {
        Self { id, name: format!("menu {id}"), lives: Duration::from_secs(60) }
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

mod free {
    use super::*;

    #[cached(ttl = 3600, tags = ["menu", "menu:{id}"], stagger, skip(conn), refresh(with(conn = POOL.acquire().await?)))]
    async fn menu(conn: &mut Conn, id: u64) -> QueryResult<String> {
        conn.query(id).await
    }

    #[cached(ttl = 3600, skip(conn), grace = 60, timeout(soft = "50ms", hard = "2s", with(conn = Conn::default())))]
    async fn slow(conn: &mut Conn, id: u64) -> QueryResult<String> {
        conn.query(id).await
    }

    #[cached(ttl = 3600, skip(conn), refresh(with(conn = POOL.acquire().await?)))]
    async fn reborrowed(mut conn: &mut Conn, id: u64) -> AnyResult<String> {
        let again = &mut conn;
        let first = again.query(id).await?;
        Ok(first + &conn.query(id).await?)
    }

    #[tokio::test]
    async fn the_background_acquires_a_connection_of_its_own() {
        let mut conn = Conn::default();

        assert_eq!(is_send(menu(&mut conn, 1)).await.expect("a menu"), "row 1");
        assert_eq!(is_send(slow(&mut conn, 1)).await.expect("a menu"), "row 1");
        assert_eq!(is_send(reborrowed(&mut conn, 1)).await.expect("a menu"), "row 1row 1");
    }

    #[cached(ttl = 60, refresh(after = 0.5, priority = -3, idle = "1h"), grace = "10m", timeout(soft = "50ms", hard = 2))]
    async fn borrowed(
        text: &str,
        parts: &[u64],
        maybe: Option<&str>,
        menu: &Menu,
        path: &Path,
        label: &'static str,
    ) -> QueryResult<String> {
        tokio::task::yield_now().await;
        Ok(format!("{text} {parts:?} {maybe:?} {} {} {label}", menu.id, path.display()))
    }

    #[cached(ttl = 60, refresh)]
    async fn lists(names: &[String], some: Option<&[u64]>, array: &[u8; 2], boxed: &Arc<str>) -> Vec<String> {
        let mut names = names.to_vec();
        names.push(format!("{some:?} {array:?} {boxed}"));
        names
    }

    #[cached(ttl = 60, refresh)]
    async fn explicit<'a, 'b>(text: &'a str, other: &'b str, last: Option<&'a str>) -> String
    where
        'b: 'a,
    {
        let longer: &'a str = if text.is_empty() { other } else { text };
        let all: Vec<&'a str> = last.into_iter().chain([longer]).collect::<Vec<&'a str>>();
        all.concat()
    }

    #[tokio::test]
    async fn borrowed_arguments_are_owned_and_lent() {
        let text = is_send(borrowed("a", &[1], Some("b"), &Menu::new(7), Path::new("/x"), "l")).await;
        let none = borrowed("", &[], None, &Menu::new(8), Path::new(""), "").await;
        let list = is_send(lists(&["x".to_owned()], Some(&[1]), &[2, 3], &"y".into())).await;
        let explicit = is_send(explicit("", "a", Some("b"))).await;

        assert_eq!(text.expect("a text"), "a [1] Some(\"b\") 7 /x l");
        assert_eq!(none.expect("a text"), " [] None 8  ");
        assert_eq!(list, ["x", "Some([1]) [2, 3] y"]);
        assert_eq!(explicit, "ba");
    }

    #[cached(ttl = 60, refresh)]
    async fn fails(text: &str) -> AnyResult<Vec<u64>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![text.parse()?])
    }

    #[cached(ttl = 60, refresh)]
    async fn unit(_id: u64) {}

    #[cached(ttl = 60, none_ttl = 5, err_ttl = 5, refresh, grace = 60)]
    async fn remembered(id: u64) -> Result<Option<u64>, String> {
        let id = u32::try_from(id).map_err(|error| error.to_string())?;
        Ok((id > 0).then_some(id.into()))
    }

    #[cached(ttl = 60, refresh, tier = local)]
    async fn object(id: u64) -> Arc<dyn fmt::Debug + Send + Sync> {
        Arc::new(id)
    }

    #[cached(ttl = 60, refresh, tier = shared)]
    async fn read_through(id: u64) -> u64 {
        id
    }

    #[cached(ttl = 60, refresh)]
    #[allow(clippy::diverging_sub_expression, reason = "it does")]
    async fn diverges(id: u64) -> u64 {
        panic!("{id}")
    }

    #[tokio::test]
    async fn every_kind_of_answer_comes_back() {
        assert_eq!(is_send(fails("1")).await.expect("a list"), [1]);
        assert_eq!(fails("").await.expect("a list"), [0; 0]);
        fails("x").await.expect_err("an error");
        is_send(unit(1)).await;
        assert_eq!(is_send(remembered(2)).await, Ok(Some(2)));
        assert_eq!(remembered(0).await, Ok(None));
        remembered(u64::MAX).await.expect_err("an error");
        assert_eq!(format!("{:?}", is_send(object(4)).await), "4");
        assert_eq!(is_send(read_through(5)).await, 5);
        drop(diverges(6));
    }
}

mod names {
    use super::*;

    #[cached(ttl = 60, refresh, store_if = |value| *value > 0, tags = ["{key}", "{background}"])]
    #[allow(clippy::too_many_arguments)]
    async fn collides(
        key: u8,
        cache: u8,
        value: u8,
        background: u8,
        means: u8,
        call: u8,
        found: u8,
        answer: u8,
        storage: u8,
        output: u8,
        store_if: u8,
        future: u8,
        make: u8,
        pending: u8,
        never: u8,
        again: u8,
        lend: u8,
    ) -> u64 {
        [key, cache, value, background, means, call, found, answer, storage, output, store_if]
            .into_iter()
            .chain([future, make, pending, never, again, lend])
            .map(u64::from)
            .sum()
    }

    #[cached(ttl = 60, skip(r#match, background), refresh(with(background = "bb".to_owned(), r#match = background.len())))]
    async fn r#type(r#type: u64, r#match: usize, background: String) -> u64 {
        r#type + r#match as u64 + background.len() as u64
    }

    #[derive(Clone, Copy, Serialize)]
    struct Point {
        x: u64,
        y: u64,
    }

    #[allow(clippy::too_many_arguments)]
    #[cached(ttl = "1h", tags = ["{a}:{x}"], when = *a > 0, skip(w, unused), refresh(with(unused = *x + b.len() as u64)))]
    async fn patterns(
        (mut a, b): (u64, String),
        Point { x, ref y }: Point,
        &z: &u64,
        [c, ..]: [u64; 2],
        mut d: u64,
        mut e: &str,
        _: u8,
        w @ (_, _): (u8, u8),
        unused: u64,
    ) -> u64 {
        a += 1;
        d += 1;
        e = e.trim();
        a + b.len() as u64 + x + *y + z + c + d + e.len() as u64 + u64::from(w.0) + unused
    }

    #[tokio::test]
    async fn no_name_of_an_argument_is_in_the_way() {
        assert_eq!(is_send(collides(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).await, 17);
        assert_eq!(is_send(r#type(1, 2, "bb".to_owned())).await, 5);
    }

    #[tokio::test]
    async fn patterns_are_matched_in_the_background() {
        let point = Point { x: 3, y: 4 };

        let sum =
            is_send(patterns((1, "bb".to_owned()), point, &5, [6, 0], 7, " ee ", 0, (1, 2), 3 + 2)).await;

        assert_eq!(sum, 2 + 2 + 3 + 4 + 5 + 6 + 8 + 2 + 1 + 5);
    }

    fn outer(id: u64) -> impl Future<Output = u64> + Send {
        #[cached(ttl = 60, refresh)]
        async fn inner(id: &u64) -> u64 {
            #[cached(ttl = 60, refresh)]
            async fn innermost(id: u64) -> u64 {
                id + 1
            }
            innermost(*id).await + 1
        }
        async move { inner(&id).await }
    }

    #[tokio::test]
    async fn functions_may_stand_in_functions() {
        assert_eq!(is_send(outer(1)).await, 3);
    }

    macro_rules! cached_query {
        ($name:ident, $pool:expr, $self:ident, $conn:ident, $id:ident, $body:block) => {
            #[cached(ttl = 60, skip(self, $conn), refresh(with($conn = $pool.acquire().await?)))]
            async fn $name(&$self, $conn: &mut Conn, $id: u64) -> QueryResult<String> $body
        };
    }

    #[derive(Clone)]
    struct Shop(u64);

    impl Shop {
        cached_query!(row, POOL, self, conn, id, { Ok(format!("{}:{}", self.0, conn.query(id).await?)) });
    }

    #[tokio::test]
    async fn a_macro_may_write_the_function() {
        let row = Shop(3).row(&mut Conn::default(), 1).await.expect("a row");

        assert_eq!(row, "3:row 1");
    }
}

mod options {
    use super::*;

    const MENU: Policy = Policy::new().ttl(Duration::from_secs(60));

    #[cached(policy = MENU, version = 1)]
    async fn by_policy(id: u64) -> u64 {
        id
    }

    #[cached(policy = MENU, ttl = Duration::from_secs(id), refresh)]
    async fn overridden(id: u64) -> u64 {
        id
    }

    #[cached(policy = Policy::new(), ttl = |value| Duration::from_secs(*value))]
    async fn nothing_but_the_value(id: u64) -> u64 {
        id
    }

    #[tokio::test]
    async fn a_policy_is_a_constant_of_any_kind() {
        assert_eq!((by_policy(1).await, overridden(2).await, nothing_but_the_value(3).await), (1, 2, 3));
    }

    #[cached(
        ttl = |menu| menu.lives,
        tags_from = |Menu { id, name, .. }| [format!("menu:{id}"), name.clone()],
        tags = ["menu"],
        refresh,
        store_if = |menu| menu.id != *id,
    )]
    async fn menu(id: &u64) -> QueryResult<Menu> {
        Ok(Menu::new(*id))
    }

    #[cached(ttl = (|values| Duration::from_secs(values.len() as u64)), tags_from = |id| id.iter().map(|id| format!("id:{id}")))]
    async fn bound_inside(id: u64) -> Vec<u64> {
        vec![id]
    }

    #[cached(ttl = |found| lives(found), none_ttl = 1, tags_from = |found| found)]
    async fn optional(name: &str) -> Result<Option<String>, DbError> {
        Ok(Some(name.to_owned()))
    }

    fn lives(found: &Option<String>) -> Duration {
        Duration::from_secs(found.iter().len() as u64)
    }

    #[tokio::test]
    async fn the_value_decides_and_its_type_needs_no_word() {
        assert_eq!(is_send(menu(&1)).await.expect("a menu"), Menu::new(1));
        assert_eq!(is_send(bound_inside(1)).await, [1]);
        assert_eq!(optional("a").await.expect("a name").as_deref(), Some("a"));
        menu_entry(&1).put(Ok(Menu::new(1))).await.expect("it is put");
        let _ = menu_refresh(&1).await;
    }

    #[cached(ttl = 60, timeout(hard = "2s"))]
    async fn gives_up(conn: u64) -> QueryResult<u64> {
        Ok(conn)
    }

    #[cached(ttl = 60, timeout(hard = 1), err_ttl = 1, tier = local)]
    async fn gives_up_and_remembers(conn: u64) -> Result<Option<u64>, larder::Error> {
        Ok(Some(conn))
    }

    #[cached(ttl = 60, timeout(hard = 1))]
    async fn gives_up_into_anything(conn: u64) -> AnyResult<Option<u64>> {
        Ok(Some(conn))
    }

    #[tokio::test]
    async fn a_function_that_gives_up_needs_an_error() {
        assert_eq!(is_send(gives_up(1)).await.expect("a number"), 1);
        assert_eq!(is_send(gives_up_and_remembers(1)).await.expect("a number"), Some(1));
        assert_eq!(is_send(gives_up_into_anything(1)).await.expect("a number"), Some(1));
    }

    /// How long entries are kept warm.
    const IDLE: Duration = Duration::from_secs(3600);

    #[cached(ttl = 60, name = "same", skip(conn))]
    #[allow(dead_code, reason = "only its handle is used")]
    async fn plain(conn: &mut Conn, id: &str) -> QueryResult<String> {
        conn.query(id.len() as u64).await
    }

    #[cached(
        ttl = 60,
        name = "same",
        skip(conn),
        refresh(idle = IDLE, with(conn = POOL.acquire().await?)),
        grace = IDLE,
        timeout(soft = IDLE, hard = IDLE)
    )]
    #[allow(dead_code, reason = "only its handle is used")]
    async fn refreshed(conn: &mut Conn, id: &str) -> QueryResult<String> {
        conn.query(id.len() as u64).await
    }

    #[test]
    fn keys_are_those_of_a_function_without_a_background() {
        let (plain, refreshed) = (plain_entry("a"), refreshed_entry("a"));

        assert_eq!(plain.key().expect("a key").to_string(), refreshed.key().expect("a key").to_string());
    }
}

mod generic {
    use super::*;

    trait Executor {
        fn run(self) -> u64;
    }
    impl Executor for &mut Conn {
        fn run(self) -> u64 {
            1
        }
    }
    impl Executor for Pool {
        fn run(self) -> u64 {
            1
        }
    }

    #[cached(ttl = 60, skip(executor), refresh(with(executor = POOL)))]
    async fn executed<E: Executor>(executor: E, id: u64) -> u64 {
        executor.run() + id
    }

    #[cached(ttl = 60, skip(executor), refresh(with(executor = POOL)))]
    async fn executed_somehow(executor: impl Executor, id: u64) -> u64 {
        executor.run() + id
    }

    #[cached(ttl = 60, refresh)]
    async fn sized<T, const N: usize>(values: &[T; N], more: &[T], last: Option<&T>, own: T) -> usize
    where
        T: Serialize + Clone + Send + Sync + 'static,
        [T; N]: Serialize,
    {
        let _: (&T, T) = (last.unwrap_or(&own), own.clone());
        values.len() + more.len()
    }

    #[cached(ttl = 60, refresh)]
    async fn default_of<T>() -> T
    where
        T: Default + Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
    {
        T::default()
    }

    #[cached(ttl = 60, skip(log), refresh)]
    async fn opaque(
        id: impl Into<u64> + Serialize + Clone + Send + 'static,
        log: impl Fn(u64) + Clone + Send + 'static,
    ) -> u64 {
        let id = id.into();
        log(id);
        id
    }

    #[tokio::test]
    async fn parameters_with_their_bounds_are_owned() {
        assert_eq!(executed(&mut Conn::default(), 4).await, 5);
        assert_eq!(executed_somehow(&mut Conn::default(), 4).await, 5);
        assert_eq!(is_send(sized(&[1_u8, 2], &[3], None, 4)).await, 3);
        assert_eq!(is_send(default_of::<u64>()).await, 0);
        assert_eq!(is_send(opaque(3_u8, |_| ())).await, 3);
    }

    #[derive(Debug, Clone, Default, Serialize)]
    struct Repo<T> {
        tenant: u64,
        #[serde(skip)]
        pool: Pool,
        mark: std::marker::PhantomData<T>,
    }

    impl<T: Clone + Send + Sync + 'static> Repo<T> {
        #[cached(ttl = 60, tags = ["tenant:{self.tenant}"], refresh, store_if = |value| *value > self.tenant)]
        async fn by_self(&self, id: u64) -> u64 {
            self.tenant + id
        }

        #[cached(ttl = 60, key = (self.tenant, id), refresh(with(conn = self.pool.acquire().await?)))]
        async fn by_key(&self, conn: &mut Conn, id: u64) -> QueryResult<String> {
            conn.query(self.tenant + id).await
        }

        #[cached(ttl = 60, key = id, refresh(with(self = Self { tenant: 1, pool: POOL, mark: Default::default() })))]
        async fn mutable(&mut self, id: u64) -> u64 {
            self.tenant += id;
            self.tenant
        }

        #[cached(ttl = 60, skip(self, executor), refresh(with(executor = self.pool)))]
        async fn executed<E: Executor, const N: usize>(&self, executor: E, ids: [u64; N]) -> u64
        where
            [u64; N]: Serialize,
        {
            executor.run() + ids.len() as u64
        }

        #[cached(ttl = 60, skip(self), refresh)]
        async fn convert<U: From<u64> + Into<u64>>(&self, id: u64, _unit: [u64; 0]) -> u64 {
            U::from(id).into()
        }

        #[cached(ttl = 60, refresh)]
        async fn name_of(id: u64) -> String {
            format!("{} {id}", std::any::type_name::<T>())
        }

        #[cached(ttl = 60, refresh)]
        async fn made(tenant: u64) -> QueryResult<Arc<u64>> {
            Ok(Arc::new(Self { tenant, pool: POOL, mark: Default::default() }.tenant))
        }

        #[cached(ttl = 60, skip(self), refresh)]
        async fn shared(self: Arc<Self>, id: u64) -> u64 {
            self.tenant + id
        }

        #[cached(ttl = 60, key = (self.tenant, id), refresh)]
        async fn behind_two(self: &Arc<Self>, id: u64) -> u64 {
            self.tenant + id
        }

        #[cached(ttl = 60, refresh)]
        async fn owned(mut self, id: u64) -> u64 {
            self.tenant += id;
            self.tenant
        }
    }

    #[tokio::test]
    async fn methods_of_generic_types_have_a_background() {
        let mut repo = Repo::<u8> { tenant: 1, ..Default::default() };
        let mut conn = Conn::default();

        assert_eq!(is_send(repo.by_self(1)).await, 2);
        assert_eq!(repo.by_key(&mut conn, 1).await.expect("a row"), "row 2");
        assert_eq!(is_send(repo.mutable(1)).await, 2);
        assert_eq!(Repo::<u8>::default().executed(&mut conn, [1, 2]).await, 3);
        assert_eq!(repo.convert::<u64>(5, []).await, 5);
        assert_eq!(is_send(Repo::<u8>::name_of(1)).await, "u8 1");
        assert_eq!(*is_send(Repo::<u8>::made(4)).await.expect("a number"), 4);
        let shared = Arc::new(Repo::<u8> { tenant: 7, ..Default::default() });
        assert_eq!(is_send(shared.behind_two(1)).await, 8);
        assert_eq!(is_send(shared.shared(1)).await, 8);
        assert_eq!(is_send(Repo::<u8>::default().owned(3)).await, 3);
    }
}

mod traits {
    use super::*;

    trait Menus {
        async fn menu(&self, conn: &mut Conn, id: u64) -> QueryResult<String>;
        fn label(&self, id: &str) -> impl Future<Output = String> + Send;
        fn count(self, by: u64) -> impl Future<Output = u64> + Send;
        fn grow(&mut self, by: u64) -> impl Future<Output = u64> + Send;
    }

    #[derive(Debug, Clone, Default, Serialize)]
    struct Db {
        tenant: u64,
        names: Vec<String>,
    }

    impl fmt::Display for Db {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:02}", self.tenant)
        }
    }

    impl Db {
        async fn acquire(&self) -> QueryResult<Pooled> {
            POOL.acquire().await
        }
    }

    impl Menus for Db {
        #[cached(ttl = 60, skip(self, conn), in_trait, refresh(with(conn = self.acquire().await?)))]
        async fn menu(&self, conn: &mut Conn, id: u64) -> QueryResult<String> {
            let first = conn.query(id + self.tenant).await?;
            if self.names.is_empty() {
                return Ok(first);
            }
            Ok(self.names.concat())
        }

        // All that `self` can be in a body: in macros, captured, in closures, and of another item.
        #[cached(ttl = 60, key = (self.tenant, id), in_trait, refresh)]
        async fn label(&self, id: &str) -> String {
            struct Inner(u64);
            impl Inner {
                fn get(&self) -> u64 {
                    self.0
                }
            }
            let of = || self.tenant + Inner(self.tenant).get();
            let is_same = std::ptr::eq(self, &*self);
            let nested = vec![format!("{self}"), format!("{self:?}").replace(' ', ""), format!("{{self}}")];
            self::check(self);
            format!("{id} {} {is_same} {:?} {}", of(), nested, { self.tenant })
        }

        #[cached(ttl = 60, in_trait, refresh)]
        async fn count(mut self, by: u64) -> u64 {
            self.tenant += by;
            self.tenant
        }

        #[cached(ttl = 60, key = by, in_trait, refresh(with(self = Db::default())))]
        async fn grow(&mut self, by: u64) -> u64 {
            self.tenant += by;
            self.tenant
        }
    }

    fn check(_: &Db) {}

    #[tokio::test]
    async fn functions_of_traits_have_a_background_in_place() {
        let mut db = Db { tenant: 3, names: Vec::new() };

        assert_eq!(db.menu(&mut Conn::default(), 1).await.expect("a menu"), "row 4");
        assert_eq!(
            is_send(db.label("x")).await,
            "x 6 true [\"03\", \"Db{tenant:3,names:[]}\", \"{self}\"] 3"
        );
        assert_eq!(is_send(db.clone().count(4)).await, 7);
        db.tenant = 0;
        assert_eq!(is_send(db.grow(5)).await, 5);
    }

    #[async_trait::async_trait]
    trait Boxed: Send + Sync {
        async fn menu(&self, conn: &mut Conn, id: u64, name: &str) -> QueryResult<String>;
        async fn named(&self, name: Option<&str>, mut parts: Vec<u64>) -> AnyResult<String>;
        async fn shared(self: Arc<Self>, id: u64) -> Option<u64>;
        async fn grow(&mut self, by: u64) -> u64;
        async fn made(id: u64) -> Self
        where
            Self: Sized;
    }

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Repo<T> {
        tenant: u64,
        mark: std::marker::PhantomData<T>,
    }

    #[async_trait::async_trait]
    impl<T> Boxed for Repo<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        #[cached(ttl = 60, skip(self, conn), refresh(with(conn = POOL.acquire().await?)))]
        async fn menu(&self, conn: &mut Conn, id: u64, name: &str) -> QueryResult<String> {
            let row = conn.query(id + self.tenant).await?;
            Ok(format!("{row} {name} {}", self.tenant))
        }

        #[cached(ttl = 60, key = (self.tenant, name, parts), refresh, grace = 60, timeout(soft = 1, hard = 2))]
        async fn named(&self, name: Option<&str>, mut parts: Vec<u64>) -> AnyResult<String> {
            parts.push(name.unwrap_or("1").parse()?);
            Ok(format!("{parts:?}"))
        }

        #[cached(ttl = 60, skip(self), refresh)]
        async fn shared(self: Arc<Self>, id: u64) -> Option<u64> {
            Some(self.tenant + id)
        }

        #[cached(ttl = 60, skip(self), refresh(with(self = Self { tenant: 1, mark: Default::default() })))]
        async fn grow(&mut self, by: u64) -> u64 {
            self.tenant += by;
            self.tenant
        }

        #[cached(ttl = 60, refresh, tier = local)]
        async fn made(id: u64) -> Self {
            Self { tenant: id, mark: Default::default() }
        }
    }

    #[tokio::test]
    async fn functions_under_async_trait_have_a_background() {
        let mut repo = Repo::<u8> { tenant: 1, mark: Default::default() };

        let menu = is_send(repo.menu(&mut Conn::default(), 1, "n")).await;
        let named = is_send(repo.named(Some("2"), vec![1])).await;

        assert_eq!(menu.expect("a menu"), "row 2 n 1");
        assert_eq!(named.expect("a list"), "[1, 2]");
        repo.named(Some("x"), Vec::new()).await.expect_err("no number");
        assert_eq!(Arc::new(repo.clone()).shared(1).await, Some(2));
        assert_eq!(repo.grow(2).await, 3);
        assert_eq!(Repo::<u8>::made(4).await.tenant, 4);
    }

    type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

    #[cached(ttl = 60, skip(conn), refresh(with(conn = POOL.acquire().await?)))]
    fn by_hand<'a>(
        conn: &'a mut Conn,
        (id, _): (u64, u64),
        name: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = QueryResult<String>> + Send + 'a>> {
        if name.is_empty() {
            return Box::pin(async { Err(DbError) });
        }
        Box::pin(async move { Ok(conn.query(id).await? + name) })
    }

    /// A recursive function goes through a box whose type is written: what it returns cannot be looked into while it
    /// is being checked.
    fn boxed(id: u64) -> BoxFuture<'static, u64> {
        Box::pin(recursive(id))
    }

    #[cached(ttl = 60, refresh)]
    async fn recursive(id: u64) -> u64 {
        match id {
            0 => 0,
            id => boxed(id - 1).await + id,
        }
    }

    struct Tree;

    impl Tree {
        fn boxed(id: u64) -> BoxFuture<'static, u64> {
            Box::pin(Self::sum(id))
        }

        #[cached(ttl = 60, refresh)]
        async fn sum(id: u64) -> u64 {
            match id {
                0 => 0,
                id => Self::boxed(id - 1).await + id,
            }
        }
    }

    #[tokio::test]
    async fn boxed_futures_have_a_background() {
        let mut conn = Conn::default();

        assert_eq!(is_send(by_hand(&mut conn, (1, 2), "n")).await.expect("a row"), "row 1n");
        by_hand(&mut conn, (1, 2), "").await.expect_err("no name");
        assert_eq!(is_send(recursive(3)).await, 6);
        assert_eq!(is_send(Tree::sum(3)).await, 6);
    }
}

mod attributes {
    use super::*;

    #[derive(Clone, Default)]
    struct App {
        cache: Option<Cache>,
    }

    impl App {
        fn cache(&self) -> Cache {
            self.cache.clone().unwrap_or_default()
        }

        #[cached(ttl = 60, skip(self), cache = self.cache(), refresh)]
        #[tracing::instrument(skip(self))]
        async fn below(&self, id: u64) -> QueryResult<u64> {
            Ok(id + u64::from(self.cache.is_some()))
        }

        #[tracing::instrument(skip_all, fields(id), err)]
        #[cached(ttl = 60, skip(self, conn), cache = self.cache(), refresh(with(conn = POOL.acquire().await?)))]
        async fn above(&self, conn: &mut Conn, id: u64, text: Cow<'static, str>) -> QueryResult<String> {
            Ok(conn.query(id).await? + &text)
        }
    }

    #[tracing::instrument]
    #[cached(ttl = 60, refresh, when = id > 0)]
    #[allow(unused_mut, reason = "it goes to all that is emitted")]
    async fn free(mut id: u64, name: &str) -> Option<String> {
        (id > 0).then(|| name.to_owned())
    }

    #[tokio::test]
    async fn other_attributes_stay() {
        let app = App::default();

        assert_eq!(is_send(app.below(1)).await.expect("a number"), 1);
        assert_eq!(is_send(app.above(&mut Conn::default(), 1, "x".into())).await.expect("a row"), "row 1x");
        assert_eq!(is_send(free(1, "n")).await.as_deref(), Some("n"));
    }
}
