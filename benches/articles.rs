//! A site of articles on SQLite: what tags are worth, by how fine they are.
//!
//! `cargo bench --bench articles` prints the medians of rounds measured in turns, and their ratios: absolute numbers say
//! little on a shared machine. 500 articles with their comments, and the lists of 50 authors; a Zipf load; one call in a
//! hundred writes. Three ways: without a cache, with one tag for everything, and with tags by article and author. Every
//! answer is compared with what was written last: an older one is stale, and counted.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Instant;

use larder::{Cache, cached, invalidates};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

const ARTICLES: u64 = 500;
const AUTHORS: u64 = 50;
const COMMENTS: u64 = 20;
const CALLS: usize = 20_000;
const ROUNDS: usize = 9;
/// One call in so many writes.
const WRITES: u64 = 100;

#[derive(Clone, Serialize, Deserialize)]
struct Article {
    author: u64,
    author_name: String,
    title: String,
    body: String,
    revision: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Comment {
    author: u64,
    author_name: String,
    text: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    id: u64,
    title: String,
    revision: u64,
}

type Rows<T> = rusqlite::Result<Vec<T>>;

#[cached(
    ttl = 3600,
    tags = ["content", "article:{id}"],
    tags_from = |article| [format!("author:{}", article.author)],
    skip(db),
)]
async fn article(db: &Connection, id: u64) -> rusqlite::Result<Article> {
    db.prepare_cached(
        "SELECT author, name, title, body, article.revision FROM article JOIN author ON author.id = author
         WHERE article.id = ?1",
    )?
    .query_row([id], |row| {
        Ok(Article {
            author: row.get(0)?,
            author_name: row.get(1)?,
            title: row.get(2)?,
            body: row.get(3)?,
            revision: row.get(4)?,
        })
    })
}

#[cached(
    ttl = 3600,
    tags = ["content", "comments:{article}"],
    tags_from = |comments| comments.iter().map(|comment| format!("author:{}", comment.author)).collect::<Vec<_>>(),
    skip(db),
)]
async fn comments(db: &Connection, article: u64) -> Rows<Comment> {
    let mut query = db.prepare_cached(
        "SELECT author, name, text FROM comment JOIN author ON author.id = author WHERE article = ?1 ORDER BY comment.id",
    )?;
    let rows = query.query_map([article], |row| {
        Ok(Comment { author: row.get(0)?, author_name: row.get(1)?, text: row.get(2)? })
    })?;
    rows.collect()
}

#[cached(ttl = 3600, tags = ["content", "list:{author}"], skip(db))]
async fn list(db: &Connection, author: u64) -> Rows<Line> {
    let mut query = db.prepare_cached(
        "SELECT id, title, revision FROM article WHERE author = ?1 ORDER BY revision DESC, id LIMIT 20",
    )?;
    let rows = query
        .query_map([author], |row| Ok(Line { id: row.get(0)?, title: row.get(1)?, revision: row.get(2)? }))?;
    rows.collect()
}

#[invalidates(tags = ["article:{id}", "list:{result}"])]
async fn edit(db: &Connection, id: u64, revision: u64) -> rusqlite::Result<u64> {
    db.execute("UPDATE article SET revision = ?2, title = title WHERE id = ?1", (id, revision))?;
    db.query_row("SELECT author FROM article WHERE id = ?1", [id], |row| row.get(0))
}

#[invalidates(tags = ["comments:{article}"])]
async fn comment(db: &Connection, article: u64, author: u64) -> rusqlite::Result<usize> {
    db.execute("INSERT INTO comment (article, author, text) VALUES (?1, ?2, 'one more')", (article, author))
}

#[invalidates(tags = ["author:{id}"])]
async fn rename(db: &Connection, id: u64, name: &str) -> rusqlite::Result<usize> {
    db.execute("UPDATE author SET name = ?2 WHERE id = ?1", (id, name))
}

fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE article (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
             revision INTEGER NOT NULL);
         CREATE INDEX by_author ON article (author);
         CREATE TABLE comment (id INTEGER PRIMARY KEY, article INTEGER NOT NULL, author INTEGER NOT NULL, text TEXT NOT NULL);
         CREATE INDEX by_article ON comment (article);",
    )
    .unwrap();
    for id in 0..AUTHORS {
        db.execute("INSERT INTO author VALUES (?1, '0')", [id]).unwrap();
    }
    for id in 0..ARTICLES {
        let body = "word ".repeat(200);
        let row = (id, id % AUTHORS, format!("title {id}"), body);
        db.execute("INSERT INTO article VALUES (?1, ?2, ?3, ?4, 0)", row).unwrap();
        for n in 0..COMMENTS {
            let row = (id, (id * 7 + n) % AUTHORS, format!("comment {n} on {id}, as long as comments are"));
            db.execute("INSERT INTO comment (article, author, text) VALUES (?1, ?2, ?3)", row).unwrap();
        }
    }
    db
}

/// How the site is cached.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Uncached,
    OneTag,
    FineTags,
}

/// A site, and what was written to it last.
struct Site {
    way: Way,
    cache: Cache,
    db: Connection,
    revisions: Vec<u64>,
    comments: Vec<usize>,
    names: Vec<u64>,
    dice: u64,
    weights: Vec<f64>,
    stale: u64,
    clock: u64,
}

impl Site {
    fn new(way: Way) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ARTICLES).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self {
            way,
            cache: if way == Way::Uncached { Cache::disabled() } else { Cache::default() },
            db: database(),
            revisions: vec![0; ARTICLES as usize],
            comments: vec![COMMENTS as usize; ARTICLES as usize],
            names: vec![0; AUTHORS as usize],
            dice: 42,
            weights: weights.collect(),
            stale: 0,
            clock: 0,
        }
    }

    fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    /// An article, those in front more often.
    fn article(&mut self) -> u64 {
        let all = self.weights[self.weights.len() - 1];
        let at = self.throw() as f64 / (1_u64 << 31) as f64 * all;
        self.weights.partition_point(|sum| *sum < at) as u64
    }

    async fn run(&mut self) {
        for _ in 0..CALLS {
            if self.throw().is_multiple_of(WRITES) { self.write().await } else { self.read().await }
        }
    }

    async fn read(&mut self) {
        let (kind, id) = (self.throw() % 10, self.article());
        let is_old = match kind {
            0..6 => {
                let found = article(&self.db, id).await.unwrap();
                let name = self.names[found.author as usize];
                found.revision != self.revisions[id as usize] || found.author_name != name.to_string()
            }
            6..9 => {
                let found = comments(&self.db, id).await.unwrap();
                let named = |comment: &Comment| {
                    comment.author_name == self.names[comment.author as usize].to_string()
                };
                found.len() != self.comments[id as usize] || !found.iter().all(named)
            }
            _ => {
                let found = list(&self.db, id % AUTHORS).await.unwrap();
                found.iter().any(|line| line.revision != self.revisions[line.id as usize])
            }
        };
        self.stale += u64::from(is_old);
    }

    async fn write(&mut self) {
        let (kind, id) = (self.throw() % 10, self.article());
        self.clock += 1;
        match kind {
            0..4 => {
                edit(&self.db, id, self.clock).await.unwrap();
                self.revisions[id as usize] = self.clock;
            }
            4..9 => {
                comment(&self.db, id, id % AUTHORS).await.unwrap();
                self.comments[id as usize] += 1;
            }
            _ => {
                let author = id % AUTHORS;
                rename(&self.db, author, &self.clock.to_string()).await.unwrap();
                self.names[author as usize] = self.clock;
            }
        }
        if self.way == Way::OneTag {
            self.cache.invalidate_tags(["content"]).await.unwrap();
        }
    }
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let ways = [Way::Uncached, Way::OneTag, Way::FineTags];
    let mut sites = ways.map(Site::new);
    let mut took = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for (site, took) in sites.iter_mut().zip(&mut took) {
            let cache = site.cache.clone();
            let start = Instant::now();
            runtime.block_on(cache.scope(site.run()));
            // The first one warms up.
            if round > 0 {
                took.push(start.elapsed().as_nanos() as f64 / CALLS as f64 / 1e3);
            }
        }
    }
    for ((site, way), mine) in sites.iter().zip(ways).zip(&took) {
        let gain = median(took[0].iter().zip(mine).map(|(uncached, mine)| uncached / mine).collect());
        let (micros, hits) = (median(mine.clone()), site.cache.stats().hit_ratio() * 100.0);
        println!(
            "{way:?}: {micros:.2} us a call, {gain:.1} x the speed without a cache, {hits:.0} % hits, {} stale",
            site.stale
        );
        assert_eq!(site.stale, 0, "stale answers");
    }
}
