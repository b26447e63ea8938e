//! What is fuzzed. Shared with `cache-core/tests/frame_fuzz.rs`, which runs the same on fixed inputs.

use std::collections::BTreeMap;

use cache_core::Tag;
use cache_core::codec::{AnyCodec, Codec};
use cache_core::entry::epoch::Epoch;
use cache_core::entry::frame::{Frame, FrameView};
use cache_core::key::{Identity, Key, render};
use serde::{Deserialize, Serialize};

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

const CODECS: &[AnyCodec] = &[
    AnyCodec::Bincode,
    #[cfg(feature = "postcard")]
    AnyCodec::Postcard,
    #[cfg(feature = "messagepack")]
    AnyCodec::MessagePack,
    #[cfg(feature = "json")]
    AnyCodec::Json,
];

/// A value of whatever shape: it nests, has lengths, and elements that take up no bytes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Shape {
    Nothing,
    Number(i64),
    Text(String),
    List(Vec<Shape>),
    Map(BTreeMap<String, Shape>),
    Empty(Vec<()>),
    Maybe(Option<Box<Shape>>),
    Named { inner: Box<Shape>, rest: (bool, char) },
}

impl Shape {
    /// How many parts it has, and bytes of text.
    fn size(&self) -> usize {
        let inner = match self {
            Self::Nothing | Self::Number(_) => 0,
            Self::Text(text) => text.len(),
            Self::List(all) => all.iter().map(Self::size).sum(),
            Self::Map(all) => all.iter().map(|(name, shape)| name.len() + shape.size()).sum(),
            Self::Empty(all) => all.len(),
            Self::Maybe(inner) => inner.as_ref().map_or(0, |inner| inner.size()),
            Self::Named { inner, .. } => inner.size(),
        };
        inner.saturating_add(1)
    }
}

/// Bytes are refused, or give a value that is no larger than they are, and that is read as it is written.
#[allow(dead_code, reason = "each target uses one of them")]
pub(crate) fn value(bytes: &[u8]) -> bool {
    let mut is_read = false;
    for codec in CODECS {
        let Ok(shape) = codec.decode::<Shape>(bytes) else { continue };
        is_read = true;
        // Each part takes up a byte, but for those that take up none: of these there are few.
        assert!(
            shape.size() <= 2 * bytes.len() + (1 << 16),
            "{codec:?}: {} of {}",
            shape.size(),
            bytes.len()
        );
        let mut again = Vec::new();
        if codec.encode(&shape, &mut again).is_ok() {
            assert!(codec.decode::<Shape>(&again).is_ok_and(|read| read == shape), "{codec:?}: {shape:?}");
        }
    }
    is_read
}
