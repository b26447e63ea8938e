//! What lives forever in this process does not come from another one.
use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;

use larder::cached;

#[cached(ttl = 60)]
async fn text(id: u64) -> &'static str {
    if id > 1 { "many" } else { "one" }
}

#[cached(ttl = 60, err_ttl = 1)]
async fn inside(id: u64) -> Result<Option<Vec<&'static str>>, &'static str> {
    let _ = id;
    Err("none")
}

#[cached(ttl = 60, each = ids)]
async fn of_many(ids: &[&'static str]) -> HashMap<&'static str, &'static [u8]> {
    let _ = ids;
    HashMap::new()
}

#[cached(ttl = 60, tier = local)]
async fn in_this_process(id: u64) -> &'static str {
    let _ = id;
    "one"
}

#[cached(ttl = 60)]
async fn error_that_is_not_stored(id: u64) -> Result<Cow<'static, str>, &'static str> {
    let _ = id;
    Err("none")
}

#[cached(ttl = 60)]
async fn mark(id: u64) -> (u64, PhantomData<&'static str>) {
    (id, PhantomData)
}

fn main() {}
