//! The site with a cache: which entries there are, what tags they bear, and what writers say that they change.

use std::collections::HashMap;
use std::sync::Arc;

use larder::{cached, invalidates};
use rusqlite::Result;

use crate::pool::Pool;
use crate::site::{Article, Comment, Line, Listing, Profile};

/// One tag for everything: each write outdates all that is cached.
pub(crate) mod coarse {
    use super::*;

    #[cached(ttl = "1h", tags = ["content"], skip(db))]
    pub(crate) async fn article(db: &Pool, id: u64) -> Result<Arc<Article>> {
        db.article(id).await
    }

    #[cached(ttl = "1h", tags = ["content"], skip(db))]
    pub(crate) async fn comments(db: &Pool, article: u64) -> Result<Arc<[Comment]>> {
        db.comments(article).await
    }

    #[cached(ttl = "1h", tags = ["content"], skip(db))]
    pub(crate) async fn list(db: &Pool, listing: Listing) -> Result<Arc<[Line]>> {
        db.list(listing).await
    }

    #[invalidates(tags = ["content"])]
    pub(crate) async fn edit(db: &Pool, id: u64) -> Result<u64> {
        db.edit(id).await
    }

    #[invalidates(tags = ["content"])]
    pub(crate) async fn favorite(db: &Pool, article: u64, user: u64) -> Result<bool> {
        db.favorite(article, user).await
    }

    #[invalidates(tags = ["content"])]
    pub(crate) async fn comment(db: &Pool, article: u64, user: u64, body: String) -> Result<u64> {
        db.comment(article, user, body).await
    }

    #[invalidates(tags = ["content"])]
    pub(crate) async fn publish(db: &Pool, author: u64, title: String, body: String) -> Result<u64> {
        db.publish(author, title, body).await
    }

    #[invalidates(tags = ["content"])]
    pub(crate) async fn rename(db: &Pool, id: u64, name: String) -> Result<u64> {
        db.rename(id, name).await
    }
}

/// Tags by article and user: an answer bears those of all that it shows, the authors too, which only the answer knows.
pub(crate) mod fine {
    use super::*;

    #[cached(ttl = "1h", tags = ["article:{id}"], tags_from = |article| [of(&article.line.author)], skip(db))]
    pub(crate) async fn article(db: &Pool, id: u64) -> Result<Arc<Article>> {
        db.article(id).await
    }

    #[cached(
        ttl = "1h",
        tags = ["comments:{article}"],
        tags_from = |comments| comments.iter().map(|comment| of(&comment.author)),
        skip(db),
    )]
    pub(crate) async fn comments(db: &Pool, article: u64) -> Result<Arc<[Comment]>> {
        db.comments(article).await
    }

    #[cached(
        ttl = "1h",
        tags = ["list:{listing}"],
        tags_from = |lines| lines.iter().flat_map(|line| [format!("article:{}", line.id), of(&line.author)]),
        skip(db),
    )]
    pub(crate) async fn list(db: &Pool, listing: Listing) -> Result<Arc<[Line]>> {
        db.list(listing).await
    }

    #[invalidates(tags = ["article:{id}"])]
    pub(crate) async fn edit(db: &Pool, id: u64) -> Result<u64> {
        db.edit(id).await
    }

    #[invalidates(tags = ["article:{article}"])]
    pub(crate) async fn favorite(db: &Pool, article: u64, user: u64) -> Result<bool> {
        db.favorite(article, user).await
    }

    #[invalidates(tags = ["comments:{article}"])]
    pub(crate) async fn comment(db: &Pool, article: u64, user: u64, body: String) -> Result<u64> {
        db.comment(article, user, body).await
    }

    #[invalidates(tags = ["list:front", "list:of:{author}"])]
    pub(crate) async fn publish(db: &Pool, author: u64, title: String, body: String) -> Result<u64> {
        db.publish(author, title, body).await
    }

    #[invalidates(tags = ["user:{id}"])]
    pub(crate) async fn rename(db: &Pool, id: u64, name: String) -> Result<u64> {
        db.rename(id, name).await
    }
}

/// A list in two: which articles it has is one entry, and each of its lines another. So a new article outdates the ids
/// alone, and what changes in one article its line in all lists, and no other.
pub(crate) mod by_item {
    use super::*;

    #[cached(ttl = "1h", tags = ["list:{listing}"], skip(db))]
    pub(crate) async fn ids(db: &Pool, listing: Listing) -> Result<Arc<[u64]>> {
        db.ids(listing).await
    }

    #[cached(
        ttl = "1h",
        each(id in ids),
        tags = ["article:{id}"],
        tags_from = |line| [of(&line.author)],
        skip(db),
    )]
    pub(crate) async fn lines(db: &Pool, ids: &[u64]) -> Result<HashMap<u64, Arc<Line>>> {
        db.lines(ids).await
    }

    pub(crate) async fn list(db: &Pool, listing: Listing) -> Result<Vec<Arc<Line>>> {
        let ids = ids(db, listing).await?;
        let mut lines = lines(db, &ids).await?;
        Ok(ids.iter().filter_map(|id| lines.remove(id)).collect())
    }
}

/// The tag of all that shows a user.
fn of(user: &Profile) -> String {
    format!("user:{}", user.id)
}
