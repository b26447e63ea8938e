//! Stored frames: what is written is read, and nothing else is.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

#[path = "golden/check.rs"]
mod golden;

use std::time::Duration;

use cache_core::Tag;
use cache_core::entry::epoch::Epoch;
use cache_core::entry::frame::{CodecId, Frame, FrameError, FrameView};
use proptest::prelude::*;

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

const PLAIN: Frame<'_> = Frame {
    codec: CodecId(1),
    fingerprint: 0x0123_4567_89ab_cdef,
    created_millis: 1_700_000_000_000,
    fresh_for: Duration::from_secs(3600),
    grace: Duration::ZERO,
    cost: Duration::from_micros(12_345),
    declared: &[],
    named: &[],
    payload: b"menu",
};

const EPOCHS: [Epoch; 2] =
    [Epoch::new(1_699_999_999_000_000, 7), Epoch::new(1_600_000_000_123_456, u64::MAX)];

#[test]
fn frames_have_the_bytes_that_the_golden_file_pins() {
    let named = [(Tag::from("cuisine:thai"), EPOCHS[0]), (Tag::from(""), EPOCHS[1])];
    let frames = [
        ("plain", PLAIN),
        ("empty payload", Frame { payload: b"", ..PLAIN }),
        ("two declared tags", Frame { declared: &EPOCHS, ..PLAIN }),
        ("two named tags", Frame { named: &named, ..PLAIN }),
        ("all of it", Frame { declared: &EPOCHS, named: &named, grace: Duration::from_secs(600), ..PLAIN }),
        ("milliseconds", Frame { fresh_for: Duration::from_millis(1_500), ..PLAIN }),
        ("rounded down", Frame { fresh_for: Duration::from_micros(1_999), ..PLAIN }),
        ("for ever", Frame { fresh_for: Duration::MAX, grace: Duration::MAX, cost: Duration::MAX, ..PLAIN }),
        ("for no time", Frame { fresh_for: Duration::ZERO, cost: Duration::ZERO, ..PLAIN }),
        ("payload of 200", Frame { payload: &[0xAB; 200], ..PLAIN }),
    ];

    let lines: String = frames
        .iter()
        .map(|(what, frame)| format!("{what}\n    {}\n", golden::hex(&encoded(frame))))
        .collect();

    golden::check("frames.txt", &lines);
}

#[test]
fn two_declared_tags_cost_60_bytes_at_most() {
    // given: a ttl that stagger has shortened to odd milliseconds, the longest cost, a payload of many KiB
    let payload = vec![0; 10_000];
    let frame = Frame {
        fresh_for: Duration::from_millis(3_427_331),
        grace: Duration::from_secs(600),
        cost: Duration::MAX,
        declared: &EPOCHS,
        payload: &payload,
        ..PLAIN
    };

    let overhead = encoded(&frame).len() - payload.len();

    assert!(overhead <= 60, "{overhead}");
}

#[test]
fn every_shortened_frame_is_refused() {
    let named = [(Tag::from("cuisine:thai"), EPOCHS[0])];
    let bytes = encoded(&Frame { declared: &EPOCHS, named: &named, ..PLAIN });

    for length in 0..bytes.len() {
        let error = FrameView::parse(&bytes[..length]).unwrap_err();

        let expected = if length < 2 { FrameError::NotAFrame } else { FrameError::Truncated };
        assert_eq!(error, expected, "{length} bytes");
    }
}

#[test]
fn a_lengthened_frame_is_refused() {
    let mut bytes = encoded(&PLAIN);

    bytes.push(0);

    assert_eq!(FrameView::parse(&bytes).unwrap_err(), FrameError::Trailing);
}

#[test]
fn what_other_programs_store_is_no_frame() {
    for bytes in [&b""[..], b"42", b"{\"a\":1}", b"Lorem ipsum", b"\x80\x04\x95", b"\xAC\xED\x00\x05"] {
        assert_eq!(FrameView::parse(bytes).unwrap_err(), FrameError::NotAFrame);
    }
}

#[test]
fn a_frame_of_another_format_is_refused_by_its_version() {
    let mut bytes = encoded(&PLAIN);

    bytes[1] = 0xD2;

    assert_eq!(FrameView::parse(&bytes).unwrap_err(), FrameError::Version(2));
}

#[test]
fn lengths_that_lie_are_refused_at_once() {
    // given: where the number of tags stands, all bits of a length
    let head = encoded(&Frame { payload: b"", ..PLAIN });
    let tags_at = head.len() - 2;
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];

    for behind in [&[][..], &[0x01], &[0x00]] {
        let mut bytes = head[..tags_at].to_vec();
        bytes.extend(behind);
        bytes.extend(huge);
        bytes.extend([0; 64]);

        assert_eq!(FrameView::parse(&bytes).unwrap_err(), FrameError::Truncated, "{behind:?}");
    }
}

#[test]
fn numbers_in_a_longer_form_than_needed_are_refused() {
    let bytes = encoded(&Frame { payload: b"", ..PLAIN });
    let mut longer = bytes[..bytes.len() - 1].to_vec();

    longer.extend([0x80, 0x00]);

    assert_eq!(FrameView::parse(&longer).unwrap_err(), FrameError::BadNumber);
}

#[test]
fn spans_longer_than_the_longest_are_refused() {
    // given: where the ttl stands, one second more than fits, and one millisecond more
    let bytes = encoded(&PLAIN);
    let (before, after) = (&bytes[..17], &bytes[19..]);
    let longest = u64::MAX >> 2;

    for number in [(longest / 1000 + 1) << 1, (longest + 1) << 1 | 1] {
        let mut changed = before.to_vec();
        let mut rest = number;
        while rest >= 0x80 {
            changed.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        changed.push(rest as u8);
        changed.extend(after);

        assert_eq!(FrameView::parse(&changed).unwrap_err(), FrameError::BadNumber, "{number}");
    }
}

#[test]
fn a_tag_that_is_not_text_is_refused() {
    let named = [(Tag::from("thai"), EPOCHS[0])];
    let mut bytes = encoded(&Frame { named: &named, ..PLAIN });
    let at = bytes.windows(4).position(|window| window == b"thai").unwrap();

    bytes[at] = 0xFF;

    assert_eq!(FrameView::parse(&bytes).unwrap_err(), FrameError::BadTag);
}

prop_compose! {
    fn any_parts()(
        codec: u8,
        fingerprint: u64,
        created in 0..1_u64 << 48,
        spans in (0..1_u64 << 52, 0..1_u64 << 52, 0..1_u64 << 42),
        seconds: bool,
        declared in proptest::collection::vec(any::<(u64, u64)>(), 0..5),
        named in proptest::collection::vec((any::<String>(), any::<(u64, u64)>()), 0..4),
        payload in proptest::collection::vec(any::<u8>(), 0..300)
    ) -> Parts {
        let unit = if seconds { 1000 } else { 1 };
        Parts {
            codec: CodecId(codec),
            fingerprint,
            created,
            fresh_for: Duration::from_millis(spans.0 * unit),
            grace: Duration::from_millis(spans.1 * unit),
            cost: Duration::from_micros(spans.2),
            declared: declared.into_iter().map(|(micros, random)| Epoch::new(micros, random)).collect(),
            named: named
                .into_iter()
                .map(|(name, (micros, random))| (Tag::from(name), Epoch::new(micros, random)))
                .collect(),
            payload,
        }
    }
}

#[derive(Debug)]
struct Parts {
    codec: CodecId,
    fingerprint: u64,
    created: u64,
    fresh_for: Duration,
    grace: Duration,
    cost: Duration,
    declared: Vec<Epoch>,
    named: Vec<(Tag, Epoch)>,
    payload: Vec<u8>,
}

impl Parts {
    fn frame(&self) -> Frame<'_> {
        Frame {
            codec: self.codec,
            fingerprint: self.fingerprint,
            created_millis: self.created,
            fresh_for: self.fresh_for,
            grace: self.grace,
            cost: self.cost,
            declared: &self.declared,
            named: &self.named,
            payload: &self.payload,
        }
    }
}

/// Encodes what was read. A frame has one form, so this gives the bytes back.
fn encoded_again(view: &FrameView<'_>) -> Vec<u8> {
    let declared: Vec<Epoch> = view.declared().collect();
    let named: Vec<(Tag, Epoch)> = view.named().map(|tag| (Tag::from(tag.name), tag.epoch)).collect();
    encoded(&Frame {
        codec: view.codec(),
        fingerprint: view.fingerprint(),
        created_millis: view.created_millis(),
        fresh_for: view.fresh_for(),
        grace: view.grace(),
        cost: view.cost(),
        declared: &declared,
        named: &named,
        payload: view.payload(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_frame_is_read_as_it_was_written(parts in any_parts()) {
        let bytes = encoded(&parts.frame());

        let view = FrameView::parse(&bytes).unwrap();

        prop_assert_eq!(view.codec(), parts.codec);
        prop_assert_eq!(view.fingerprint(), parts.fingerprint);
        prop_assert_eq!(view.created_millis(), parts.created);
        prop_assert_eq!(view.fresh_for(), parts.fresh_for);
        prop_assert_eq!(view.usable_for(), parts.fresh_for + parts.grace);
        prop_assert!(view.cost() <= parts.cost);
        prop_assert!(parts.cost - view.cost() <= parts.cost / 1024);
        prop_assert_eq!(view.declared().collect::<Vec<_>>(), parts.declared);
        let named: Vec<_> = view.named().map(|tag| (Tag::from(tag.name), tag.epoch)).collect();
        prop_assert_eq!(named, parts.named);
        prop_assert_eq!(view.payload(), &parts.payload);
    }

    #[test]
    fn changed_bytes_are_refused_or_are_another_frame(
        parts in any_parts(),
        changes in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
        cut: prop::sample::Index,
        cuts: bool
    ) {
        let mut bytes = encoded(&parts.frame());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }

        if let Ok(view) = FrameView::parse(&bytes) {
            prop_assert_eq!(encoded_again(&view), bytes);
        }
    }

    #[test]
    fn bytes_of_whatever_origin_are_refused_or_are_a_frame(tail: Vec<u8>) {
        let bytes = [&[b'L', 0xD1][..], &tail].concat();

        if let Ok(view) = FrameView::parse(&bytes) {
            prop_assert_eq!(encoded_again(&view), bytes);
        }
        prop_assert!(FrameView::parse(&tail).is_err());
    }
}
