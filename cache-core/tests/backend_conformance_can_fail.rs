//! The conformance suite finds backends that break the contract, each by the test that is named for it.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::backend::{
    Backend, Change, Claim, EntryKey, Epoch, Fill, FillRequest, Grant, Heard, InvalidateRequest, Lease,
    LeaseRequest, LeaseToken, Memory, Message, Origin, Prefix, Read, ReadMany, Refill, RefillRequest,
    Renewal, ServerTime, Subscription, TagKey, Tags,
};
use cache_core::testing::MemoryStage;
use cache_core::testing::conformance::{
    Stage, bus, calls, entries, epochs, fills, invalidation, leases, many,
};
use cache_core::{Error, ErrorKind};

/// Mistakes that a backend could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// Fills are stored whoever holds the lease.
    FillIgnoresTheLease,
    /// Fills compare the token and not the time of the grant.
    FillComparesTheTokenAlone,
    /// A refill leaves the head as it was.
    RefillKeepsTheHead,
    /// A refill takes whatever is there.
    RefillComparesNothing,
    /// A refill stores whatever became of its lease.
    RefillIgnoresTheLease,
    /// An ended lease still fills.
    LeasesNeverEnd,
    /// A repeated request is a stranger's.
    LeaseForgetsItsHolder,
    /// Everybody is granted.
    LeaseGrantsAll,
    /// `Replace` is answered with what the asker saw.
    ReplaceComparesNothing,
    /// A taken key leaves the other's lease.
    TakeAsksPolitely,
    /// Anyone's token releases.
    ReleaseIgnoresTheToken,
    /// The entry goes, the lease stays.
    InvalidateKeepsTheLease,
    /// A stale entry is not kept.
    ExpireRemoves,
    /// A stale entry is not marked.
    ExpireForgetsTheMark,
    /// Of many keys the first one is removed.
    ManyMeansTheFirst,
    /// What is to be made stale is forgotten beside what is to be removed.
    ManyForgetsTheStale,
    /// Of many keys a thousand are removed.
    ManyHasAnEnd,
    /// A key that is named twice is an error.
    ManyRefusesRepetition,
    /// The epochs of many tags come in another order.
    ManySortsEpochs,
    /// Of many keys the first one loses its lease.
    ManyKeepsTheLeases,
    /// Epochs are counters that begin at one.
    EpochsAreCounters,
    /// Reading an absent epoch creates it.
    ReadCreatesEpochs,
    /// Epochs of a read come sorted.
    ReadSortsEpochs,
    /// Of many, one that is asked for twice is found once.
    ReadManyAnswersOnce,
    /// Frames are cut at 1 MiB.
    FramesAreCut,
    /// Letters of keys lose their case.
    KeysLoseTheirCase,
    /// All prefixes are one.
    PrefixesAreIgnored,
    /// Views share an origin.
    OriginsAreShared,
    /// A broken bus is mended in silence.
    GapsAreSilent,
    /// Nobody hears of taken keys.
    PutsAreSilent,
    /// Health tells another clock.
    HealthTellsAnotherClock,
}

/// A backend that makes one mistake.
#[derive(Debug)]
struct Mistaken {
    inner: Memory,
    mistake: Mistake,
    origin: Origin,
    /// The newest grant of each token and of each key.
    grants: Arc<Mutex<HashMap<LeaseToken, Grant>>>,
    holders: Arc<Mutex<HashMap<EntryKey, Grant>>>,
    counters: Arc<Mutex<HashMap<TagKey, (Epoch, u64)>>>,
}

impl Mistaken {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    fn key(&self, key: &EntryKey) -> EntryKey {
        if self.makes(Mistake::KeysLoseTheirCase) { key.as_str().to_lowercase().into() } else { key.clone() }
    }

    /// What a store of counters would answer: one more for each new epoch, from one again after a loss.
    fn count(&self, tag: &TagKey, epoch: Option<Epoch>) -> Option<Epoch> {
        if !self.makes(Mistake::EpochsAreCounters) {
            return epoch;
        }
        let mut counters = self.counters.lock().unwrap();
        let Some(epoch) = epoch else {
            counters.remove(tag);
            return None;
        };
        let counter = counters.entry(tag.clone()).or_insert((epoch, 1));
        if counter.0 != epoch {
            *counter = (epoch, counter.1 + 1);
        }
        Some(Epoch { micros: counter.1, random: 0 })
    }

    /// As if the lease had never been voided.
    async fn let_again(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        let (life, tags, claim) = (Duration::from_secs(1000), Tags::NONE, Claim::Take);
        let lease = LeaseRequest { key, token, life, tags, claim };
        if let Lease::Granted { grant, .. } = self.inner.lease(lease).await? {
            self.grants.lock().unwrap().insert(token, grant);
        }
        Ok(())
    }

    async fn by_force(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        self.inner.lease(LeaseRequest { claim: Claim::Take, ..request }).await
    }
}

impl Backend for Mistaken {
    fn view(&self, prefix: &Prefix) -> Self {
        let is_same = self.makes(Mistake::PrefixesAreIgnored);
        let inner = if is_same { self.inner.clone() } else { self.inner.view(prefix) };
        let shares = self.makes(Mistake::OriginsAreShared);
        Self {
            origin: if shares { self.origin } else { inner.origin() },
            inner,
            mistake: self.mistake,
            grants: Arc::clone(&self.grants),
            holders: Arc::clone(&self.holders),
            counters: Arc::clone(&self.counters),
        }
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    async fn read(&self, key: &EntryKey, tags: &[TagKey]) -> Result<Read, Error> {
        if self.makes(Mistake::ReadCreatesEpochs) {
            self.inner.epochs(Tags { keys: tags, life: Duration::from_secs(1) }).await?;
        }
        let mut read = self.inner.read(&self.key(key), tags).await?;
        if self.makes(Mistake::ReadSortsEpochs) {
            read.epochs.sort();
        }
        if let Some(found) = &mut read.found {
            found.is_expired &= !self.makes(Mistake::ExpireForgetsTheMark);
        }
        for (tag, epoch) in tags.iter().zip(&mut read.epochs) {
            *epoch = self.count(tag, *epoch);
        }
        Ok(read)
    }

    async fn read_many(&self, keys: &[EntryKey], tags: &[TagKey]) -> Result<ReadMany, Error> {
        let mut read = self.inner.read_many(keys, tags).await?;
        for (at, key) in keys.iter().enumerate().filter(|_| self.makes(Mistake::ReadManyAnswersOnce)) {
            if keys[..at].contains(key) {
                read.found[at] = Ok(None);
            }
        }
        Ok(read)
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease, Error> {
        let key = self.key(request.key);
        let mut request = LeaseRequest { key: &key, ..request };
        let takes = matches!(request.claim, Claim::Take);
        if self.makes(Mistake::LeasesNeverEnd) {
            request.life = Duration::MAX;
        }
        if self.makes(Mistake::LeaseForgetsItsHolder)
            && self.grants.lock().unwrap().contains_key(&request.token)
        {
            request.token = LeaseToken::random();
        }
        let before = self.holders.lock().unwrap().get(&key).copied();
        let mut answer = self.inner.lease(request).await?;
        let grants_all = self.makes(Mistake::LeaseGrantsAll) && matches!(answer, Lease::Held { .. });
        let sees_nothing = self.makes(Mistake::ReplaceComparesNothing)
            && matches!((&answer, request.claim), (Lease::Filled { .. }, Claim::Replace(_)));
        if grants_all || sees_nothing {
            answer = self.by_force(request).await?;
        }
        if let Lease::Granted { grant, epochs } = &mut answer {
            self.grants.lock().unwrap().insert(grant.token, *grant);
            let is_polite = self.makes(Mistake::TakeAsksPolitely) && takes && before.is_some();
            if !is_polite {
                self.holders.lock().unwrap().insert(key.clone(), *grant);
            }
            for (tag, epoch) in request.tags.keys.iter().zip(epochs) {
                *epoch = self.count(tag, Some(*epoch)).unwrap();
            }
        }
        Ok(answer)
    }

    async fn renew(&self, key: &EntryKey, grant: &Grant, life: Duration) -> Result<Renewal, Error> {
        self.inner.renew(&self.key(key), grant, life).await
    }

    async fn release(&self, key: &EntryKey, token: LeaseToken) -> Result<(), Error> {
        let holder = self.holders.lock().unwrap().get(key).copied();
        let token = match holder {
            Some(holder) if self.makes(Mistake::ReleaseIgnoresTheToken) => holder.token,
            _ => token,
        };
        self.inner.release(&self.key(key), token).await
    }

    async fn fill(&self, request: FillRequest<'_>) -> Result<Fill, Error> {
        let key = self.key(request.key);
        let mut grant = *request.grant;
        if [Mistake::FillComparesTheTokenAlone, Mistake::InvalidateKeepsTheLease, Mistake::TakeAsksPolitely]
            .contains(&self.mistake)
        {
            grant = self.grants.lock().unwrap().get(&grant.token).copied().unwrap_or(grant);
        }
        if self.makes(Mistake::FillIgnoresTheLease) {
            let (token, life, tags, claim) = (LeaseToken::random(), request.life, Tags::NONE, Claim::Take);
            let lease = LeaseRequest { key: &key, token, life, tags, claim };
            if let Lease::Granted { grant: forced, .. } = self.by_force(lease).await? {
                grant = forced;
            }
        }
        let cut = self.makes(Mistake::FramesAreCut).then_some(1 << 20);
        let length = request.frame.len().min(cut.unwrap_or(usize::MAX));
        let frame = request.frame[..length].into();
        let answer =
            self.inner.fill(FillRequest { key: &key, grant: &grant, frame: &frame, ..request }).await?;
        if answer == Fill::Stored && self.makes(Mistake::InvalidateKeepsTheLease) {
            self.holders.lock().unwrap().remove(&key);
        }
        if self.makes(Mistake::TakeAsksPolitely) {
            let holder = self.holders.lock().unwrap().get(&key).copied();
            if let Some(other) = holder.filter(|other| other.token != grant.token) {
                self.let_again(&key, other.token).await?;
            }
        }
        Ok(answer)
    }

    async fn refill(&self, request: RefillRequest<'_>) -> Result<Refill, Error> {
        let key = self.key(request.key);
        let mut request = RefillRequest { key: &key, ..request };
        let seen = match self.inner.read(&key, &[]).await?.found {
            Some(found) if self.makes(Mistake::RefillComparesNothing) => found.frame,
            _ => request.seen.clone(),
        };
        let (token, life) = (LeaseToken::random(), request.life);
        request.seen = &seen;
        if self.makes(Mistake::RefillIgnoresTheLease) {
            let lease = LeaseRequest { key: &key, token, life, tags: Tags::NONE, claim: Claim::Take };
            if let Lease::Granted { grant, .. } = self.by_force(lease).await? {
                return self.inner.refill(RefillRequest { grant: &grant, ..request }).await;
            }
        }
        if self.makes(Mistake::RefillKeepsTheHead) {
            let head = &seen[..seen.len() - request.size];
            return self.inner.refill(RefillRequest { head, ..request }).await;
        }
        self.inner.refill(request).await
    }

    async fn epochs(&self, tags: Tags<'_>) -> Result<Vec<Epoch>, Error> {
        let epochs = self.inner.epochs(tags).await?;
        Ok(tags.keys.iter().zip(epochs).map(|(tag, epoch)| self.count(tag, Some(epoch)).unwrap()).collect())
    }

    async fn invalidate_many(&self, request: InvalidateRequest<'_>) -> Result<Vec<Epoch>, Error> {
        let mut keys: Vec<_> = request.keys.iter().map(|key| self.key(key)).collect();
        let mut expired: Vec<_> = request.expired.iter().map(|(key, keep)| (self.key(key), *keep)).collect();
        if self.makes(Mistake::ExpireRemoves) {
            expired.iter_mut().for_each(|(_, keep)| *keep = Duration::ZERO);
        }
        if self.makes(Mistake::ManyMeansTheFirst) {
            keys.truncate(1);
        }
        if self.makes(Mistake::ManyForgetsTheStale) && !keys.is_empty() {
            expired.clear();
        }
        if self.makes(Mistake::ManyHasAnEnd) {
            keys.truncate(1000);
        }
        if self.makes(Mistake::ManyRefusesRepetition) {
            let names = || keys.iter().chain(expired.iter().map(|(key, _)| key));
            if names().any(|key| names().filter(|other| *other == key).count() > 1) {
                return Err(Error::new(ErrorKind::Refused, "invalidate what is named twice"));
            }
        }
        let request = InvalidateRequest { keys: &keys, expired: &expired, tags: request.tags };
        let mut epochs = self.inner.invalidate_many(request).await?;
        if self.makes(Mistake::ManySortsEpochs) {
            epochs.sort_by_key(|epoch| std::cmp::Reverse(epoch.random));
        }
        for key in keys.iter().skip(usize::from(self.makes(Mistake::ManyKeepsTheLeases))) {
            let holder = self.holders.lock().unwrap().get(key).copied();
            let keeps =
                self.makes(Mistake::InvalidateKeepsTheLease) || self.makes(Mistake::ManyKeepsTheLeases);
            if let (true, Some(holder)) = (keeps, holder) {
                self.let_again(key, holder.token).await?;
            }
        }
        Ok(request
            .tags
            .keys
            .iter()
            .zip(epochs)
            .map(|(tag, epoch)| self.count(tag, Some(epoch)).unwrap())
            .collect())
    }

    async fn heartbeat(&self, nonce: u64) -> Result<(), Error> {
        self.inner.heartbeat(nonce).await
    }

    async fn subscribe(&self) -> Result<Subscription, Error> {
        let (mistake, origin) = (self.mistake, self.origin);
        let filter = move |heard: Heard| match heard {
            Heard::Gap if mistake == Mistake::GapsAreSilent => None,
            Heard::Message(Message { change: Change::Filled { .. }, .. })
                if mistake == Mistake::PutsAreSilent =>
            {
                None
            }
            Heard::Message(message) if mistake == Mistake::OriginsAreShared => {
                Some(Heard::Message(Message { origin, ..message }))
            }
            heard => Some(heard),
        };
        Ok(self.inner.subscribe().await?.filtered(filter))
    }

    async fn health(&self) -> Result<ServerTime, Error> {
        let time = self.inner.health().await?;
        let is_other = self.makes(Mistake::HealthTellsAnotherClock);
        Ok(if is_other { ServerTime::from_micros(time.micros() / 1000) } else { time })
    }
}

struct MistakenStage {
    stage: MemoryStage,
    first: Mistaken,
}

impl MistakenStage {
    fn new(mistake: Mistake) -> Self {
        let stage = MemoryStage::new();
        let inner = stage.memory().clone();
        let first = Mistaken {
            origin: inner.origin(),
            inner,
            mistake,
            grants: Arc::default(),
            holders: Arc::default(),
            counters: Arc::default(),
        };
        Self { stage, first }
    }
}

impl Stage for MistakenStage {
    type Backend = Mistaken;

    async fn process(&self) -> Mistaken {
        self.first.view(&self.prefix())
    }

    fn prefix(&self) -> Prefix {
        self.stage.prefix()
    }

    fn tick(&self) -> Duration {
        self.stage.tick()
    }

    async fn advance(&self, time: Duration) {
        self.stage.advance(time).await;
    }

    async fn lose_tags(&self, tags: &[TagKey]) {
        self.stage.lose_tags(tags).await;
    }

    async fn cut_bus(&self) {
        self.stage.cut_bus().await;
    }
}

/// Each mistake beside a test that has to find it: by failing, or by waiting for what never comes.
macro_rules! finds {
    ($($mistake:ident => $module:ident :: $test:ident;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            #[allow(non_snake_case)]
            async fn $mistake() {
                let test = tokio::spawn(async {
                    let stage = MistakenStage::new(Mistake::$mistake);
                    $module::$test(&stage).await;
                });
                // Paused time jumps here at once when nothing else can go on.
                let ended = tokio::time::timeout(Duration::from_secs(1), test).await;
                assert!(!matches!(ended, Ok(Ok(()))), "the test passes a backend with this mistake");
            }
        )*
    };
}

finds! {
    FillIgnoresTheLease => fills::a_fill_after_an_invalidation_is_refused;
    FillComparesTheTokenAlone => fills::a_grant_does_not_come_back_with_its_token;
    RefillKeepsTheHead => fills::a_refill_keeps_the_value_under_a_new_head;
    RefillComparesNothing => fills::a_refill_of_another_frame_changes_nothing;
    RefillIgnoresTheLease => fills::a_refill_after_an_invalidation_is_refused;
    LeasesNeverEnd => leases::a_lease_ends_with_its_life;
    LeaseForgetsItsHolder => leases::asking_again_with_the_same_token_is_granted_the_same;
    LeaseGrantsAll => leases::of_many_who_ask_at_once_one_is_granted;
    ReplaceComparesNothing => leases::whoever_saw_an_entry_is_granted_its_replacement;
    TakeAsksPolitely => leases::taking_a_key_voids_the_lease_of_another;
    ReleaseIgnoresTheToken => leases::only_the_holder_releases;
    InvalidateKeepsTheLease => invalidation::an_invalidation_voids_the_lease;
    ExpireRemoves => invalidation::an_expired_entry_stays_readable_and_is_marked;
    ExpireForgetsTheMark => invalidation::an_expired_entry_stays_readable_and_is_marked;
    ManyMeansTheFirst => many::each_of_many_invalidations_takes_effect;
    ManyForgetsTheStale => many::each_of_many_invalidations_takes_effect;
    ManyHasAnEnd => many::thousands_are_invalidated_in_one_call;
    ManyRefusesRepetition => many::what_is_named_twice_is_invalidated;
    ManySortsEpochs => many::many_invalidations_answer_the_epochs_in_the_order_of_their_tags;
    ManyKeepsTheLeases => many::many_invalidations_void_the_leases_of_their_keys;
    EpochsAreCounters => epochs::a_lost_epoch_comes_back_as_another;
    ReadCreatesEpochs => entries::a_read_answers_the_epochs_in_the_order_of_its_tags;
    ReadSortsEpochs => entries::a_read_answers_the_epochs_in_the_order_of_its_tags;
    ReadManyAnswersOnce => entries::many_entries_are_read_as_each_of_them_would_be;
    FramesAreCut => entries::a_frame_of_eight_mebibytes_is_stored_whole;
    KeysLoseTheirCase => entries::any_text_is_a_key;
    PrefixesAreIgnored => entries::two_prefixes_share_nothing;
    OriginsAreShared => bus::every_message_names_its_origin;
    GapsAreSilent => bus::what_may_be_missing_is_told_as_a_gap;
    PutsAreSilent => bus::the_fill_of_a_taken_key_is_heard_by_all;
    HealthTellsAnotherClock => calls::health_tells_the_time_of_the_store;
}

/// The same mistakes, found by the tests that mix everything.
mod under_stress {
    use super::*;

    finds! {
        EpochsAreCounters => epochs::no_entry_is_older_than_the_invalidation_of_its_tag;
        FillIgnoresTheLease => invalidation::no_entry_is_older_than_the_invalidation_of_its_key;
        FillComparesTheTokenAlone => calls::every_call_may_be_repeated;
        InvalidateKeepsTheLease => invalidation::no_entry_is_older_than_the_invalidation_of_its_key;
    }
}
