//! The only door for generated code. Not part of the public interface: it changes with any release.
//! (Contract for the macro; bodies are stubs until the engine lands.)

pub use crate::answer::{
    Answer, AnswersFallible, AnswersFallibleOptional, AnswersOptional, AnswersPlain, Probe, keep_errors,
    keep_none,
};
pub use crate::call_site::{CallSite, Policy};
pub use crate::key::{
    KeyWriter, PartProbe, ReceiverProbe, RefusesPart, RefusesReceiver, SecretKey, Tag, WritesPart,
};
pub use crate::storage::{
    OwnsErrors, Sharing, SharesErrors, Storage, StoresEncoded, StoresLocally, StoresNothing, StoresNowhere,
    fitting,
};

use std::marker::PhantomData;
use std::time::Duration;

/// The type name of a value: of a closure, the path of the function it sits in, with all type arguments.
pub fn path_of<T>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}

/// The name of a type argument.
pub fn type_of<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>()
}

/// The name of the type of an `impl Trait` argument.
pub fn type_of_val<T: ?Sized>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}

/// The cache of a call.
pub struct CacheRef;

/// The cache that a function without `cache = ..` uses: of the scope, the installed one, or the default.
pub fn current() -> CacheRef { CacheRef }

/// The cache that `cache = EXPR` names.
pub fn given(cache: &crate::Cache) -> CacheRef { let _ = cache; CacheRef }

/// One call of a cached function.
pub struct Call<A: Answer> { key: KeyWriter, secret: SecretKey, answer: PhantomData<A> }

impl<A: Answer> Call<A> {
    /// `path` is `path_of(&|| ())` taken inside the emitted function; `types` the type arguments that count.
    pub fn new(site: &'static CallSite, cache: CacheRef, path: &'static str, types: &[&'static str], answer: A) -> Self { let _ = (site, cache, path, types, answer); todo!() }
    /// Where key parts go.
    pub fn key(&mut self) -> &mut KeyWriter { &mut self.key }
    /// Where secret key parts go: the writer and the key of the digest.
    pub fn secret(&mut self) -> (&mut KeyWriter, &SecretKey) { (&mut self.key, &self.secret) }
    /// `when = EXPR`: false bypasses the cache for this call.
    pub fn when(&mut self, cached: bool) { let _ = cached; todo!() }
    /// `ttl = EXPR` over the arguments; zero bypasses the cache for this call.
    pub fn ttl(&mut self, ttl: Duration) { let _ = ttl; todo!() }
    /// Looks in the local tier. Called when the key is complete, before any tag is made.
    pub fn find(&mut self) -> Option<A::Output> where A::Value: Clone + Send + Sync + 'static { todo!() }
    /// `tags = [..]`; called after `find` found nothing, so a hit formats no text.
    pub fn tags<const N: usize>(&mut self, tags: [Tag; N]) { let _ = tags; todo!() }
    /// Everything else: join or lead the flight, compute, fill.
    pub async fn run<S, B, F>(self, storage: S, sharing: Sharing<A::Error>, body: B) -> A::Output
    where A::Value: Clone + Send + Sync + 'static, S: Storage<A::Value>, B: FnOnce() -> F, F: Future<Output = A::Output>,
    { let _ = (storage, sharing, body); todo!() }
    /// The same, storing only what `store_if` accepts.
    pub async fn run_if<S, P, B, F>(self, storage: S, sharing: Sharing<A::Error>, store_if: P, body: B) -> A::Output
    where A::Value: Clone + Send + Sync + 'static, S: Storage<A::Value>, P: FnOnce(&A::Value) -> bool, B: FnOnce() -> F, F: Future<Output = A::Output>,
    { let _ = (storage, sharing, store_if, body); todo!() }
    /// `f_refresh`: computes now, whatever is stored, and stores.
    pub async fn refresh<S, B, F>(self, storage: S, body: B) -> A::Output
    where A::Value: Clone + Send + Sync + 'static, S: Storage<A::Value>, B: FnOnce() -> F, F: Future<Output = A::Output>,
    { let _ = (storage, body); todo!() }
    /// The same, storing only what `store_if` accepts.
    pub async fn refresh_if<S, P, B, F>(self, storage: S, store_if: P, body: B) -> A::Output
    where A::Value: Clone + Send + Sync + 'static, S: Storage<A::Value>, P: FnOnce(&A::Value) -> bool, B: FnOnce() -> F, F: Future<Output = A::Output>,
    { let _ = (storage, store_if, body); todo!() }
    /// `f_entry`: the typed handle.
    pub fn entry<S>(self, storage: S) -> crate::Entry<A::Output> where A::Value: Clone + Send + Sync + 'static, S: Storage<A::Value> { let _ = storage; todo!() }
}
