//! The service: what its callers ask for, cached, and the writes that invalidate it.
//!
//! This is all that an application writes to use Larder.

use std::fmt;
use std::sync::Arc;

use larder::{Cache, cached};

use crate::database::{Database, DbError};
use crate::model::{Menu, MenuList, SearchResult};
use crate::queries::{Change, Edit};

/// The menu with this id.
#[cached(ttl = "10m", none_ttl = "1m", stagger, tags = ["menu:{id}"], skip(db))]
pub(crate) async fn menu(db: &Database, id: u64) -> Result<Option<Menu>, DbError> {
    db.menu(id).await
}

/// The menus of a restaurant, oldest first.
#[cached(ttl = "10m", stagger, tags = ["restaurant:{restaurant}"], skip(db))]
pub(crate) async fn menus_of(db: &Database, restaurant: &str) -> Result<Arc<MenuList>, DbError> {
    db.menus_of(restaurant).await.map(Arc::new)
}

/// What the menus of a place and decade come to.
#[cached(ttl = "10m", stagger, tags = ["place:{place}"], skip(db))]
pub(crate) async fn search(db: &Database, place: &str, decade: u16) -> Result<SearchResult, DbError> {
    db.search(place, decade).await
}

/// Changes a menu. The edit alone: whoever calls it invalidates what the change touched.
pub(crate) async fn edit(db: &Database, id: u64, edit: Edit) -> Result<Change, WriteError> {
    db.edit(id, edit).await?.ok_or(WriteError::Unknown(id))
}

/// Invalidates what a committed change touched. After the commit: a computation that began before it
/// would read the old row.
pub(crate) async fn invalidate(change: &Change) -> Result<(), WriteError> {
    let mut tags = vec![
        format!("menu:{}", change.menu),
        format!("place:{}", change.place),
        format!("restaurant:{}", change.restaurant),
    ];
    tags.extend(change.left.as_ref().map(|left| format!("restaurant:{left}")));
    Cache::current().invalidate_tags(tags).await.map_err(WriteError::Cache)
}

/// Why a write failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// There is no such menu.
    Unknown(u64),
    /// The database refused; nothing has changed.
    Database(DbError),
    /// The change is committed, but old answers may still be about.
    Cache(larder::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "there is no menu {id}"),
            Self::Database(error) => error.fmt(f),
            Self::Cache(error) => write!(f, "invalidating after a write: {error}"),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<DbError> for WriteError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}
