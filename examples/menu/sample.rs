//! The built-in menus: made up, always the same, shaped like a real collection.
//!
//! A few houses have hundreds of menus and most have a handful, some menus have neither name nor date.

use crate::chance::{Chance, Zipf};
use crate::data::Collection;
use crate::model::{Date, Menu};

const MENUS: usize = 3_000;

const KINDS: [&str; 10] = [
    "Hotel {}",
    "{} House",
    "Café {}",
    "The {} Club",
    "Grand Hotel {}",
    "{} Chop House",
    "S.S. {}",
    "Restaurant {}",
    "{} Dining Cars",
    "{} Oyster Rooms",
];
const NAMES: [&str; 30] = [
    "Alhambra",
    "Belvedere",
    "Bellevue",
    "Bristol",
    "Britannia",
    "Carlton",
    "Central",
    "Colonial",
    "Continental",
    "Eastman",
    "Empire",
    "Excelsior",
    "Fairmont",
    "Franklin",
    "Imperial",
    "Jefferson",
    "Knickerbocker",
    "Lafayette",
    "Lincoln",
    "Mercer",
    "Metropole",
    "Monopol",
    "Neptune",
    "Orient",
    "Palmer",
    "Royal",
    "Savoy",
    "Tremont",
    "Union",
    "Victoria",
];
const PLACES: [&str; 40] = [
    "New York, NY",
    "En route",
    "Chicago, IL",
    "Boston, MA",
    "Philadelphia, PA",
    "San Francisco, CA",
    "London",
    "Paris",
    "Hot Springs, AR",
    "New Orleans, LA",
    "Washington, DC",
    "Milwaukee, WI",
    "St. Louis, MO",
    "Berlin",
    "Hamburg",
    "Bremen",
    "Vienna",
    "Rome",
    "Naples",
    "Atlantic City, NJ",
    "Saratoga Springs, NY",
    "Buffalo, NY",
    "Denver, CO",
    "Los Angeles, CA",
    "Baltimore, MD",
    "Cincinnati, OH",
    "Cleveland, OH",
    "Detroit, MI",
    "Louisville, KY",
    "Havana",
    "Montreal",
    "Toronto",
    "Hong Kong",
    "Yokohama",
    "Shanghai",
    "Cairo",
    "Geneva",
    "Lucerne",
    "Brussels",
    "Antwerp",
];
const OCCASIONS: [&str; 14] = [
    "",
    "Dinner",
    "Breakfast",
    "Luncheon",
    "Supper",
    "Easter Dinner",
    "Thanksgiving Dinner",
    "Christmas Dinner",
    "Annual Banquet",
    "Farewell Dinner",
    "Captain's Dinner",
    "Tiffin",
    "Table d'hôte",
    "Wine List",
];

/// The built-in menus: some 3,000 of 300 restaurants at 40 places, from 1850 to 1990.
pub(crate) fn collection() -> Collection {
    let mut chance = Chance::seeded(1850);
    let mut houses: Vec<(String, &str)> = KINDS
        .iter()
        .flat_map(|kind| NAMES.iter().map(|name| kind.replace("{}", name)))
        .map(|restaurant| (restaurant, *chance.pick(&PLACES)))
        .collect();
    chance.shuffle(&mut houses);

    let sizes = Zipf::new(houses.len(), 0.8);
    let menus = (0..MENUS)
        .map(|number| {
            // Each house once, so that none is without a menu.
            let house = if number < houses.len() { number } else { sizes.sample(&mut chance) };
            let (restaurant, place) = &houses[house];
            let date = Date {
                year: 1850 + chance.below(141) as u16,
                month: 1 + chance.below(12) as u8,
                day: 1 + chance.below(28) as u8,
            };
            Menu {
                id: 12_463 + number as u64,
                name: (*chance.pick(&OCCASIONS)).to_owned(),
                restaurant: restaurant.clone(),
                place: (*place).to_owned(),
                date: (chance.below(30) > 0).then_some(date),
                page_count: 1 + chance.below(8) as u32,
                dish_count: 10 + chance.below(150) as u32,
                revision: 0,
            }
        })
        .collect();
    Collection { menus, ..Collection::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_built_in_menus_are_always_the_same() {
        assert_eq!(collection().menus, collection().menus);
    }

    #[test]
    fn every_house_has_a_menu_and_every_menu_its_id() {
        let menus = collection().menus;

        let restaurants: HashSet<_> = menus.iter().map(|menu| &menu.restaurant).collect();
        let ids: HashSet<_> = menus.iter().map(|menu| menu.id).collect();

        assert_eq!((menus.len(), restaurants.len(), ids.len()), (MENUS, KINDS.len() * NAMES.len(), MENUS));
    }
}
