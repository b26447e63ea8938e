//! Many looks into the shared tier in one round trip.

use std::collections::HashMap;

use super::{Borne, Looked, Question, away};
use crate::backend::{EntryKey, Epoch, Found, TagKey};
use crate::engine::together::together;
use crate::entry::MissReason;
use crate::storage::Storage;

/// How an entry's epochs are known.
enum Known {
    /// The bus has told them: one that stands for all.
    Here(Epoch),
    /// They are read: where among the tags asked for they are.
    Read(Vec<usize>),
}

/// Looks for all of them, each with the epochs that were taken for it before, which learn from the answer.
pub(in crate::engine) async fn look_many<V, S>(asked: Vec<(&Question<'_, S>, &mut Borne)>) -> Vec<Looked<V>>
where
    V: Send,
    S: Storage<V>,
{
    let Some((first, _)) = asked.first() else { return Vec::new() };
    let (cache, shared) = (first.cache, first.shared);
    let all_away = |error: crate::Error| asked.iter().map(|_| Looked::Away(error.clone())).collect();
    if shared.is_away() {
        return all_away(away());
    }
    let mut tags = Tags::default();
    let known: Vec<Known> = asked
        .iter()
        .map(|(question, borne)| match question.known(borne) {
            Some(epoch) => Known::Here(epoch),
            None => Known::Read(question.tag_keys().into_iter().map(|tag| tags.place(tag)).collect()),
        })
        .collect();
    let keys: Vec<EntryKey> = asked.iter().map(|(question, _)| question.key.clone()).collect();
    let read = match shared.ask(shared.backend.read_many(&keys, &tags.keys)).await {
        Ok(read) => read,
        Err(error) => return all_away(error),
    };
    let epochs = read.epochs;
    let judging = asked.into_iter().zip(known).zip(read.found).map(|(((question, borne), known), found)| {
        let current = match known {
            Known::Here(epoch) => Some((epoch, true)),
            Known::Read(places) => {
                let own: Vec<Option<Epoch>> =
                    places.iter().map(|at| epochs.get(*at).copied().flatten()).collect();
                borne.learn(cache, own.iter().copied());
                own.into_iter().collect::<Option<Vec<_>>>().map(|own| (Epoch::combined(own), false))
            }
        };
        judge(question, borne, current, found)
    });
    together(judging).await
}

/// Judges one: mostly without waiting.
async fn judge<V, S: Storage<V>>(
    question: &Question<'_, S>,
    borne: &mut Borne,
    current: Option<(Epoch, bool)>,
    found: Result<Option<Found>, crate::Error>,
) -> Looked<V> {
    let found = match found {
        Ok(found) => found,
        Err(error) => return Looked::Away(error),
    };
    let is_told = current.is_some_and(|(_, is_told)| is_told);
    let looked = question.judge(found, current.map(|(epoch, _)| epoch), borne).await;
    // What the bus has told may be wrong after a loss of the tag's epoch: the server has the last word.
    match looked {
        Looked::Unusable(MissReason::Invalidated, _) if is_told => question.look_whole(borne).await,
        looked => looked,
    }
}

/// The tags that are asked for, each once.
#[derive(Default)]
struct Tags {
    keys: Vec<TagKey>,
    places: HashMap<TagKey, usize, foldhash::fast::RandomState>,
}

impl Tags {
    fn place(&mut self, tag: TagKey) -> usize {
        let next = self.keys.len();
        let place = *self.places.entry(tag.clone()).or_insert(next);
        if place == next {
            self.keys.push(tag);
        }
        place
    }
}
