//! Invalidations of programs that are not Larder.
//!
//! Whoever can run a script runs [`OUTSIDE_SCRIPT`], which does all that an invalidation does. Whoever can only publish
//! says it in JSON on a channel of its own, and relies on the processes that hear it.

use cache_core::Tag;
use cache_core::backend::{Change, EntryKey, Message, Origin, TagKey};
use serde::Deserialize;

/// The script by which programs in any language invalidate, also while no process of the application runs:
/// `EVAL <script> 1 shop:t:{menu}`. What stands at its beginning says how; `docs/shared-tier.md` in the repository has examples.
///
/// It is the file `lua/invalidate.lua` of this crate.
///
/// ```
/// assert!(cache_redis::OUTSIDE_SCRIPT.starts_with("-- Invalidates for Larder"));
/// ```
pub const OUTSIDE_SCRIPT: &str = include_str!("../lua/invalidate.lua");

/// Longer messages are not looked at.
const MOST_BYTES: usize = 64 << 10;
/// Each name is a script to run.
const MOST_NAMES: usize = 1_000;

const TOO_LONG: &str = "a message from outside has more than 64 KiB: send several";
const TOO_MANY: &str = "a message from outside names more than 1,000 things: send several";
const NOTHING: &str = r#"a message from outside names nothing: write {"tags":["menu"]}, or "keys", "functions" or "everything":true beside it"#;
const NO_JSON: &str = r#"a message from outside is no JSON of the documented form: write {"tags":["menu"],"keys":["menu_of:v0:42"],"functions":["shop::menus::menu_of"],"everything":false}, each of them if it is needed"#;

/// What a message says. An unknown field may be an invalidation that a newer version knows: better refused than half done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Said {
    tags: Vec<String>,
    keys: Vec<String>,
    functions: Vec<String>,
    everything: bool,
}

/// Reads what was published on the channel for programs outside, whatever it is.
pub(crate) fn read(payload: &[u8]) -> Message {
    let change = match asked(payload) {
        Ok(change) => change,
        Err(why) => Change::Unread { why },
    };
    Message { origin: Origin::OUTSIDE, change }
}

fn asked(payload: &[u8]) -> Result<Change, &'static str> {
    if payload.len() > MOST_BYTES {
        return Err(TOO_LONG);
    }
    // serde takes a list for a struct, too, by the order of its fields, which nobody is promised.
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(NO_JSON);
    }
    // Not what serde says: that repeats the message, and so what may be a secret.
    let said: Said = serde_json::from_slice(payload).map_err(|_| NO_JSON)?;
    let Said { tags, keys, functions, everything } = said;
    match tags.len() + keys.len() + functions.len() {
        0 if !everything => return Err(NOTHING),
        0..=MOST_NAMES => {}
        _ => return Err(TOO_MANY),
    }
    let tags = tags.iter().map(|tag| TagKey::Tag(Tag::from(&**tag)));
    let functions = functions.into_iter().map(|path| TagKey::Function(path.into()));
    let tags = tags.chain(functions).chain(everything.then_some(TagKey::Everything));
    Ok(Change::Requested { tags: tags.collect(), keys: keys.into_iter().map(EntryKey::from).collect() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requested(tags: &[TagKey], keys: &[&str]) -> Change {
        Change::Requested { tags: tags.to_vec(), keys: keys.iter().map(|key| EntryKey::from(*key)).collect() }
    }

    fn why(payload: &[u8]) -> &'static str {
        match read(payload).change {
            Change::Unread { why } => why,
            other => panic!("it is read: {other:?}"),
        }
    }

    #[test]
    fn a_message_names_tags_keys_functions_and_everything() {
        let whole = br#" {"tags":["menu","\u00e4\"}"],"keys":["menu_of:v0:42"],"functions":["app::f"],"everything":true} "#;
        let (menu, odd) = (TagKey::Tag(Tag::from("menu")), TagKey::Tag(Tag::from("ä\"}")));
        let all = [menu.clone(), odd, TagKey::Function("app::f".into()), TagKey::Everything];

        assert_eq!(
            read(whole),
            Message { origin: Origin::OUTSIDE, change: requested(&all, &["menu_of:v0:42"]) }
        );
        assert_eq!(read(br#"{"tags":["menu"]}"#).change, requested(&[menu], &[]));
        assert_eq!(read(br#"{"keys":["a"]}"#).change, requested(&[], &["a"]));
        assert_eq!(read(br#"{"everything":true}"#).change, requested(&[TagKey::Everything], &[]));
    }

    #[test]
    fn what_is_something_else_is_refused_with_what_to_write() {
        let deep = "[".repeat(50_000);
        for odd in [
            "",
            "menu",
            "null",
            "[]",
            r#"[["menu"]]"#,
            r#" [["menu"],[],[],false]"#,
            "\"menu\"",
            r#"{"tags":"menu"}"#,
            r#"{"tags":[1]}"#,
            r#"{"tags":[null]}"#,
            r#"{"tag":["menu"]}"#,
            r#"{"tags":["menu"],"softly":true}"#,
            r#"{"tags":["a"],"tags":["b"]}"#,
            r#"{"tags":["menu"]} x"#,
            r#"{"tags":["menu""#,
            r#"{"tags":["\ud800"]}"#,
            r#"{"everything":1}"#,
            &deep,
        ] {
            assert_eq!(why(odd.as_bytes()), NO_JSON, "{odd:.40}");
        }
        assert_eq!(why(b"{\"tags\":[\"\xff\"]}"), NO_JSON);
        for nothing in ["{}", r#"{"tags":[]}"#, r#"{"everything":false}"#] {
            assert_eq!(why(nothing.as_bytes()), NOTHING);
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let of = |names: usize| format!(r#"{{"tags":[{}]}}"#, vec!["\"a\""; names].join(","));
        let padded = |bytes: usize| {
            let message = of(1);
            message.clone() + &" ".repeat(bytes - message.len())
        };

        assert!(matches!(read(of(1_000).as_bytes()).change, Change::Requested { .. }));
        assert_eq!(why(of(1_001).as_bytes()), TOO_MANY);
        assert!(matches!(read(padded(64 << 10).as_bytes()).change, Change::Requested { .. }));
        assert_eq!(why(padded((64 << 10) + 1).as_bytes()), TOO_LONG);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_almost_a_message_is_read_or_refused(
            at in 0..60_usize, byte in any::<u8>(), cut in 0..70_usize,
        ) {
            let mut bytes = br#"{"tags":["menu"],"keys":["menu_of:v0:42"],"everything":true}"#.to_vec();
            bytes[at.min(58)] = byte;
            bytes.truncate(cut);

            match read(&bytes).change {
                Change::Requested { tags, keys } => prop_assert!(!tags.is_empty() || !keys.is_empty()),
                Change::Unread { why } => prop_assert!(why.contains("write")),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn a_text_arrives_as_it_was_written(text in "\\PC{0,20}|[\"\\\\{}\u{0}-\u{1f}]{0,8}") {
            let payload = serde_json::json!({ "keys": [text] }).to_string();

            prop_assert_eq!(read(payload.as_bytes()).change, requested(&[], &[&text]));
        }
    }
}
