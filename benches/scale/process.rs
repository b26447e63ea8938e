//! A small process of Larder that follows the bus, and does what it is told line by line.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use larder::{Cache, Event, Events, Invalidated, Invalidator, Local};
use rustix::time::{ClockId, clock_gettime};

use super::bare::{Heard, Publisher};
use super::catalogue::{price, price_entry, shop_of};

/// Tells a process its cluster.
pub(crate) const WORKER: &str = "LARDER_BENCH_WORKER";
/// Room for what comes while a process looks at one.
const ROOM: usize = 1 << 16;
/// Until the last message has reached everybody.
const PAUSE: Duration = Duration::from_millis(5);

fn ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// On one machine all processes have this clock in common.
pub(crate) fn now() -> u64 {
    ns(ClockId::Monotonic)
}

/// Answers each line with one.
pub(crate) fn work(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cache = runtime.block_on(async {
        let cache = super::cache(url, Local::bytes(64 << 20)).await;
        super::hears(&cache).await;
        cache
    });
    let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
    // Waiting for the next line must not keep the only thread of the runtime from hearing the bus.
    std::thread::spawn(move || std::io::stdin().lines().try_for_each(|line| told.send(line.unwrap()).ok()));
    runtime.block_on(async {
        let mut events = cache.subscribe_with(ROOM);
        let (bare, mut publisher) = (Heard::listen(url).await, Publisher::connect(url).await);
        println!("ready");
        while let Some(line) = lines.recv().await {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| -> u64 { words[at].parse().unwrap() };
            let times = match words[0] {
                "read" => read(&cache, number(1)..number(2)).await,
                "invalidate" => invalidate(&cache, number(1)..number(2)).await,
                "publish" => publish(&mut publisher, number(1)..number(2)).await,
                "by_turns" => by_turns(&cache, &mut publisher, number(1)..number(2)).await,
                "hear_bare" => bare.take(number(1) as usize).await,
                "hear" => hear(&cache, &mut events, number(1)..number(2), words[3] == "look").await,
                "busy" => vec![ns(ClockId::ProcessCPUTime)],
                other => panic!("{other}"),
            };
            println!("{}", times.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
        }
    });
}

/// Has the prices of these articles in the local tier.
async fn read(cache: &Cache, ids: Range<u64>) -> Vec<u64> {
    for id in ids {
        price(cache, shop_of(id), id).await;
    }
    Vec::new()
}

async fn one(cache: &Cache, id: u64) -> u64 {
    let began = now();
    price_entry(cache, shop_of(id), id).invalidate().await.unwrap();
    began
}

/// Invalidates the prices of these articles, one after the other; when each began.
async fn invalidate(cache: &Cache, ids: Range<u64>) -> Vec<u64> {
    let mut began = Vec::new();
    for id in ids {
        began.push(one(cache, id).await);
    }
    began
}

/// Publishes as many bare messages.
async fn publish(publisher: &mut Publisher, ids: Range<u64>) -> Vec<u64> {
    let mut began = Vec::new();
    for id in ids {
        began.push(publisher.publish(id).await);
    }
    began
}

/// Both in turns, one at a time; first when each invalidation began, then when each message did.
async fn by_turns(cache: &Cache, publisher: &mut Publisher, ids: Range<u64>) -> Vec<u64> {
    let (mut began, mut published) = (Vec::new(), Vec::new());
    for id in ids {
        tokio::time::sleep(PAUSE).await;
        began.push(one(cache, id).await);
        tokio::time::sleep(PAUSE).await;
        published.push(publisher.publish(id).await);
    }
    began.append(&mut published);
    began
}

/// Hears of the invalidation of the prices of these articles; when each was heard. With `is_looking` the process had the
/// price, and makes sure that it does not serve it any more from that moment on.
async fn hear(cache: &Cache, events: &mut Events, ids: Range<u64>, is_looking: bool) -> Vec<u64> {
    let first = ids.start;
    let handles: Vec<_> = ids.map(|id| price_entry(cache, shop_of(id), id)).collect();
    let places: HashMap<String, usize> =
        handles.iter().enumerate().map(|(at, entry)| (entry.key().unwrap().to_string(), at)).collect();
    let mut heard = vec![0; handles.len()];
    let mut left = heard.len();
    while left > 0 {
        let event = events.next().await.unwrap();
        let at_once = now();
        match event {
            Event::Invalidation { of: Invalidated::Entry(key), by: Invalidator::Elsewhere, .. } => {
                let Some(at) = places.get(&*key) else { continue };
                assert_eq!(heard[*at], 0, "each is heard of once");
                heard[*at] = at_once;
                left -= 1;
                if is_looking {
                    let found = handles[*at].peek().await.unwrap();
                    assert!(found.is_none(), "article {} is still served", first + *at as u64);
                }
            }
            Event::Lost(_) | Event::Gap => panic!("{event:?}"),
            _ => {}
        }
    }
    heard
}

/// Such a process, as who started it sees it. It ends when its input does.
pub(crate) struct Process {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(url: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(WORKER, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, output }
    }

    pub(crate) fn is_ready(&mut self) {
        assert_eq!(self.output.next().unwrap().unwrap(), "ready");
    }

    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").unwrap();
    }

    /// The times that it answers.
    pub(crate) fn answer(&mut self) -> Vec<u64> {
        let line = self.output.next().unwrap().unwrap();
        line.split_whitespace().map(|time| time.parse().unwrap()).collect()
    }

    pub(crate) fn end(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}
