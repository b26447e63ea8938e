//! One function as several deploys of a program have it. A process calls that of its own deploy.

use std::fmt::Debug;

use larder::{Entry, cached};

use super::worker::me;

/// The row that a dish of this id is read from.
const KITCHEN: u64 = 9;

/// The program as it was.
mod old {
    use super::*;

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    pub(super) struct Dish {
        name: String,
    }

    #[cached(ttl = 600, name = "deployed_dish", tags = ["deployed", "deployed:{id}"], lease = "1s")]
    pub(super) async fn dish(id: u64) -> Dish {
        Dish { name: name_of(id).await }
    }
}

/// With one field more.
mod new {
    use super::*;

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    pub(super) struct Dish {
        name: String,
        price: u64,
    }

    #[cached(ttl = 600, name = "deployed_dish", tags = ["deployed", "deployed:{id}"], lease = "1s")]
    pub(super) async fn dish(id: u64) -> Dish {
        Dish { name: name_of(id).await, price: 7 }
    }
}

/// With another version of the function, and the value as it was.
mod raised {
    use super::*;

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    pub(super) struct Dish {
        name: String,
    }

    #[cached(
        ttl = 600,
        name = "deployed_dish",
        version = 2,
        tags = ["deployed", "deployed:{id}"],
        lease = "1s"
    )]
    pub(super) async fn dish(id: u64) -> Dish {
        Dish { name: name_of(id).await }
    }
}

/// Who computed it, and from which version of the row.
async fn name_of(id: u64) -> String {
    format!("{}-{}", me().name, me().database.read((KITCHEN, id)).await)
}

/// Calls the function as `deploy` has it.
pub async fn call(deploy: &str, id: u64) -> String {
    fn text(dish: impl Debug) -> String {
        format!("{dish:?}").replace(' ', "")
    }
    match deploy {
        "old" => text(old::dish(id).await),
        "new" => text(new::dish(id).await),
        "raised" => text(raised::dish(id).await),
        other => panic!("{other} is no deploy"),
    }
}

/// Invalidates an entry as `deploy` names it.
pub async fn invalidate(deploy: &str, id: u64) -> Result<(), larder::Error> {
    async fn of<R>(entry: Entry<R>) -> Result<(), larder::Error> {
        entry.invalidate().await
    }
    match deploy {
        "old" => of(old::dish_entry(id)).await,
        "new" => of(new::dish_entry(id)).await,
        "raised" => of(raised::dish_entry(id)).await,
        other => panic!("{other} is no deploy"),
    }
}
