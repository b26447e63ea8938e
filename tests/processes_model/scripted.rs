//! What random plays have found, as plays that are written down.

use crate::board::Board;
use crate::play::{Play, Step};
use crate::world::{By, How};

impl Play {
    /// Lets what is named go on, in that order.
    async fn go(&mut self, named: &[&str]) {
        for what in named {
            let nth = self.world.board.waiting().iter().position(|gate| gate.what == *what);
            let nth = nth.unwrap_or_else(|| panic!("{what} is not among {:?}", self.world.board));
            self.step(Step::Pass(nth)).await.unwrap();
        }
    }

    /// Lets a question of a process reach the store, and its answer come back.
    async fn answered(&mut self, what: &str, process: usize) {
        let legs = [format!("Question({what:?}) of {process}"), format!("Answer({what:?}) of {process}")];
        self.go(&legs.each_ref().map(String::as_str)).await;
    }

    /// Lets the latest of that name go on.
    async fn go_last(&mut self, named: &str) {
        let nth = self.world.board.waiting().iter().rposition(|gate| gate.what == named);
        self.step(Step::Pass(nth.unwrap())).await.unwrap();
    }

    /// Lets all go on but what is named.
    async fn go_on_without(&mut self, named: &[&str]) {
        let other =
            |board: &Board| board.waiting().iter().position(|gate| !named.contains(&gate.what.as_str()));
        while let Some(nth) = other(&self.world.board) {
            self.step(Step::Pass(nth)).await.unwrap();
        }
    }
}

/// Found by the above: the lease was granted after the invalidation, and the message came after the lease.
#[tokio::test]
async fn a_put_is_outdated_by_what_is_heard_of_after_its_lease() {
    let mut play = Play::begin(true).await;
    play.step(Step::Write { process: 1, by: By::Put, id: 0 }).await.unwrap();
    play.step(Step::Write { process: 0, by: By::TagOfValue, id: 0 }).await.unwrap();

    play.answered("invalidate_many", 0).await;
    play.answered("lease", 1).await;
    play.go(&["Message of 1"]).await;

    play.end().await.unwrap();
}

/// Likewise: the put has learned the epoch that is the new one already.
#[tokio::test]
async fn so_it_is_by_what_this_process_is_about_to_make_stale() {
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 0, by: By::Put, id: 0 }).await.unwrap();
    play.step(Step::Write { process: 0, by: By::TagOfValueSoftly, id: 0 }).await.unwrap();

    play.go(&["Question(\"invalidate_many\") of 0"]).await;
    play.go_on_without(&["Answer(\"invalidate_many\") of 0", "Message of 0"]).await;

    play.end().await.unwrap();
}

/// A page is made of what a computation from before came to: the shared tier alone knows that this is outdated.
#[tokio::test]
async fn so_is_what_is_made_of_the_answer_to_an_earlier_call() {
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 1, by: By::TagOfBody, id: 0 }).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.go_on_without(&["the body of 0"]).await;
    play.step(Step::Write { process: 1, by: By::TagOfValue, id: 0 }).await.unwrap();
    play.go_on_without(&["the body of 0", "Message of 0"]).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go_on_without(&["the body of 0", "Message of 0"]).await;

    play.go_on_without(&["Message of 0"]).await;

    play.end().await.unwrap();
}

/// Or of an entry here, while this process is about to make it stale.
#[tokio::test]
async fn so_is_what_is_made_of_an_entry_that_is_made_stale_meanwhile() {
    let mut play = Play::begin(true).await;
    play.step(Step::Wait).await.unwrap();
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Write { process: 0, by: By::TagOfValueSoftly, id: 0 }).await.unwrap();
    let answer = ["Answer(\"invalidate_many\") of 0", "Message of 0"];
    play.go(&["Question(\"invalidate_many\") of 0"]).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go_on_without(&[answer[0], answer[1], "Question(\"epochs\") of 0"]).await;

    play.go(&answer).await;

    play.end().await.unwrap();
}

/// Or of an entry here that was computed without a lease: the epoch was learned meanwhile, by another call.
#[tokio::test]
async fn so_is_what_is_made_of_an_entry_that_the_shared_tier_was_not_asked_about() {
    const BODY: &str = "the body of 0";
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 1, by: By::TagOfBody, id: 0 }).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.answered("read", 0).await;
    play.step(Step::Fail(0)).await.unwrap();
    play.step(Step::Write { process: 1, by: By::TagOfValue, id: 0 }).await.unwrap();
    play.go_on_without(&[BODY, "Message of 0"]).await;

    // The other call asks, and knows all from then on.
    play.step(Step::Call { process: 0, how: How::Through, id: 0 }).await.unwrap();
    play.go_on_without(&[BODY, "Message of 0"]).await;
    play.go_last(BODY).await;
    play.go_on_without(&[BODY, "Message of 0", "Question(\"fill\") of 0"]).await;
    play.go(&[BODY]).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go_on_without(&["Message of 0"]).await;

    play.end().await.unwrap();
}

/// Or what is put while the bus is broken: what was learned before a gap is forgotten, and the message was lost.
#[tokio::test]
async fn so_is_a_put_by_what_a_gap_has_swallowed() {
    for by in [By::Tag, By::TagOfValue] {
        let mut play = Play::begin(false).await;
        play.step(Step::Write { process: 1, by: By::TagOfBody, id: 0 }).await.unwrap();
        play.step(Step::Write { process: 1, by: By::TagOfValue, id: 0 }).await.unwrap();
        play.go_on_without(&[]).await;
        play.step(Step::Write { process: 1, by: By::Put, id: 0 }).await.unwrap();
        play.step(Step::Gap).await.unwrap();
        play.go(&["Message of 1"]).await;
        play.step(Step::Call { process: 1, how: How::Through, id: 0 }).await.unwrap();
        play.answered("read", 1).await;
        play.answered("epochs", 1).await;
        play.step(Step::Write { process: 0, by, id: 0 }).await.unwrap();
        play.answered("invalidate_many", 0).await;

        play.end().await.unwrap();
    }
}

/// Or what is made of an answer that was overtaken, where a gap has left nothing known.
#[tokio::test]
async fn so_is_what_is_made_of_an_answer_that_was_overtaken() {
    let mut play = Play::begin(true).await;
    play.step(Step::Wait).await.unwrap();
    play.step(Step::Call { process: 1, how: How::Row, id: 0 }).await.unwrap();
    play.step(Step::Gap).await.unwrap();
    play.go_on_without(&[]).await;
    play.step(Step::Call { process: 0, how: How::Row, id: 0 }).await.unwrap();
    play.go(&["Question(\"read\") of 0"]).await;
    play.step(Step::Write { process: 1, by: By::TagSoftly, id: 0 }).await.unwrap();
    play.answered("invalidate_many", 1).await;
    play.step(Step::Call { process: 0, how: How::Page, id: 0 }).await.unwrap();
    play.go(&["Question(\"read\") of 0"]).await;
    play.go_last("Answer(\"read\") of 0").await;
    play.go_on_without(&["Answer(\"read\") of 0", "the body of 0", "Message of 0"]).await;

    play.go_on_without(&["Message of 0"]).await;

    play.end().await.unwrap();
}

/// Or what is put although nobody could say what its epochs were.
#[tokio::test]
async fn so_is_a_put_that_learned_nothing_first() {
    let mut play = Play::begin(false).await;
    play.step(Step::Write { process: 1, by: By::Put, id: 0 }).await.unwrap();
    play.go(&["Question(\"epochs\") of 1"]).await;
    play.step(Step::Write { process: 0, by: By::Tag, id: 0 }).await.unwrap();
    play.answered("invalidate_many", 0).await;
    let answer = play.world.board.waiting().iter().position(|gate| gate.what == "Answer(\"epochs\") of 1");
    play.step(Step::Fail(answer.unwrap())).await.unwrap();

    play.end().await.unwrap();
}
