//! Two processes over one store, of which a test decides what happens next: which question, answer or message arrives, which body ends,
//! who calls, writes, gives up. Whatever the order, nobody reads what was invalidated before the call began: in the same process, in the
//! other once the message has come, and in one that begins afterwards.
//!
//! `LARDER_MODEL_CASES=100000 cargo test --release --all-features --test processes_model` plays others, and more.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]
#![allow(unreachable_pub, reason = "each file is a part of one test")]

mod board;
mod play;
mod scripted;
#[path = "../support/mod.rs"]
mod support;
mod world;

use play::{PROCESSES, Play, Step};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use world::{By, How, ROWS};

fn step(puts: bool, fails: bool, gaps: bool) -> impl Strategy<Value = Step> {
    let process = 0..PROCESSES;
    let how = prop_oneof![
        3 => Just(How::Row),
        2 => Just(How::Rows),
        2 => Just(How::Through),
        2 => Just(How::Page),
        1 => Just(How::Here),
        1 => Just(How::PageOfHere),
        1 => Just(How::Refresh),
    ];
    let by = prop_oneof![
        Just(By::Key),
        Just(By::Tag),
        Just(By::TagOfValue),
        // What is put does not bear the tags that a body names.
        Just(if puts { By::Put } else { By::TagOfBody }),
        Just(By::Function),
        Just(By::Everything),
        Just(By::KeySoftly),
        Just(By::TagSoftly),
        Just(By::TagOfValueSoftly),
    ];
    prop_oneof![
        6 => (process.clone(), how, 0..ROWS).prop_map(|(process, how, id)| Step::Call { process, how, id }),
        3 => (process, by, 0..ROWS).prop_map(|(process, by, id)| Step::Write { process, by, id }),
        24 => (0..12_usize).prop_map(Step::Pass),
        1 => (0..12_usize).prop_map(move |nth| if fails { Step::Fail(nth) } else { Step::Pass(nth) }),
        1 => (0..8_usize).prop_map(Step::GiveUp),
        1 => Just(if gaps { Step::Gap } else { Step::Wait }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (any::<bool>(), any::<bool>(), any::<bool>())
        .prop_flat_map(|(puts, fails, gaps)| prop::collection::vec(step(puts, fails, gaps), 1..120))
}

/// Some that are always the same; as many others as are asked for.
fn config() -> ProptestConfig {
    let asked = std::env::var("LARDER_MODEL_CASES").ok().map(|cases| cases.parse().expect("a number"));
    ProptestConfig {
        cases: asked.unwrap_or(400),
        rng_seed: if asked.is_none() { RngSeed::Fixed(0) } else { RngSeed::Random },
        max_shrink_time: 120_000,
        max_shrink_iters: 100_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nobody_reads_what_was_invalidated_whatever_arrives_first(knows in any::<bool>(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::begin(knows).await;
            for step in steps {
                play.step(step).await?;
            }
            play.end().await
        })?;
    }
}
