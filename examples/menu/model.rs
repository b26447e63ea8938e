//! The types of the service.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A menu card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Menu {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) restaurant: String,
    pub(crate) place: String,
    /// `None` where nobody knows.
    pub(crate) date: Option<Date>,
    pub(crate) page_count: u32,
    pub(crate) dish_count: u32,
    /// The number of the write that last changed this row. Writes are numbered 1, 2, 3 ..; 0: never changed.
    pub(crate) revision: u64,
}

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Date {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl Date {
    /// The first year of the decade, 1920 say.
    pub(crate) fn decade(self) -> u16 {
        self.year / 10 * 10
    }
}

/// The menus of one restaurant, oldest first.
///
/// The list is in an `Arc`, so that a hit clones a pointer and not some hundred menus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MenuList {
    pub(crate) menus: Arc<[Menu]>,
    /// The number of the last write to any menu that is, or was, of this restaurant.
    pub(crate) revision: u64,
}

/// What the menus of a place and decade come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchResult {
    pub(crate) menus: u64,
    pub(crate) restaurants: u64,
    pub(crate) dishes: u64,
    /// The restaurants with the most menus, and how many, at most ten.
    pub(crate) leaders: Vec<(String, u64)>,
    /// The number of the last write to any menu of the place, whatever its decade.
    pub(crate) revision: u64,
}
