//! Writers inside of a SQL transaction: what they change is invalidated after the commit, and not at all after a rollback.
//!
//! `cargo run --example transaction`

#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::time::Duration;

use larder::{Cache, cached, invalidates};
use rusqlite::{Connection, Transaction};

/// What a dish costs, in cents.
#[cached(ttl = "1h", tags = ["restaurant:7", "dish:{dish}"], skip(db))]
async fn price_of(db: &Connection, dish: u64) -> rusqlite::Result<i64> {
    db.query_row("SELECT cents FROM dishes WHERE id = ?1", [dish], |row| row.get(0))
}

/// Says what it changes, and knows nothing of the transaction it runs in.
#[invalidates(entries = [price_of_entry(dish)])]
async fn set_price(tx: &Transaction<'_>, dish: u64, cents: i64) -> rusqlite::Result<usize> {
    tx.execute("UPDATE dishes SET cents = ?1 WHERE id = ?2", (cents, dish))
}

/// Raises two prices, or none.
async fn raise(
    db: &mut Connection,
    cache: &Cache,
    by: i64,
    most: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    let tx = db.transaction()?;
    let changes = cache.deferred();
    let raised = changes
        .scope(async {
            for dish in [1, 2] {
                let cents: i64 =
                    tx.query_row("SELECT cents FROM dishes WHERE id = ?1", [dish], |row| row.get(0))?;
                if cents + by > most {
                    return Err(format!("dish {dish} would cost {}", cents + by).into());
                }
                // Recorded, and not applied yet: a reader between here and the commit would read the old
                // price from the database, and put it back into the cache.
                set_price(&tx, dish, cents + by).await?;
            }
            Ok::<_, Box<dyn std::error::Error>>(())
        })
        .await;
    // On an error both are dropped here: the transaction is rolled back, and nothing is invalidated.
    raised?;
    tx.commit()?;
    changes.apply().await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::builder().prefix("transaction").build()?;
    cache.install()?;
    let mut db = Connection::open_in_memory()?;
    db.execute_batch(
        "CREATE TABLE dishes (id INTEGER PRIMARY KEY, cents INTEGER); INSERT INTO dishes VALUES (1, 900), (2, 1400)",
    )?;
    let computed = || cache.stats().functions.iter().map(|function| function.computations).sum::<u64>();

    assert_eq!((price_of(&db, 1).await?, price_of(&db, 2).await?), (900, 1400));

    // A transaction that commits: both prices are read anew.
    raise(&mut db, &cache, 100, 2_000).await?;
    assert_eq!((price_of(&db, 1).await?, price_of(&db, 2).await?), (1000, 1500));
    assert_eq!(computed(), 4);
    println!("committed: both prices were read anew");

    // One that is rolled back after its first write: the cache was right all the time, and nothing is read.
    let Err(error) = raise(&mut db, &cache, 100, 1_550).await else {
        return Err("the second dish would cost too much".into());
    };
    assert_eq!((price_of(&db, 1).await?, price_of(&db, 2).await?), (1000, 1500));
    assert_eq!(computed(), 4);
    println!("rolled back ({error}): nothing was invalidated");

    // Where bodies read from a replica that lags by up to a second, they may put the old value back after the commit. A second
    // pass removes it.
    let changes = cache.deferred().again_after(Duration::from_secs(2));
    changes.tag("restaurant:7");
    changes.apply().await?;
    price_of(&db, 1).await?;
    assert_eq!(computed(), 5);
    cache.shutdown().await;
    Ok(())
}
