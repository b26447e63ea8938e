//! Many entries at once. What is large is read in pieces, so that each comes in its time, and holds up nobody else.

use cache_core::backend::{EntryKey, Found, ReadMany, TagKey};
use cache_core::{Error, ErrorKind};

use crate::backend::Redis;
use crate::clock::Moment;
use crate::command::reply::{self, Failure};
use crate::connection::Answer;
use crate::connection::traffic::{LARGE, MAYBE_LARGE, MIB};
use crate::join;
use crate::names::{self, Names};

const DOING: &str = "reading many entries from Redis";
/// So many are suspected to be large where none of them came in time.
const SUSPECTS: usize = 16;

/// Some of the entries that are large together.
#[derive(Default)]
struct Piece {
    /// Which of those asked for they are.
    places: Vec<usize>,
    names: Names,
    bytes: usize,
    /// Whether any of them may be small, for all that is known.
    is_guess: bool,
}

impl Piece {
    fn add(&mut self, place: usize, name: &str, bytes: usize) {
        self.places.push(place);
        self.names.add(name);
        self.bytes += bytes;
        self.is_guess |= bytes == MAYBE_LARGE;
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
        let reading = join::both(self.get_small(&asked, tags.len()), self.read_pieces(&pieces));
        let (answers, read) = reading.await;
        let failures = answers.iter().map(|answer| answer.as_ref().err());
        let mut failures = failures.chain(read.iter().flatten().map(|outcome| outcome.as_ref().err()));
        if let Some(Some(error)) = failures.next()
            && failures.all(|failure| failure.is_some())
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

    /// Reads what is small, as far as is known; the last `tags` of the names are not those of entries.
    async fn get_small(&self, names: &[&str], tags: usize) -> Vec<Result<Answer, Error>> {
        let (lane, began) = (self.traffic().small(), Moment::now());
        let answers = self.servers().get_many(lane, names, DOING).await;
        if began.elapsed() >= lane.limit {
            // Without this what is too large to come in time would be asked for like this again and again. Where nothing came, the
            // server may just hang.
            let is_lost = |answer: &Result<Answer, Error>| {
                answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unreachable)
            };
            let most = if answers.iter().any(Result::is_ok) { names.len() } else { SUSPECTS };
            let entries = names.iter().zip(&answers).take(names.len() - tags);
            let lost = entries.filter(|(_, answer)| is_lost(answer)).take(most);
            lost.for_each(|(name, _)| self.traffic().may_be_large(name));
        }
        answers
    }

    /// As many pieces at a time as there are connections for them: the time limit of one does not run while it waits for others.
    async fn read_pieces(&self, pieces: &[Piece]) -> Vec<Vec<Outcome>> {
        let at_once = self.traffic().large_connections();
        let reading = (0..at_once).map(|first| async move {
            let mut read: Vec<Vec<Outcome>> = Vec::new();
            let mut lost = None;
            for piece in pieces.iter().skip(first).step_by(at_once) {
                // Whoever waits has waited long enough.
                let outcomes = match &lost {
                    Some(error) => piece.places.iter().map(|_| Err(Error::clone(error))).collect(),
                    None => self.read_piece(piece).await,
                };
                lost = lost.or_else(|| lost_in(&outcomes));
                read.push(outcomes);
            }
            read.into_iter()
        });
        let mut read = join::all(reading).await;
        (0..pieces.len()).filter_map(|at| read[at % at_once].next()).collect()
    }

    async fn read_piece(&self, piece: &Piece) -> Vec<Outcome> {
        let names: Vec<&str> = piece.names.iter().collect();
        let mut lane = self.traffic().sized(piece.bytes);
        if piece.is_guess {
            lane.limit = self.traffic().small().limit;
        }
        let answers = self.servers().get_many(lane, &names, DOING).await;
        names.iter().zip(answers).map(|(name, answer)| self.outcome(name, answer)).collect()
    }

    fn outcome(&self, name: &str, answer: Result<Answer, Error>) -> Outcome {
        let stored = reply::stored(answer?).map_err(|failure| self.failed(DOING, failure))?;
        let found = stored.and_then(reply::entry);
        match &found {
            Some(found) => self.has_found(name, &found.frame),
            None => self.traffic().has_size(name, 0),
        }
        Ok(found)
    }
}

/// Why none of them could be read, if it is the way to the server.
fn lost_in(outcomes: &[Outcome]) -> Option<Error> {
    let mut errors = outcomes.iter().map(|outcome| outcome.as_ref().err());
    let first = errors.next()??;
    let is_lost = |error: &Error| error.kind() == ErrorKind::Unreachable;
    (is_lost(first) && errors.all(|error| error.is_some_and(is_lost))).then(|| first.clone())
}
