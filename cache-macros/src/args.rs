//! The options between the parentheses of `#[cached(..)]`, each with its place.

mod each;
mod freshness;
mod name;
pub(crate) mod reading;
pub(crate) mod value;

pub(crate) use each::Each;
pub(crate) use freshness::{Refresh, Timeout, With};
pub(crate) use name::ArgumentName;
pub(crate) use value::digits;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprClosure, ExprLit, Ident, LitStr, Path};

use crate::diag::{Diagnostics, listed, nearest};
use crate::duration::Time;
use crate::scan::plain;
use crate::template::Template;
use crate::together::{PATTERNS, Taken, taken};
use reading::skip_value;
use value::Ttl;

/// The options, in the order of the documentation.
pub(crate) const OPTIONS: [&str; 24] = [
    "ttl",
    "tags",
    "tags_from",
    "stagger",
    "refresh",
    "grace",
    "timeout",
    "skip",
    "secret",
    "key",
    "name",
    "version",
    "when",
    "store_if",
    "none_ttl",
    "err_ttl",
    "tier",
    "local_ttl",
    "lease",
    "policy",
    "each",
    "cache",
    "in_trait",
    "crate",
];

/// An option's value and the word that introduced it.
pub(crate) struct Given<T> {
    pub(crate) option: Ident,
    pub(crate) value: T,
}

/// The one tier that `tier = ..` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Local,
    Shared,
}

/// One element of `tags = [..]`.
pub(crate) enum TagOption {
    /// A literal, perhaps with placeholders.
    Template(Template),
    /// Any other expression.
    Expr(Expr),
}

/// What was written between the parentheses.
#[derive(Default)]
pub(crate) struct Options {
    /// `ttl = 3600`, `ttl = "1h"`, `ttl = EXPR`.
    pub(crate) ttl: Option<Given<Time>>,
    /// `ttl = |value| EXPR`.
    pub(crate) ttl_by: Option<Given<ExprClosure>>,
    pub(crate) tags: Option<Given<Vec<TagOption>>>,
    pub(crate) tags_from: Option<Given<ExprClosure>>,
    pub(crate) stagger: Option<Given<f64>>,
    pub(crate) refresh: Option<Given<Refresh>>,
    pub(crate) grace: Option<Given<Time>>,
    pub(crate) timeout: Option<Given<Timeout>>,
    /// What `with(..)` gives the background, in `refresh(..)` and `timeout(..)` together.
    pub(crate) with: Vec<With>,
    pub(crate) policy: Option<Given<Expr>>,
    pub(crate) each: Option<Given<Each>>,
    pub(crate) skip: Option<Given<Vec<ArgumentName>>>,
    pub(crate) secret: Option<Given<Vec<ArgumentName>>>,
    pub(crate) key: Option<Given<Vec<Expr>>>,
    pub(crate) name: Option<Given<LitStr>>,
    pub(crate) version: Option<Given<u32>>,
    pub(crate) when: Option<Given<Expr>>,
    pub(crate) store_if: Option<Given<Expr>>,
    pub(crate) none_ttl: Option<Given<Time>>,
    pub(crate) err_ttl: Option<Given<Time>>,
    pub(crate) local_ttl: Option<Given<Time>>,
    pub(crate) lease: Option<Given<Time>>,
    pub(crate) tier: Option<Given<Tier>>,
    pub(crate) cache: Option<Given<Expr>>,
    pub(crate) in_trait: Option<Given<()>>,
    pub(crate) krate: Option<Given<Path>>,
    /// What an attribute before this one tells.
    pub(crate) patterns: Vec<Taken>,
    /// Words that introduced an option, in vain or not.
    seen: Vec<String>,
    /// Whether a message has said to write `ttl`.
    means_ttl: bool,
}

impl Options {
    /// Whether the function is kept to this tier.
    pub(crate) fn is_kept_to(&self, tier: Tier) -> bool {
        self.tier.as_ref().is_some_and(|given| given.value == tier)
    }

    /// Reads all options; each mistake is reported and the reading goes on behind it.
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut options = Self::default();
        let parser = |input: ParseStream<'_>| {
            reading::each(input, diagnostics, |input, diagnostics| options.parse_one(input, diagnostics))
        };
        let read = parser.parse2(tokens);
        if let Err(mistake) = read {
            diagnostics.absorb(mistake);
        }
        options
    }

    /// Whether the ttl is told by the arguments or the value, and not by the policy.
    pub(crate) fn is_ttl_dynamic(&self) -> bool {
        self.ttl_by.is_some() || matches!(&self.ttl, Some(Given { value: Time::Expr(_), .. }))
    }

    /// The option by which calls leave work to the background: a refresh, or what a soft timeout did not wait for.
    pub(crate) fn background_option(&self) -> Option<&Ident> {
        let soft = self.timeout.as_ref().and_then(|timeout| timeout.value.soft.as_ref());
        self.refresh.as_ref().map(|refresh| &refresh.option).or(soft.map(|soft| &soft.option))
    }

    /// Whether calls leave work to the background.
    pub(crate) fn has_background(&self) -> bool {
        self.background_option().is_some()
    }

    /// Whether an option was written, be its value right or wrong.
    pub(crate) fn mentions(&self, option: &str) -> bool {
        self.seen.iter().any(|seen| seen == option)
    }

    /// Whether `ttl` was written, or a message has said to write it.
    pub(crate) fn mentions_ttl(&self) -> bool {
        self.means_ttl || self.mentions("ttl")
    }

    fn parse_one(&mut self, input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<()> {
        let option = match input.call(Ident::parse_any) {
            Ok(option) => option,
            Err(error) => {
                self.means_ttl = true;
                let fix = match lone_time(input) {
                    Some(time) => format!("`ttl = {time}`"),
                    None => "`#[cached(ttl = 3600, tags = [\"menu\"])]`".to_owned(),
                };
                return Err(syn::Error::new(error.span(), format!("expected an option: write {fix}")));
            }
        };
        let word = plain(&option);
        if word == PATTERNS {
            self.patterns = taken(input)?;
            return Ok(());
        }
        if self.mentions(&word) {
            let fix = match word.as_str() {
                "tier" => "keep one of them, or remove both to use every tier",
                _ => "keep one of them",
            };
            diagnostics.report(&option, format!("`{word}` is given twice: {fix}"));
            return skip_value(input);
        }
        self.seen.push(word.clone());
        match word.as_str() {
            "ttl" => match value::ttl(&option, input)? {
                Ttl::Time(time) => self.ttl = keep(option, time),
                Ttl::ByValue(closure) => self.ttl_by = keep(option, closure),
            },
            "grace" => self.grace = keep(option.clone(), value::time(&option, input)?),
            "refresh" => {
                let refresh = freshness::refresh(&option, input, &mut self.with, diagnostics)?;
                self.refresh = keep(option, refresh);
            }
            "timeout" => {
                let timeout = freshness::timeout(&option, input, &mut self.with, diagnostics)?;
                self.timeout = keep(option, timeout);
            }
            "tags_from" => {
                let closure =
                    value::closure(&option, input, "tags_from = |value| [format!(\"chef:{}\", value.chef)]")?;
                self.tags_from = keep(option, closure);
            }
            "policy" => self.policy = keep(option.clone(), value::expr(&option, input, "policy = MENU")?),
            "each" => self.each = keep(option.clone(), each::each(&option, input, diagnostics)?),
            "local_ttl" => self.local_ttl = keep(option.clone(), value::time(&option, input)?),
            "lease" => self.lease = keep(option.clone(), value::time(&option, input)?),
            "none_ttl" => self.none_ttl = keep(option.clone(), value::time(&option, input)?),
            "err_ttl" => self.err_ttl = keep(option.clone(), value::time(&option, input)?),
            "tags" => self.tags = keep(option.clone(), value::tags(&option, input, diagnostics)?),
            "stagger" => self.stagger = keep(option.clone(), value::share(&option, input)?),
            "skip" => self.skip = keep(option.clone(), value::names(&option, input, "db")?),
            "secret" => self.secret = keep(option.clone(), value::names(&option, input, "token")?),
            "key" => self.key = keep(option.clone(), value::key(&option, input)?),
            "name" => self.name = keep(option.clone(), value::name(&option, input)?),
            "version" => self.version = keep(option.clone(), value::version(&option, input)?),
            "when" => self.when = keep(option.clone(), value::condition(&option, input)?),
            "store_if" => self.store_if = keep(option.clone(), value::judge(&option, input)?),
            "cache" => self.cache = keep(option.clone(), value::expr(&option, input, "cache = self.cache")?),
            "tier" => self.tier = keep(option.clone(), value::tier(&option, input)?),
            "in_trait" => self.in_trait = keep(option, ()),
            "crate" => self.krate = keep(option.clone(), value::path(&option, input)?),
            _ => {
                let fix = match (example_of(&word), nearest(&word, OPTIONS)) {
                    (Some(example), _) => format!("write `{example}`"),
                    (None, Some(near)) => {
                        self.means_ttl |= near == "ttl";
                        format!("write `{near}`")
                    }
                    (None, None) => format!("write one of {}", listed(OPTIONS)),
                };
                diagnostics.report(&option, format!("`{word}` is not an option of `#[cached]`: {fix}"));
                return skip_value(input);
            }
        }
        Ok(())
    }
}

/// An expression without the parentheses and invisible groups around it.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        Expr::Paren(paren) if paren.attrs.is_empty() => bare(&paren.expr),
        _ => expr,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it fills an optional field")]
fn keep<T>(option: Ident, value: T) -> Option<Given<T>> {
    Some(Given { option, value })
}

/// How an option of an option is written, by its name.
fn example_of(inner: &str) -> Option<&'static str> {
    let example = match inner {
        "after" => "refresh(after = 0.8)",
        "priority" => "refresh(priority = 10)",
        "idle" => "refresh(idle = \"1h\")",
        "with" => "refresh(with(conn = POOL.acquire().await?))",
        "soft" => "timeout(soft = \"50ms\")",
        "hard" => "timeout(hard = \"2s\")",
        "by" => "each(id in ids, by = |item| item.id)",
        "at_most" => "each(id in ids, at_most = 500)",
        _ => return None,
    };
    Some(example)
}

/// The time that stands where an option should.
fn lone_time(input: ParseStream<'_>) -> Option<String> {
    let value = input.fork().parse::<ExprLit>().ok()?;
    let text = value.to_token_stream().to_string();
    Time::from_expr("ttl", &Expr::Lit(value)).is_ok().then_some(text)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn parse(tokens: TokenStream) -> (Options, Vec<String>) {
        let mut diagnostics = Diagnostics::default();
        let options = Options::parse(tokens, &mut diagnostics);
        (options, diagnostics.messages())
    }

    #[test]
    fn all_options_are_read() {
        let (options, mistakes) = parse(quote!(
            ttl = "1h 30m",
            tags = ["menu", "restaurant:{id}", TAG],
            tags_from = |menu| menu.labels(),
            stagger,
            refresh,
            grace = "10m",
            timeout(hard = 2),
            skip(db, self, _),
            secret(token),
            key = (self.tenant, id),
            name = "menus",
            version = 2,
            when = id != 0,
            store_if = |value| !value.is_empty(),
            none_ttl = "30s",
            err_ttl = 5,
            tier = local,
            local_ttl = LOCAL,
            lease = "10s",
            policy = MENU,
            each(id in ids, by = |item| item.id, at_most = 500),
            cache = self.cache,
            in_trait,
            crate = my::larder,
        ));

        assert_eq!(mistakes, [""; 0]);
        assert!(OPTIONS.iter().all(|option| options.mentions(option)));
        assert_eq!(options.ttl.and_then(|ttl| ttl.value.constant()).map(|ttl| ttl.as_secs()), Some(5_400));
        assert_eq!(
            options.lease.and_then(|lease| lease.value.constant()).map(|lease| lease.as_secs()),
            Some(10)
        );
        assert_eq!(options.tags.map(|tags| tags.value.len()), Some(3));
        assert_eq!(options.key.map(|key| key.value.len()), Some(2));
        assert_eq!(options.stagger.map(|stagger| stagger.value), Some(0.1));
    }

    #[test]
    fn each_tier_is_read_and_nothing_else() {
        let (local, mistakes) = parse(quote!(ttl = 60, tier = local));
        assert_eq!((local.is_kept_to(Tier::Local), mistakes.len()), (true, 0));
        let (shared, mistakes) = parse(quote!(ttl = 60, tier = (shared)));
        assert_eq!((shared.is_kept_to(Tier::Shared), mistakes.len()), (true, 0));

        for (tokens, fix) in [
            (quote!(tier = shard), "or remove it for every tier"),
            (quote!(tier = "shared"), "or remove it for every tier"),
            (quote!(tier = both), "remove `tier`"),
            (quote!(tier = (local, shared)), "remove `tier`"),
            (quote!(tier = [local, shared]), "remove `tier`"),
            (quote!(tier = local | shared), "remove `tier`"),
            (quote!(tier = local, tier = shared), "or remove both to use every tier"),
        ] {
            let (_, mistakes) = parse(tokens);

            assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
            assert!(mistakes[0].ends_with(fix), "{mistakes:#?}");
        }
    }

    #[test]
    fn a_ttl_without_its_name_is_said_to_be_one() {
        for (tokens, fix) in [
            (quote!(60), "write `ttl = 60`"),
            (quote!("1h", stagger), "write `ttl = \"1h\"`"),
            (quote!("menu"), "write `#[cached(ttl = 3600, tags = [\"menu\"])]`"),
            (quote!(tll = 60), "write `ttl`"),
        ] {
            let (options, mistakes) = parse(tokens);

            assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
            assert!(mistakes[0].ends_with(fix) && options.mentions_ttl(), "{mistakes:#?}");
        }
    }

    #[test]
    fn an_option_of_an_option_is_shown_in_its_place() {
        for (tokens, fix) in [
            (quote!(ttl = 60, each = ids, at_most = 2), "write `each(id in ids, at_most = 500)`"),
            (quote!(ttl = 60, timeout(hard = 2), soft = 1), "write `timeout(soft = \"50ms\")`"),
            (
                quote!(ttl = 60, refresh, with(conn = 1)),
                "write `refresh(with(conn = POOL.acquire().await?))`",
            ),
        ] {
            let (_, mistakes) = parse(tokens);

            assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
            assert!(mistakes[0].ends_with(fix), "{mistakes:#?}");
        }
        let inner = ["after", "priority", "idle", "with", "soft", "hard", "by", "at_most"];
        assert!(inner.iter().all(|inner| example_of(inner).is_some()));
    }

    #[test]
    fn a_text_is_no_key() {
        let (_, mistakes) = parse(quote!(ttl = 60, key = "{id}"));

        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        assert!(mistakes[0].ends_with("`key = id` or `key = (self.tenant, id)`"), "{mistakes:#?}");
    }

    #[test]
    fn every_mistake_is_found_and_reading_goes_on_behind_it() {
        let (options, mistakes) = parse(quote!(
            ttl,
            tll = 3,
            stagger = 2.0,
            refreh(after = 0.8, idle = "1h"),
            skip(),
            version = "x",
            name = "a b",
            tier = x,
            stagger = 0.5,
            key = (a, b)
        ));

        assert_eq!(mistakes.len(), 9, "{mistakes:#?}");
        assert!(options.key.is_some(), "the last option is read in spite of all before it");
    }

    #[test]
    fn what_follows_a_value_is_a_mistake() {
        let (_, mistakes) = parse(quote!(ttl = 3600 tags = ["menu"]));

        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    }
}
