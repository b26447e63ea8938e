//! What is fuzzed. Shared with `cache-core/tests/frame_fuzz.rs`, which runs the same on fixed inputs.

use cache_core::Tag;
use cache_core::entry::epoch::Epoch;
use cache_core::entry::frame::{Frame, FrameView};
use cache_core::key::{Identity, Key, render};

/// Bytes are refused, or are the one form of the frame that they give.
#[allow(dead_code, reason = "each target uses one of them")]
pub(crate) fn frame(bytes: &[u8]) -> bool {
    let Ok(view) = FrameView::parse(bytes) else {
        return false;
    };
    let declared: Vec<Epoch> = view.declared().collect();
    let named: Vec<(Tag, Epoch)> = view.named().map(|tag| (Tag::from(tag.name), tag.epoch)).collect();
    let mut again = Vec::new();
    let frame = Frame {
        codec: view.codec(),
        fingerprint: view.fingerprint(),
        created_millis: view.created_millis(),
        fresh_for: view.fresh_for(),
        grace: view.grace(),
        cost: view.cost(),
        declared: &declared,
        named: &named,
        payload: view.payload(),
    };
    frame.encode(&mut again);
    assert_eq!(again, bytes);
    true
}

/// Bytes are refused, or give a text that is safe and short.
#[allow(dead_code, reason = "each target uses one of them")]
pub(crate) fn key(bytes: &[u8]) -> bool {
    let Ok(text) = render(bytes) else {
        return false;
    };
    assert!(text.len() <= 200, "{text}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}'), "{text}");
    true
}

/// Text is refused, or is that of no function that is known here, or is the text of the key that it gives.
#[allow(dead_code, reason = "each target uses one of them")]
pub(crate) fn key_text(bytes: &[u8]) -> bool {
    // One that is known, so that what comes behind it is a key.
    Identity::intern("menu_of", &[], 2);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match Key::parse(text) {
        Ok(Some(key)) => assert_eq!(key.to_string(), text),
        Ok(None) => assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}"),
        Err(malformed) => {
            assert!(malformed.position() <= text.len(), "{text}");
            return false;
        }
    }
    true
}
