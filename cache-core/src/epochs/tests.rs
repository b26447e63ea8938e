//! An epoch moves, is learned and is heard of, in any order.

use super::*;
use crate::key::Tag;

fn stamps(table: &EpochTable, function: &Arc<Cell>, tags: &[&str]) -> Stamps {
    let tags: Vec<Tag> = tags.iter().copied().map(Tag::from).collect();
    table.stamps(function.clone(), &tags)
}

#[test]
fn an_invalidated_tag_outdates_what_bears_it_and_nothing_else() {
    let (table, function) = (EpochTable::default(), Arc::<Cell>::default());
    let (menu, place) = (stamps(&table, &function, &["menu", "a"]), stamps(&table, &function, &["place"]));

    table.change(&Tag::from("menu"), |cell| cell.invalidate(Severity::Hard));

    assert_eq!(menu.currency(), Currency::Invalidated);
    assert_eq!(place.currency(), Currency::Current);
    assert_eq!(stamps(&table, &function, &["menu"]).currency(), Currency::Current);
}

#[test]
fn whatever_moves_an_epoch_ends_what_was_noted() {
    let epoch = |micros| Epoch::new(micros, 0);
    let moves: [fn(&Cell, &mut Stamp); 5] = [
        |cell, _| cell.invalidate(Severity::Hard),
        |cell, _| cell.invalidate(Severity::Soft),
        |cell, _| cell.moved(Epoch::new(7, 0), 1, Severity::Hard),
        |cell, _| _ = cell.heard(Epoch::new(7, 0), 1, Severity::Hard),
        |_, stamp| assert_eq!(stamp.learn(Epoch::new(7, 0), 1), Learned::Invalidation),
    ];
    for (at, make_move) in moves.into_iter().enumerate() {
        let (table, function) = (EpochTable::default(), Arc::<Cell>::default());
        let (stamps, checked) = (stamps(&table, &function, &["a", "b", "c"]), Checked::never());
        let cell = table.cell(&Tag::from("c"));
        let mut stamp = Stamp::now(cell.clone());
        assert_eq!(stamp.learn(epoch(1), 1), Learned::NoInvalidation);
        assert!(stamps.are_current(&checked));
        assert!(stamps.are_current(&checked), "as noted");

        make_move(&cell, &mut stamp);

        assert!(!stamps.are_current(&checked), "move {at}");
    }
}

#[test]
fn an_answer_that_is_older_than_what_is_known_leaves_nothing_known() {
    // The epoch was lost there, and the server's clock went back before it was drawn anew; or a message came first.
    let (cell, at) = (Arc::<Cell>::default(), |micros| Epoch::new(micros, 0));
    let mut stamp = Stamp::now(cell.clone());
    stamp.learn(at(9), 1);
    assert_eq!(cell.known(1), Some(at(9)));

    cell.moved(at(7), 1, Severity::Hard);

    assert_eq!(cell.known(1), None);
    assert!(!cell.heard(at(7), 1, Severity::Hard), "that is its own message");
    assert_eq!(cell.known(1), None);
    Stamp::now(cell.clone()).learn(at(7), 1);
    assert_eq!(cell.known(1), Some(at(7)));
}

#[test]
fn a_soft_invalidation_after_a_hard_one_does_not_soften_it() {
    let (table, function) = (EpochTable::default(), Arc::<Cell>::default());
    let before = stamps(&table, &function, &["menu"]);

    table.change(&Tag::from("menu"), |cell| cell.invalidate(Severity::Hard));
    let between = stamps(&table, &function, &["menu"]);
    table.change(&Tag::from("menu"), |cell| cell.invalidate(Severity::Soft));

    assert_eq!(before.currency(), Currency::Invalidated);
    assert_eq!(between.currency(), Currency::Expired);
}

#[test]
fn a_cell_made_again_does_not_fit_its_former_life() {
    let (table, tag) = (EpochTable::default(), Tag::from("menu"));
    let number = table.stamp(std::slice::from_ref(&tag))[0].number;

    table.sweep();

    assert_ne!(table.stamp(&[tag])[0].number, number);
}

#[test]
fn a_tag_that_turns_up_at_the_end_of_a_computation_shows_what_was_invalidated_meanwhile() {
    let (table, tags) = (EpochTable::default(), [Tag::from("late"), Tag::from("later")]);
    table.change(&tags[0], |cell| cell.invalidate(Severity::Hard));
    let opening = table.open();
    assert!(opening.stamp(&tags).is_some(), "what came before does not count");

    table.change(&Tag::from("later"), |cell| cell.invalidate(Severity::Hard));

    assert!(opening.stamp(&tags[..1]).is_some());
    assert!(opening.stamp(&tags).is_none());
    assert!(table.open().stamp(&tags).is_some(), "what begins now is newer");
}

#[test]
fn so_it_does_where_an_answer_of_the_shared_tier_was_the_first_to_tell() {
    let (table, tags) = (EpochTable::default(), [Tag::from("late")]);
    let mut stamps = table.stamp(&tags);
    stamps[0].learn(Epoch::new(1, 1), 0);
    let opening = table.open();

    assert_eq!(stamps[0].learn(Epoch::new(2, 2), 0), Learned::Invalidation);
    table.change(&tags[0], |cell| cell.moved(Epoch::new(2, 2), 0, Severity::Hard));
    assert!(stamps[0].is_current(), "one invalidation moves it once");

    assert!(opening.stamp(&tags).is_none());
    assert!(table.open().stamp(&tags).is_some(), "what begins now is newer");
}

#[test]
fn the_table_does_not_grow_with_tags_that_nothing_bears() {
    let table = EpochTable::default();
    let held = table.stamp(&[Tag::from("held")]);

    for n in 0..100_000 {
        table.stamp(&[Tag::from(n.to_string())]);
    }

    assert!(table.len() < 4_000, "{} cells", table.len());
    table.sweep();
    assert_eq!(table.len(), 1);
    assert_eq!(held[0].cell.current(), held[0].number);
}

/// One cell, a server, and messages and answers that come in any order.
mod model {
    use proptest::prelude::*;

    use super::*;

    /// The epoch that the server gives with its `n`th change.
    fn epoch(n: u64) -> Epoch {
        Epoch::new(n, 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n))
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// Another process invalidates: a message is on its way.
        Elsewhere,
        /// This one does: a message and an answer are.
        Here,
        /// The epoch is lost and drawn anew. Nobody is told.
        Loss,
        /// A read or a lease begins and is answered there. The answer is on its way.
        Ask,
        /// A message, an answer to a change, an answer to a question arrives: any of those under way.
        Message(usize),
        Answer(usize),
        Told(usize),
        /// Messages may be missing: those under way are.
        Gap,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Elsewhere),
            2 => Just(Step::Here),
            1 => Just(Step::Loss),
            4 => Just(Step::Ask),
            4 => any::<usize>().prop_map(Step::Message),
            2 => any::<usize>().prop_map(Step::Answer),
            4 => any::<usize>().prop_map(Step::Told),
            1 => Just(Step::Gap),
        ]
    }

    /// A question under way, or what was made of its answer.
    #[derive(Debug, Clone)]
    struct Asked {
        stamp: Stamp,
        generation: u64,
        /// What the server answered: which change was the last.
        at: u64,
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn nothing_older_than_an_invalidation_that_is_known_of_is_current(
            steps in prop::collection::vec(step(), 1..40),
        ) {
            let cell = Arc::<Cell>::default();
            let (mut server, mut generation) = (0_u64, 1_u64);
            let mut invalidations = Vec::<u64>::new();
            let (mut messages, mut answers) = (Vec::<u64>::new(), Vec::<u64>::new());
            let (mut asked, mut kept) = (Vec::<Asked>::new(), Vec::<Asked>::new());
            // The latest invalidation that this process was told of.
            let mut told_of = 0;

            for step in steps {
                match step {
                    Step::Elsewhere | Step::Here => {
                        server += 1;
                        invalidations.push(server);
                        messages.push(server);
                        if matches!(step, Step::Here) {
                            answers.push(server);
                        }
                    }
                    Step::Loss => server += 1,
                    Step::Ask => {
                        let stamp = Stamp::now(cell.clone());
                        asked.push(Asked { stamp, generation, at: server });
                    }
                    Step::Message(n) if !messages.is_empty() => {
                        let of = messages.swap_remove(n % messages.len());
                        cell.heard(epoch(of), generation, Severity::Hard);
                        told_of = told_of.max(of);
                    }
                    Step::Answer(n) if !answers.is_empty() => {
                        let of = answers.swap_remove(n % answers.len());
                        cell.moved(epoch(of), generation, Severity::Hard);
                        told_of = told_of.max(of);
                    }
                    Step::Told(n) if !asked.is_empty() => {
                        let mut one = asked.swap_remove(n % asked.len());
                        one.stamp.learn(epoch(one.at), one.generation);
                        kept.push(one);
                    }
                    Step::Gap => {
                        messages.clear();
                        generation += 1;
                        // The engine moves the epochs of all functions, which all entries bear.
                        kept.clear();
                    }
                    Step::Message(_) | Step::Answer(_) | Step::Told(_) => {}
                }

                for one in &kept {
                    prop_assert!(
                        one.at >= told_of || one.generation < generation || !one.stamp.is_current(),
                        "read at {} and current after the invalidation {told_of}", one.at
                    );
                }
                if let Some(known) = cell.known(generation) {
                    prop_assert!(known.micros >= told_of, "{known:?} is known after {told_of}");
                    // Whatever came after what is known will be told.
                    let missed = invalidations.iter().find(|n| **n > known.micros && !messages.contains(n));
                    prop_assert_eq!(missed, None, "missed after {:?}", known);
                }
            }

            // The next message settles what is known.
            let last = epoch(server + 1);
            cell.heard(last, generation, Severity::Hard);
            prop_assert!(cell.known(generation).is_none_or(|known| known == last));
        }
    }
}

#[test]
fn what_comes_with_an_answer_that_was_overtaken_is_of_before() {
    let (cell, at) = (Arc::<Cell>::default(), |micros| Epoch::new(micros, 0));
    let [mut late, mut early] = [Stamp::now(cell.clone()), Stamp::now(cell.clone())];
    late.learn(at(9), 1);

    assert_eq!(early.learn(at(7), 1), Learned::Invalidation);

    assert!(!early.is_current());
    assert_eq!(cell.known(1), None, "the next read tells");
    let mut next = Stamp::now(cell.clone());
    assert_eq!(next.learn(at(9), 1), Learned::NoInvalidation);
    assert!(next.is_current());
}

#[test]
fn what_was_learned_while_a_value_was_computed_unasked_is_known_no_more_when_it_is_kept() {
    let epoch = Epoch::new(9, 0);
    let learned = || {
        let (table, cell) = (EpochTable::default(), Arc::<Cell>::default());
        let before = table.open().number();
        let mut stamp = Stamp::now(cell.clone());
        stamp.learn(epoch, 1);
        (cell, stamp, before, table.open().number())
    };
    let (cell, stamp, before, after) = learned();
    stamp.note_kept(1, None);
    stamp.note_kept(1, Some(after));
    assert_eq!(cell.known(1), Some(epoch), "it has begun later");
    stamp.note_kept(1, Some(before));
    assert_eq!(cell.known(1), None);
    assert_eq!(Stamp::now(cell).learn(epoch, 1), Learned::Invalidation, "or it was one");

    // What is outdated, or is of before a gap, is served to nobody.
    let (cell, stamp, before, _) = learned();
    cell.heard(Epoch::new(10, 0), 1, Severity::Hard);
    stamp.note_kept(1, Some(before));
    assert_eq!(cell.known(1), Some(Epoch::new(10, 0)));
    let (cell, stamp, before, _) = learned();
    Stamp::now(cell.clone()).learn(epoch, 2);
    stamp.note_kept(1, Some(before));
    assert_eq!(cell.known(2), Some(epoch));
}
