//! Many looks into the shared tier in one round trip.

use std::collections::HashMap;

use super::look::Judged;
use super::{Borne, Looked, Question, Stored, away};
use crate::backend::{EntryKey, Epoch, TagKey};
use crate::engine::together::together;
use crate::entry::MissReason;

/// How an entry's epochs are known.
enum Known {
    /// The bus has told them: one that stands for all.
    Here(Epoch),
    /// They are read: where among the tags asked for they are.
    Read(Vec<usize>),
}

/// Looks for all of them, each with the epochs that were taken for it before, which learn from the answer.
pub(in crate::engine) async fn look_many(asked: Vec<(&Question<'_>, &mut Borne)>) -> Vec<Looked> {
    let Some((first, _)) = asked.first() else { return Vec::new() };
    let (cache, shared) = (first.cache, first.shared);
    let all_away = |error: crate::Error| asked.iter().map(|_| Looked::Away(error.clone())).collect();
    if shared.is_away() {
        return all_away(away());
    }
    let mut tags = Tags::default();
    let known: Vec<Known> = asked
        .iter()
        .map(|(question, borne)| match borne.followed() {
            Some(epoch) => Known::Here(epoch),
            None => Known::Read(question.tag_keys().into_iter().map(|tag| tags.place(tag)).collect()),
        })
        .collect();
    let keys: Vec<EntryKey> = asked.iter().map(|(question, _)| question.key.clone()).collect();
    let read = match shared.ask(shared.backend.read_many(&keys, &tags.keys)).await {
        Ok(read) => read,
        Err(error) => return all_away(error),
    };
    let now = match first.server_time().await {
        Ok(now) => now,
        Err(error) => return all_away(error),
    };
    // A backend that answers too little has not answered the rest.
    let found = read.found.into_iter().chain(std::iter::repeat_with(|| Err(away())));
    let mut looked: Vec<Option<Looked>> = Vec::with_capacity(asked.len());
    let mut later = Vec::new();
    for (at, (((question, borne), known), found)) in asked.into_iter().zip(known).zip(found).enumerate() {
        let (current, is_told) = match known {
            Known::Here(epoch) => (Some(epoch), true),
            Known::Read(places) => {
                let own = places.into_iter().map(|at| read.epochs.get(at).copied().flatten());
                let own: Vec<Option<Epoch>> = own.collect();
                borne.learn(cache, own.iter().copied());
                (own.into_iter().collect::<Option<Vec<_>>>().map(Epoch::combined), false)
            }
        };
        let judged = match found {
            Ok(Some(found)) => question.judge_at(now, found, current),
            Ok(None) => Judged::As(Looked::Unusable(MissReason::Absent, None)),
            Err(error) => Judged::As(Looked::Away(error)),
        };
        looked.push(match judged {
            // What the bus has told may be wrong after a loss of the tag's epoch: the server has the last word.
            Judged::As(Looked::Unusable(MissReason::Invalidated, _)) if is_told => {
                later.push(judge(at, question, borne, None));
                None
            }
            Judged::As(looked) => Some(looked),
            Judged::Naming(stored) => {
                later.push(judge(at, question, borne, Some(stored)));
                None
            }
        });
    }
    for (at, judged) in together(later).await {
        looked[at] = Some(judged);
    }
    looked.into_iter().flatten().collect()
}

/// Judges one that takes another round trip: what names tags itself, or what the bus tells to be outdated.
async fn judge(
    at: usize,
    question: &Question<'_>,
    borne: &mut Borne,
    stored: Option<Stored>,
) -> (usize, Looked) {
    let looked = match stored {
        Some(stored) => match question.judge_named(stored, borne).await {
            Looked::Unusable(MissReason::Invalidated, _) => question.look_whole(borne).await,
            looked => looked,
        },
        None => question.look_whole(borne).await,
    };
    (at, looked)
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
