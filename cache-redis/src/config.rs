//! How a server is reached, and within which limits.

use std::fmt;
use std::time::Duration;

use cache_core::Error;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::Redis;
use crate::address::Address;
use crate::url::{self, Arrangement, refuse};

/// Configures a [`Redis`].
///
/// ```
/// use std::time::Duration;
/// use cache_redis::Redis;
///
/// let redis = Redis::builder()
///     .url("redis://cache.internal:6379/2")
///     .username("app")
///     .password("secret")
///     .time_limit(Duration::from_millis(50))
///     .lazy()?; // no I/O now: the program starts although Redis is down
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "finish with `connect` or `lazy`"]
pub struct RedisBuilder {
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
    database: Option<u32>,
    client_name: String,
    time_limit: Duration,
    large_value_connections: usize,
    wait_replicas: Option<WaitReplicas>,
}

/// How many replicas must have an invalidation before it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitReplicas {
    pub(crate) count: u32,
    pub(crate) timeout: Duration,
}

impl RedisBuilder {
    pub(crate) fn new() -> Self {
        Self {
            url: None,
            username: None,
            password: None,
            database: None,
            client_name: "larder".to_owned(),
            time_limit: Duration::from_millis(100),
            large_value_connections: 2,
            wait_replicas: None,
        }
    }

    /// Where the server is: `redis://user:password@host:6379/database`, `valkey://..`, or `unix:///path` for a
    /// local socket. The default is `redis://127.0.0.1:6379`.
    ///
    /// With the feature `redis-cluster`: `redis+cluster://host:6379,host:6379`, some nodes of a cluster, from which
    /// the others become known.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Some nodes of a cluster, like `["10.0.0.1:6379", "10.0.0.2:6379"]`: the same as the URL
    /// `redis+cluster://10.0.0.1:6379,10.0.0.2:6379`. The others become known from them.
    #[cfg(feature = "cluster")]
    pub fn cluster<S: AsRef<str>>(self, nodes: impl IntoIterator<Item = S>) -> Self {
        let nodes: Vec<String> = nodes.into_iter().map(|node| node.as_ref().to_owned()).collect();
        self.url(format!("redis+cluster://{}", nodes.join(",")))
    }

    /// The user to log in as, instead of the one in the URL. Without one: `default`.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password, instead of the one in the URL. It is never shown, neither by `Debug` nor in an error.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The number of the database, instead of the one in the URL. The default is 0. Messages go to all
    /// databases of a server: caches in two of them need two prefixes.
    pub fn database(mut self, database: u32) -> Self {
        self.database = Some(database);
        self
    }

    /// What the connections are called in `CLIENT LIST`. The default is `larder`.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = name.into();
        self
    }

    /// How long one call may take, waiting for a connection included. The default is 100 ms.
    ///
    /// Values above 64 KiB have one such time more for each MiB begun.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How many connections carry values above 64 KiB, so that they do not delay small ones. The default is 2;
    /// with 0 all values share one connection. They are made when needed.
    pub fn large_value_connections(mut self, count: usize) -> Self {
        self.large_value_connections = count;
        self
    }

    /// Lets each invalidation wait until `count` replicas have it, for `timeout` at most (in ms, rounded up).
    ///
    /// With fewer, the invalidation is answered with an error, though it was made. This narrows what a fail-over
    /// can lose; it costs each invalidation one round trip to a replica. The default is not to wait.
    pub fn wait_replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.wait_replicas = Some(WaitReplicas { count, timeout });
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a URL that is none, a wrong password, or a server that is no Redis or too
    /// old (before 6.2); [`ErrorKind::Unreachable`] if it does not answer within five time limits, 250 ms at least.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn connect(self) -> Result<Redis, Error> {
        let redis = self.lazy()?;
        redis.warm_up().await?;
        Ok(redis)
    }

    /// Does no I/O now: the first call connects.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a URL or another setting that can never be right.
    pub fn lazy(self) -> Result<Redis, Error> {
        Config::new(self).map(Redis::from_config)
    }
}

/// Without the password, and without the URL, which may hold it.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("client_name", &self.client_name)
            .field("time_limit", &self.time_limit)
            .field("large_value_connections", &self.large_value_connections)
            .field("wait_replicas", &self.wait_replicas)
            .finish_non_exhaustive()
    }
}

/// A checked configuration.
pub(crate) struct Config {
    pub(crate) servers: Arrangement,
    pub(crate) login: RedisConnectionInfo,
    pub(crate) client_name: String,
    pub(crate) time_limit: Duration,
    pub(crate) large_value_connections: usize,
    pub(crate) wait_replicas: Option<WaitReplicas>,
}

impl Config {
    fn new(builder: RedisBuilder) -> Result<Self, Error> {
        let target = url::read(builder.url.as_deref().unwrap_or("redis://127.0.0.1:6379"))?;
        let mut login = target.login;
        if let Some(username) = builder.username {
            login = login.set_username(username);
        }
        if let Some(password) = builder.password {
            login = login.set_password(password);
        }
        if let Some(database) = builder.database {
            login = login.set_db(i64::from(database));
        }
        if login.username().is_some() && login.password().is_none() {
            return refuse("a Redis user needs a password; write `redis://user:password@host:6379`");
        }
        #[cfg(feature = "cluster")]
        if matches!(target.servers, Arrangement::Cluster(_)) && login.db() != 0 {
            return refuse(
                "a cluster has one database alone; write `redis+cluster://host:6379` without a number, and \
                 another prefix for another cache",
            );
        }

        // The server refuses spaces and line ends in a name.
        if !builder.client_name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse(
                "a client name has no spaces and no letters beyond ASCII; write `client_name(\"app\")`",
            );
        }
        if builder.time_limit < Duration::from_millis(1) {
            return refuse(
                "no call can be answered in less than 1 ms; write `time_limit(Duration::from_millis(100))`",
            );
        }
        Ok(Self {
            servers: target.servers,
            login,
            client_name: builder.client_name,
            time_limit: builder.time_limit,
            large_value_connections: builder.large_value_connections,
            wait_replicas: builder.wait_replicas.filter(|wait| wait.count > 0),
        })
    }

    /// How to connect to a server.
    pub(crate) fn info(&self, address: &Address) -> Result<ConnectionInfo, redis::RedisError> {
        let addr = match address {
            Address::Host { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
            Address::Socket(path) => ConnectionAddr::Unix(path.clone()),
        };
        addr.into_connection_info()
    }

    /// Whether a server must be one of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        #[cfg(feature = "cluster")]
        return matches!(self.servers, Arrangement::Cluster(_));
        #[cfg(not(feature = "cluster"))]
        return false;
    }

    /// How long an attempt to connect may take.
    pub(crate) fn connect_limit(&self) -> Duration {
        self.time_limit.saturating_mul(5).max(Duration::from_millis(250))
    }
}

/// Without the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("username", &self.login.username())
            .field("database", &self.login.db())
            .field("client_name", &self.client_name)
            .field("time_limit", &self.time_limit)
            .field("large_value_connections", &self.large_value_connections)
            .field("wait_replicas", &self.wait_replicas)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use cache_core::ErrorKind;

    use super::*;

    fn config(builder: RedisBuilder) -> Result<Config, Error> {
        Config::new(builder)
    }

    fn url(url: &str) -> Result<Config, Error> {
        config(RedisBuilder::new().url(url))
    }

    #[test]
    fn good_urls_are_read() {
        for (text, server, database) in [
            ("redis://host", "host:6379", 0),
            ("REDIS://host", "host:6379", 0),
            ("redis://host:1234/3", "host:1234", 3),
            ("valkey://host", "host:6379", 0),
            ("redis://:hunter2@[::1]:1", "::1:1", 0),
            ("unix:///run/redis.sock?db=2", "/run/redis.sock", 2),
            ("redis+unix:///run/redis.sock", "/run/redis.sock", 0),
        ] {
            let config = url(text).expect(text);

            let Arrangement::Alone(address) = &config.servers else { panic!("one server, not {config:?}") };
            assert_eq!(address.to_string(), server);
            assert_eq!(config.login.db(), database, "{text}");
        }
    }

    #[test]
    fn bad_urls_are_told_with_the_fix() {
        for (text, says) in [
            ("", "write `redis://host:6379`"),
            ("host:6379", "write `redis://host:6379`"),
            ("http://user:hunter2@host", "write `redis://host:6379`"),
            ("redis://", "write `redis://host:6379/0`"),
            ("redis://user:hunter2@host:port", "write `redis://host:6379/0`"),
            ("redis://:hunter2@host/database", "write `redis://host:6379/0`"),
            ("redis://user@host", "write `redis://user:password@host:6379`"),
            ("rediss://:hunter2@host", "`redis-tls`"),
            #[cfg(not(feature = "cluster"))]
            ("redis+cluster://:hunter2@host", "`redis-cluster`"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://:hunter2@", "write `redis+cluster://host:6379,host:6379`"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://:hunter2@a:1,redis://b:2", "one scheme stands for all hosts"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://:hunter2@a:1,b:port", "write `redis+cluster://host:6379,host:6379`"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://:hunter2@a:1/3", "a cluster has one database"),
            ("redis://:hunter2@a:1,b:2", "write `redis+cluster://host:6379,host:6379`"),
            ("redis+sentinels://:hunter2@a:1", "write `redis://host:6379`"),
            ("rediss+unix:///hunter2", "write `redis://host:6379`"),
            ("redis://a:hunter2#@host", "`#` is written `%23`"),
            ("redis+sentinel://:hunter2@host", "`redis-sentinel`"),
        ] {
            let error = url(text).expect_err(text);

            assert_eq!(error.kind(), ErrorKind::Configuration);
            let told = format!("{error} {error:?}");
            assert!(told.contains(says), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{text}: {told}");
        }
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn a_cluster_has_several_hosts() {
        let hosts = |hosts: &[(&str, u16)]| {
            Arrangement::Cluster(hosts.iter().map(|&(host, port)| Address::host(host, port)).collect())
        };
        for (text, servers) in [
            ("redis+cluster://a", hosts(&[("a", 6379)])),
            (
                "valkey+cluster://a:1,b,[::1]:3,[::2]",
                hosts(&[("a", 1), ("b", 6379), ("::1", 3), ("::2", 6379)]),
            ),
            ("redis+cluster://u:p%40@a:1,b:2/0", hosts(&[("a", 1), ("b", 2)])),
            ("redis+cluster://a:1,b:2/", hosts(&[("a", 1), ("b", 2)])),
        ] {
            let config = url(text).expect(text);

            assert_eq!(config.servers, servers, "{text}");
            assert!(config.is_cluster());
            assert_eq!(config.login.password(), text.contains("u:p").then_some("p@"), "{text}");
        }
        let builder = RedisBuilder::new().cluster(["a:1", "b:2"]).password("p");
        assert_eq!(config(builder).expect("a configuration").servers, hosts(&[("a", 1), ("b", 2)]));
    }

    #[test]
    fn settings_win_over_the_url() {
        let builder = RedisBuilder::new().url("redis://a:b@host/1").username("c").password("d").database(2);

        let config = config(builder).expect("a configuration");

        let login = config.login;
        assert_eq!((login.username(), login.password(), login.db()), (Some("c"), Some("d"), 2));
    }

    #[test]
    fn settings_that_cannot_be_right_are_refused() {
        for builder in [
            RedisBuilder::new().client_name("my app"),
            RedisBuilder::new().client_name("a\r\nFLUSHALL"),
            RedisBuilder::new().time_limit(Duration::ZERO),
        ] {
            let error = config(builder).expect_err("refused");

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains("; write `"), "{error}");
        }
    }

    #[test]
    fn no_debug_shows_the_password() {
        let builder = RedisBuilder::new().url("redis://a:hunter2@host").password("hunter2");

        let told = format!("{builder:?} {:?}", config(builder.clone()).expect("a configuration"));

        assert!(!told.contains("hunter2"), "{told}");
    }
}
