//! The attributes of Larder: `#[cached]`, `#[invalidates]`, `#[updates]`.

mod args;
mod check;
mod diag;
mod duration;
mod expand;
mod expansion;
mod item;
mod model;
mod names;
mod scan;
mod template;
mod together;
mod writer;

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::Options;
use crate::diag::Diagnostics;
use crate::item::Function;
use crate::model::{Batch, Model};

/// Caches what an async function returns.
///
/// The call site does not change, neither does the signature:
///
/// ```
/// use larder::cached;
///
/// #[cached(ttl = 3600, tags = ["menu", "restaurant:{restaurant_id}"], stagger)]
/// async fn menu_of(restaurant_id: u64) -> Result<Vec<String>, std::io::Error> {
///     Ok(vec![format!("soup of {restaurant_id}")])
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// let menu = menu_of(42).await?;
/// assert_eq!(menu, menu_of(42).await?);
/// # Ok(())
/// # }
/// ```
///
/// Every argument, `self` included, is part of the key unless it is skipped or `key` is given. What cannot be
/// a key part (a pool, a client) is an error at that argument that says `skip(..)`. Of a `Result` the `Ok`
/// value is stored, of an `Option` the `Some`; aliases (`QueryResult<T>`) are seen through.
///
/// # What is emitted beside the function
///
/// For a function `f`, with its visibility, generics and conditions:
///
/// - `f_uncached(..)`, the body as written;
/// - `f_refresh(..)`, which computes now and stores;
/// - `f_entry(key arguments ..)`, a typed handle to one entry: `.invalidate()`, `.expire()`, `.peek()`,
///   `.put(value)`, `.key()`. It takes the arguments that are part of the key, and those that the options
///   `tags`, `ttl` and `cache` refer to, since a value that is put needs its tags and its ttl;
/// - `f_clear()`, every entry of the function, whatever its arguments, version and type instance: to be awaited,
///   or made part of an `Invalidate`. It takes what the option `cache` refers to.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "1h", skip(db))]
/// async fn user_name(db: &mut Vec<String>, id: usize) -> Option<String> {
///     db.get(id).cloned()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let mut db = vec!["Ann".to_owned()];
/// user_name(&mut db, 0).await;
/// let _ = user_name_entry(0).invalidate().await;
/// # }
/// ```
///
/// # Options
///
/// Durations are seconds (`3600`), a text of numbers with the units `ms`, `s`, `m`, `h`, `d`, `w`
/// (`"1h 30m"`), or an expression of type `Duration`.
///
/// ## `ttl = ..`
///
/// How long a value is fresh. Required. An expression is evaluated for each call and may use the arguments;
/// zero bypasses the cache for that call.
///
/// ```
/// # use larder::cached;
/// use std::time::Duration;
///
/// #[cached(ttl = if draft { Duration::from_secs(1) } else { Duration::from_secs(600) })]
/// async fn page(id: u64, draft: bool) -> String {
///     format!("{id} {draft}")
/// }
/// ```
///
/// With a closure the value decides, each time one is stored. It sees what is stored (of a `Result` what is inside of `Ok`, with
/// `err_ttl` the whole), and no argument: a value that is put into an entry needs its ttl as well. Zero does not store the value.
///
/// ```
/// # use larder::cached;
/// # use std::time::Duration;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Token { text: String, expires_in: u64 }
///
/// #[cached(ttl = |token| Duration::from_secs(token.expires_in))]
/// async fn token(account: u64) -> Result<Token, std::io::Error> {
///     Ok(Token { text: account.to_string(), expires_in: 300 })
/// }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = 0)] // caches nothing
/// async fn page(id: u64) -> u64 { id }
/// ```
///
/// ## `tags = [..]`
///
/// Labels to invalidate many entries by. Placeholders name arguments and fields, with the format
/// specifications of `format!` (no width from an argument); other expressions convert into a `Tag`. Tags are made on a miss alone, so
/// what is skipped cannot be named: calls that differ in it share one entry. With `key = ..` it is yours to name what is in the key alone.
///
/// ```
/// # use larder::cached;
/// # struct User { id: u64, team: (u64, u64) }
/// const USERS: &str = "users";
///
/// #[cached(ttl = 60, key = user.id, tags = [USERS, "user:{user.id}", "team:{user.team.0:>4}"])]
/// async fn rights(user: &User) -> Vec<u64> {
///     vec![user.id]
/// }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = 60, tags = ["user:{nobody}"])] // no such argument
/// async fn rights(user: u64) -> u64 { user }
/// ```
///
/// ## `tags_from = |value| [..]`
///
/// Tags that only the value knows, beside those of `tags`: anything that yields what converts into a `Tag`. Like
/// `ttl = |value| ..` it sees what is stored (with `err_ttl` the whole `Result`) and no argument, and is asked for a value that is
/// put, too.
///
/// ```
/// # use larder::cached;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Order { id: u64, items: Vec<u64> }
///
/// #[cached(ttl = "1h", tags = ["orders"], tags_from = |order| order.items.iter().map(|item| format!("item:{item}")))]
/// async fn order(id: u64) -> Result<Order, std::io::Error> {
///     Ok(Order { id, items: vec![1, 2] })
/// }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = 60, tags_from = |_| [format!("order:{id}")])] // `tags = ["order:{id}"]` can
/// async fn order(id: u64) -> u64 { id }
/// ```
///
/// ## `stagger`, `stagger = 0.2`
///
/// Shortens the ttl by a random share of up to a tenth (or as given, above 0 and up to 1) at each fill, so
/// that entries that were filled together do not end together. Default: none.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "10m", stagger = 0.2)]
/// async fn price(article: u64) -> u64 { article }
/// ```
///
/// ## `refresh`, `refresh(after = 0.8, priority = 10, idle = "1h", with(..))`
///
/// Recomputes in the background before a value expires: a call that finds it due answers with it at once, and leaves
/// the computation behind. Of all processes one recomputes. Default: none; the first call after the ttl waits.
///
/// - `after`: the share of its ttl, above 0 and below 1, after which a value is due. Default: 0.8. Values that were
///   costly to compute are due earlier, by chance.
/// - `priority`: from -100 to 100, higher ones first when many are due. Default: 0.
/// - `idle`: keeps the entry warm without waiting for a call, as long as one used it within this time. A constant.
///   Default: an entry is recomputed when a call finds it due.
/// - `with`: where the background gets what it cannot take over from the call, see below.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "10m", refresh(after = 0.7, idle = "1h"))]
/// async fn front_page(language: &str) -> String { language.to_owned() }
/// ```
///
/// ### What the background computes with
///
/// It has no caller to borrow from, so it owns the arguments: what `&T` and `Option<&T>` refer to by `ToOwned`
/// (`&str`, slices, and what is `Clone`), other values by `Clone`, `self` likewise. All of it is cloned on a miss and
/// when a refresh begins, never on another hit. What cannot be owned or sent to another thread is an error at that
/// argument. Such an argument is not part of the key in most cases; then `with(..)` says where the background gets
/// one of its own:
///
/// ```
/// # use larder::cached;
/// # struct Connection;
/// # struct Pool;
/// # impl Pool { async fn acquire(&self) -> Result<Connection, std::io::Error> { Ok(Connection) } }
/// static POOL: Pool = Pool;
///
/// #[cached(ttl = 60, skip(conn), refresh(with(conn = POOL.acquire().await?)))]
/// async fn name(conn: &mut Connection, id: u64) -> Result<String, std::io::Error> {
///     Ok(id.to_string())
/// }
/// ```
///
/// The expression is evaluated for each computation, in the background: it may `.await`, use `?` as the body could,
/// and name the other arguments, `self`, and what is given before it. It is lent by `&`, by `&mut`, or handed over, as
/// the function takes it, and may be of another type where the argument's is generic. `with(self = ..)` gives the
/// receiver, if it is skipped or `key` does not use it.
///
/// ```compile_fail
/// # use larder::cached;
/// # struct Connection;
/// #[cached(ttl = 60, skip(conn), refresh)] // the background has no connection
/// async fn name(conn: &mut Connection, id: u64) -> u64 { id }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = 60, refresh(with(id = 7)))] // that would be another entry
/// async fn name(id: u64) -> u64 { id }
/// ```
///
/// ## `grace = ..`
///
/// How long past its ttl a stale value may stand in, a constant: when computing fails, or takes longer than a timeout.
/// Default: none; an expired value is gone. What was invalidated never stands in; what was expired by hand does. While the shared
/// tier is gone nobody can tell the two apart, so it stands in for `max_local_staleness` at most.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "1m", grace = "10m")]
/// async fn rates(currency: &str) -> Result<Vec<u64>, std::io::Error> {
///     Ok(vec![currency.len() as u64])
/// }
/// ```
///
/// ## `timeout(soft = .., hard = .., with(..))`
///
/// How long a call waits for a computation, in constants, at least one of them. Default: as long as it takes.
///
/// - `soft`: then the stale value is the answer, and the computation finishes in the background and is stored. It
///   needs `grace` for a value that stands in; without one at hand the call waits on. The background owns the
///   arguments as with `refresh`, and takes the same `with(..)`.
/// - `hard`: then the call gives up: with the stale value if this process has one, else with an error, so the function
///   returns a `Result` whose error is `From<larder::Error>`.
///
/// ```
/// # use larder::cached;
/// #[derive(Debug)]
/// enum PriceError { NoSuchArticle, Cache(larder::Error) }
///
/// impl From<larder::Error> for PriceError {
///     fn from(error: larder::Error) -> Self { Self::Cache(error) }
/// }
///
/// #[cached(ttl = "1m", grace = "1h", timeout(soft = "50ms", hard = "2s"))]
/// async fn price(article: u64) -> Result<u64, PriceError> {
///     if article == 0 { Err(PriceError::NoSuchArticle) } else { Ok(article) }
/// }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = "1m", timeout(soft = "50ms"))] // nothing could stand in
/// async fn price(article: u64) -> u64 { article }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = "1m", timeout(hard = "2s"))] // there is no error to give up with
/// async fn price(article: u64) -> u64 { article }
/// ```
///
/// ## `skip(..)`
///
/// Arguments that are not part of the key. They need neither `Serialize` nor `Clone`, `Sync` or `'static`.
/// `self` and names bound by patterns (which skip their whole argument) can be skipped; `skip(_)` skips
/// the arguments that are bound to nothing. What is borrowed mutably is skipped, or `key` says what counts: a hit does not run the
/// body, and would change nothing through it.
///
/// ```
/// # use larder::cached;
/// struct Connection;
/// struct Users;
///
/// impl Users {
///     #[cached(ttl = 60, skip(self, connection))]
///     async fn name(&self, connection: &mut Connection, id: u64) -> String {
///         id.to_string()
///     }
/// }
/// ```
///
/// ```compile_fail
/// # use larder::cached;
/// # struct Connection;
/// #[cached(ttl = 60)] // a connection cannot be a key part
/// async fn name(connection: &mut Connection, id: u64) -> u64 { id }
/// ```
///
/// ## `secret(..)`
///
/// Arguments that enter the key as a keyed digest only. A tag cannot use them. With `key = ..`, the parts
/// that use such an argument are digested, and at least one must.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "5m", secret(token))]
/// async fn session(token: &str) -> Option<u64> {
///     token.parse().ok()
/// }
/// ```
///
/// ## `key = (EXPR, ..)`
///
/// The key parts, instead of the arguments. May use `self`. Excludes `skip`.
///
/// Types tell entries apart all the same: the type parameters in the types of the arguments that it uses and in the return type, and
/// the type behind an `impl Trait` that it uses. With `key = name.as_ref()` and `name: impl AsRef<str>`, a `String` and a `&str` of one
/// text have an entry each.
///
/// ```
/// # use larder::cached;
/// struct Shop { tenant: u64 }
///
/// impl Shop {
///     #[cached(ttl = 60, key = (self.tenant, name.to_lowercase()))]
///     async fn find(&self, name: &str) -> Vec<String> {
///         vec![name.to_owned()]
///     }
/// }
/// ```
///
/// ## `name = ".."`, `version = 2`
///
/// Who the function is in the key. Default: its module path and name; version 0. A new version reads what an
/// older one stored as a miss.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = 60, name = "menus", version = 2)]
/// async fn menus(id: u64) -> u64 { id }
/// ```
///
/// ## `when = EXPR`, `store_if = |value| EXPR`
///
/// `when` is evaluated for each call; `false` bypasses the cache. `store_if` sees the computed value (what is
/// inside of `Ok`, or with `err_ttl` the whole `Result`; of a batch one item, see `each`); `false` returns it without storing. It
/// may use arguments that are `Copy`.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = 60, when = page < 10, store_if = |found| !found.is_empty())]
/// async fn search(text: &str, page: u32) -> Vec<String> {
///     vec![format!("{text} {page}")]
/// }
/// ```
///
/// ## `none_ttl = ..`, `err_ttl = ..`
///
/// Remember `None` or `Err` for that time; without them neither is stored. Constants: they cannot use
/// the arguments. With `err_ttl` the error must be storable too.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = 3600, none_ttl = "30s", err_ttl = "5s")]
/// async fn find(id: u64) -> Result<Option<u64>, String> { Ok(Some(id)) }
/// ```
///
/// ## `tier = local`, `tier = shared`
///
/// Uses one tier only. Default: every tier that the cache has.
///
/// With `tier = local` the value stays in this process, and need not be `Serialize`:
///
/// ```
/// # use larder::cached;
/// # use std::sync::Arc;
/// struct Template;
///
/// #[cached(ttl = "1h", tier = local)]
/// async fn template(name: &str) -> Arc<Template> { Arc::new(Template) }
/// ```
///
/// With `tier = shared` every call asks the shared tier, and nothing is kept in the local one:
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "10m", tier = shared)]
/// async fn balance(account: u64) -> u64 { account }
/// ```
///
/// - An invalidation by another process is seen by every call that starts after it: the bound is zero, where it
///   otherwise is the time that a message takes, or `max_local_staleness` when messages are lost.
/// - The price is one round trip for each call. The epochs of the tags come with the value, in the same one.
/// - When the shared tier cannot be reached, calls compute, and join a computation that runs in this process.
///   Nothing is stored then.
/// - A value that is not stored (`None` without `none_ttl`, one that `store_if` refuses, one above
///   `max_value_bytes`) is given to the calls that asked before its computation began: another call that waited for it looks
///   into the shared tier, finds nothing, and computes for itself.
/// - With a cache that has no shared tier it is as without the option: the value is kept in this process.
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = "10m", tier = shared, local_ttl = "5s")] // nothing is kept in the local tier
/// async fn balance(account: u64) -> u64 { account }
/// ```
///
/// ## `local_ttl = ..`
///
/// A shorter life in the local tier than in the shared one, a constant. Default: the `ttl`.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "1h", local_ttl = "30s")]
/// async fn menu(id: u64) -> u64 { id }
/// ```
///
/// ## `lease = ..`
///
/// How long a dead holder can delay others: the life of the lease that a process computes under. A constant of at
/// least 100 ms. Default: 10 s.
///
/// ```
/// # use larder::cached;
/// #[cached(ttl = "1h", lease = "2s")]
/// async fn menu(id: u64) -> u64 { id }
/// ```
///
/// - A holder that lives renews its lease at every third of its life: a computation may take far longer than its
///   lease. One that is dropped, fails or panics gives it up at once.
/// - A holder that dies with its process, or is cut off, lets the lease end. Whoever waits in another process then
///   takes over; what the old holder computes is returned to its callers and stored nowhere.
/// - Shorter means less delay after a crash, and more renewals. It also means that a holder loses its lease sooner
///   when it cannot renew: while the network is slow, or while the body blocks its thread. Then the key is
///   computed twice.
/// - Within one process calls join each other, and need no lease for that. But a call that begins after one of its tags was invalidated
///   joins nobody from before, and may wait for their lease, in this process too: until they end, or for a third of it, when they give
///   it up. Without a shared tier it means nothing.
///
/// ```compile_fail
/// # use larder::cached;
/// #[cached(ttl = "1h", lease = "50ms")] // a slow network would end it
/// async fn menu(id: u64) -> u64 { id }
/// ```
///
/// ## `policy = PATH`
///
/// Options shared by many functions: a constant expression of type `Policy`. What is written beside it overrides it.
/// The `ttl` may be left to it. Default: every option as documented here.
///
/// ```
/// # use larder::cached;
/// use larder::Policy;
/// use std::time::Duration;
///
/// const MENU: Policy = Policy::new().ttl(Duration::from_secs(3600)).stagger(0.1);
///
/// #[cached(policy = MENU)]
/// async fn menu(id: u64) -> u64 { id }
///
/// #[cached(policy = MENU, ttl = "1m")]
/// async fn menu_of_today(id: u64) -> u64 { id }
/// ```
///
/// What only a function can say stands in its attribute: a policy that refreshes asks for `refresh` there, since the
/// background needs the arguments.
///
/// ## `cache = EXPR`
///
/// The cache to use, a `Cache` or what dereferences to one. Default: the cache of the scope, the
/// installed one, or a local tier of 64 MiB.
///
/// ```
/// # use larder::{Cache, cached};
/// struct App { cache: Cache }
///
/// impl App {
///     #[cached(ttl = 60, cache = self.cache, skip(self))]
///     async fn count(&self, id: u64) -> u64 { id }
/// }
/// ```
///
/// ## `each = ids`
///
/// A batch: many ids in one call, each cached as an entry of its own. The tiers are asked for all of them at once (the shared
/// one in one round trip), what another call or process computes is awaited, and the body gets those that are missing:
/// each once, in their order. In `tags`, `ttl`, `key`, `when` and `secret` `id` is one of them; `each(item_id in ids)` gives it another name.
///
/// ```
/// # use larder::cached;
/// # use std::collections::HashMap;
/// # struct Db;
/// # impl Db { async fn names(&self, ids: &[u64]) -> Vec<(u64, String)> { ids.iter().map(|id| (*id, id.to_string())).collect() } }
/// #[cached(ttl = 60, each = ids, name = "user", tags = ["user:{id}"], skip(db))]
/// async fn users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, String>, std::io::Error> {
///     Ok(db.names(ids).await.into_iter().collect())
/// }
///
/// // The same entries, since the name and the other arguments are the same.
/// #[cached(ttl = 60, name = "user", tags = ["user:{id}"], skip(db))]
/// async fn user(db: &Db, id: u64) -> Result<String, std::io::Error> {
///     Ok(id.to_string())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// let names = users(&Db, &[1, 2, 3]).await?;
/// assert_eq!(names[&2], user(&Db, 2).await?);
/// users_entry(2).invalidate().await.expect("no shared tier that could fail");
/// # Ok(())
/// # }
/// ```
///
/// - The ids are a `&[Id]`, `Vec<Id>`, `HashSet<Id>` or the like; `Id` is `Clone`, and what the collection asks of it.
/// - The answer is a `HashMap<Id, Item>`, a `BTreeMap<Id, Item>`, or a `Vec<Option<Item>>` in the order of the ids; or a `Vec<Item>`
///   with `each(id in ids, by = |item| item.id)`; or a `Result` of one of them. Who asks twice for an id computes it once; a `Vec<Item>`
///   has it once then, a `Vec<Option<Item>>` as often as it was asked for. What was not asked for is left out.
/// - That there is no item follows `none_ttl`. Entries then hold an `Option<Item>`, as those of a function of one item with an
///   `Option` do; without it they hold the `Item`. (Those of a `Vec<Option<Item>>` always hold an `Option`.) Functions share entries
///   of one type alone; of another type they are a miss.
/// - An `Err` fails the whole call, and nothing of it is stored; with `grace` stale items stand in, if there are some for all that
///   were missing. Those who wait for an item of a batch that failed start over: one of them computes it.
/// - `each(id in ids, at_most = 500)`: more are computed in several runs of the body. The body may also run once more for what another
///   call was to compute and did not; so arguments that are neither references nor the ids are cloned for it.
/// - `f_entry(id)` is the handle to one item: a `put` takes `Some(item)`, or `Ok(Some(item))` where the function returns a `Result`.
///   `f_refresh(ids)` computes all.
/// - A list has one item for each id. One that is not as long as the ids, or with `by` has two items of one id, is returned as it is, and
///   nothing of it is stored. With `by` the answer is in the order of the ids, whatever the order of the body.
/// - `store_if`, `tags_from` and `ttl = |value| ..` see one item as it is stored: an `&Item`, with `none_ttl` or of a
///   `Vec<Option<Item>>` an `&Option<Item>`. `store_if` is asked for each item, and what it refuses is returned and not stored.
/// - `cache` is about all of them. It and `store_if` know no `id`. With `when = ..` ids that go past the cache go to the body as
///   often as they are asked for.
/// - Not with `refresh`, `timeout`, `err_ttl` or in a trait's `impl`.
///
/// ## `in_trait`
///
/// For an `async fn` in a trait's `impl`, where no function can be added: the siblings are left out. The
/// macro sees one function and cannot know; without the option the compiler says "method `f_uncached` is
/// not a member of trait" (E0407). Functions under `#[async_trait]`, and others that return a boxed future,
/// are recognized and have no siblings either.
///
/// ```
/// # use larder::cached;
/// trait Menus {
///     async fn menu(&self, id: u64) -> u64;
/// }
///
/// struct Db;
///
/// impl Menus for Db {
///     #[cached(ttl = 60, skip(self), in_trait)]
///     async fn menu(&self, id: u64) -> u64 { id }
/// }
/// ```
///
/// ## `crate = path`
///
/// Where the facade lives, when it has another name. Default: `::larder`.
///
/// ```
/// mod vendored {
///     pub use larder;
/// }
///
/// #[larder::cached(ttl = 60, crate = crate::vendored::larder)]
/// async fn menu(id: u64) -> u64 { id }
/// # fn main() {}
/// ```
///
/// # Fine print
///
/// - Expressions in options are evaluated before the function and must not move an argument; names bound by a
///   pattern are references there. `.await`, `?` and `return` are refused.
/// - A type parameter of the function is part of the key, unless it is the type of a skipped argument, or behind a pointer to it
///   (`&mut E`, `Arc<E>`), and occurs in no other: an executor `E: Executor` that is skipped does not divide the cache. One inside of
///   another type (`Pool<T>`), or in bounds alone, does: a handle of such a function names it, `row_of_entry::<T>(id)`.
/// - A function that neither takes `self` nor says `Self` may stand anywhere, so no path to `f_uncached` is right
///   in every case. Its body is repeated in `f`, `f_uncached` and `f_refresh`, and in `f` once more for the background:
///   a `static` in it exists that often, and so does a cached function in it. Put it beside the function instead.
/// - An argument cannot have a `#[cfg(..)]`: write one on the function, twice.
/// - Other attributes (`#[instrument]`) stay on `f` alone; `#[cfg]` and lint levels go to all that is emitted.
/// - What runs in the background is `Send + 'static`: the future of the body, the types of the arguments, and what it
///   returns, the error of a `Result` included. A function that calls itself goes through one that returns
///   `Pin<Box<dyn Future<Output = _> + Send>>`, since the compiler cannot see whether its own future is `Send` while it checks the
///   body.
/// - `store_if` is asked in the background too; what `with(..)` gives is not at hand there.
/// - Under `#[async_trait]`, names bound by a pattern are not visible to options.
#[proc_macro_attribute]
pub fn cached(options: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expanded(options.into(), item.into()).into()
}

/// Invalidates what an async function changes, once it has returned `Ok`.
///
/// ```
/// use larder::{cached, invalidates};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Dish { id: u64, restaurant: u64, name: String }
///
/// #[cached(ttl = "1h", tags = ["restaurant:{restaurant}"])]
/// async fn menu_of(restaurant: u64) -> std::io::Result<Vec<Dish>> {
///     Ok(Vec::new()) // a query, say
/// }
///
/// #[cached(ttl = "1h")]
/// async fn dish_of(id: u64) -> std::io::Result<Option<Dish>> {
///     Ok(None) // a query, say
/// }
///
/// #[invalidates(tags = ["restaurant:{result.restaurant}"], entries = [dish_of_entry(id)])]
/// async fn rename(id: u64, name: String) -> std::io::Result<Dish> {
///     Ok(Dish { id, restaurant: 7, name }) // an update, say
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// menu_of(7).await?;
/// rename(1, "soup".to_owned()).await?;
/// menu_of(7).await?; // computed again
/// # Ok(())
/// # }
/// ```
///
/// The signature does not change, and the body goes in untouched. It stands on `async fn`s, free or of an `impl`, that of a trait
/// included, also under `#[async_trait]`; nothing is emitted beside the function. A `Result` is told by type, so aliases work.
///
/// **When.** After `Ok`, or after whatever a function returns that returns no `Result`. An `Err` and a panic invalidate nothing, nor
/// does a future that is dropped while the body runs: such a writer may have written all the same, so invalidate again when you
/// find out, or keep ttls short. Once the body has returned `Ok` the invalidation takes effect, whoever goes away.
///
/// **What fails.** If the shared tier cannot be reached, the invalidation is made in this process, repeated there when it is back,
/// logged, counted (`Stats::failed_invalidations`), and the function returns its value. With `strict` it returns the error.
///
/// **In a transaction** the commit comes after the function: run it in `Deferred::scope`, and apply what was recorded after the commit.
///
/// # Options
///
/// In the options `result` is a reference to what the function returned; of a `Result`, to what is inside of `Ok`.
///
/// - `tags = ["restaurant:{id}", "chef:{result.chef}"]`: placeholders are arguments, `result`, or fields of them; an element may also
///   be an expression that makes a tag.
/// - `entries = [menu_of_entry(id), dish_of_entry(result.id)]`: handles, each in its own cache; also `f_clear()`, and sets:
///   `Invalidate::tags(ids.iter().map(|id| format!("menu:{id}")))` for a writer of many rows.
/// - `function = menu_of`, `functions = [menu_of, guests_of]`: all entries of cached functions, by their `f_clear`.
/// - `expire`: makes stale instead of removing. With `grace` the old value may stand in while a new one cannot be had.
/// - `when = |result| result.has_changed`: only where it holds. It may use the arguments.
/// - `strict`: an invalidation that failed is the function's error, which must be `From<larder::Error>`. The write has taken place.
/// - `cache = EXPR`: the cache of tags. Default: that of the scope, else the installed one.
/// - `crate = path`: where the facade lives.
///
/// At least one of `tags`, `entries`, `function` and `functions`.
///
/// **Several attributes** on one function take effect in their order, all of them: whoever goes away meanwhile, and whichever fails.
/// Of those that are `strict` the first that failed answers its error. A name that a pattern binds is visible to all of them. That goes
/// for those that are written as `cached`, `invalidates` and `updates`, whatever the path before that. One behind another that was
/// imported by another name begins when those before it have ended, and not at all if its caller is gone by then or got an error; it
/// does not see what a pattern binds, nor does one behind a macro that gives patterns a name (`#[async_trait]`): write a name for the
/// argument, and the pattern in the body.
///
/// **On a cached function** it counts where it stands. Above `#[cached]` it belongs to the body: it takes effect wherever that has
/// run, for a miss, in `f_uncached`, `f_refresh` and in the background, and not on a hit. Below `#[cached]` it belongs to `f` alone: it
/// takes effect after every call of `f`, hits included, and not after `f_uncached`, `f_refresh` and in the background.
///
/// # Fine print
///
/// - The body may move its arguments. So what does not say `result` is evaluated before it, and must not move an argument either:
///   `menu_of_entry(&name)`. An argument that an expression uses together with `result`, or in `when`, is cloned, so it must be
///   `Clone`; one in a placeholder is formatted, whatever it is.
/// - `self` can be used together with `result` where it is `&self`.
/// - `.await`, `?` and `return` are refused in the options.
/// - What the function returns is kept while the shared tier is told, and so is what `#[updates]` puts, with the error type of its
///   function: for a future that is `Send` they must be `Send`.
///
/// ```compile_fail
/// # use larder::invalidates;
/// #[invalidates(tags = ["menu:{idd}"])] // error: write `id`
/// async fn rename(id: u64) -> u64 { id }
/// ```
#[proc_macro_attribute]
pub fn invalidates(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    writer::expanded(writer::Kind::Invalidates, options.into(), item.into()).into()
}

/// Puts what an async function has written into the cache, once it has returned `Ok`: write-through.
///
/// ```
/// use larder::{cached, updates};
///
/// #[cached(ttl = "1h")]
/// async fn name_of(id: u64) -> std::io::Result<String> {
///     Ok("bread".to_owned()) // a query, say
/// }
///
/// #[updates(entry = name_of_entry(id), value = |result| Ok(result.clone()))]
/// async fn rename(id: u64, name: String) -> std::io::Result<String> {
///     Ok(name) // an update, say
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// rename(1, "soup".to_owned()).await?;
/// assert_eq!(name_of(1).await?, "soup"); // a hit
/// # Ok(())
/// # }
/// ```
///
/// The value is stored as [`Entry::put`](../larder/struct.Entry.html#method.put) does it: under the cached function's ttl and tags;
/// what its options do not store removes the entry. Where that fails, or the caller goes away meanwhile, the entry is invalidated
/// instead. Where that fails, too, all is as for [`invalidates`](macro@invalidates), and so are the places it may stand in, when it
/// takes effect, what `result` is, and the fine print. Inside of `Deferred::scope` the entry is recorded to be invalidated.
///
/// Of two writers of one row at the same time, the one that puts last need not be the one that wrote last. Where that can be,
/// write `#[invalidates(entries = [..])]`.
///
/// # Options
///
/// - `entry = name_of_entry(id)`: the handle of the entry; required.
/// - `value = |result| ..`: what the cached function would return by now, `Ok(..)` for one that returns a `Result`; required.
/// - `when = |result| ..`, `strict`, `crate = path`: as for `#[invalidates]`.
///
/// Several attributes on one function take effect in their order, so `#[invalidates]` comes first.
#[proc_macro_attribute]
pub fn updates(options: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    writer::expanded(writer::Kind::Updates, options.into(), item.into()).into()
}

fn expanded(options: TokenStream, item: TokenStream) -> TokenStream {
    let expansion = expansion::number(&options, &item);
    let mut diagnostics = Diagnostics::default();
    let options = Options::parse(options, &mut diagnostics);
    let function = match Function::parse(item.clone(), options.in_trait.is_some(), &item::CACHED) {
        Ok(function) => function.taken_apart(&options.patterns).used_by(options.names()),
        Err(mistake) => {
            diagnostics.absorb(mistake);
            return with_mistakes(item, diagnostics);
        }
    };
    let (function, batch) = match &options.each {
        Some(each) => match check::ids(&function, &each.value, &options, &mut diagnostics) {
            Some(ids) => (function.single(&ids, &each.value.id), Some(Batch { function, ids })),
            None => return with_mistakes(item, diagnostics),
        },
        None => (function, None),
    };
    check::check(&function, &options, &mut diagnostics);
    if diagnostics.is_empty() {
        return expand::expand(&Model { expansion, ..Model::new(function, options, batch) });
    }
    with_mistakes(item, diagnostics)
}

/// The item as it was, so that what uses it is not reported as missing, and the mistakes.
fn with_mistakes(item: TokenStream, diagnostics: Diagnostics) -> TokenStream {
    let mistakes = diagnostics.into_tokens();
    quote!(#item #mistakes)
}
