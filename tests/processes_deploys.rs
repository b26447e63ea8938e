//! While a deploy rolls out, processes of two programs share one Redis: neither reads what the other wrote in another
//! form, neither breaks, and what one invalidates the other serves no more.

#![cfg(all(unix, feature = "redis", feature = "testing"))]

#[path = "support/workers/mod.rs"]
mod workers;

use larder::testing::redis::Reply;
use workers::{Stage, Worker, until};

#[test]
#[ignore = "what the worker processes run; the tests start it"]
fn worker() {
    workers::worker::run();
}

/// The row of a dish.
const fn row(id: u64) -> (u64, u64) {
    (9, id)
}

/// A worker of this name, that runs the program of that deploy.
struct Program {
    worker: Worker,
    deploy: &'static str,
}

impl Program {
    async fn start(stage: &Stage, name: &str, deploy: &'static str) -> Self {
        let worker = stage.worker(name).await;
        worker.hears().await;
        Self { worker, deploy }
    }

    async fn call(&self, id: u64) -> String {
        self.worker.ask(&format!("call_deployed {} {id}", self.deploy)).await
    }

    async fn invalidate(&self, way: &str) {
        assert_eq!(self.worker.ask(way).await, "ok", "{way}");
    }

    async fn invalidate_entry(&self, id: u64) {
        self.invalidate(&format!("invalidate_deployed {} {id}", self.deploy)).await;
    }

    async fn count(&self, what: &str) -> u64 {
        self.worker.count(what).await
    }

    /// Nothing was taken for something else, and nobody stumbled.
    async fn is_well(&self) {
        for what in ["undecodable", "failures", "openings"] {
            assert_eq!(self.count(what).await, 0, "{what} of {}", self.deploy);
        }
    }
}

/// Waits until a process has heard what another one did, and calls `id` anew from its row as it is.
async fn sees(program: &Program, id: u64, version: u64) {
    until(async || program.call(id).await.contains(&format!("-{version}\""))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_disagree_on_a_type_read_nothing_of_each_other_and_miss_by_version() {
    let stage = Stage::start().await;
    let old = Program::start(&stage, "o", "old").await;
    let new = Program::start(&stage, "n", "new").await;

    assert_eq!(old.call(1).await, r#"Dish{name:"o-1"}"#);
    assert_eq!(new.call(1).await, r#"Dish{name:"n-1",price:7}"#);
    assert_eq!((new.count("version").await, new.count("shared_hits").await), (1, 0));

    // The new one has overwritten the entry. An old one without a copy of its own does not read that, and overwrites it in
    // turn; and so on, until the old ones are gone.
    let second = Program::start(&stage, "p", "old").await;
    assert_eq!(second.call(1).await, r#"Dish{name:"p-1"}"#);
    assert_eq!((second.count("version").await, second.count("shared_hits").await), (1, 0));
    let third = Program::start(&stage, "q", "new").await;
    assert_eq!(third.call(1).await, r#"Dish{name:"q-1",price:7}"#);
    assert_eq!((third.count("version").await, third.count("shared_hits").await), (1, 0));

    // Those of one deploy share as ever.
    let another = Program::start(&stage, "m", "new").await;
    assert_eq!(another.call(1).await, r#"Dish{name:"q-1",price:7}"#);
    assert_eq!((another.count("shared_hits").await, another.count("computations").await), (1, 0));
    for program in [&old, &new, &second, &third, &another] {
        program.is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_disagree_on_a_type_invalidate_for_each_other() {
    let stage = Stage::start().await;
    let old = Program::start(&stage, "o", "old").await;
    let new = Program::start(&stage, "n", "new").await;

    for (one, other) in [(&old, &new), (&new, &old)] {
        for way in ["entry", "invalidate_tag deployed:1", "invalidate_function deployed_dish"] {
            // Given a value that the other one serves from its own tier.
            one.call(1).await;
            other.call(1).await;

            let version = stage.database.write(row(1));
            match way {
                "entry" => one.invalidate_entry(1).await,
                way => one.invalidate(way).await,
            }

            sees(other, 1, version).await;
            sees(one, 1, version).await;
        }
    }
    for program in [&old, &new] {
        program.is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raised_version_keeps_the_entries_apart_and_the_tags_together() {
    let stage = Stage::start().await;
    let old = Program::start(&stage, "o", "old").await;
    let raised = Program::start(&stage, "r", "raised").await;

    assert_eq!(old.call(1).await, r#"Dish{name:"o-1"}"#);
    assert_eq!(raised.call(1).await, r#"Dish{name:"r-1"}"#);

    // Each has an entry of its own, which the other leaves alone.
    let Reply::List(entries) = stage.server.command(&["KEYS", "app:e:{deployed_dish:*}"]) else {
        panic!("names")
    };
    let mut entries: Vec<_> = entries.into_iter().map(Reply::text).collect();
    entries.sort();
    assert_eq!(entries, ["app:e:{deployed_dish:v0:1}", "app:e:{deployed_dish:v2:1}"]);
    for (deploy, expected) in [("old", r#"Dish{name:"o-1"}"#), ("raised", r#"Dish{name:"r-1"}"#)] {
        let another = Program::start(&stage, deploy, deploy).await;
        assert_eq!(another.call(1).await, expected);
        assert_eq!((another.count("shared_hits").await, another.count("computations").await), (1, 0));
    }

    // An entry is that of one version; tags and the function are those of all.
    raised.invalidate_entry(1).await;
    assert_eq!(old.call(1).await, r#"Dish{name:"o-1"}"#);
    assert_eq!(old.count("computations").await, 1);
    for (one, other) in [(&old, &raised), (&raised, &old)] {
        for way in ["invalidate_tag deployed:1", "invalidate_function deployed_dish"] {
            other.call(1).await;
            let version = stage.database.write(row(1));
            one.invalidate(way).await;
            sees(other, 1, version).await;
        }
    }
    for program in [&old, &raised] {
        assert_eq!(program.count("version").await, 0);
        program.is_well().await;
    }
}
