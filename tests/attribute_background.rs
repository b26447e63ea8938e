//! Work left to the background, on functions as they are found in real applications: what it needs of their arguments.

#![deny(warnings)]
#![allow(clippy::disallowed_names, reason = "sample code")]

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder::cached;
use serde::{Deserialize, Serialize};

/// An error that is no one's `Clone`, like most.
#[derive(Debug)]
struct DbError;

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("database")
    }
}

impl std::error::Error for DbError {}

impl From<larder::Error> for DbError {
    fn from(_: larder::Error) -> Self {
        Self
    }
}

type QueryResult<T> = Result<T, DbError>;

/// Neither `Clone` nor `Sync` nor `Serialize`.
#[derive(Default)]
struct Conn {
    queries: Cell<usize>,
}

impl Conn {
    async fn query(&mut self, id: u64) -> QueryResult<String> {
        self.queries.set(self.queries.get() + 1);
        tokio::task::yield_now().await;
        Ok(format!("row {id}"))
    }
}

/// A connection that goes back when it is dropped, as pools hand out.
struct Pooled(Conn);

impl std::ops::Deref for Pooled {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl std::ops::DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Pool;

static POOL: Pool = Pool;

impl Pool {
    async fn acquire(&self) -> QueryResult<Pooled> {
        tokio::task::yield_now().await;
        Ok(Pooled(Conn::default()))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Menu {
    id: u64,
    name: String,
    lives: Duration,
}

fn is_send<T: Send>(value: T) -> T {
    value
}

mod free {
    use super::*;

    #[cached(ttl = 3600, tags = ["menu", "menu:{id}"], stagger, skip(conn), refresh(with(conn = POOL.acquire().await?)))]
    async fn menu(conn: &mut Conn, id: u64) -> QueryResult<String> {
        conn.query(id).await
    }

    #[cached(ttl = 60, refresh(after = 0.5, priority = -3, idle = "1h"), grace = "10m", timeout(soft = "50ms", hard = 2))]
    async fn borrowed(
        text: &str,
        parts: &[u64],
        maybe: Option<&str>,
        menu: &Menu,
        path: &Path,
        label: &'static str,
        mut count: usize,
    ) -> QueryResult<String> {
        count += 1;
        if text.is_empty() {
            return Err(DbError);
        }
        Ok(format!("{text} {parts:?} {maybe:?} {} {} {label} {count}", menu.id, path.display()))
    }

    #[tokio::test]
    async fn a_connection_is_acquired() {
        let mut conn = Conn::default();
        assert_eq!(is_send(menu(&mut conn, 1)).await.expect("a menu"), "row 1");
        let menu = Menu { id: 7, name: String::new(), lives: Duration::ZERO };
        let text =
            is_send(borrowed("a", &[1], Some("b"), &menu, Path::new("/x"), "l", 1)).await.expect("a text");
        assert_eq!(text, "a [1] Some(\"b\") 7 /x l 2");
        let _ = (Arc::new(1), menu.name);
    }

    #[cached(ttl = |menu| menu.lives, tags_from = |menu| [format!("menu:{}", menu.id)], refresh, store_if = |menu| menu.id != *id)]
    async fn decided(id: &u64) -> QueryResult<Menu> {
        Ok(Menu { id: *id, name: String::new(), lives: Duration::from_secs(1) })
    }
    #[tokio::test]
    async fn x() {
        decided(&1).await.expect("a menu");
    }
}
