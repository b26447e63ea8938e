//! Unit structs (Diesel's `use schema::dsl::*` brings in one for each column), constants and statics whose names the macros
//! would give to what they bind themselves.
#![allow(non_camel_case_types, non_upper_case_globals, dead_code)]

macro_rules! unit_structs {
    ($($name:ident)*) => { $(pub struct $name;)* };
}

macro_rules! constants {
    ($($name:ident)*) => { $(pub const $name: u8 = 0;)* };
}

macro_rules! statics {
    ($($name:ident)*) => { $(pub static $name: u8 = 0;)* };
}

macro_rules! functions_among {
    ($kind:ident: $($name:ident)*) => {
        mod $kind {
            $kind! { $($name)* }

            use std::collections::{BTreeSet, HashMap};
            use std::time::Duration;

            use larder::{cached, invalidates, updates};

            const LONG: Duration = Duration::from_secs(60);

            #[cached(ttl = LONG * 2, tags = ["item:{a}", String::from("items")], secret(token), when = n > 1, none_ttl = 1, err_ttl = 1)]
            pub async fn plain(n: u64, (a, _): (u64, u64), token: &str) -> Result<Option<u64>, String> {
                Ok(Some(n + a + token.len() as u64))
            }

            #[cached(
                ttl = |v| LONG * (1 + *v as u32), tags_from = |v| [format!("item:{v}")], store_if = |v| *v > 1, grace = 1,
                refresh(with(db = Vec::new())), timeout(soft = 1, hard = 2), skip(db), lease = LONG
            )]
            pub async fn refreshed(db: &mut Vec<u64>, n: u64, name: Option<&str>) -> Result<u64, larder::Error> {
                db.push(n);
                Ok(n + name.map_or(0, str::len) as u64)
            }

            #[cached(policy = larder::Policy::new().ttl(LONG), each = ns, skip(db), tags = ["item:{id}"], none_ttl = 1)]
            pub async fn by_key(db: &[u64], ns: &[u64]) -> Result<HashMap<u64, u64>, String> {
                Ok(ns.iter().map(|n| (*n, db[0])).collect())
            }

            #[cached(ttl = 60, each(n in ns, by = |v| *v, at_most = 7))]
            pub async fn listed(ns: BTreeSet<u64>) -> Vec<u64> {
                ns.into_iter().collect()
            }

            #[invalidates(tags = ["item:{n}", "item:{n}:{result}"], entries = [listed_entry(n)], function = by_key, strict)]
            #[invalidates(tags = ["items"], entries = [listed_entry(n + result)], when = |v| *v > n)]
            #[updates(entry = listed_entry(n), value = |v| Some(*v))]
            pub async fn write(n: u64) -> Result<u64, larder::Error> {
                Ok(n)
            }

            #[updates(entry = listed_entry(*result), value = |v| Some(*v))]
            pub async fn put(n: u64) -> u64 {
                n
            }

            #[derive(Clone)]
            pub struct Shop(u64);

            impl Shop {
                #[cached(ttl = 60, key = (self.0, n), tags = ["shop:{self.0}"], refresh, store_if = |v| *v > self.0)]
                pub async fn price(&self, n: u64) -> u64 {
                    n
                }

                #[cached(ttl = 60, in_trait, skip(self))]
                pub async fn alone(&self, n: u64) -> u64 {
                    n
                }
            }
        }
    };
}

macro_rules! all {
    ($($name:ident)*) => {
        functions_among!(unit_structs: $($name)*);
        functions_among!(constants: $($name)*);
        functions_among!(statics: $($name)*);
    };
}

all! {
    answer storage output means found call pending clear never background division whole missing asked batch cache answered
    value entry changes writing text0 text1 kept0 kept1 store_if policy lease key secret error future make owned own tag tags
    again given next ids item when begun bound
}

/// The macros ask what is written in options by functions of their own, which must not stand before those of the user.
mod functions {
    use std::time::Duration;

    fn accepts(value: &u64) -> bool {
        *value > 1
    }

    fn ttl_of(value: &u64) -> Duration {
        Duration::from_secs(*value)
    }

    fn tags_of(value: &u64) -> [String; 1] {
        [value.to_string()]
    }

    #[larder::cached(ttl = |v| ttl_of(v), tags_from = |v| tags_of(v), store_if = |v| accepts(v))]
    pub async fn asked(n: u64) -> u64 {
        n
    }
}

fn main() {}
