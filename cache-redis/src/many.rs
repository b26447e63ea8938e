//! Many entries at once. What is large is read in pieces, so that each comes in its time, and holds up nobody else.

use cache_core::backend::{EntryKey, Found, ReadMany, TagKey};
use cache_core::{Error, ErrorKind};

use crate::backend::Redis;
use crate::clock::Moment;
use crate::command::reply::{self, Failure};
use crate::connection::Answer;
use crate::connection::traffic::{LARGE, MIB};
use crate::join;
use crate::names::{self, Names};

const DOING: &str = "reading many entries from Redis";

/// Some of the entries that are large together.
#[derive(Default)]
struct Piece {
    /// Which of those asked for they are.
    places: Vec<usize>,
    names: Names,
    bytes: usize,
}

impl Piece {
    fn add(&mut self, place: usize, name: &str, bytes: usize) {
        self.places.push(place);
        self.names.add(name);
        self.bytes += bytes;
    }
}

/// What is found under a name, or why that is not known.
type Outcome = Result<Option<Found>, Error>;

impl Redis {
    /// Reads entries, and epochs beside them.
    pub(crate) async fn read_each(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        let (mut small, pieces) = self.divided(keys, tags.len());
        tags.iter().for_each(|tag| small.add(&names::tag(self.prefix(), tag)));
        let asked: Vec<&str> = small.iter().collect();
        let (answers, read) = join::both(self.get_small(&asked), self.read_pieces(&pieces)).await;
        if let Some(Err(error)) = answers.first()
            && answers.iter().all(Result::is_err)
        {
            return Err(error.clone());
        }

        let mut found: Vec<Option<Outcome>> = keys.iter().map(|_| None).collect();
        for (piece, outcomes) in pieces.iter().zip(read) {
            for (&at, outcome) in piece.places.iter().zip(outcomes) {
                found[at] = Some(outcome);
            }
        }
        let mut small = asked.iter().zip(answers);
        for place in found.iter_mut().filter(|place| place.is_none()) {
            *place = small.next().map(|(name, answer)| self.outcome(name, answer));
        }
        let missing = || Err(self.failed(DOING, Failure::Misfit));
        let found = found.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect();
        let epoch = |answer: Result<Answer, Error>| reply::epoch(&reply::stored(answer.ok()?).ok()??);
        Ok(ReadMany { found, epochs: small.map(|(_, answer)| epoch(answer)).collect() })
    }

    /// The names of what goes at once, as far as is known, and the pieces of the rest.
    fn divided(&self, keys: &[EntryKey], more: usize) -> (Names, Vec<Piece>) {
        let mut small = Names::with_capacity(keys.len() + more);
        let (mut pieces, mut room) = (Vec::<Piece>::new(), LARGE);
        for (at, key) in keys.iter().enumerate() {
            let mut size = 0;
            let is_small = |name: &str| {
                size = self.traffic().size_of(name);
                size <= room
            };
            if small.add_entry_if(self.prefix(), key, is_small) {
                room -= size;
                continue;
            }
            let last = pieces.pop_if(|piece| piece.bytes + size <= MIB);
            let mut piece = last.unwrap_or_default();
            piece.add(at, &names::entry(self.prefix(), key), size);
            pieces.push(piece);
        }
        (small, pieces)
    }

    async fn get_small(&self, names: &[&str]) -> Vec<Result<Answer, Error>> {
        let (lane, began) = (self.traffic().small(), Moment::now());
        let answers = self.servers().get_many(lane, names, DOING).await;
        // Without this what is too large to come in time would be asked for like this again and again.
        let is_late = began.elapsed() >= lane.limit;
        let is_lost = |answer: &Result<Answer, Error>| {
            answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unreachable)
        };
        let lost = names.iter().zip(&answers).filter(|(_, answer)| is_late && is_lost(answer));
        lost.for_each(|(name, _)| self.traffic().may_be_large(name));
        answers
    }

    /// As many pieces at a time as there are connections for them: the time limit of one does not run while it waits for others.
    async fn read_pieces(&self, pieces: &[Piece]) -> Vec<Vec<Outcome>> {
        let at_once = self.traffic().large_connections();
        let reading = (0..at_once).map(|first| async move {
            let mut read = Vec::new();
            for piece in pieces.iter().skip(first).step_by(at_once) {
                read.push(self.read_piece(piece).await);
            }
            read.into_iter()
        });
        let mut read = join::all(reading).await;
        (0..pieces.len()).filter_map(|at| read[at % at_once].next()).collect()
    }

    async fn read_piece(&self, piece: &Piece) -> Vec<Outcome> {
        let names: Vec<&str> = piece.names.iter().collect();
        let answers = self.servers().get_many(self.traffic().sized(piece.bytes), &names, DOING).await;
        names.iter().zip(answers).map(|(name, answer)| self.outcome(name, answer)).collect()
    }

    fn outcome(&self, name: &str, answer: Result<Answer, Error>) -> Outcome {
        let stored = reply::stored(answer?).map_err(|failure| self.failed(DOING, failure))?;
        let found = stored.and_then(reply::entry);
        if let Some(found) = &found {
            self.has_found(name, &found.frame);
        }
        Ok(found)
    }
}
