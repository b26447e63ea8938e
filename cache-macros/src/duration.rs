//! Spans of time as they are written in options.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprUnary, Lit, UnOp};

use crate::args::{bare, digits};

/// The value of `ttl` and its relatives.
pub(crate) enum Time {
    /// Known now: seconds or a text.
    Constant(Duration),
    /// An expression of type `Duration`.
    Expr(Expr),
}

impl Time {
    /// Reads the value of `option`.
    pub(crate) fn from_expr(option: &str, expr: &Expr) -> syn::Result<Self> {
        let fail = |message: String| Err(syn::Error::new_spanned(expr, message));
        let (seconds, text) = examples(option);
        let instead = format!("write `{option} = {seconds}` or `{option} = \"{text}\"`");
        let duration = match bare(expr) {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Int(number) => {
                    let Some(digits) = digits(number) else {
                        let text = number.to_string();
                        let quoted = parse(&text)
                            .map(|_| format!("a unit needs quotes: write `{option} = \"{text}\"`"));
                        return fail(quoted.unwrap_or_else(|message| message));
                    };
                    Duration::from_secs(digits.parse().map_err(|error| {
                        let fix = format!("write whole seconds, `{option} = {seconds}`");
                        syn::Error::new(number.span(), format!("{error}: {fix}"))
                    })?)
                }
                Lit::Str(text) => {
                    parse(&text.value()).map_err(|message| syn::Error::new(text.span(), message))?
                }
                Lit::Float(_) => {
                    return fail(format!("a bare number is whole seconds: write `{option} = \"1500ms\"`"));
                }
                _ => return fail(format!("not a duration: {instead}")),
            },
            Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
                return fail(format!("a duration is positive: {instead}"));
            }
            _ => return Ok(Self::Expr(expr.clone())),
        };
        if duration.is_zero() {
            return fail(zero(option));
        }
        Ok(Self::Constant(duration))
    }

    /// The expression of type `Duration`.
    pub(crate) fn tokens(&self) -> TokenStream {
        match self {
            Self::Constant(duration) => {
                let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
                quote!(::core::time::Duration::new(#seconds, #nanos))
            }
            Self::Expr(expr) => quote_spanned!(expr.span()=> #expr),
        }
    }

    /// The duration, where it is known now.
    pub(crate) fn constant(&self) -> Option<Duration> {
        match self {
            Self::Constant(duration) => Some(*duration),
            Self::Expr(_) => None,
        }
    }
}

/// Usual values of an option, for its messages: seconds, and a text.
pub(crate) fn examples(option: &str) -> (&'static str, &'static str) {
    match option {
        "lease" | "hard" => ("10", "10s"),
        "soft" => ("1", "50ms"),
        _ => ("3600", "1h 30m"),
    }
}

fn zero(option: &str) -> String {
    match option {
        "none_ttl" | "err_ttl" => {
            format!("`{option}` of zero remembers nothing: remove it, or write `{option} = \"30s\"`")
        }
        "local_ttl" => {
            "`local_ttl` of zero keeps nothing in the local tier: write `local_ttl = \"5s\"`".to_owned()
        }
        "grace" => {
            "a `grace` of zero lets nothing stand in: remove it, or write `grace = \"10m\"`".to_owned()
        }
        "idle" => "an `idle` of zero keeps nothing warm: remove it, or write `idle = \"1h\"`".to_owned(),
        "soft" => "a soft timeout of zero waits for no computation: write `soft = \"50ms\"`".to_owned(),
        "hard" => {
            "a hard timeout of zero gives up before anything is computed: write `hard = \"2s\"`".to_owned()
        }
        "lease" => "a `lease` of zero ends before anything is computed: write `lease = \"10s\"`".to_owned(),
        _ => format!(
            "`{option}` of zero caches nothing: write `{option} = 3600`, or remove `#[cached]`; \
             to switch caching off at run time, write an expression: `{option} = TTL`"
        ),
    }
}

/// Reads `1h 30m`: numbers with a unit, parted by spaces.
fn parse(text: &str) -> Result<Duration, String> {
    if text.trim().is_empty() {
        return Err("an empty duration: write a number and a unit, \"1h 30m\"".to_owned());
    }
    let mut sum = Duration::ZERO;
    for part in text.split_whitespace() {
        let too_long = || format!("`{part}` is too long a time: write at most \"500000000000w\"");
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, unit) = part.split_at(digits);
        if number.is_empty() {
            return Err(format!("`{part}` does not begin with a whole number: write \"1h 30m\""));
        }
        let number: u64 = number.parse().map_err(|_| too_long())?;
        let seconds = match unit {
            "ms" => None,
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3_600),
            "d" => Some(86_400),
            "w" => Some(604_800),
            "" => {
                return Err(format!(
                    "`{part}` has no unit, which follows without a space: write \"{part}s\" for seconds, \"{part}h\" for hours"
                ));
            }
            _ => {
                return Err(format!(
                    "`{unit}` is not a unit of time: write one of `ms`, `s`, `m`, `h`, `d`, `w`, as in \"1h 30m\""
                ));
            }
        };
        let part = match seconds {
            Some(seconds) => Duration::from_secs(number.checked_mul(seconds).ok_or_else(too_long)?),
            None => Duration::from_millis(number),
        };
        sum = sum.checked_add(part).ok_or_else(too_long)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_parts_add_up() {
        let read = |text| parse(text).map(|duration| duration.as_millis());

        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("2s"), Ok(2_000));
        assert_eq!(read("1h 30m"), Ok(5_400_000));
        assert_eq!(read(" 1w  2d 3h 4m 5s 6ms "), Ok(788_645_006));
        assert_eq!(read("0s"), Ok(0));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_fix() {
        for text in [
            "",
            " ",
            "h",
            "10",
            "10 s",
            "1.5h",
            "5ns",
            "5min",
            "-3s",
            "18446744073709551615w",
            "99999999999999999999s",
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("write"), "{text}: {message}");
        }
    }
}
