//! `refresh(..)` and `timeout(..)`, the options that have options.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, Ident, Lit, Token, UnOp};

use super::reading;
use super::{ArgumentName, Given, bare, keep, value};
use crate::diag::Diagnostics;
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
    read: impl FnMut(&str, &Ident, ParseStream<'_>, &mut Diagnostics) -> syn::Result<()>,
) -> syn::Result<()> {
    let content;
    syn::parenthesized!(content in input);
    reading::named(option, known, &content, diagnostics, read)
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
            Lit::Int(number) => value::digits(number)?.parse().ok(),
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

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use crate::args::Options;
    use crate::diag::Diagnostics;

    fn parse(tokens: TokenStream) -> (Options, Vec<String>) {
        let mut diagnostics = Diagnostics::default();
        let options = Options::parse(tokens, &mut diagnostics);
        (options, diagnostics.messages())
    }

    fn refresh(tokens: TokenStream) -> (Option<f64>, Option<i8>, Option<u64>) {
        let (options, mistakes) = parse(quote!(#tokens));
        assert_eq!(mistakes, [""; 0]);
        let refresh = options.refresh.expect("a refresh").value;
        let idle = refresh.idle.and_then(|idle| idle.value.constant()).map(|idle| idle.as_secs());
        (refresh.after, refresh.priority, idle)
    }

    #[test]
    fn a_refresh_has_any_of_its_options() {
        assert_eq!(refresh(quote!(refresh)), (None, None, None));
        assert_eq!(refresh(quote!(refresh())), (None, None, None));
        assert_eq!(
            refresh(quote!(refresh(after = 0.25, priority = 100, idle = "1h"))),
            (Some(0.25), Some(100), Some(3600))
        );
        assert_eq!(refresh(quote!(refresh(priority = (-100),))), (None, Some(-100), None));
    }

    #[test]
    fn what_a_refresh_cannot_be_is_refused() {
        for tokens in [
            quote!(refresh = 1),
            quote!(refresh(after = 0)),
            quote!(refresh(after = 1)),
            quote!(refresh(after = -0.5)),
            quote!(refresh(after = SHARE)),
            quote!(refresh(priority = 101)),
            quote!(refresh(priority = -101)),
            quote!(refresh(priority = 200)),
            quote!(refresh(priority = 0.5)),
            quote!(refresh(priority = "high")),
            quote!(refresh(idle = "0s")),
            quote!(refresh(idle)),
            quote!(refresh(with)),
            quote!(refresh(with())),
            quote!(refresh(with(conn))),
            quote!(refresh(with(conn =))),
            quote!(refresh(with(conn = 1, conn = 2))),
            quote!(refresh(with(7 = 1))),
            quote!(refresh(later)),
            quote!(refresh(after = 0.5, after = 0.5)),
        ] {
            let (_, mistakes) = parse(tokens.clone());

            assert_eq!(mistakes.len(), 1, "{tokens}: {mistakes:#?}");
            assert!(
                mistakes[0].contains("write") || mistakes[0].ends_with("keep one of them"),
                "{tokens}: {mistakes:#?}"
            );
        }
    }

    #[test]
    fn a_timeout_has_one_of_its_times() {
        let (options, mistakes) = parse(quote!(timeout(hard = 2, soft = "50ms")));
        let timeout = options.timeout.expect("a timeout").value;
        let [soft, hard] =
            [timeout.soft, timeout.hard].map(|time| time.and_then(|time| time.value.constant()));

        assert_eq!(mistakes, [""; 0]);
        assert_eq!(
            (soft.map(|soft| soft.as_millis()), hard.map(|hard| hard.as_millis())),
            (Some(50), Some(2000))
        );
        for tokens in [quote!(timeout), quote!(timeout = 1), quote!(timeout()), quote!(timeout(with(a = 1)))]
        {
            assert_eq!(parse(tokens.clone()).1.len(), 1, "{tokens}");
        }
    }

    #[test]
    fn what_is_given_in_both_places_comes_together() {
        let (options, mistakes) = parse(quote!(
            refresh(with(conn = a.b().await?, r#type = 1)),
            timeout(soft = 1, with(self = c, conn = d))
        ));

        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        let words: Vec<&str> = options.with.iter().map(|with| with.argument.word.as_str()).collect();
        assert_eq!(words, ["conn", "type", "self"]);
    }

    #[test]
    fn mistakes_inside_do_not_hide_what_follows() {
        let (options, mistakes) = parse(
            quote!(refresh(after = 2, prio = 1, idle = "1h", priority = 5 idle), timeout(soft = x y, hard = 1)),
        );

        assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
        let refresh = options.refresh.expect("a refresh").value;
        assert_eq!((refresh.priority, refresh.idle.is_some()), (Some(5), true));
        assert!(options.timeout.is_some_and(|timeout| timeout.value.hard.is_some()));
    }
}
