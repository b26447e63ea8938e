//! How a server is reached, and within which limits.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use cache_core::Error;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::Redis;
use crate::address::Address;
use crate::credentials::{Credentials, Supply};
#[cfg(feature = "tls")]
use crate::tls::{Secured, Tls};
use crate::url::{self, Arrangement, refuse};

/// The longest time that is waited: as good as no limit, and what is computed with it overflows nowhere.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

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
    supply: Option<Supply>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    #[cfg(feature = "sentinel")]
    sentinel_login: Option<Credentials>,
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
            supply: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "sentinel")]
            sentinel_login: None,
        }
    }

    /// Where the server is: `redis://user:password@host:6379/database`, `valkey://..`, or `unix:///path` for a
    /// local socket. The default is `redis://127.0.0.1:6379`.
    ///
    /// With the feature `redis-cluster`: `redis+cluster://host:6379,host:6379`, some nodes of a cluster, from which
    /// the others become known. With `redis-sentinel`: `redis+sentinel://host:26379,host:26379/primary/database`, with
    /// the name that the sentinels give to the primary. With `redis-tls`: `rediss` and `valkeys` in the place of
    /// `redis` and `valkey`.
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

    /// Supplies the user and the password for each new connection, instead of those in the URL: for passwords that are
    /// changed while the program runs, and tokens that end.
    ///
    /// It is called whenever a connection is made, and has the time that making one may take. Connections that are
    /// there stay logged in. If it fails, the server counts as unreachable.
    ///
    /// ```
    /// use cache_redis::{Credentials, Redis};
    ///
    /// let redis = Redis::builder()
    ///     .url("redis://cache.internal:6379")
    ///     .credentials(|| async {
    ///         let token = std::fs::read_to_string("/run/secrets/redis")?;
    ///         Ok::<_, std::io::Error>(Credentials::user("app", token.trim()))
    ///     })
    ///     .lazy()?;
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn credentials<F, Fut, E>(mut self, supply: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.supply = Some(Supply::new(supply));
        self
    }

    /// How the connections of a URL for TLS, `rediss://..`, are encrypted. Without it: as the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Who logs in to the sentinels. Without it nobody does: the user of the URL is for the servers.
    #[cfg(feature = "sentinel")]
    pub fn sentinel_login(mut self, credentials: Credentials) -> Self {
        self.sentinel_login = Some(credentials);
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
    /// What asks for a lease, gives one up or stores may wait for its turn before that, ten times as long at most: no more than 1 MiB is
    /// under way at a time.
    ///
    /// Values above 64 KiB have one such time more for each MiB begun. A limit of more than a day is a day.
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

    /// Lets each invalidation wait until `count` replicas have it, for `timeout` at most (in ms, rounded up; a day at most).
    ///
    /// With fewer, the invalidation is answered with an error, though it was made. This narrows what a fail-over
    /// can lose; it costs each invalidation one round trip to a replica, and, for each 1,000 changes, two timeouts at most while replicas
    /// are missing.
    /// The default is not to wait.
    pub fn wait_replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.wait_replicas = Some(WaitReplicas { count, timeout });
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](cache_core::ErrorKind::Configuration) for a URL that is none, a wrong password, or a server that is no Redis or too
    /// old (before 6.2); [`ErrorKind::Unreachable`](cache_core::ErrorKind::Unreachable) if it does not answer within five time limits, 250 ms at least.
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
    /// [`ErrorKind::Configuration`](cache_core::ErrorKind::Configuration) for a URL or another setting that can never be right.
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
    pub(crate) supply: Option<Supply>,
    #[cfg(feature = "tls")]
    pub(crate) secured: Option<Secured>,
    #[cfg(feature = "sentinel")]
    pub(crate) sentinel_login: Option<Credentials>,
}

impl Config {
    pub(crate) fn new(builder: RedisBuilder) -> Result<Self, Error> {
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
        if login.username().is_some() && login.password().is_none() && builder.supply.is_none() {
            return refuse("a Redis user needs a password; write `redis://user:password@host:6379`");
        }
        #[cfg(feature = "cluster")]
        if matches!(target.servers, Arrangement::Cluster(_)) && login.db() != 0 {
            return refuse(
                "a cluster has one database alone; write `redis+cluster://host:6379` without a number, and \
                 another prefix for another cache",
            );
        }

        #[cfg(feature = "tls")]
        let secured = match builder.tls {
            Some(_) if !target.is_tls => {
                return refuse("encryption is set for a URL without; write `rediss://host:6379`");
            }
            tls if target.is_tls => Some(Secured::new(tls.unwrap_or_default())?),
            _ => None,
        };

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
            time_limit: builder.time_limit.min(LONGEST),
            large_value_connections: builder.large_value_connections,
            // What overflows the server's clock it refuses, and with it each invalidation, repeated or not.
            wait_replicas: builder
                .wait_replicas
                .filter(|wait| wait.count > 0)
                .map(|wait| WaitReplicas { timeout: wait.timeout.min(LONGEST), ..wait }),
            supply: builder.supply,
            #[cfg(feature = "tls")]
            secured,
            #[cfg(feature = "sentinel")]
            sentinel_login: builder.sentinel_login,
        })
    }

    /// How to connect to a server.
    pub(crate) fn info(&self, address: &Address) -> Result<ConnectionInfo, redis::RedisError> {
        let addr = match address {
            Address::Host { host, port } => self.at(host, *port),
            Address::Socket(path) => ConnectionAddr::Unix(path.clone()),
        };
        addr.into_connection_info()
    }

    fn at(&self, host: &str, port: u16) -> ConnectionAddr {
        #[cfg(feature = "tls")]
        if let Some(secured) = &self.secured {
            return secured.address(host, port);
        }
        ConnectionAddr::Tcp(host.to_owned(), port)
    }

    /// Whether connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.secured.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
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
            #[cfg(not(feature = "tls"))]
            ("rediss://:hunter2@host", "`redis-tls`"),
            #[cfg(feature = "tls")]
            ("rediss://:hunter2@", "write `rediss://host:6379/0`"),
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
            ("redis://hunter2/b@host", "`/` is written `%2F`"),
            ("redis://a:1?hunter2@host/0", "`?` is written `%3F`"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://hunter2/b@host:1", "`/` is written `%2F`"),
            #[cfg(feature = "sentinel")]
            ("redis+sentinel://a/hunter2@host:1/main", "`/` is written `%2F`"),
            #[cfg(feature = "sentinel")]
            ("redis+sentinel://a/1/hunter2@host:1/main", "`/` is written `%2F`"),
            #[cfg(not(feature = "sentinel"))]
            ("redis+sentinel://:hunter2@host", "`redis-sentinel`"),
            #[cfg(feature = "sentinel")]
            ("redis+sentinel://:hunter2@host", "write `redis+sentinel://host:26379,host:26379/primary/0`"),
            #[cfg(feature = "sentinel")]
            (
                "redis+sentinel://:hunter2@host/main/x",
                "write `redis+sentinel://host:26379,host:26379/primary/0`",
            ),
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

    #[cfg(feature = "sentinel")]
    #[test]
    fn sentinels_have_a_port_of_their_own_and_a_primary() {
        for (text, primary, database) in [
            ("redis+sentinel://u:p@a,b:1/main/3", "main", 3),
            ("valkey+sentinel://a,b:1/main", "main", 0),
            ("redis+sentinel://a,b:1/main/", "main", 0),
        ] {
            let config = url(text).expect(text);

            let sentinels = vec![Address::host("a", 26379), Address::host("b", 1)];
            let expected = Arrangement::Sentinels { sentinels, primary: primary.to_owned() };
            assert_eq!((&config.servers, config.login.db()), (&expected, database), "{text}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_is_no_certificate_is_refused() {
        let builder = || RedisBuilder::new().url("rediss://host");
        for (builder, says) in [
            (builder().tls(Tls::new().ca("hunter2")), "write `Tls::new().ca(pem)`"),
            (
                builder().tls(Tls::new().client_certificate("hunter2", "hunter2")),
                "client_certificate(pem, key_pem)`",
            ),
            (RedisBuilder::new().tls(Tls::new()), "write `rediss://host:6379`"),
        ] {
            let error = config(builder).expect_err(says);

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
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
