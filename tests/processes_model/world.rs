//! What is true, the functions that are cached of it, and how each is called and written.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::{Cache, Error, cached, current};

use crate::board::{Board, Verdict};
use crate::support::source::Down;

pub const ROWS: usize = 2;

/// What is true, and what is under way.
#[derive(Debug, Default)]
pub struct World {
    pub rows: [AtomicU64; ROWS],
    /// Whether the source failed to tell a row, or one that was asked for with it.
    pub has_failed: [AtomicBool; ROWS],
    pub board: Arc<Board>,
}

/// The id of a row, and how often it was written before it was read.
pub type Row = (usize, u64);

impl World {
    pub async fn read(&self, id: usize) -> Result<Row, Down> {
        let row = (id, self.rows[id].load(Ordering::SeqCst));
        current().tag(format!("said:{id}"));
        self.wait(id).await?;
        Ok(row)
    }

    pub async fn wait(&self, id: usize) -> Result<(), Down> {
        match self.board.passed(format!("the body of {id}"), None).await {
            Verdict::Pass => Ok(()),
            Verdict::Fail => {
                self.fail(&[id]);
                Err(Down("as the test planned".to_owned()))
            }
        }
    }

    pub fn fail(&self, ids: &[usize]) {
        ids.iter().for_each(|id| self.has_failed[*id].store(true, Ordering::SeqCst));
    }
}

#[derive(Clone)]
pub struct Call {
    pub cache: Cache,
    pub world: Arc<World>,
}

#[cached(ttl = "20ms", name = "model/row", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", refresh)]
pub async fn row(call: &Call, id: usize) -> Result<Row, Down> {
    call.world.read(id).await
}

#[cached(ttl = "20ms", name = "model/row", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", each = ids)]
pub async fn rows(call: &Call, ids: &[usize]) -> Result<HashMap<usize, Row>, Down> {
    let mut rows = HashMap::new();
    for id in ids {
        // It is a failure of all.
        let row = call.world.read(*id).await.inspect_err(|_| call.world.fail(ids))?;
        rows.insert(*id, row);
    }
    Ok(rows)
}

#[cached(ttl = "20ms", name = "model/through", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", tier = shared)]
pub async fn through(call: &Call, id: usize) -> Result<Row, Down> {
    call.world.read(id).await
}

/// What stays in its process.
#[cached(ttl = "20ms", name = "model/here", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m", tier = local)]
pub async fn here(call: &Call, id: usize) -> Result<Row, Down> {
    call.world.read(id).await
}

/// Made of another cached value.
#[cached(ttl = "20ms", name = "model/page", tags = ["row:{id}"], tags_from = |row| [format!("late:{}", row.0)], skip(call),
         cache = call.cache, grace = "10m")]
pub async fn page(call: &Call, id: usize, is_of_here: bool) -> Result<Row, Down> {
    let row = if is_of_here { here(call, id).await? } else { row(call, id).await? };
    call.world.wait(id).await?;
    current().tag(format!("said:{id}"));
    Ok(row)
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    Row,
    Rows,
    Through,
    Page,
    Here,
    PageOfHere,
    Refresh,
}

/// Entries that an invalidation may reach or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Of {
    Row,
    Through,
    Page,
    Here,
}

impl Of {
    pub const ALL: [Self; 4] = [Self::Row, Self::Through, Self::Page, Self::Here];
}

impl How {
    pub fn of(self) -> Of {
        match self {
            Self::Row | Self::Rows | Self::Refresh => Of::Row,
            Self::Through => Of::Through,
            Self::Page | Self::PageOfHere => Of::Page,
            Self::Here => Of::Here,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    Key,
    Tag,
    TagOfValue,
    TagOfBody,
    Function,
    Everything,
    Put,
    KeySoftly,
    TagSoftly,
    TagOfValueSoftly,
}

impl By {
    pub fn reaches(self, of: Of) -> bool {
        match self {
            Self::Key | Self::KeySoftly | Self::Function | Self::Put => of == Of::Row,
            _ => true,
        }
    }

    /// Whether it moves an epoch.
    pub fn is_epoch(self) -> bool {
        !matches!(self, Self::Key | Self::KeySoftly | Self::Put)
    }

    pub fn is_soft(self) -> bool {
        matches!(self, Self::KeySoftly | Self::TagSoftly | Self::TagOfValueSoftly)
    }
}

pub type Calling = Pin<Box<dyn Future<Output = Result<Vec<Row>, Down>> + Send>>;

pub fn calling(call: Call, how: How, id: usize) -> Calling {
    match how {
        How::Row => Box::pin(async move { Ok(vec![row(&call, id).await?]) }),
        How::Rows => Box::pin(async move {
            let ids: Vec<usize> = (0..ROWS).map(|n| (n + id) % ROWS).collect();
            Ok(rows(&call, &ids).await?.into_values().collect())
        }),
        How::Through => Box::pin(async move { Ok(vec![through(&call, id).await?]) }),
        How::Page => Box::pin(async move { Ok(vec![page(&call, id, false).await?]) }),
        How::PageOfHere => Box::pin(async move { Ok(vec![page(&call, id, true).await?]) }),
        How::Here => Box::pin(async move { Ok(vec![here(&call, id).await?]) }),
        How::Refresh => Box::pin(async move { Ok(vec![row_refresh(&call, id).await?]) }),
    }
}

pub async fn write(call: Call, by: By, id: usize, written: u64) -> Result<(), Error> {
    let entry = row_entry(&call, id);
    let cache = &call.cache;
    match by {
        By::Key => entry.invalidate().await,
        By::KeySoftly => entry.expire().await,
        By::Tag => cache.invalidate_tags([format!("row:{id}")]).await,
        By::TagSoftly => cache.expire_tags([format!("row:{id}")]).await,
        By::TagOfValue => cache.invalidate_tags([format!("late:{id}")]).await,
        By::TagOfValueSoftly => cache.expire_tags([format!("late:{id}")]).await,
        By::TagOfBody => cache.invalidate_tags([format!("said:{id}")]).await,
        By::Function => row_clear(&call).await,
        By::Everything => cache.clear().await,
        By::Put => entry.put(Ok((id, written))).await,
    }
}
