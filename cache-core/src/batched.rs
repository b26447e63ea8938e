//! How the answer of a batch divides into items, each an entry of its own.
//!
//! Three questions, told by type: what the whole answer is ([`Whole`]: a collection, or a `Result` of one), how the
//! collection divides ([`Division`]), and what one item is to the cache ([`Each`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use crate::answer::{Answer, Fallible, FallibleOptional, Optional, Outcome, Plain, marker_type};

/// The whole answer of a batch: a collection, or a `Result` of one.
pub trait Whole: Answer {
    /// Takes the answer apart.
    fn open(self, output: Self::Output) -> Result<Self::Value, Self::Error>;
    /// Puts it together.
    fn close(self, answer: Result<Self::Value, Self::Error>) -> Self::Output;
}

impl<T> Whole for Plain<T> {
    fn open(self, output: T) -> Result<T, Infallible> {
        Ok(output)
    }
    fn close(self, answer: Result<T, Infallible>) -> T {
        match answer {
            Ok(all) => all,
            Err(never) => match never {},
        }
    }
}

impl<T, E> Whole for Fallible<T, E> {
    fn open(self, output: Result<T, E>) -> Result<T, E> {
        output
    }
    fn close(self, answer: Result<T, E>) -> Result<T, E> {
        answer
    }
}

/// What one item of a batch is to the cache: the answer that a function of a single item would give.
pub trait Each: Answer {
    /// An item.
    type Item;
    /// The item in an answer.
    fn item(self, output: Self::Output) -> Option<Self::Item>;
    /// The answer that an item is, or that there is none.
    fn of(self, item: Option<Self::Item>) -> Self::Output;
}

marker_type!(
    /// An item of a batch that cannot fail; that there is none is not stored.
    Sparse<V>
);
marker_type!(
    /// An item of a batch that can fail; that there is none is not stored.
    FallibleSparse<V, E>
);

impl<V> Answer for Sparse<V> {
    type Output = Option<V>;
    type Value = V;
    type Error = Infallible;
    const SELF: Self = Self::new();

    fn outcome(self, output: &Option<V>) -> Outcome {
        if output.is_some() { Outcome::Value } else { Outcome::Absent }
    }
    fn stored(self, output: &Option<V>) -> Option<&V> {
        output.as_ref()
    }
    fn restore(self, value: V) -> Option<V> {
        Some(value)
    }
    fn error(self, _: &Option<V>) -> Option<&Infallible> {
        None
    }
    fn fail(self, error: Infallible) -> Option<Option<V>> {
        match error {}
    }
    fn absent(self) -> Option<Option<V>> {
        Some(None)
    }
}

impl<V, E> Answer for FallibleSparse<V, E> {
    type Output = Result<Option<V>, E>;
    type Value = V;
    type Error = E;
    const SELF: Self = Self::new();

    fn outcome(self, output: &Self::Output) -> Outcome {
        FallibleOptional::<V, E>::new().outcome(output)
    }
    fn stored(self, output: &Self::Output) -> Option<&V> {
        output.as_ref().ok()?.as_ref()
    }
    fn restore(self, value: V) -> Self::Output {
        Ok(Some(value))
    }
    fn error(self, output: &Self::Output) -> Option<&E> {
        output.as_ref().err()
    }
    fn fail(self, error: E) -> Option<Self::Output> {
        Some(Err(error))
    }
    fn absent(self) -> Option<Self::Output> {
        Some(Ok(None))
    }
}

macro_rules! each {
    ($name:ident<$($p:ident),+>, plain) => {
        impl<$($p),+> Each for $name<$($p),+> {
            type Item = V;
            fn item(self, output: Option<V>) -> Option<V> {
                output
            }
            fn of(self, item: Option<V>) -> Option<V> {
                item
            }
        }
    };
    ($name:ident<$($p:ident),+>, fallible) => {
        impl<$($p),+> Each for $name<$($p),+> {
            type Item = V;
            fn item(self, output: Self::Output) -> Option<V> {
                output.ok().flatten()
            }
            fn of(self, item: Option<V>) -> Self::Output {
                Ok(item)
            }
        }
    };
}
each!(Sparse<V>, plain);
each!(Optional<V>, plain);
each!(FallibleSparse<V, E>, fallible);
each!(FallibleOptional<V, E>, fallible);

/// The answers that items of `V` have beside a whole answer.
pub trait Makes<V>: Whole {
    /// Where that there is none is not stored: entries hold a `V`.
    type Sparse: Each<Item = V, Error = Self::Error>;
    /// Where it is: entries hold an `Option<V>`.
    type Optional: Each<Item = V, Error = Self::Error>;
}

impl<T, V> Makes<V> for Plain<T> {
    type Sparse = Sparse<V>;
    type Optional = Optional<V>;
}

impl<T, E, V> Makes<V> for Fallible<T, E> {
    type Sparse = FallibleSparse<V, E>;
    type Optional = FallibleOptional<V, E>;
}

/// How the collection `C` of a batch over ids of type `K` divides into items.
#[diagnostic::on_unimplemented(
    message = "`{C}` does not divide into an item for each id",
    label = "what this function returns is not a collection by id",
    note = "return a `HashMap<Id, Item>` or a `BTreeMap<Id, Item>`, or a `Vec<Option<Item>>` in the order of the ids",
    note = "for a `Vec<Item>`, say whose it is: `each(id in ids, by = |item| item.id)`"
)]
pub trait Division<K, C>: Copy + Send + Sync {
    /// An item.
    type Item;
    /// What an item is to the cache, beside the whole answer `W`.
    type Each<W: Makes<Self::Item>>: Each<Item = Self::Item, Error = W::Error>;
    /// Whether it can be told what belongs to which id.
    fn fits(self, _all: &C, _ids: &[K]) -> bool {
        true
    }
    /// Divides, in the order of the ids. What belongs to none of them is left out, and what may belong to any.
    fn divide(self, all: C, ids: &[K]) -> Vec<Option<Self::Item>>;
    /// Puts together what belongs to the ids, in their order.
    fn assemble<I: ExactSizeIterator<Item = (K, Option<Self::Item>)>>(self, items: I) -> C;
}

/// As the collection says: by its keys, or by position.
#[derive(Debug, Clone, Copy)]
pub struct Natural;

impl<K: Eq + Hash, V, H: BuildHasher + Default> Division<K, HashMap<K, V, H>> for Natural {
    type Item = V;
    type Each<W: Makes<V>> = W::Sparse;

    fn divide(self, mut all: HashMap<K, V, H>, ids: &[K]) -> Vec<Option<V>> {
        ids.iter().map(|id| all.remove(id)).collect()
    }
    fn assemble<I: ExactSizeIterator<Item = (K, Option<V>)>>(self, items: I) -> HashMap<K, V, H> {
        // To grow on the way costs more than all that is put in.
        let mut all = HashMap::with_capacity_and_hasher(items.len(), H::default());
        all.extend(items.filter_map(|(id, item)| Some((id, item?))));
        all
    }
}

impl<K: Ord, V> Division<K, BTreeMap<K, V>> for Natural {
    type Item = V;
    type Each<W: Makes<V>> = W::Sparse;

    fn divide(self, mut all: BTreeMap<K, V>, ids: &[K]) -> Vec<Option<V>> {
        ids.iter().map(|id| all.remove(id)).collect()
    }
    fn assemble<I: ExactSizeIterator<Item = (K, Option<V>)>>(self, items: I) -> BTreeMap<K, V> {
        items.filter_map(|(id, item)| Some((id, item?))).collect()
    }
}

impl<K, V> Division<K, Vec<Option<V>>> for Natural {
    type Item = V;
    type Each<W: Makes<V>> = W::Optional;

    fn fits(self, all: &Vec<Option<V>>, ids: &[K]) -> bool {
        all.len() == ids.len()
    }
    fn divide(self, mut all: Vec<Option<V>>, ids: &[K]) -> Vec<Option<V>> {
        if all.len() != ids.len() {
            // By position an id would get the item of another one.
            all.clear();
            all.resize_with(ids.len(), || None);
        }
        all
    }
    fn assemble<I: ExactSizeIterator<Item = (K, Option<V>)>>(self, items: I) -> Vec<Option<V>> {
        items.map(|(_, item)| item).collect()
    }
}

/// `by = |item| item.id`: a list, whose items know their ids.
#[derive(Debug)]
pub struct By<K, V>(fn(&V) -> K);

impl<K, V> Clone for By<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for By<K, V> {}

impl<K: Eq + Hash, V> Division<K, Vec<V>> for By<K, V> {
    type Item = V;
    type Each<W: Makes<V>> = W::Sparse;

    fn fits(self, all: &Vec<V>, _: &[K]) -> bool {
        let mut seen = HashSet::with_capacity(all.len());
        all.iter().all(|item| seen.insert((self.0)(item)))
    }
    fn divide(self, all: Vec<V>, ids: &[K]) -> Vec<Option<V>> {
        let mut by_id: HashMap<K, V> = all.into_iter().map(|item| ((self.0)(&item), item)).collect();
        ids.iter().map(|id| by_id.remove(id)).collect()
    }
    fn assemble<I: ExactSizeIterator<Item = (K, Option<V>)>>(self, items: I) -> Vec<V> {
        let items: Vec<_> = items.collect();
        // Who asks twice for one gets it once, as a query would answer.
        let mut seen = HashSet::with_capacity(items.len());
        let is_first: Vec<bool> = items.iter().map(|(id, _)| seen.insert(id)).collect();
        items
            .into_iter()
            .zip(is_first)
            .filter(|(_, is_first)| *is_first)
            .filter_map(|((_, item), _)| item)
            .collect()
    }
}

/// `none_ttl`: that there is no item is stored, too.
#[derive(Debug, Clone, Copy)]
pub struct OrNone<D>(D);

impl<K, C, D: Division<K, C>> Division<K, C> for OrNone<D> {
    type Item = D::Item;
    type Each<W: Makes<D::Item>> = W::Optional;

    fn fits(self, all: &C, ids: &[K]) -> bool {
        self.0.fits(all, ids)
    }
    fn divide(self, all: C, ids: &[K]) -> Vec<Option<D::Item>> {
        self.0.divide(all, ids)
    }
    fn assemble<I: ExactSizeIterator<Item = (K, Option<D::Item>)>>(self, items: I) -> C {
        self.0.assemble(items)
    }
}

/// A list of items: what `by = ..` asks for.
#[diagnostic::on_unimplemented(
    message = "`by` tells the id of an item in a list, and `{Self}` is none",
    label = "this function does not return a `Vec<Item>`",
    note = "remove `by`: the keys of a map, and the order of a `Vec<Option<Item>>`, say it already"
)]
pub trait List {
    /// An item.
    type Item;
}

impl<V> List for Vec<V> {
    type Item = V;
}

/// Divides a list by the ids that its items know.
pub fn by<W, K>(_: W, id: fn(&<W::Value as List>::Item) -> K) -> By<K, <W::Value as List>::Item>
where
    W: Whole<Value: List>,
{
    By(id)
}

/// Stores that there is no item, too.
pub fn or_none<D>(division: D) -> OrNone<D> {
    OrNone(division)
}

/// The answer of one item, for ids as `ids` has them.
pub fn each<'i, K, V, W, D>(_: W, _: D, _: &impl Iterator<Item = &'i K>) -> D::Each<W>
where
    K: 'i,
    D: Division<K, W::Value, Item = V>,
    W: Makes<V>,
{
    D::Each::<W>::SELF
}

/// What `f_entry` of a batch answers for one item, told by what the function returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not divide into an item for each id",
    label = "what this function returns is not a collection by id",
    note = "return a `HashMap<Id, Item>` or a `BTreeMap<Id, Item>`, or a `Vec<Option<Item>>` in the order of the ids",
    note = "for a `Vec<Item>`, say whose it is: `each(id in ids, by = |item| item.id)`"
)]
pub trait EntryOf<K> {
    /// The answer for one item.
    type Answer;
}

macro_rules! entry_of {
    ([$($p:tt)*] $collection:ty) => {
        impl<K, V, $($p)*> EntryOf<K> for $collection {
            type Answer = Option<V>;
        }
        impl<K, V, E, $($p)*> EntryOf<K> for Result<$collection, E> {
            type Answer = Result<Option<V>, E>;
        }
    };
}
entry_of!([H] HashMap<K, V, H>);
entry_of!([] BTreeMap<K, V>);
entry_of!([] Vec<Option<V>>);

/// The same with `by = ..`.
#[diagnostic::on_unimplemented(
    message = "`by` tells the id of an item in a list, and `{Self}` is none",
    label = "this function does not return a `Vec<Item>`",
    note = "remove `by`: the keys of a map, and the order of a `Vec<Option<Item>>`, say it already"
)]
pub trait EntryOfList {
    /// The answer for one item.
    type Answer;
}

impl<V> EntryOfList for Vec<V> {
    type Answer = Option<V>;
}

impl<V, E> EntryOfList for Result<Vec<V>, E> {
    type Answer = Result<Option<V>, E>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_divides_by_its_keys_and_leaves_out_what_nobody_asked_for() {
        let all = HashMap::from([(1, "a"), (2, "b"), (9, "?")]);

        assert_eq!(Natural.divide(all, &[2, 3, 1]), [Some("b"), None, Some("a")]);
    }

    #[test]
    fn a_list_in_the_order_of_the_ids_fits_if_it_is_as_long() {
        assert!(Natural.fits(&vec![Some("a"), None], &[1, 2]));
        assert_eq!(Natural.divide(vec![Some("a"), None], &[1, 2]), [Some("a"), None]);

        assert!(!Natural.fits(&vec![Some("a")], &[1, 2]));
        assert!(!Natural.fits(&vec![Some("a"), None, None], &[1, 2]));
    }

    #[test]
    fn a_list_by_id_has_each_item_once_and_in_the_order_asked_for() {
        let by = By(|item: &(u8, char)| item.0);
        let all = vec![(1, 'a'), (2, 'b')];
        assert!(by.fits(&all, &[2, 3, 1]));
        assert_eq!(by.divide(all, &[2, 3, 1]), [Some((2, 'b')), None, Some((1, 'a'))]);

        let items = vec![(2, Some((2, 'b'))), (3, None), (1, Some((1, 'a'))), (2, Some((2, 'b')))];
        assert_eq!(by.assemble(items.into_iter()), [(2, 'b'), (1, 'a')]);
        assert!(!by.fits(&vec![(1, 'a'), (1, 'b')], &[1]));
    }
}
