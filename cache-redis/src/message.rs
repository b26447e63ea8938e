//! The wire form of what travels on the bus.
//!
//! `version kind origin` and then, by kind, the rest of the bytes: a key's text; a tag's letter, its text and its
//! epoch; a nonce. Numbers are big-endian. The epoch comes last, because the server appends it.
//!
//! What does not decode was sent by a newer program, or by a stranger. It may have been an invalidation, so
//! whoever hears it is told of a gap.

use cache_core::Tag;
use cache_core::backend::{Change, EntryKey, Epoch, Message, Origin, TagKey};

/// The first byte. A reader knows its own version alone.
const VERSION: u8 = 1;
const HEADER: usize = 10;

const INVALIDATED: u8 = b'i';
const EXPIRED: u8 = b'x';
const FILLED: u8 = b'f';
const RELEASED: u8 = b'r';
const TAG: u8 = b't';
const HEARTBEAT: u8 = b'h';

const OF_EVERYTHING: u8 = b'a';
const OF_FUNCTION: u8 = b'f';
const OF_TAG: u8 = b't';

/// What happened to the entry of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OfKey {
    Invalidated,
    Expired,
    Filled,
    Released,
}

/// A message about a key.
pub(crate) fn of_key(origin: Origin, what: OfKey, key: &EntryKey) -> Vec<u8> {
    let kind = match what {
        OfKey::Invalidated => INVALIDATED,
        OfKey::Expired => EXPIRED,
        OfKey::Filled => FILLED,
        OfKey::Released => RELEASED,
    };
    let mut bytes = header(kind, origin);
    bytes.extend_from_slice(key.as_str().as_bytes());
    bytes
}

/// A message about a tag, without the epoch that the server appends.
pub(crate) fn of_tag(origin: Origin, tag: &TagKey) -> Vec<u8> {
    let mut bytes = header(TAG, origin);
    let (letter, text) = match tag {
        TagKey::Everything => (OF_EVERYTHING, ""),
        TagKey::Function(name) => (OF_FUNCTION, &**name),
        TagKey::Tag(tag) => (OF_TAG, tag.as_str()),
    };
    bytes.push(letter);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A heartbeat.
pub(crate) fn heartbeat(origin: Origin, nonce: u64) -> Vec<u8> {
    let mut bytes = header(HEARTBEAT, origin);
    bytes.extend_from_slice(&nonce.to_be_bytes());
    bytes
}

fn header(kind: u8, origin: Origin) -> Vec<u8> {
    let mut bytes = vec![VERSION, kind];
    bytes.extend_from_slice(&origin.bits().to_be_bytes());
    bytes
}

/// Reads a message; `None` if it is none, or of another version.
pub(crate) fn decode(bytes: &[u8]) -> Option<Message> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let [VERSION, kind, origin @ ..] = *header else { return None };
    let origin = Origin::from_bits(u64::from_be_bytes(origin));
    let change = match kind {
        INVALIDATED => Change::Invalidated { key: key(rest)? },
        EXPIRED => Change::Expired { key: key(rest)? },
        FILLED => Change::Filled { key: key(rest)? },
        RELEASED => Change::Released { key: key(rest)? },
        TAG => {
            let (tag, epoch) = rest.split_last_chunk()?;
            Change::TagsInvalidated { epochs: vec![(tag_key(tag)?, Epoch::from_bytes(*epoch))] }
        }
        HEARTBEAT => Change::Heartbeat { nonce: u64::from_be_bytes(rest.try_into().ok()?) },
        _ => return None,
    };
    Some(Message { origin, change })
}

fn key(bytes: &[u8]) -> Option<EntryKey> {
    std::str::from_utf8(bytes).ok().map(EntryKey::from)
}

fn tag_key(bytes: &[u8]) -> Option<TagKey> {
    let (letter, text) = bytes.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    match *letter {
        OF_EVERYTHING if text.is_empty() => Some(TagKey::Everything),
        OF_FUNCTION => Some(TagKey::Function(text.into())),
        OF_TAG => Some(TagKey::Tag(Tag::from(text))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_of_another_version_or_kind_is_none() {
        let good = of_key(Origin::from_bits(1), OfKey::Filled, &"k".into());
        assert!(decode(&good).is_some());

        for at in 0..2 {
            let mut other = good.clone();
            other[at] = 0xff;
            assert_eq!(decode(&other), None);
        }
        for cut in 0..HEADER {
            assert_eq!(decode(&good[..cut]), None);
        }
    }

    #[test]
    fn a_message_is_pinned() {
        let bytes = of_key(Origin::from_bits(0x0102), OfKey::Invalidated, &"k{}".into());

        assert_eq!(bytes, b"\x01i\0\0\0\0\0\0\x01\x02k{}");
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_not(bytes in prop::collection::vec(any::<u8>(), 0..64), kind in "[ixfrth]") {
            let _ = decode(&bytes);
            let mut likely = vec![VERSION, kind.as_bytes()[0]];
            likely.extend(bytes);

            if let Some(message) = decode(&likely) {
                prop_assert_eq!(&message.origin.bits().to_be_bytes(), &likely[2..HEADER]);
            }
        }

        #[test]
        fn what_was_written_is_read(origin in any::<u64>(), text in ".{0,16}", nonce in any::<u64>()) {
            let (origin, entry) = (Origin::from_bits(origin), EntryKey::from(&*text));
            let read = |bytes: &[u8]| decode(bytes).map(|message| (message.origin, message.change));
            let key = entry.clone();

            prop_assert_eq!(
                read(&of_key(origin, OfKey::Invalidated, &entry)),
                Some((origin, Change::Invalidated { key: key.clone() }))
            );
            prop_assert_eq!(
                read(&of_key(origin, OfKey::Expired, &entry)),
                Some((origin, Change::Expired { key: key.clone() }))
            );
            prop_assert_eq!(
                read(&of_key(origin, OfKey::Filled, &entry)),
                Some((origin, Change::Filled { key: key.clone() }))
            );
            prop_assert_eq!(
                read(&of_key(origin, OfKey::Released, &entry)),
                Some((origin, Change::Released { key }))
            );
            prop_assert_eq!(
                read(&heartbeat(origin, nonce)),
                Some((origin, Change::Heartbeat { nonce }))
            );
            let epoch = Epoch { micros: nonce, random: 7 };
            for tag in [TagKey::Everything, TagKey::Function(text.as_str().into()), Tag::from(&*text).into()] {
                let mut bytes = of_tag(origin, &tag);
                bytes.extend(epoch.to_bytes());
                let change = Change::TagsInvalidated { epochs: vec![(tag, epoch)] };
                prop_assert_eq!(read(&bytes), Some((origin, change)));
            }
        }
    }
}
