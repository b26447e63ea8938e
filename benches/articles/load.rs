//! The load: clients that call one after the other, and hold each answer against what had been written when they called.

use std::sync::Arc;

use larder::Cache;

use crate::cached::{by_item, coarse, fine};
use crate::data::{ARTICLES, AUTHORS, USERS, text};
use crate::pool::Pool;
use crate::site::{Line, Listing};
use crate::written::Written;

/// One call in so many writes.
const WRITES: u64 = 100;

/// How the site is cached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// Not at all.
    Uncached,
    /// One tag for everything.
    OneTag,
    /// Tags by article and user; a list is one entry.
    FineTags,
    /// The same; each line of a list is an entry of its own.
    ByItem,
}

/// One site: a database of its own, and what was written to it.
pub(crate) struct Site {
    pub(crate) way: Way,
    pub(crate) cache: Cache,
    pub(crate) db: Pool,
    pub(crate) written: Written,
}

/// One of those who call at the same time.
pub(crate) struct Client {
    site: Arc<Site>,
    dice: u64,
    /// The sums of the weights of the articles, the newest first.
    weights: Arc<[f64]>,
    stale: u64,
}

/// By Zipf's law: the second article is read half as often as the first, the third a third as often.
pub(crate) fn weights() -> Arc<[f64]> {
    let sums = (1..=ARTICLES).scan(0.0, |sum, rank| {
        *sum += 1.0 / rank as f64;
        Some(*sum)
    });
    sums.collect()
}

impl Client {
    pub(crate) fn new(site: Arc<Site>, seed: u64, weights: Arc<[f64]>) -> Self {
        Self { site, dice: seed, weights, stale: 0 }
    }

    /// Makes `calls` calls; answers how many of their answers were stale.
    pub(crate) async fn run(mut self, calls: usize) -> u64 {
        for _ in 0..calls {
            if self.throw().is_multiple_of(WRITES) { self.write().await } else { self.read().await }
        }
        self.stale
    }

    fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    /// An article, newer ones more often.
    fn article(&mut self) -> u64 {
        let all = self.weights[self.weights.len() - 1];
        let at = self.throw() as f64 / (1_u64 << 31) as f64 * all;
        let rank = self.weights.partition_point(|sum| *sum < at) as u64;
        self.site.written.newest() - rank.min(ARTICLES - 1)
    }

    /// Of ten reads five are of an article, three of its comments, one of the front page, and one of an author's articles.
    async fn read(&mut self) {
        let (kind, id) = (self.throw() % 10, self.article());
        let Site { way, db, written, .. } = &*self.site.clone();
        let began = written.now();
        let is_old = match kind {
            0..5 => {
                let found = match way {
                    Way::Uncached => db.article(id).await,
                    Way::OneTag => coarse::article(db, id).await,
                    Way::FineTags | Way::ByItem => fine::article(db, id).await,
                };
                is_old(written, &found.unwrap().line, began)
            }
            5..8 => {
                let found = match way {
                    Way::Uncached => db.comments(id).await,
                    Way::OneTag => coarse::comments(db, id).await,
                    Way::FineTags | Way::ByItem => fine::comments(db, id).await,
                };
                let found = found.unwrap();
                let newest = found.first().map_or(0, |comment| comment.id);
                written.comments[id as usize].is_newer(newest, began)
                    || found.iter().any(|comment| {
                        let author = &comment.author;
                        written.renames[author.id as usize].is_newer(author.revision, began)
                    })
            }
            kind => {
                let listing = if kind == 8 { Listing::Front } else { Listing::Of(id % AUTHORS) };
                let newest = match listing {
                    Listing::Front => &written.newest[AUTHORS as usize],
                    Listing::Of(author) => &written.newest[author as usize],
                };
                let is_any_old = |lines: &mut dyn Iterator<Item = &Line>| {
                    let mut lines = lines.peekable();
                    let first = lines.peek().map_or(0, |line| line.id);
                    newest.is_newer(first, began) || lines.any(|line| is_old(written, line, began))
                };
                match way {
                    Way::Uncached => is_any_old(&mut db.list(listing).await.unwrap().iter()),
                    Way::OneTag => is_any_old(&mut coarse::list(db, listing).await.unwrap().iter()),
                    Way::FineTags => is_any_old(&mut fine::list(db, listing).await.unwrap().iter()),
                    Way::ByItem => {
                        let lines = by_item::list(db, listing).await.unwrap();
                        is_any_old(&mut lines.iter().map(|line| &**line))
                    }
                }
            }
        };
        self.stale += u64::from(is_old);
    }

    /// Of a hundred writes 50 comment, 36 like, 9 edit, 4 publish, and one renames a user.
    async fn write(&mut self) {
        let (kind, id, user) = (self.throw() % 100, self.article(), self.throw() % USERS);
        let Site { way, db, written, .. } = &*self.site.clone();
        match kind {
            0..50 => {
                let body = text(user, 200);
                let added = match way {
                    Way::Uncached => db.comment(id, user, body).await,
                    Way::OneTag => coarse::comment(db, id, user, body).await,
                    Way::FineTags | Way::ByItem => fine::comment(db, id, user, body).await,
                };
                written.note(&written.comments[id as usize], |_| added.unwrap());
            }
            50..86 => {
                let is_new = match way {
                    Way::Uncached => db.favorite(id, user).await,
                    Way::OneTag => coarse::favorite(db, id, user).await,
                    Way::FineTags | Way::ByItem => fine::favorite(db, id, user).await,
                };
                let is_new = u64::from(is_new.unwrap());
                written.note(&written.favorites[id as usize], |before| before + is_new);
            }
            86..95 => {
                let revision = match way {
                    Way::Uncached => db.edit(id).await,
                    Way::OneTag => coarse::edit(db, id).await,
                    Way::FineTags | Way::ByItem => fine::edit(db, id).await,
                };
                written.note(&written.revisions[id as usize], |_| revision.unwrap());
            }
            95..99 => {
                let (author, title, body) = (id % AUTHORS, text(user, 40), text(user, 4096));
                let added = match way {
                    Way::Uncached => db.publish(author, title, body).await,
                    Way::OneTag => coarse::publish(db, author, title, body).await,
                    Way::FineTags | Way::ByItem => fine::publish(db, author, title, body).await,
                };
                let added = added.unwrap();
                written.note(&written.newest[author as usize], |_| added);
                written.note(&written.newest[AUTHORS as usize], |_| added);
            }
            _ => {
                let name = text(self.dice, 20);
                let revision = match way {
                    Way::Uncached => db.rename(user, name).await,
                    Way::OneTag => coarse::rename(db, user, name).await,
                    Way::FineTags | Way::ByItem => fine::rename(db, user, name).await,
                };
                written.note(&written.renames[user as usize], |_| revision.unwrap());
            }
        }
    }
}

/// Whether an article is shown as it was before something that had been written when the call `began`.
fn is_old(written: &Written, line: &Line, began: u64) -> bool {
    let (id, author) = (line.id as usize, &line.author);
    written.revisions[id].is_newer(line.revision, began)
        || written.favorites[id].is_newer(line.favorites, began)
        || written.renames[author.id as usize].is_newer(author.revision, began)
}
