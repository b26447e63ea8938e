//! One write, from the claim to the check.

use crate::args::Invalidation;
use crate::catalogue::Catalogue;
use crate::chance::Chance;
use crate::check::{self, Findings, Ledger, Subject, Touched};
use crate::database::Database;
use crate::menus::{self, WriteError};
use crate::queries::Edit;

const NAMES: [&str; 6] = ["Dinner", "Luncheon", "Supper", "Annual Banquet", "Farewell Dinner", "Wine List"];

/// Writes menus, and looks whether the cached functions know.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) db: &'a Database,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) ledger: &'a Ledger,
    pub(crate) invalidation: Invalidation,
}

impl Writer<'_> {
    /// Changes a menu: a third each are a new name, a new count of dishes, and a move.
    pub(crate) async fn write(&self, card: usize, chance: &mut Chance) -> Result<Findings, WriteError> {
        let Self { db, catalogue, ledger, invalidation } = self;
        let (edit, target) = self.draw(chance);
        let claim = catalogue.claim(card, target).await;

        let change = menus::edit(db, catalogue.cards[card].id, edit).await?;
        if *invalidation == Invalidation::Sent {
            menus::invalidate(&change).await?;
        }

        let touched = Touched { menu: card, restaurant: claim.home, target };
        ledger.acknowledge(Subject::Menu(card), change.revision);
        ledger.acknowledge(Subject::Place(catalogue.cards[card].place), change.revision);
        ledger.acknowledge(Subject::Restaurant(touched.restaurant), change.revision);
        if let Some(target) = target {
            claim.move_to(target);
            ledger.acknowledge(Subject::Restaurant(target), change.revision);
        }
        Ok(check::compare(db, catalogue, touched).await?)
    }

    /// The edit, and the restaurant that a move goes to.
    fn draw(&self, chance: &mut Chance) -> (Edit, Option<usize>) {
        match chance.below(3) {
            0 => (Edit::Rename((*chance.pick(&NAMES)).to_owned()), None),
            1 => (Edit::CountDishes(10 + chance.below(150) as u32), None),
            _ => {
                let target = chance.below(self.catalogue.restaurants.len());
                (Edit::MoveTo(self.catalogue.restaurants[target].text.clone()), Some(target))
            }
        }
    }
}
