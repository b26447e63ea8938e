//! Names that are like a skipped argument's and are not it.
#![deny(warnings)]

use larder::cached;

pub struct Db;

pub mod db {
    pub fn tag(id: u64) -> String {
        format!("row:{id}")
    }
}

pub struct Row {
    db: u64,
}

impl Row {
    fn tag(&self) -> String {
        format!("row:{}", self.db)
    }
}

#[cached(ttl = 60, tags = [db::tag(id), Row { db: id }.tag()], skip(db))]
pub async fn paths_and_fields(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

#[cached(ttl = 60, tags = [Some(id).map(|db| format!("row:{db}")).unwrap_or_default()], skip(db))]
pub async fn bound_inside(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

impl Db {
    #[cached(ttl = 60, tags = [self::db::tag(id)], skip(self))]
    pub async fn modules(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
