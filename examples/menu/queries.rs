//! The SQL of the service.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::database::{Database, DbError};
use crate::model::{Date, Menu, MenuList, SearchResult};

const SCHEMA: &str = "
    CREATE TABLE menu (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, restaurant TEXT NOT NULL, place TEXT NOT NULL,
        year INTEGER, month INTEGER, day INTEGER,
        page_count INTEGER NOT NULL, dish_count INTEGER NOT NULL, revision INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX menu_of_restaurant ON menu (restaurant);
    CREATE INDEX menu_of_place ON menu (place, year);
    CREATE TABLE restaurant (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE place (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE writes (count INTEGER NOT NULL) STRICT;
    INSERT INTO writes VALUES (0);
";

const MENU: &str =
    "SELECT id, name, restaurant, place, year, month, day, page_count, dish_count, revision FROM menu";

/// A change of one menu.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Rename(String),
    CountDishes(u32),
    MoveTo(String),
}

/// What a committed edit touched: what there is to invalidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) menu: u64,
    pub(crate) place: String,
    pub(crate) restaurant: String,
    /// Where a menu that moved was before.
    pub(crate) left: Option<String>,
    /// The number of this write.
    pub(crate) revision: u64,
}

/// Creates a database that holds `menus`. Blocks: call it outside the runtime.
pub(crate) fn create() -> Result<Database, DbError> {
    Database::create(SCHEMA)
}

impl Database {
    /// Puts `menus` in.
    pub(crate) async fn fill(&self, menus: Vec<Menu>) -> Result<(), DbError> {
        self.write(move |transaction| {
            let mut insert =
                transaction.prepare("INSERT INTO menu VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
            for menu in menus {
                let Menu { id, name, restaurant, place, date, page_count, dish_count, revision } = menu;
                let (year, month, day) = (date.map(|d| d.year), date.map(|d| d.month), date.map(|d| d.day));
                insert.execute(params![
                    id, name, restaurant, place, year, month, day, page_count, dish_count, revision
                ])?;
            }
            transaction.execute_batch(
                "INSERT INTO restaurant SELECT DISTINCT restaurant, 0 FROM menu;
                 INSERT INTO place SELECT DISTINCT place, 0 FROM menu;
                 ANALYZE;",
            )
        })
        .await
    }

    /// The menu with this id.
    pub(crate) async fn menu(&self, id: u64) -> Result<Option<Menu>, DbError> {
        self.read(move |snapshot| {
            snapshot.prepare_cached(&format!("{MENU} WHERE id = ?1"))?.query_row([id], menu).optional()
        })
        .await
    }

    /// The menus of a restaurant, oldest first.
    pub(crate) async fn menus_of(&self, restaurant: &str) -> Result<MenuList, DbError> {
        let restaurant = restaurant.to_owned();
        self.read(move |snapshot| {
            let query = format!("{MENU} WHERE restaurant = ?1 ORDER BY year, month, day, id");
            let menus = snapshot
                .prepare_cached(&query)?
                .query_map([&restaurant], menu)?
                .collect::<rusqlite::Result<_>>()?;
            let revision =
                revision(snapshot, "SELECT revision FROM restaurant WHERE name = ?1", &restaurant)?;
            Ok(MenuList { menus, revision })
        })
        .await
    }

    /// What the menus of a place and decade come to.
    pub(crate) async fn search(&self, place: &str, decade: u16) -> Result<SearchResult, DbError> {
        let place = place.to_owned();
        self.read(move |snapshot| {
            let years = "place = ?1 AND year BETWEEN ?2 AND ?2 + 9";
            let (menus, restaurants, dishes) = snapshot
                .prepare_cached(&format!(
                    "SELECT count(*), count(DISTINCT restaurant), coalesce(sum(dish_count), 0) FROM menu WHERE {years}"
                ))?
                .query_row(params![place, decade], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let leaders = snapshot
                .prepare_cached(&format!(
                    "SELECT restaurant, count(*) FROM menu WHERE {years}
                     GROUP BY restaurant ORDER BY 2 DESC, 1 LIMIT 10"
                ))?
                .query_map(params![place, decade], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let revision = revision(snapshot, "SELECT revision FROM place WHERE name = ?1", &place)?;
            Ok(SearchResult { menus, restaurants, dishes, leaders, revision })
        })
        .await
    }

    /// Changes a menu; committed when this returns. `None`: there is no such menu.
    pub(crate) async fn edit(&self, id: u64, edit: Edit) -> Result<Option<Change>, DbError> {
        self.write(move |transaction| {
            let before = transaction
                .prepare_cached(&format!("{MENU} WHERE id = ?1"))?
                .query_row([id], menu)
                .optional()?;
            let Some(before) = before else { return Ok(None) };
            let mut after = before.clone();
            match edit {
                Edit::Rename(name) => after.name = name,
                Edit::CountDishes(count) => after.dish_count = count,
                Edit::MoveTo(restaurant) => after.restaurant = restaurant,
            }
            // Counted inside the transaction, so that numbers grow in the order of the commits.
            after.revision = transaction
                .prepare_cached("UPDATE writes SET count = count + 1 RETURNING count")?
                .query_row([], |row| row.get(0))?;
            save(transaction, &after)?;
            let left = (before.restaurant != after.restaurant).then_some(before.restaurant);
            let Menu { restaurant, place, revision, .. } = after;
            for name in [Some(&restaurant), left.as_ref()].into_iter().flatten() {
                transaction
                    .prepare_cached(
                        "INSERT INTO restaurant VALUES (?1, ?2) ON CONFLICT DO UPDATE SET revision = ?2",
                    )?
                    .execute(params![name, revision])?;
            }
            transaction
                .prepare_cached("UPDATE place SET revision = ?2 WHERE name = ?1")?
                .execute(params![place, revision])?;
            Ok(Some(Change { menu: id, place, restaurant, left, revision }))
        })
        .await
    }
}

fn save(transaction: &Transaction<'_>, menu: &Menu) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached(
            "UPDATE menu SET name = ?2, restaurant = ?3, dish_count = ?4, revision = ?5 WHERE id = ?1",
        )?
        .execute(params![menu.id, menu.name, menu.restaurant, menu.dish_count, menu.revision])
}

fn revision(snapshot: &Transaction<'_>, query: &str, name: &str) -> rusqlite::Result<u64> {
    let revision = snapshot.prepare_cached(query)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(revision.unwrap_or(0))
}

fn menu(row: &Row<'_>) -> rusqlite::Result<Menu> {
    let date = match (row.get(4)?, row.get(5)?, row.get(6)?) {
        (Some(year), Some(month), Some(day)) => Some(Date { year, month, day }),
        _ => None,
    };
    Ok(Menu {
        id: row.get(0)?,
        name: row.get(1)?,
        restaurant: row.get(2)?,
        place: row.get(3)?,
        date,
        page_count: row.get(7)?,
        dish_count: row.get(8)?,
        revision: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn filled() -> Database {
        let database = tokio::task::spawn_blocking(create).await.unwrap().unwrap();
        database.fill(crate::sample::collection().menus).await.unwrap();
        database
    }

    #[tokio::test]
    async fn a_menu_comes_back_as_it_was_put_in() {
        let database = filled().await;

        for expected in crate::sample::collection().menus.into_iter().step_by(97) {
            assert_eq!(database.menu(expected.id).await.unwrap(), Some(expected));
        }
        assert_eq!(database.menu(1).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_move_names_both_restaurants_and_changes_both_lists() {
        let database = filled().await;
        let before = database.menu(12_463).await.unwrap().unwrap();

        let change =
            database.edit(before.id, Edit::MoveTo("Hotel Nowhere".to_owned())).await.unwrap().unwrap();

        assert_eq!(change.left.as_deref(), Some(before.restaurant.as_str()));
        let (old, new) = (
            database.menus_of(&before.restaurant).await.unwrap(),
            database.menus_of("Hotel Nowhere").await.unwrap(),
        );
        assert!(old.menus.iter().all(|menu| menu.id != before.id));
        assert_eq!(new.menus.iter().map(|menu| menu.id).collect::<Vec<_>>(), [before.id]);
        assert_eq!([old.revision, new.revision, new.menus[0].revision], [change.revision; 3]);
    }

    #[tokio::test]
    async fn a_search_counts_what_the_menus_come_to() {
        let database = filled().await;
        let found: Vec<_> = crate::sample::collection()
            .menus
            .into_iter()
            .filter(|menu| menu.place == "London" && menu.date.is_some_and(|date| date.decade() == 1910))
            .collect();

        let result = database.search("London", 1910).await.unwrap();

        assert_eq!(result.menus, found.len() as u64);
        assert_eq!(result.dishes, found.iter().map(|menu| u64::from(menu.dish_count)).sum::<u64>());
        assert!(result.menus > 0 && !result.leaders.is_empty());
    }

    #[tokio::test]
    async fn revisions_grow_with_every_write() {
        let database = filled().await;

        let first = database.edit(12_463, Edit::CountDishes(1)).await.unwrap().unwrap();
        let second = database.edit(12_464, Edit::Rename("Tiffin".to_owned())).await.unwrap().unwrap();

        assert_eq!((first.revision, second.revision), (1, 2));
        assert_eq!(database.edit(1, Edit::CountDishes(1)).await.unwrap(), None);
    }
}
