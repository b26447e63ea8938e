//! The site without a cache: its data, and the queries and changes that it makes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rusqlite::{Result, Row, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::pool::Pool;

/// Lines of a list.
const PAGE: usize = 20;

#[derive(Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) bio: String,
    pub(crate) image: String,
    /// How often it was changed.
    pub(crate) revision: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Article {
    pub(crate) line: Line,
    pub(crate) body: String,
}

/// An article as a list shows it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) favorites: u64,
    pub(crate) revision: u64,
    pub(crate) author: Profile,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) body: String,
    pub(crate) author: Profile,
}

/// Which articles a list has.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum Listing {
    /// All of them.
    Front,
    /// Those of an author.
    Of(u64),
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Front => f.write_str("front"),
            Self::Of(author) => write!(f, "of:{author}"),
        }
    }
}

/// The columns of a [`Line`], and where they come from.
const LINE: &str =
    "user.id, name, bio, image, user.revision, article.id, title, description, tags, article.revision,
    (SELECT count(*) FROM favorite WHERE favorite.article = article.id)";
const LINES: &str = "article JOIN user ON user.id = author";

impl Pool {
    pub(crate) async fn article(&self, id: u64) -> Result<Arc<Article>> {
        self.read(move |db| {
            db.prepare_cached(&format!("SELECT {LINE}, body FROM {LINES} WHERE article.id = ?1"))?
                .query_row([id], |row| Ok(Arc::new(Article { line: line(row)?, body: row.get(11)? })))
        })
        .await
    }

    /// The newest 50 comments on an article.
    pub(crate) async fn comments(&self, article: u64) -> Result<Arc<[Comment]>> {
        self.read(move |db| {
            let mut query = db.prepare_cached(
                "SELECT user.id, name, bio, image, revision, comment.id, body
                 FROM comment JOIN user ON user.id = author WHERE article = ?1 ORDER BY comment.id DESC LIMIT 50",
            )?;
            let rows = query.query_map([article], |row| {
                Ok(Comment { id: row.get(5)?, body: row.get(6)?, author: profile(row)? })
            })?;
            rows.collect()
        })
        .await
    }

    /// The newest articles of a list.
    pub(crate) async fn list(&self, listing: Listing) -> Result<Arc<[Line]>> {
        self.read(move |db| {
            let newest = newest(listing);
            let mut query = db.prepare_cached(&format!("SELECT {LINE} FROM {LINES} {newest}"))?;
            query.query_map([author(listing)], line)?.collect()
        })
        .await
    }

    /// Which they are.
    pub(crate) async fn ids(&self, listing: Listing) -> Result<Arc<[u64]>> {
        self.read(move |db| {
            let newest = newest(listing);
            let mut query = db.prepare_cached(&format!("SELECT article.id FROM article {newest}"))?;
            query.query_map([author(listing)], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Lines by their ids.
    pub(crate) async fn lines(&self, ids: &[u64]) -> Result<HashMap<u64, Arc<Line>>> {
        let ids = ids.to_vec();
        self.read(move |db| {
            let marks = vec!["?"; ids.len()].join(", ");
            let query = format!("SELECT {LINE} FROM {LINES} WHERE article.id IN ({marks})");
            let mut query = db.prepare_cached(&query)?;
            let rows = query.query_map(params_from_iter(ids), |row| {
                let line = line(row)?;
                Ok((line.id, Arc::new(line)))
            })?;
            rows.collect()
        })
        .await
    }

    /// Answers the article's new revision.
    pub(crate) async fn edit(&self, id: u64) -> Result<u64> {
        self.write(move |db| {
            db.prepare_cached("UPDATE article SET revision = revision + 1 WHERE id = ?1 RETURNING revision")?
                .query_row([id], |row| row.get(0))
        })
        .await
    }

    /// Answers whether that is new.
    pub(crate) async fn favorite(&self, article: u64, user: u64) -> Result<bool> {
        self.write(move |db| {
            let mut insert =
                db.prepare_cached("INSERT OR IGNORE INTO favorite (article, user) VALUES (?1, ?2)")?;
            Ok(insert.execute([article, user])? > 0)
        })
        .await
    }

    /// Answers the comment's id.
    pub(crate) async fn comment(&self, article: u64, user: u64, body: String) -> Result<u64> {
        self.write(move |db| {
            db.prepare_cached("INSERT INTO comment (article, author, body) VALUES (?1, ?2, ?3) RETURNING id")?
                .query_row((article, user, body), |row| row.get(0))
        })
        .await
    }

    /// Answers the article's id.
    pub(crate) async fn publish(&self, author: u64, title: String, body: String) -> Result<u64> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO article (author, title, description, tags, body, revision)
                 VALUES (?1, ?2, 'something new', 'rust web', ?3, 0) RETURNING id",
            )?
            .query_row((author, title, body), |row| row.get(0))
        })
        .await
    }

    /// Answers the user's new revision.
    pub(crate) async fn rename(&self, id: u64, name: String) -> Result<u64> {
        self.write(move |db| {
            db.prepare_cached(
                "UPDATE user SET name = ?2, revision = revision + 1 WHERE id = ?1 RETURNING revision",
            )?
            .query_row((id, name), |row| row.get(0))
        })
        .await
    }
}

fn newest(listing: Listing) -> String {
    let condition = match listing {
        Listing::Front => "?1 IS NULL",
        Listing::Of(_) => "author = ?1",
    };
    format!("WHERE {condition} ORDER BY article.id DESC LIMIT {PAGE}")
}

fn author(listing: Listing) -> Option<u64> {
    match listing {
        Listing::Front => None,
        Listing::Of(author) => Some(author),
    }
}

fn line(row: &Row<'_>) -> Result<Line> {
    let tags: String = row.get(8)?;
    Ok(Line {
        author: profile(row)?,
        id: row.get(5)?,
        title: row.get(6)?,
        description: row.get(7)?,
        tags: tags.split(' ').map(str::to_owned).collect(),
        revision: row.get(9)?,
        favorites: row.get(10)?,
    })
}

fn profile(row: &Row<'_>) -> Result<Profile> {
    Ok(Profile {
        id: row.get(0)?,
        name: row.get(1)?,
        bio: row.get(2)?,
        image: row.get(3)?,
        revision: row.get(4)?,
    })
}
