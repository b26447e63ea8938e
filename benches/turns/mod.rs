//! Subjects measured in turns within one run: calls by so many tasks, medians, and ratios between them.

#![allow(dead_code, unreachable_pub, reason = "each bench takes what it needs")]

use std::time::Instant;

use tokio::runtime::Runtime;

pub const KEYS: u64 = 1_000;
pub const CALLS: usize = 16_000;
const ROUNDS: usize = 25;

/// Its name, the place of the one it is compared with, and how it is measured with so many tasks.
pub struct Subject<'s> {
    pub name: &'s str,
    pub beside: usize,
    pub call: Box<dyn Fn(usize) -> f64 + 's>,
}

impl<'s> Subject<'s> {
    pub fn new(name: &'s str, beside: usize, call: impl Fn(usize) -> f64 + 's) -> Self {
        Self { name, beside, call: Box::new(call) }
    }
}

/// 100 bytes, which end with their number.
pub fn value(id: u64) -> String {
    format!("{id:0100}")
}

pub fn encode(id: u64) -> Vec<u8> {
    bincode::serde::encode_to_vec(value(id), bincode::config::standard()).unwrap()
}

pub fn decode(bytes: &[u8]) -> String {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).unwrap().0
}

/// `count` of the keys in a random order.
pub fn keys(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % KEYS
    })
    .take(count)
}

/// Nanoseconds a call, where `tasks` at once share all calls.
pub fn measure<F>(runtime: &Runtime, tasks: usize, calls: impl Fn(u64, usize) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let share = CALLS / tasks;
    runtime.block_on(async {
        let start = Instant::now();
        let running: Vec<_> = (1..=tasks as u64).map(|seed| tokio::spawn(calls(seed, share))).collect();
        for task in running {
            task.await.unwrap();
        }
        start.elapsed().as_nanos() as f64 / (share * tasks) as f64
    })
}

/// A loop of calls inside one task, as a handler awaits them.
macro_rules! awaiting {
    ($runtime:expr, |$id:ident| $call:expr) => {
        |tasks| {
            $crate::turns::measure($runtime, tasks, |seed, share| async move {
                for $id in $crate::turns::keys(seed, share) {
                    std::hint::black_box($call.await);
                }
            })
        }
    };
    ($runtime:expr, $bare:expr, $call:ident) => {
        |tasks| {
            $crate::turns::measure($runtime, tasks, |seed, share| {
                let mut bare = $bare.clone();
                async move {
                    for id in $crate::turns::keys(seed, share) {
                        std::hint::black_box(bare.$call(id).await);
                    }
                }
            })
        }
    };
}
pub(crate) use awaiting;

pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// How many tasks the command line asks for: 64 and then one, unless it says otherwise.
pub fn asked() -> Vec<usize> {
    let asked: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    if asked.is_empty() { vec![64, 1] } else { asked }
}

/// Measures all in turns, prints the medians, and answers how two of them compare.
pub fn compare<const N: usize>(
    subjects: &[Subject<'_>; N],
    tasks: usize,
    over: &str,
) -> impl Fn(usize, usize) -> f64 + use<N> {
    let mut samples = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (samples, subject) in samples.iter_mut().zip(subjects) {
            samples.push((subject.call)(tasks));
        }
    }
    println!("\n{tasks} task(s) over {over}, {ROUNDS} rounds of {CALLS} calls in turns, medians");
    let medians = samples.clone().map(median);
    let ratio = move |mine: usize, to: usize| {
        median(samples[mine].iter().zip(&samples[to]).map(|(mine, to)| mine / to).collect())
    };
    for (at, subject) in subjects.iter().enumerate() {
        let (micros, ratio) = (medians[at] / 1_000.0, ratio(at, subject.beside));
        println!("{:42} {micros:8.2} us a call   {ratio:5.2} x", subject.name);
    }
    ratio
}
