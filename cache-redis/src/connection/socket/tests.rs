//! Both sides of a socket, with a peer that answers byte by byte as a test tells it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, Value};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(20);
const READ: &[u8] = b"*1\r\n$4\r\nREAD\r\n";

struct Sides {
    socket: Arc<Socket>,
    client: MultiplexedConnection,
    driver: JoinHandle<()>,
    peer: TcpStream,
}

async fn sides() -> Sides {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stream = TcpStream::connect(listener.local_addr().expect("its address")).await.expect("connected");
    let (peer, _) = listener.accept().await.expect("accepted");
    let socket = Socket::new(Stream::Tcp(stream));
    let login = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let side = ClientSide(Arc::clone(&socket));
    let (client, driver) =
        MultiplexedConnection::new_with_config(&login, side, config).await.expect("set up");
    let driver = tokio::spawn(driver);
    // As it is mostly: it has nothing to do, and waits.
    while socket.lock().driver.is_none() {
        tokio::task::yield_now().await;
    }
    Sides { socket, client, driver, peer }
}

impl Sides {
    /// Waits until the peer has got so many bytes.
    async fn got(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        within(self.peer.read_exact(&mut bytes)).await.expect("the bytes");
        bytes
    }

    /// A call by the client, under way until it is awaited.
    fn call(&self, word: &str) -> JoinHandle<Value> {
        let (mut client, socket, cmd) = (self.client.clone(), self.socket.clone(), redis::cmd(word));
        // Here, and not in the task, which may begin later.
        let number = std::mem::ManuallyDrop::new(socket.carry()).number;
        tokio::spawn(async move {
            let call = Call { socket: &socket, number, is_answered: false };
            let answer = client.send_packed_command(&cmd).await.expect("an answer");
            call.answered();
            answer
        })
    }
}

async fn within<F: Future>(waiting: F) -> F::Output {
    tokio::time::timeout(LONG, waiting).await.expect("it takes no longer")
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_read_that_is_alone_gets_its_answer_however_it_is_cut() {
    let mut sides = sides().await;
    sides.peer.set_nodelay(true).expect("set");

    for (answer, expected) in [("$5\r\nhello\r\n", text("hello")), ("$-1\r\n", Value::Nil)] {
        let socket = sides.socket.clone();
        let reading = tokio::spawn(async move { socket.begin(READ, 1).expect("its turn").await });
        assert_eq!(sides.got(READ.len()).await, READ);
        for byte in answer.bytes() {
            sides.peer.write_all(&[byte]).await.expect("written");
            tokio::task::yield_now().await;
        }

        assert_eq!(within(reading).await.expect("no panic").expect("an answer"), expected);
    }
}

#[tokio::test]
async fn a_large_answer_is_whole_and_its_room_is_given_back() {
    let mut sides = sides().await;
    let large = "x".repeat(3 << 20);

    let socket = sides.socket.clone();
    let reading = tokio::spawn(async move { socket.begin(READ, 1).expect("its turn").await });
    sides.got(READ.len()).await;
    sides.peer.write_all(format!("${}\r\n{large}\r\n", large.len()).as_bytes()).await.expect("written");

    assert_eq!(within(reading).await.expect("no panic").expect("an answer"), text(&large));
    assert_eq!(sides.socket.lock().read.buffer.len(), BUFFER);
}

#[tokio::test]
async fn a_read_that_is_kept_and_not_polled_holds_nobody_up() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let mut turn = pin!(socket.begin(READ, 1).expect("its turn"));
    assert!(poll_once(turn.as_mut()).is_pending());

    let call = sides.call("CALL");
    sides.got(2 * READ.len()).await;
    // Nor if it is polled once more, and then not again.
    assert!(poll_once(turn.as_mut()).is_pending());
    sides.peer.write_all(b"$4\r\nread\r\n$4\r\ncall\r\n").await.expect("written");

    assert_eq!(within(call).await.expect("no panic"), text("call"));
    assert_eq!(within(turn).await.expect("an answer"), text("read"));
}

#[tokio::test]
async fn a_read_is_woken_when_the_client_reads_for_it() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let reading = tokio::spawn(async move { socket.begin(READ, 1).expect("its turn").await });
    sides.got(READ.len()).await;

    let call = sides.call("CALL");
    sides.got(READ.len()).await;
    sides.peer.write_all(b"$4\r\nread\r\n").await.expect("written");
    assert_eq!(within(reading).await.expect("no panic").expect("an answer"), text("read"));
    sides.peer.write_all(b"$4\r\ncall\r\n").await.expect("written");

    assert_eq!(within(call).await.expect("no panic"), text("call"));
}

#[tokio::test]
async fn the_answer_to_a_read_that_went_away_is_nobodys() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    {
        let mut turn = pin!(socket.begin(READ, 1).expect("its turn"));
        assert!(poll_once(turn.as_mut()).is_pending());
    }
    let next = socket.begin(READ, 1).expect("its turn");

    let call = sides.call("CALL");
    sides.got(3 * READ.len()).await;
    sides.peer.write_all(b"$4\r\nread\r\n$4\r\nnext\r\n$4\r\ncall\r\n").await.expect("written");

    assert_eq!(within(call).await.expect("no panic"), text("call"));
    assert_eq!(within(next).await.expect("an answer"), text("next"));
}

#[tokio::test]
async fn the_answer_to_a_read_that_went_away_is_read_although_nobody_asks() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    {
        let mut turn = pin!(socket.begin(READ, 1).expect("its turn"));
        assert!(poll_once(turn.as_mut()).is_pending());
    }
    sides.got(READ.len()).await;
    sides.peer.write_all(b"$4\r\nread\r\n").await.expect("written");

    while !socket.lock().turns.are_answered() {
        tokio::task::yield_now().await;
    }
    let next = socket.begin(READ, 1).expect("its turn");
    sides.got(READ.len()).await;
    sides.peer.write_all(b"$4\r\nnext\r\n").await.expect("written");

    assert_eq!(within(next).await.expect("an answer"), text("next"));
}

#[tokio::test]
async fn no_read_begins_before_an_answer_that_is_under_way() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();

    // One that is waited for, and one that was given up.
    let call = sides.call("CALL");
    assert!(socket.begin(READ, 1).is_none());
    sides.got(READ.len()).await;
    call.abort();
    within(call).await.expect_err("it was aborted");
    assert!(socket.begin(READ, 1).is_none());
    sides.peer.write_all(b"$4\r\nlate\r\n").await.expect("written");
    assert!(socket.begin(READ, 1).is_none());

    let later = sides.call("CALL");
    sides.got(READ.len()).await;
    sides.peer.write_all(b"$5\r\nlater\r\n").await.expect("written");
    assert_eq!(within(later).await.expect("no panic"), text("later"));
    assert!(socket.begin(READ, 1).is_some());
}

#[tokio::test]
async fn what_nobody_asked_for_is_taken_for_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stream = TcpStream::connect(listener.local_addr().expect("its address")).await.expect("connected");
    let (mut peer, _) = listener.accept().await.expect("accepted");
    // Nobody drives the client, which would throw it away.
    let socket = Socket::new(Stream::Tcp(stream));
    let turn = socket.begin(READ, 1).expect("its turn");
    peer.write_all(b"$4\r\nread\r\n").await.expect("written");
    assert_eq!(within(turn).await.expect("an answer"), text("read"));

    peer.write_all(b"$5\r\nstray\r\n").await.expect("written");
    within(poll_fn(|context| socket.lock().stream.poll_read_ready(context))).await.expect("it has come");

    assert!(socket.begin(READ, 1).is_none());
    assert!(socket.lock().failure.is_some(), "the connection is of no use any more");
}

#[tokio::test]
async fn what_the_kernel_has_no_room_for_is_written_later_and_whole() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let long: Vec<u8> = (0..32 << 20).map(|at: u32| (at % 251) as u8).collect();

    let turn = socket.begin(&long, 1).expect("its turn");
    assert!(!socket.lock().unsent.is_empty(), "the test is of no use");
    assert!(socket.begin(READ, 1).is_none());
    let call = sides.call("CALL");
    assert!(sides.got(long.len()).await == long);
    assert_eq!(sides.got(READ.len()).await, b"*1\r\n$4\r\nCALL\r\n");
    sides.peer.write_all(b"$4\r\nlong\r\n$4\r\ncall\r\n").await.expect("written");

    assert_eq!(within(turn).await.expect("an answer"), text("long"));
    assert_eq!(within(call).await.expect("no panic"), text("call"));
    assert!(socket.begin(READ, 1).is_some());
}

#[tokio::test]
async fn nothing_comes_between_the_parts_of_a_read() {
    let mut sides = sides().await;
    // As if the kernel had had no room, and had some since.
    sides.socket.lock().unsent = b"rest".to_vec();

    assert!(sides.socket.begin(READ, 1).is_none());
    let mut side = ClientSide(sides.socket.clone());
    let written = poll_fn(|context| Pin::new(&mut side).poll_write(context, b"next"));
    assert_eq!(within(written).await.expect("written"), 4);

    assert_eq!(sides.got(8).await, b"restnext");
}

#[tokio::test]
async fn reads_at_the_same_time_get_their_own_answers() {
    let mut sides = sides().await;
    for polled in [true, false] {
        let socket = sides.socket.clone();
        let mut turns: Vec<_> =
            (1..=4).map(|answers| Box::pin(socket.begin(READ, answers).expect("its turn"))).collect();
        if polled {
            turns.iter_mut().for_each(|turn| assert!(poll_once(turn.as_mut()).is_pending()));
        }
        sides.got(4 * READ.len()).await;
        for number in 1..=10 {
            sides.peer.write_all(format!(":{number}\r\n").as_bytes()).await.expect("written");
            tokio::task::yield_now().await;
        }

        let several =
            |numbers: std::ops::RangeInclusive<i64>| Value::Array(numbers.map(Value::Int).collect());
        // Whoever asks first: the answers are told apart by the order of the reads.
        let last = within(turns.pop().expect("the last")).await;
        assert_eq!(last.expect("an answer"), several(7..=10));
        for (turn, expected) in turns.into_iter().zip([Value::Int(1), several(2..=3), several(4..=6)]) {
            assert_eq!(within(turn).await.expect("an answer"), expected);
        }
        assert!(socket.lock().turns.are_answered() && !socket.lock().turns.are_carried);
    }
}

#[tokio::test]
async fn reads_that_go_away_take_no_answer_from_the_others() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let mut turns: Vec<_> =
        (0..6).map(|_| Some(Box::pin(socket.begin(READ, 2).expect("its turn")))).collect();
    sides.got(6 * READ.len()).await;

    // Before any answer, in the middle of its own, and with all of it there.
    (turns[0], turns[3]) = (None, None);
    sides.peer.write_all(b":0\r\n:1\r\n:2\r\n").await.expect("written");
    while socket.lock().turns.to_come() > 9 {
        tokio::task::yield_now().await;
    }
    turns[1] = None;
    sides.peer.write_all(b":3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n").await.expect("written");
    while socket.lock().turns.to_come() > 2 {
        tokio::task::yield_now().await;
    }
    turns[4] = None;
    sides.peer.write_all(b":10\r\n:11\r\n").await.expect("written");

    let both = |one, other| Value::Array(vec![Value::Int(one), Value::Int(other)]);
    for (at, expected) in [(5, both(10, 11)), (2, both(4, 5))] {
        let turn = turns[at].take().expect("it waits");
        assert_eq!(within(turn).await.expect("an answer"), expected);
    }
    assert!(socket.lock().turns.are_forgotten());
}

#[tokio::test]
async fn a_read_that_has_its_answer_and_does_not_take_it_keeps_no_others() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let mut kept = pin!(socket.begin(READ, 1).expect("its turn"));
    assert!(poll_once(kept.as_mut()).is_pending());

    for number in 0..100 {
        let next = socket.begin(READ, 1).expect("its turn");
        if number == 0 {
            sides.got(READ.len()).await;
            sides.peer.write_all(b"$4\r\nkept\r\n").await.expect("written");
        }
        sides.got(READ.len()).await;
        sides.peer.write_all(b"$4\r\nnext\r\n").await.expect("written");
        assert_eq!(within(next).await.expect("an answer"), text("next"));
        assert!(socket.lock().turns.are_answered());
    }

    assert!(!socket.lock().turns.are_forgotten());
    assert_eq!(within(kept).await.expect("an answer"), text("kept"));
    assert!(socket.lock().turns.are_forgotten());
}

#[tokio::test]
async fn the_end_of_a_connection_ends_all_reads() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let turns: Vec<_> = (0..3).map(|_| socket.begin(READ, 2).expect("its turn")).collect();
    sides.got(3 * READ.len()).await;
    sides.peer.write_all(b":0\r\n:1\r\n:2\r\n").await.expect("written");

    drop(sides.peer);

    let mut answers = Vec::new();
    for turn in turns {
        answers.push(within(turn).await);
    }
    assert_eq!(answers[0].as_ref().expect("it came"), &Value::Array(vec![Value::Int(0), Value::Int(1)]));
    assert!(answers[1..].iter().all(|answer| answer.as_ref().is_err_and(RedisError::is_connection_dropped)));
    within(sides.driver).await.expect("it has ended");
}

#[tokio::test]
async fn a_connection_that_ends_ends_the_read_and_the_client() {
    let sides = sides().await;
    let socket = sides.socket.clone();
    let turn = socket.begin(READ, 1).expect("its turn");

    drop(sides.peer);

    assert!(within(turn).await.expect_err("no answer").is_connection_dropped());
    within(sides.driver).await.expect("it has ended");
    assert!(socket.begin(READ, 1).is_none());
}

#[tokio::test]
async fn a_client_that_is_given_up_ends_all_reads() {
    let sides = sides().await;
    let socket = sides.socket.clone();
    let mut turns: Vec<_> = (0..3).map(|_| Box::pin(socket.begin(READ, 1).expect("its turn"))).collect();
    turns.iter_mut().for_each(|turn| assert!(poll_once(turn.as_mut()).is_pending()));

    sides.driver.abort();

    for turn in turns {
        let error = within(turn).await.expect_err("no answer");
        assert!(error.is_connection_dropped());
    }
}

#[tokio::test]
async fn what_is_no_answer_breaks_the_connection() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let turn = socket.begin(READ, 1).expect("its turn");

    sides.peer.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.expect("written");

    assert_eq!(within(turn).await.expect_err("no answer").kind(), redis::ErrorKind::Parse);
    within(sides.driver).await.expect("it has ended");
}

#[tokio::test]
async fn the_client_notices_the_end_of_a_connection_after_a_read() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let turn = socket.begin(READ, 1).expect("its turn");
    sides.peer.write_all(b"$4\r\nread\r\n").await.expect("written");
    within(turn).await.expect("an answer");

    drop(sides.peer);

    within(sides.driver).await.expect("it has ended");
    assert!(socket.begin(READ, 1).is_none());
}

#[tokio::test]
async fn the_client_notices_an_end_that_comes_with_the_answer() {
    let mut sides = sides().await;
    let socket = sides.socket.clone();
    let turn = socket.begin(READ, 1).expect("its turn");
    sides.got(READ.len()).await;
    sides.peer.write_all(b"$4\r\nread\r\n").await.expect("written");

    drop(sides.peer);

    within(turn).await.expect("an answer");
    within(sides.driver).await.expect("it has ended");
}
