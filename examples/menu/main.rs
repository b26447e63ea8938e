//! A menu service over an SQLite database, under load, without and then with the cache.
//!
//! `cargo run --release --example menu` needs no argument and takes some seconds; `-- --help` shows the options.
//!
//! `menus.rs` is what an application writes to use Larder; the rest makes the service, the load, and the check that
//! no answer is stale.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]

mod args;
mod catalogue;
mod chance;
mod check;
mod data;
mod database;
mod latency;
mod load;
mod menus;
mod model;
mod plan;
mod progress;
mod queries;
mod report;
mod sample;
mod write;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use larder::Cache;

use crate::args::{Args, Wish};
use crate::catalogue::Catalogue;
use crate::load::Load;
use crate::report::{Comparison, Opening, Verdict};

fn main() -> ExitCode {
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(Wish::Run(args)) => args,
        Ok(Wish::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return trouble(&error),
    };
    match run(args) {
        Ok(Freshness::Kept) => ExitCode::SUCCESS,
        Ok(Freshness::Broken) => ExitCode::FAILURE,
        Err(error) => trouble(&*error),
    }
}

/// Whether every answer was as fresh as promised.
enum Freshness {
    Kept,
    Broken,
}

fn run(args: Args) -> Result<Freshness, Box<dyn Error>> {
    let mut collection = match &args.data {
        Some(path) => data::load(path)?,
        None => sample::collection(),
    };
    let catalogue = Catalogue::of(&collection.menus);
    println!("{}", Opening { args: &args, collection: &collection, catalogue: &catalogue });

    let db = Arc::new(queries::create()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(db.fill(std::mem::take(&mut collection.menus)))?;
    let load = Arc::new(Load::new(db, catalogue, args));

    let without = runtime.block_on(load.run("without cache", Some(&Cache::disabled())))?;

    // In this process; or in a Redis, with `--features redis` and LARDER_URL=redis://127.0.0.1:6379.
    let cache = Cache::from_env()?;
    // The database is a new one: what an earlier run left in a shared tier was computed from another.
    runtime.block_on(cache.clear())?;
    cache.install()?;
    let with = runtime.block_on(load.run("with cache", None))?;

    println!("{}", Comparison { without: &without, with: &with });
    println!("{}", cache.stats());
    let mut findings = without.findings;
    findings.add(with.findings);
    print!("{}", Verdict(findings));
    Ok(if findings.stale() == 0 { Freshness::Kept } else { Freshness::Broken })
}

fn trouble(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(2)
}
