//! Nothing in an expansion comes from a prelude.
#![allow(dead_code)]

#[no_implicit_prelude]
mod bare {
    use ::std::primitive::{str, u64};

    #[::larder::cached(
        ttl = "1h", tags = ["a:{id}", "b:{name:?}", "own", ::std::format!("c")], stagger, grace = "1m", store_if = |v| *v > 0,
        when = id > 0, tags_from = |v| [::std::format!("v:{v}")]
    )]
    pub async fn plain(id: u64, name: &str) -> u64 {
        let _ = name;
        id
    }

    #[::larder::cached(ttl = "1h", tags = ["a:{id}"], refresh, timeout(hard = "1s", soft = "100ms"), grace = "1m", err_ttl = 1, none_ttl = 1)]
    pub async fn refreshed(
        id: u64,
        name: &str,
        other: ::std::option::Option<&u64>,
    ) -> ::std::result::Result<::std::option::Option<u64>, Failed> {
        let _ = (name, other);
        ::std::result::Result::Ok(::std::option::Option::Some(id))
    }

    #[derive(::std::clone::Clone, ::serde::Serialize, ::serde::Deserialize)]
    pub struct Failed;

    impl ::std::convert::From<::larder::Error> for Failed {
        fn from(_: ::larder::Error) -> Self {
            Failed
        }
    }

    #[::larder::cached(ttl = ::std::time::Duration::from_secs(id), each(id in ids, by = |x| *x, at_most = 3), tags = ["e:{id}"])]
    pub async fn listed(ids: &[u64], other: &str) -> ::std::vec::Vec<u64> {
        let _ = other;
        ids.to_vec()
    }

    #[::larder::cached(ttl = "1h", each = ids, tags = ["e:{id}"], none_ttl = 1, store_if = |_| true)]
    pub async fn by_key(
        ids: ::std::vec::Vec<u64>,
        other: &str,
    ) -> ::std::result::Result<::std::collections::HashMap<u64, u64>, Failed> {
        let _ = (ids, other);
        ::std::result::Result::Ok(::std::default::Default::default())
    }

    #[::larder::cached(ttl = "1h", each = ids)]
    pub async fn of_set(ids: &::std::collections::BTreeSet<u64>) -> ::std::collections::BTreeMap<u64, u64> {
        let _ = ids;
        ::std::default::Default::default()
    }

    #[::larder::invalidates(
        tags = ["a:{id}", "r:{result}:{id}", ::std::format!("c")], entries = [plain_entry(id, "x"), listed_entry(*result, "")],
        functions = [plain, refreshed], strict, when = |result| *result > id
    )]
    #[::larder::updates(entry = plain_entry(id, "x"), value = |result| *result, strict)]
    pub async fn write(id: u64) -> ::std::result::Result<u64, ::larder::Error> {
        ::std::result::Result::Ok(id)
    }

    #[derive(::std::clone::Clone)]
    pub struct Shop(u64);

    impl Shop {
        #[::larder::cached(ttl = "1h", key = (self.0, id), tags = ["s:{self.0}"])]
        pub async fn price(&self, id: u64) -> u64 {
            id
        }

        #[::larder::cached(ttl = "1h", skip(self), secret(token), refresh)]
        pub async fn name(self, token: &str) -> u64 {
            let _ = token;
            1
        }
    }

    #[::larder::cached(ttl = "1h", key = r#type.0)]
    pub async fn of(r#type: &Shop) -> u64 {
        r#type.0
    }
}

fn main() {}
