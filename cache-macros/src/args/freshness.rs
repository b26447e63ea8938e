//! `refresh(..)` and `timeout(..)`, the options that have options.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, Ident, Lit, Token, UnOp};

use super::reading::{self, skip_value};
use super::{ArgumentName, Given, bare, keep, value};
use crate::diag::{Diagnostics, listed, nearest};
use crate::duration::Time;
use crate::scan::plain;

/// `refresh`, `refresh(after = 0.8, priority = 10, idle = "1h")`.
#[derive(Default)]
pub(crate) struct Refresh {
    pub(crate) after: Option<f64>,
    pub(crate) priority: Option<i8>,
    pub(crate) idle: Option<Given<Time>>,
}

/// `timeout(soft = "50ms", hard = "2s")`.
#[derive(Default)]
pub(crate) struct Timeout {
    pub(crate) soft: Option<Given<Time>>,
    pub(crate) hard: Option<Given<Time>>,
}

/// `conn = EXPR` in `with(..)`: where the background gets its own.
pub(crate) struct With {
    pub(crate) argument: ArgumentName,
    pub(crate) value: Expr,
}

const WITH: &str = "with(conn = POOL.acquire().await?)";

pub(super) fn refresh(
    option: &Ident,
    input: ParseStream<'_>,
    with: &mut Vec<With>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<Refresh> {
    let mut refresh = Refresh::default();
    if input.peek(Token![=]) {
        return Err(syn::Error::new(
            option.span(),
            "`refresh` has no value: write `refresh`, or `refresh(after = 0.8)`",
        ));
    }
    if input.peek(syn::token::Paren) {
        inner(
            option,
            &["after", "priority", "idle", "with"],
            input,
            diagnostics,
            |word, name, input, diagnostics| {
                match word {
                    "after" => refresh.after = Some(after(name, input)?),
                    "priority" => refresh.priority = Some(priority(name, input)?),
                    "idle" => refresh.idle = keep(name.clone(), value::time(name, input)?),
                    _ => self::with(name, input, with, diagnostics)?,
                }
                Ok(())
            },
        )?;
    }
    Ok(refresh)
}

pub(super) fn timeout(
    option: &Ident,
    input: ParseStream<'_>,
    with: &mut Vec<With>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<Timeout> {
    let mut timeout = Timeout::default();
    let mut is_any_given = false;
    let missing = "say how long to wait: write `timeout(soft = \"50ms\")`, `timeout(hard = \"2s\")`, or both";
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(option.span(), missing));
    }
    inner(option, &["soft", "hard", "with"], input, diagnostics, |word, name, input, diagnostics| {
        is_any_given |= word != "with";
        match word {
            "soft" => timeout.soft = keep(name.clone(), value::time(name, input)?),
            "hard" => timeout.hard = keep(name.clone(), value::time(name, input)?),
            _ => self::with(name, input, with, diagnostics)?,
        }
        Ok(())
    })?;
    if !is_any_given {
        diagnostics.report(option, missing);
    }
    Ok(timeout)
}

/// Reads the options between the parentheses of an option, each at most once.
fn inner(
    option: &Ident,
    known: &[&str],
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
    mut read: impl FnMut(&str, &Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) -> syn::Result<()> {
    let content;
    syn::parenthesized!(content in input);
    let mut seen: Vec<String> = Vec::new();
    reading::each(&content, diagnostics, |input, diagnostics| {
        let name = input.call(Ident::parse_any).map_err(|error| {
            let known = listed(known.iter().copied());
            syn::Error::new(
                error.span(),
                format!("expected an option of `{option}(..)`: write one of {known}"),
            )
        })?;
        let word = plain(&name);
        if seen.contains(&word) {
            diagnostics.report(&name, format!("`{word}` is given twice: keep one of them"));
            return skip_value(input);
        }
        seen.push(word.clone());
        if !known.contains(&word.as_str()) {
            let fix = match nearest(&word, known.iter().copied()) {
                Some(near) => format!("write `{near}`"),
                None => format!("write one of {}", listed(known.iter().copied())),
            };
            diagnostics.report(&name, format!("`{word}` is not an option of `{option}(..)`: {fix}"));
            return skip_value(input);
        }
        read(&word, &name, input, diagnostics)
    })
}

fn after(name: &Ident, input: ParseStream<'_>) -> syn::Result<f64> {
    let value = value::expr(name, input, "after = 0.8")?;
    match value::number(&value) {
        Some(after) if after > 0.0 && after < 1.0 => Ok(after),
        _ => Err(syn::Error::new_spanned(
            &value,
            "a share of the ttl, above 0 and below 1: write `after = 0.8`, or remove it for 0.8",
        )),
    }
}

fn priority(name: &Ident, input: ParseStream<'_>) -> syn::Result<i8> {
    let value = value::expr(name, input, "priority = 10")?;
    whole(&value).filter(|priority| (-100..=100).contains(priority)).ok_or_else(|| {
        syn::Error::new_spanned(
            &value,
            "a priority is a whole number from -100 to 100, higher ones first: write `priority = 10`, or remove it for 0",
        )
    })
}

/// The whole number that an expression is.
fn whole(value: &Expr) -> Option<i8> {
    match bare(value) {
        Expr::Unary(negative) if matches!(negative.op, UnOp::Neg(_)) => whole(&negative.expr)?.checked_neg(),
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// `with(conn = EXPR, ..)`, each name once over all of them.
fn with(
    name: &Ident,
    input: ParseStream<'_>,
    with: &mut Vec<With>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<()> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(
            name.span(),
            format!("expected what the background uses: write `{WITH}`"),
        ));
    }
    let content;
    syn::parenthesized!(content in input);
    if content.is_empty() {
        diagnostics.report(name, format!("`with()` gives nothing: write `{WITH}`, or remove it"));
    }
    reading::each(&content, diagnostics, |input, diagnostics| {
        let name = input.call(Ident::parse_any).map_err(|error| {
            syn::Error::new(error.span(), format!("expected the name of an argument: write `{WITH}`"))
        })?;
        let value = value::expr(&name, input, &format!("{name} = EXPR"))?;
        let argument = ArgumentName { word: plain(&name), span: name.span() };
        if with.iter().any(|with| with.argument.word == argument.word) {
            diagnostics.report(&name, format!("`{}` is given twice: keep one of them", argument.word));
        } else {
            with.push(With { argument, value });
        }
        Ok(())
    })
}
