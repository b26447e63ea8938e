//! A message from process to process over the cluster without Larder: what the servers and the machine take by themselves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::process::now;

/// As long as a message of Larder's.
const LENGTH: usize = 40;

/// The hosts of a cluster's URL.
fn hosts(url: &str) -> impl Iterator<Item = &str> {
    url.trim_start_matches("redis+cluster://").split(',')
}

/// When bare messages came.
pub(crate) struct Heard(Arc<Mutex<Vec<u64>>>);

impl Heard {
    /// Listens at one of the nodes; which one is left to chance, as the bus does.
    pub(crate) async fn listen(url: &str) -> Self {
        let hosts: Vec<&str> = hosts(url).collect();
        let host = hosts[std::process::id() as usize % hosts.len()];
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(b"SUBSCRIBE bare\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let times = heard.clone();
        tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                // The others frame it.
                if line.len() == LENGTH {
                    times.lock().unwrap().push(now());
                }
            }
        });
        Self(heard)
    }

    /// So many times, when as many messages have come.
    pub(crate) async fn take(&self, count: usize) -> Vec<u64> {
        while self.0.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Publishes at the nodes in turn.
pub(crate) struct Publisher(Vec<MultiplexedConnection>);

impl Publisher {
    pub(crate) async fn connect(url: &str) -> Self {
        let mut connections = Vec::new();
        for host in hosts(url) {
            let client = redis::Client::open(format!("redis://{host}")).unwrap();
            let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
            connections.push(client.get_multiplexed_async_connection_with_config(&settings).await.unwrap());
        }
        Self(connections)
    }

    /// When it began.
    pub(crate) async fn publish(&mut self, number: u64) -> u64 {
        let at = number as usize % self.0.len();
        let began = now();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg("bare").arg(format!("{number:0LENGTH$}"));
        () = publish.query_async(&mut self.0[at]).await.unwrap();
        began
    }
}
