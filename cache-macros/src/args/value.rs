//! The values of options, each read in its own way.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, Ident, Lit, LitInt, LitStr, Path, Token};

use super::{ArgumentName, TagOption, Tier, bare};
use crate::diag::Diagnostics;
use crate::duration::{self, Time};
use crate::scan::{Names, plain};
use crate::template::Template;

/// What `stagger` alone means: up to a tenth of the ttl.
const USUAL_SHARE: f64 = 0.1;

/// `= EXPR`.
pub(crate) fn expr(option: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Expr> {
    let missing = |span| syn::Error::new(span, format!("its value is missing: write `{example}`"));
    if input.peek(Token![:]) || input.peek(syn::token::Paren) {
        return Err(syn::Error::new(
            option.span(),
            format!("an option and its value have a `=` between them: write `{example}`"),
        ));
    }
    if !input.peek(Token![=]) {
        // The option itself is a better place than the one behind it, which may be the end.
        return Err(missing(option.span()));
    }
    let equals = input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(missing(equals.span()));
    }
    input.parse()
}

/// What `ttl` says.
pub(super) enum Ttl {
    Time(Time),
    /// `|value| EXPR`.
    ByValue(ExprClosure),
}

pub(super) fn ttl(option: &Ident, input: ParseStream<'_>) -> syn::Result<Ttl> {
    let expr = expr(option, input, "ttl = 3600` or `ttl = \"1h 30m\"")?;
    match bare(&expr) {
        Expr::Closure(closure) => of_one_argument(closure, "ttl = |value| value.lifetime").map(Ttl::ByValue),
        _ => Time::from_expr("ttl", &expr).map(Ttl::Time),
    }
}

pub(crate) fn time(option: &Ident, input: ParseStream<'_>) -> syn::Result<Time> {
    let (seconds, text) = duration::examples(&plain(option));
    let expr = expr(option, input, &format!("{option} = {seconds}` or `{option} = \"{text}\""))?;
    if let Expr::Closure(_) = bare(&expr) {
        return Err(syn::Error::new_spanned(
            &expr,
            format!(
                "only `ttl` lets the value decide: write a duration, `{option} = {seconds}` or `{option} = \"{text}\"`"
            ),
        ));
    }
    Time::from_expr(&plain(option), &expr)
}

/// `= |value| EXPR`.
pub(crate) fn closure(option: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<ExprClosure> {
    let expr = expr(option, input, example)?;
    match bare(&expr) {
        Expr::Closure(closure) => of_one_argument(closure, example),
        _ => Err(syn::Error::new_spanned(
            &expr,
            format!("`{option}` is a closure over the value: write `{example}`"),
        )),
    }
}

/// `store_if = ..`: a closure, a function, or what ends in one.
pub(super) fn judge(option: &Ident, input: ParseStream<'_>) -> syn::Result<Expr> {
    const EXAMPLE: &str = "store_if = |value| !value.is_empty()";
    let judge = expr(option, input, EXAMPLE)?;
    match bare(&judge) {
        Expr::Lit(_) | Expr::Binary(_) | Expr::Unary(_) => Err(syn::Error::new_spanned(
            &judge,
            format!(
                "`store_if` is asked about each value: write a closure, `{EXAMPLE}`, or the name of a function"
            ),
        )),
        _ => Ok(judge),
    }
}

/// `when = ..` of `#[cached]`, which is asked before there is a value.
pub(super) fn condition(option: &Ident, input: ParseStream<'_>) -> syn::Result<Expr> {
    let condition = expr(option, input, "when = id != 0")?;
    match bare(&condition) {
        Expr::Closure(_) => Err(syn::Error::new_spanned(
            &condition,
            "`when` is an expression over the arguments and is given nothing: write it without `|..|`, `when = id != 0` say; \
             for a condition over the value write `store_if = |value| ..`",
        )),
        _ => Ok(condition),
    }
}

fn of_one_argument(closure: &ExprClosure, example: &str) -> syn::Result<ExprClosure> {
    if closure.inputs.len() == 1 {
        return Ok(closure.clone());
    }
    let (begin, inputs, end) = (&closure.inputs_begin, &closure.inputs, &closure.inputs_end);
    Err(syn::Error::new_spanned(
        quote!(#begin #inputs #end),
        format!("it is given the value alone: write a closure of one argument, `{example}`"),
    ))
}

pub(crate) fn tags(
    option: &Ident,
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<Vec<TagOption>> {
    let list = expr(option, input, "tags = [\"menu\", \"restaurant:{restaurant_id}\"]")?;
    let elements = match bare(&list) {
        Expr::Array(array) => &array.elems,
        _ => {
            return Err(syn::Error::new_spanned(
                &list,
                "tags are a list: write `tags = [\"menu\", \"restaurant:{restaurant_id}\"]`",
            ));
        }
    };
    let mut tags = Vec::new();
    for element in elements {
        match text(element) {
            Some(literal) => match Template::parse(literal) {
                Ok(template) => tags.push(TagOption::Template(template)),
                Err(mistakes) => {
                    mistakes.iter().for_each(|mistake| diagnostics.report(literal, mistake));
                }
            },
            None if matches!(bare(element), Expr::Lit(_)) => {
                diagnostics.report(element, "a tag is a text: write `tags = [\"menu\"]`");
            }
            None => tags.push(TagOption::Expr(element.clone())),
        }
    }
    Ok(tags)
}

pub(crate) fn share(option: &Ident, input: ParseStream<'_>) -> syn::Result<f64> {
    if !input.peek(Token![=]) {
        return Ok(USUAL_SHARE);
    }
    let value = expr(option, input, "stagger = 0.2")?;
    match number(&value) {
        Some(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(syn::Error::new_spanned(
            &value,
            "a share of the ttl, above 0 and up to 1: write `stagger = 0.2`, or `stagger` for 0.1",
        )),
    }
}

/// The number that an expression is.
pub(crate) fn number(value: &Expr) -> Option<f64> {
    match bare(value) {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Float(number) if matches!(number.suffix(), "" | "f32" | "f64") => number.base10_parse().ok(),
            Lit::Int(number) => digits(number)?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The digits of a whole number. The compiler looks at no suffix of what a macro reads, so `1h` would be 1.
pub(crate) fn digits(number: &LitInt) -> Option<&str> {
    const TYPES: [&str; 13] =
        ["", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
    TYPES.contains(&number.suffix()).then(|| number.base10_digits())
}

pub(crate) fn names(option: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Vec<ArgumentName>> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(
            option.span(),
            format!("expected names of arguments: write `{option}({example})`"),
        ));
    }
    let content;
    syn::parenthesized!(content in input);
    let names = Punctuated::<ArgumentName, Token![,]>::parse_terminated(&content);
    // What was not read would be a second mistake.
    content.parse::<TokenStream>()?;
    let names = names
        .map_err(|error| syn::Error::new(error.span(), format!("{error}: write `{option}({example})`")))?;
    if names.is_empty() {
        return Err(syn::Error::new(
            option.span(),
            format!("`{option}()` names no argument: write `{option}({example})`, or remove it"),
        ));
    }
    Ok(names.into_iter().collect())
}

/// The key parts: the elements of a tuple, or the one expression.
pub(crate) fn key(option: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let value = expr(option, input, "key = (self.tenant, id)")?;
    // Other caches read a text as a pattern. Here it would be one constant key for every call.
    if text(&value).is_some() {
        return Err(syn::Error::new_spanned(
            &value,
            "a text is the same for every call: write the arguments that count, `key = id` or `key = (self.tenant, id)`",
        ));
    }
    Ok(match bare(&value) {
        Expr::Tuple(tuple) => tuple.elems.iter().cloned().collect(),
        _ => vec![value],
    })
}

pub(crate) fn name(option: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let value = expr(option, input, "name = \"menus\"")?;
    let Some(name) = text(&value) else {
        return Err(syn::Error::new_spanned(&value, "a name is a text: write `name = \"menus\"`"));
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    match name.value() {
        value if value.is_empty() => Err(syn::Error::new(
            name.span(),
            "an empty name: write `name = \"menus\"`, or remove it to use the function's path",
        )),
        value => match value.chars().find(|c| !allowed(*c)) {
            Some(c) => Err(syn::Error::new(
                name.span(),
                format!(
                    "a name cannot contain {c:?}: write letters, digits, `_`, `.`, `/` and `-`, as in `name = \"app/menus\"`"
                ),
            )),
            None => Ok(name.clone()),
        },
    }
}

pub(crate) fn version(option: &Ident, input: ParseStream<'_>) -> syn::Result<u32> {
    let value = expr(option, input, "version = 2")?;
    let version = match bare(&value) {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(version) => digits(version).and_then(|digits| digits.parse::<u32>().ok()),
            _ => None,
        },
        _ => None,
    };
    version.ok_or_else(|| {
        syn::Error::new_spanned(
            &value,
            "a version is a whole number from 0 to 4294967295: write `version = 2`",
        )
    })
}

pub(crate) fn tier(option: &Ident, input: ParseStream<'_>) -> syn::Result<Tier> {
    let value = expr(option, input, "tier = local` or `tier = shared")?;
    let word = match bare(&value) {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    };
    let names = Names::of(&value);
    let message = match word.as_deref() {
        Some("local") => return Ok(Tier::Local),
        Some("shared") => return Ok(Tier::Shared),
        Some("both" | "all") => BOTH_TIERS,
        _ if names.has("local") && names.has("shared") => BOTH_TIERS,
        _ => "not a tier: write `tier = local` or `tier = shared`, or remove it for every tier",
    };
    Err(syn::Error::new_spanned(&value, message))
}

const BOTH_TIERS: &str = "every tier is used where none is named: remove `tier`";

pub(crate) fn path(option: &Ident, input: ParseStream<'_>) -> syn::Result<Path> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(option.span(), "its value is missing: write `crate = my_app::larder`"));
    }
    input.parse::<Token![=]>()?;
    // A path that a `macro_rules!` hands over comes in an invisible group, which only an expression unpacks.
    match input.fork().call(Path::parse_mod_style) {
        Ok(_) => input.call(Path::parse_mod_style),
        Err(_) => match input.parse::<Expr>() {
            Ok(expr) => match bare(&expr) {
                Expr::Path(path) => Ok(path.path.clone()),
                _ => Err(syn::Error::new_spanned(&expr, "not a path: write `crate = my_app::larder`")),
            },
            Err(error) => Err(syn::Error::new(error.span(), "not a path: write `crate = my_app::larder`")),
        },
    }
}

/// The text literal that an expression is.
fn text(expr: &Expr) -> Option<&LitStr> {
    match bare(expr) {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
