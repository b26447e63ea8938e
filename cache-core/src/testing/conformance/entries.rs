//! What is stored and read.

use super::*;

/// What was filled is read back byte for byte.
pub async fn what_was_filled_is_read_back_byte_for_byte<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let every_byte: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let key = key("k");

    put(stage, &here, &key, &every_byte).await;

    let expected = Some(Found { frame: frame(&every_byte), is_expired: false });
    assert_eq!(found(&here, &key).await, expected);
    assert_eq!(found(&there, &key).await, expected);
}

/// A frame of eight mebibytes is stored whole.
pub async fn a_frame_of_eight_mebibytes_is_stored_whole<S: Stage>(stage: &S) {
    let backend = stage.process().await;
    let large: Vec<u8> = (0..8_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();

    put(stage, &backend, &key("k"), &large).await;

    // Not `assert_eq`: it would print both.
    assert!(bytes(&backend, &key("k")).await.expect("the entry is there") == large);
}

/// An empty frame is an entry.
pub async fn an_empty_frame_is_an_entry<S: Stage>(stage: &S) {
    let backend = stage.process().await;

    put(stage, &backend, &key("k"), b"").await;

    assert_eq!(bytes(&backend, &key("k")).await, Some(vec![]));
    let answer = lease(&backend, request(stage, &key("k"))).await;
    assert!(matches!(answer, Lease::Filled { .. }), "{answer:?}");
}

/// An entry is gone when its life has ended.
pub async fn an_entry_is_gone_when_its_life_has_ended<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let grant = granted(&backend, request(stage, &key)).await;
    let fill = FillRequest {
        key: &key,
        grant: &grant,
        frame: &frame(b"v"),
        life: stage.tick() * 3,
        tags: Tags::NONE,
    };
    assert_eq!(backend.fill(fill).await.expect("a fill is answered"), Fill::Stored);

    stage.advance(stage.tick()).await;
    let in_life = bytes(&backend, &key).await;
    stage.advance(stage.tick() * 2).await;
    let after = bytes(&backend, &key).await;

    assert_eq!(in_life, Some(b"v".to_vec()));
    assert_eq!(after, None);
    granted(&backend, request(stage, &key)).await;
}

/// A life of zero keeps nothing.
pub async fn a_life_of_zero_keeps_nothing<S: Stage>(stage: &S) {
    let (backend, filled, expired) = (stage.process().await, key("filled"), key("expired"));
    put(stage, &backend, &filled, b"old").await;
    put(stage, &backend, &expired, b"v").await;

    let take = LeaseRequest { claim: Claim::Take, ..request(stage, &filled) };
    let grant = granted(&backend, take).await;
    let fill = FillRequest {
        key: &filled,
        grant: &grant,
        frame: &frame(b"new"),
        life: Duration::ZERO,
        tags: Tags::NONE,
    };
    let answer = backend.fill(fill).await.expect("a fill is answered");
    backend.expire(&expired, Duration::ZERO).await.expect("an expiry is answered");

    assert_eq!(answer, Fill::Stored);
    assert_eq!(bytes(&backend, &filled).await, None);
    assert_eq!(bytes(&backend, &expired).await, None);
    granted(&backend, request(stage, &filled)).await;
}

/// Texts that a store might confuse, or choke on.
pub(super) const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "a ",
    " a",
    "a:b",
    "a::b",
    ":a",
    "a:",
    "{",
    "}",
    "{}",
    "}{",
    "{a}",
    "{a}b",
    "}a",
    "a}b{",
    "*",
    "?",
    "[a]",
    "a*",
    "\\",
    "\\{",
    "%7B",
    "'",
    "\"",
    "\0",
    "a\0b",
    "\r\n",
    "\r\nDEL a\r\n",
    "$6\r\nfoobar\r\n",
    "é",
    "e\u{301}",
    "日本語",
    "🦀",
    "\u{feff}a",
    "e",
    "l",
    "t",
    "e:{a}",
    "l:{a}",
    "t:{a}",
];

/// Any text is a key.
pub async fn any_text_is_a_key<S: Stage>(stage: &S) {
    let backend = stage.process().await;
    let long = ["x".repeat(4096), format!("{}y", "x".repeat(4095))];
    let texts: Vec<&str> = TEXTS.iter().copied().chain(long.iter().map(String::as_str)).collect();

    for (n, text) in texts.iter().enumerate() {
        let key = key(text);
        let grant = granted(&backend, request(stage, &key)).await;
        assert_eq!(
            fill(stage, &backend, &key, &grant, &frame(&n.to_be_bytes())).await,
            Fill::Stored,
            "{text:?}"
        );
    }

    for (n, text) in texts.iter().enumerate() {
        assert_eq!(bytes(&backend, &key(text)).await, Some(n.to_be_bytes().to_vec()), "{text:?}");
    }
    for (n, text) in texts.iter().enumerate() {
        backend.invalidate(&key(text)).await.expect("an invalidation is answered");
        assert_eq!(bytes(&backend, &key(text)).await, None, "{text:?}");
        if let Some(next) = texts.get(n + 1) {
            assert!(bytes(&backend, &key(next)).await.is_some(), "{text:?} took {next:?} away");
        }
    }
}

/// Two prefixes share nothing.
pub async fn two_prefixes_share_nothing<S: Stage>(stage: &S) {
    let here = stage.process().await;
    let there = here.view(&other_prefix(stage));
    let (key, tags) = (key("k"), [tag("t")]);
    let mut heard_there = there.subscribe().await.expect("a subscription is answered");
    let tags = Tags { keys: &tags, life: stage.tick() * 100 };

    put(stage, &here, &key, b"here").await;
    let epochs_here = here.epochs(tags).await.expect("epochs are answered");

    assert_eq!(bytes(&there, &key).await, None);
    assert_eq!(there.read(&key, tags.keys).await.expect("a read is answered").epochs, [None]);
    let take = |key| LeaseRequest { claim: Claim::Take, ..request(stage, key) };
    let grant_here = granted(&here, take(&key)).await;
    let grant_there = granted(&there, request(stage, &key)).await;
    there.invalidate(&key).await.expect("an invalidation is answered");
    there.invalidate_tags(tags).await.expect("an invalidation is answered");
    assert_eq!(fill(stage, &there, &key, &grant_there, &frame(b"there")).await, Fill::Refused);
    assert_eq!(fill(stage, &here, &key, &grant_here, &frame(b"here")).await, Fill::Stored);
    assert_eq!(here.epochs(tags).await.expect("epochs are answered"), epochs_here);
    here.invalidate(&key).await.expect("an invalidation is answered");
    let of_there = bus::messages_until_own_heartbeat(&there, &mut heard_there).await;
    assert!(of_there.iter().all(|message| message.origin == there.origin()), "{of_there:?}");
}

/// A read answers the epochs in the order of its tags.
pub async fn a_read_answers_the_epochs_in_the_order_of_its_tags<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    put(stage, &backend, &key, b"v").await;
    let known = [tag("a"), tag("b")];
    let tags = Tags { keys: &known, life: stage.tick() * 100 };
    let epochs = backend.epochs(tags).await.expect("epochs are answered");
    let asked = [tag("absent"), tag("b"), tag("a"), tag("b"), tag("absent")];

    let first = backend.read(&key, &asked).await.expect("a read is answered");
    let second = backend.read(&key, &asked).await.expect("a read is answered");
    let none = backend.read(&key, &[]).await.expect("a read is answered");

    let (a, b) = (Some(epochs[0]), Some(epochs[1]));
    assert_eq!(first.epochs, [None, b, a, b, None]);
    assert_eq!(second, first, "reading creates nothing");
    assert_eq!(first.found.map(|found| found.frame), Some(frame(b"v")));
    assert_eq!(none.epochs, []);
}

/// Many entries are read as each of them would be.
pub async fn many_entries_are_read_as_each_of_them_would_be<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    // More than fit one question of any kind, and one that is as large as others are small.
    let mut keys: Vec<_> = (0..1500).map(|i| key(&format!("k{i}"))).collect();
    for i in (0..1500).filter(|i| i % 100 == 7) {
        put(stage, &here, &keys[i], format!("v{i}").as_bytes()).await;
    }
    put(stage, &here, &keys[9], &vec![9; 1 << 20]).await;
    there.expire(&keys[107], stage.tick() * 100).await.expect("an expiry is answered");
    keys.push(keys[7].clone());
    let tags = [tag("a"), tag("absent"), tag("b"), tag("a")];
    let life = stage.tick() * 100;
    let made = here.epochs(Tags { keys: &[tag("b"), tag("a")], life }).await.expect("epochs are answered");

    // Twice: how large the large one is was not known the first time.
    for _ in 0..2 {
        let read = there.read_many(&keys, &tags).await.expect("a read is answered");

        assert_eq!(read.epochs, [Some(made[1]), None, Some(made[0]), Some(made[1])]);
        assert_eq!(read.found.len(), keys.len());
        for (i, found) in read.found.into_iter().enumerate() {
            let alone = there.read(&keys[i], &[]).await.expect("a read is answered").found;
            // Not `assert_eq`: one of them is large.
            assert!(found.expect("an entry is answered") == alone, "{i}: {alone:?}");
        }
    }
    let nothing = there.read_many(&[], &[]).await.expect("a read is answered");
    assert!(nothing.found.is_empty() && nothing.epochs.is_empty());
}
