//! What a Redis that fails does to the calls, one failure a file.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod credentials;
mod deaf;
mod forbidden;
mod foreign;
mod forgotten_scripts;
mod full;
mod half_open;
mod hostile;
mod killed;
mod large;
mod late;
mod loading;
mod paused;
mod readonly;
mod refused;
mod replicas;
mod runtimes;
mod slow;
mod support;
mod takes_over;
mod two_at_once;
