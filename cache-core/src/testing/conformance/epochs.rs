//! What tags do.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entries::TEXTS;
use super::source::{Source, join};
use super::*;
use crate::backend::Epoch;

async fn epochs(stage: &impl Stage, backend: &impl Backend, keys: &[TagKey]) -> Vec<Epoch> {
    let tags = Tags { keys, life: stage.tick() * 100 };
    backend.epochs(tags).await.expect("epochs are answered")
}

async fn invalidate(stage: &impl Stage, backend: &impl Backend, keys: &[TagKey]) -> Vec<Epoch> {
    let tags = Tags { keys, life: stage.tick() * 100 };
    backend.invalidate_tags(tags).await.expect("an invalidation is answered")
}

async fn current(backend: &impl Backend, keys: &[TagKey]) -> Vec<Option<Epoch>> {
    backend.read(&key("none"), keys).await.expect("a read is answered").epochs
}

/// Any text is a tag.
pub async fn any_text_is_a_tag<S: Stage>(stage: &S) {
    let backend = stage.process().await;
    let mut keys: Vec<TagKey> = TEXTS.iter().map(|text| tag(text)).collect();
    keys.extend(TEXTS.iter().map(|text| TagKey::Function((*text).into())));
    keys.push(TagKey::Everything);

    let mut expected = epochs(stage, &backend, &keys).await;
    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), keys.len(), "no two share an epoch");

    for (n, moved) in keys.iter().enumerate() {
        expected[n] = invalidate(stage, &backend, std::slice::from_ref(moved)).await[0];
        assert_eq!(epochs(stage, &backend, &keys).await, expected, "{moved:?} moved another");
    }
}

/// An epoch stays until its tag is invalidated.
pub async fn an_epoch_stays_until_its_tag_is_invalidated<S: Stage>(stage: &S) {
    let (here, there, key) = (Arc::new(stage.process().await), Arc::new(stage.process().await), key("k"));
    let tags = Arc::new([tag("t"), TagKey::Function("f".into()), TagKey::Everything]);
    let life = stage.tick() * 100;

    // Many need the absent epochs at once.
    let asked: Vec<_> = (0..32)
        .map(|n| {
            let (backend, tags) = (Arc::clone(if n % 2 == 0 { &here } else { &there }), Arc::clone(&tags));
            tokio::spawn(async move { backend.epochs(Tags { keys: &*tags, life }).await })
        })
        .collect();
    let mut answers = BTreeSet::new();
    for answer in asked {
        answers.insert(answer.await.expect("the task does not panic").expect("epochs are answered"));
    }

    assert_eq!(answers.len(), 1, "{answers:?}");
    let first = answers.pop_first().expect("one answer");
    let leased = LeaseRequest { tags: Tags { keys: &*tags, life }, ..request(stage, &key) };
    let Lease::Granted { epochs: of_lease, grant } = lease(&*there, leased).await else {
        panic!("nobody else asks")
    };
    assert_eq!(of_lease, first);
    assert_eq!(fill(stage, &*there, &key, &grant, &frame(b"v")).await, Fill::Stored);
    here.invalidate(&key).await.expect("an invalidation is answered");
    stage.advance(stage.tick()).await;
    assert_eq!(epochs(stage, &*here, &*tags).await, first);
}

/// Invalidating a tag makes its epoch greater.
pub async fn invalidating_a_tag_makes_its_epoch_greater<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let tags = [tag("moved"), tag("kept")];
    let before = epochs(stage, &here, &tags).await;
    let mut last = before[0];

    for _ in 0..10 {
        let moved = invalidate(stage, &here, &tags[..1]).await;

        assert_eq!(current(&there, &tags).await, [Some(moved[0]), Some(before[1])]);
        assert!(moved[0].micros > last.micros, "{:?} after {last:?}", moved[0]);
        last = moved[0];
    }
    // An absent tag can be invalidated too: computations under way may bear it.
    invalidate(stage, &there, &[tag("absent")]).await;
}

/// A lost epoch comes back as another.
pub async fn a_lost_epoch_comes_back_as_another<S: Stage>(stage: &S) {
    let (here, there) = (stage.process().await, stage.process().await);
    let tags = [tag("t"), TagKey::Everything];
    let mut seen = BTreeSet::from_iter(epochs(stage, &here, &tags).await);

    for round in 2..5 {
        stage.lose_tags(&tags).await;

        assert_eq!(current(&there, &tags).await, [None, None]);
        seen.extend(epochs(stage, &there, &tags).await);
        assert_eq!(seen.len(), round * 2, "{seen:?}");
    }
}

/// An epoch lives as long as it is needed.
pub async fn an_epoch_lives_as_long_as_it_is_needed<S: Stage>(stage: &S) {
    let (backend, key) = (stage.process().await, key("k"));
    let (short, long) = (stage.tick(), stage.tick() * 6);
    let tags = ["asked", "leased", "filled", "invalidated", "short"].map(tag);
    let [asked, leased, filled, invalidated, brief] = &tags;
    let of = |tag, life| Tags { keys: std::slice::from_ref(tag), life };
    let mut made = Vec::new();
    for tag in &tags {
        made.extend(backend.epochs(of(tag, short)).await.expect("epochs are answered"));
    }

    backend.epochs(of(asked, long)).await.expect("epochs are answered");
    let grant = granted(&backend, LeaseRequest { tags: of(leased, long), ..request(stage, &key) }).await;
    let (life, frame) = (stage.tick(), frame(b"v"));
    let fill = FillRequest { key: &key, grant: &grant, frame: &frame, life, tags: of(filled, long) };
    assert_eq!(backend.fill(fill).await.expect("a fill is answered"), Fill::Stored);
    let moved = backend.invalidate_tags(of(invalidated, long)).await.expect("an invalidation is answered");
    // Shorter ones take nothing away.
    for tag in [asked, leased, filled] {
        backend.epochs(of(tag, short)).await.expect("epochs are answered");
    }
    let moved_again = backend.invalidate_tags(of(invalidated, short)).await;
    let moved = [moved[0], moved_again.expect("an invalidation is answered")[0]];
    stage.advance(stage.tick() * 3).await;
    let later = current(&backend, &tags).await;
    stage.advance(long).await;

    assert_eq!(later, [Some(made[0]), Some(made[1]), Some(made[2]), Some(moved[1]), None], "{brief:?}");
    assert_eq!(current(&backend, &tags).await, [None; 5]);
}

/// An invalidation after the grant is younger than the grant.
pub async fn an_invalidation_after_the_grant_is_younger_than_the_grant<S: Stage>(stage: &S) {
    let (here, there, key) = (stage.process().await, stage.process().await, key("k"));
    let old = epochs(stage, &there, &[tag("old"), tag("moved")]).await;
    stage.advance(stage.tick()).await;

    let grant = granted(&here, request(stage, &key)).await;

    assert!(old.iter().all(|epoch| !epoch.is_younger_than(grant.granted_at)), "{old:?} before {grant:?}");
    let moved = invalidate(stage, &there, &[tag("moved")]).await[0];
    let created = epochs(stage, &there, &[tag("created")]).await[0];
    assert!(moved.is_younger_than(grant.granted_at), "{moved:?} after {grant:?}");
    assert!(created.is_younger_than(grant.granted_at), "{created:?} after {grant:?}");
}

/// No entry is older than the invalidation of its tag.
pub async fn no_entry_is_older_than_the_invalidation_of_its_tag<S: Stage>(stage: &S) {
    let processes = [Arc::new(stage.process().await), Arc::new(stage.process().await)];
    let source = Arc::new(Source::new());
    let life = stage.tick() * 100;
    let keys = [tag("a"), tag("b")];

    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for n in 0..16 {
        let (backend, source, keys) = (Arc::clone(&processes[n % 2]), Arc::clone(&source), keys.clone());
        if n < 2 {
            writers.push(tokio::spawn(async move {
                for _ in 0..200 {
                    let version = source.change();
                    let moved = Tags { keys: &keys[n..=n], life };
                    backend.invalidate_tags(moved).await.expect("an invalidation is answered");
                    source.has_invalidated(version);
                    source.pause().await;
                }
            }));
        } else {
            readers.push(tokio::spawn(async move {
                while source.is_changing() {
                    read_or_fill(&*backend, &source, Tags { keys: &keys, life }).await;
                    tokio::task::yield_now().await;
                }
            }));
        }
    }
    while writers.iter().any(|writer| !writer.is_finished()) {
        stage.lose_tags(&keys[..1]).await;
        source.pause().await;
    }
    join(writers, "writer").await;
    source.end();
    join(readers, "reader").await;

    let read = processes[0].read(&key("k"), &keys).await.expect("a read is answered");
    if let Some(last) = read.found.and_then(|found| usable(&found.frame, &read.epochs)) {
        assert_eq!(last, source.version());
    }
}

async fn read_or_fill(backend: &impl Backend, source: &Source, tags: Tags<'_>) {
    let (key, floor) = (key("k"), source.floor());
    let read = backend.read(&key, tags.keys).await.expect("a read is answered");
    if let Some(seen) = read.found.as_ref().and_then(|found| usable(&found.frame, &read.epochs)) {
        assert!(seen >= floor, "read {seen} after the invalidation of {floor}");
        return;
    }
    let claim = match &read.found {
        Some(found) => Claim::Replace(&found.frame),
        None => Claim::Absent,
    };
    let (token, life) = (LeaseToken::random(), tags.life);
    if let Lease::Granted { grant, epochs } =
        lease(backend, LeaseRequest { key: &key, token, life, tags, claim }).await
    {
        let value = stamped(source.compute().await, &epochs);
        let fill = FillRequest { key: &key, grant: &grant, frame: &value, life, tags };
        backend.fill(fill).await.expect("a fill is answered");
    }
}

/// A value as an engine frames it: with the epochs from before its computation.
fn stamped(version: u64, epochs: &[Epoch]) -> FrameBytes {
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend(epochs.iter().flat_map(|epoch| epoch.to_bytes()));
    bytes.into()
}

/// The version, if every epoch it was stamped with is the current one.
fn usable(frame: &FrameBytes, epochs: &[Option<Epoch>]) -> Option<u64> {
    let current: Vec<Epoch> = epochs.iter().copied().collect::<Option<_>>()?;
    let version = u64::from_be_bytes(frame.first_chunk().copied()?);
    (*frame == stamped(version, &current)).then_some(version)
}

/// Clearing a prefix leaves the others.
pub async fn clearing_a_prefix_leaves_the_others<S: Stage>(stage: &S) {
    let here = stage.process().await;
    let there = here.view(&other_prefix(stage));
    let everything = [TagKey::Everything];
    let (before_here, before_there) =
        (epochs(stage, &here, &everything).await, epochs(stage, &there, &everything).await);

    let moved = invalidate(stage, &here, &everything).await;

    assert_ne!(moved, before_here);
    assert_eq!(epochs(stage, &here, &everything).await, moved);
    assert_eq!(epochs(stage, &there, &everything).await, before_there);
}
