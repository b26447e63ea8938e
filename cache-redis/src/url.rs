//! What a URL says: which servers, in which arrangement, and who logs in.
//!
//! `redis://user:password@host:6379/0`, with `s` behind `redis` for TLS, and `+cluster` or `+sentinel` behind that
//! for several hosts, `host:port,host:port`. No error repeats a URL: it may hold a password.

use cache_core::{Error, ErrorKind};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::address::Address;

/// What a URL says.
pub(crate) struct Target {
    pub(crate) servers: Arrangement,
    #[cfg(feature = "tls")]
    pub(crate) is_tls: bool,
    pub(crate) login: RedisConnectionInfo,
}

/// The servers, and how they belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// One on its own.
    Alone(Address),
    /// Some nodes of a cluster; they know the others.
    #[cfg(feature = "cluster")]
    Cluster(Vec<Address>),
    /// Sentinels, which know the address of a primary.
    #[cfg(feature = "sentinel")]
    Sentinels { sentinels: Vec<Address>, primary: String },
}

/// The name of a scheme in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scheme {
    is_tls: bool,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Alone,
    Socket,
    Cluster,
    Sentinel,
}

impl Scheme {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (base, form) = match name.split_once('+') {
            None if name == "unix" => ("redis", Form::Socket),
            None => (&*name, Form::Alone),
            Some((base, "unix")) => (base, Form::Socket),
            Some((base, "cluster")) => (base, Form::Cluster),
            Some((base, "sentinel")) => (base, Form::Sentinel),
            Some(_) => return None,
        };
        match base {
            "redis" | "valkey" => Some(Self { is_tls: false, form }),
            "rediss" | "valkeys" if form != Form::Socket => Some(Self { is_tls: true, form }),
            _ => None,
        }
    }

    /// What this crate was built without.
    fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self { form: Form::Cluster, .. } if !cfg!(feature = "cluster") => Some("redis-cluster"),
            Self { form: Form::Sentinel, .. } if !cfg!(feature = "sentinel") => Some("redis-sentinel"),
            Self { is_tls: true, .. } if !cfg!(feature = "tls") => Some("redis-tls"),
            _ => None,
        }
    }

    fn example(self) -> &'static str {
        match (self.form, self.is_tls) {
            (Form::Socket, _) => "unix:///run/redis.sock?db=0",
            (Form::Alone, false) => "redis://host:6379/0",
            (Form::Alone, true) => "rediss://host:6379/0",
            (Form::Cluster, false) => "redis+cluster://host:6379,host:6379",
            (Form::Cluster, true) => "rediss+cluster://host:6379,host:6379",
            (Form::Sentinel, false) => "redis+sentinel://host:26379,host:26379/primary/0",
            (Form::Sentinel, true) => "rediss+sentinel://host:26379,host:26379/primary/0",
        }
    }
}

/// Reads a URL.
pub(crate) fn read(url: &str) -> Result<Target, Error> {
    let Some((name, _)) = url.split_once(':') else {
        return refuse("the Redis URL has no scheme; write `redis://host:6379`");
    };
    let Some(scheme) = Scheme::of(name) else {
        return refuse("the scheme of the Redis URL is not known; write `redis://host:6379`");
    };
    if let Some(feature) = scheme.missing_feature() {
        return refuse(&format!(
            "such a Redis URL needs the feature `{feature}`; add it, or write `redis://host:6379`"
        ));
    }
    if scheme.form == Form::Socket {
        let name = if name.eq_ignore_ascii_case("unix") { "unix" } else { "redis+unix" };
        let rest = url.split_once(':').map_or("", |(_, rest)| rest);
        return one(scheme, &format!("{name}:{rest}"));
    }
    let Some((_, rest)) = url.split_once("://") else { return misread(scheme, "no `//`") };
    if rest.contains("://") {
        return misread(scheme, "one scheme stands for all hosts");
    }
    if rest.contains('#') {
        return misread(scheme, "`#` is written `%23`");
    }
    let (authority, tail) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    // The hosts would be a part of the password then, and another part the primary's name, which errors repeat.
    if tail.contains('@') {
        return misread(scheme, "in a password `/` is written `%2F`, and `?` is written `%3F`");
    }
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    match scheme.form {
        Form::Alone | Form::Socket if hosts.contains(',') => refuse(
            "one server has one host; write `redis+cluster://host:6379,host:6379` for a cluster, or \
             `redis+sentinel://host:26379,host:26379/primary/0`",
        ),
        Form::Alone | Form::Socket => one(scheme, &format!("redis://{user}{hosts}{tail}")),
        Form::Cluster => cluster(scheme, &user, hosts, tail),
        Form::Sentinel => sentinels(scheme, &user, hosts, tail),
    }
}

fn one(scheme: Scheme, url: &str) -> Result<Target, Error> {
    let info = client_reads(scheme, url)?;
    Ok(Target {
        servers: Arrangement::Alone(address(&info)),
        #[cfg(feature = "tls")]
        is_tls: scheme.is_tls,
        login: login(&info),
    })
}

#[cfg(feature = "cluster")]
fn cluster(scheme: Scheme, user: &str, hosts: &str, tail: &str) -> Result<Target, Error> {
    let info = client_reads(scheme, &format!("redis://{user}host{tail}"))?;
    let nodes = addresses(scheme, hosts, 6379)?;
    Ok(Target {
        servers: Arrangement::Cluster(nodes),
        #[cfg(feature = "tls")]
        is_tls: scheme.is_tls,
        login: login(&info),
    })
}

#[cfg(feature = "sentinel")]
fn sentinels(scheme: Scheme, user: &str, hosts: &str, tail: &str) -> Result<Target, Error> {
    let path_end = tail.find('?').unwrap_or(tail.len());
    let (path, query) = tail.split_at(path_end);
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let (primary, database) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if primary.is_empty() {
        return misread(scheme, "the primary has no name");
    }
    let info = client_reads(scheme, &format!("redis://{user}host/{database}{query}"))?;
    let sentinels = addresses(scheme, hosts, 26379)?;
    let servers = Arrangement::Sentinels { sentinels, primary: primary.to_owned() };
    Ok(Target {
        servers,
        #[cfg(feature = "tls")]
        is_tls: scheme.is_tls,
        login: login(&info),
    })
}

#[cfg(not(feature = "cluster"))]
fn cluster(scheme: Scheme, _: &str, _: &str, _: &str) -> Result<Target, Error> {
    misread(scheme, "it needs the feature `redis-cluster`")
}

#[cfg(not(feature = "sentinel"))]
fn sentinels(scheme: Scheme, _: &str, _: &str, _: &str) -> Result<Target, Error> {
    misread(scheme, "it needs the feature `redis-sentinel`")
}

#[cfg(any(feature = "cluster", feature = "sentinel"))]
fn addresses(scheme: Scheme, hosts: &str, port: u16) -> Result<Vec<Address>, Error> {
    let read = |host: &str| {
        // A colon inside of brackets is not one before a port.
        let end = host.rfind(']').unwrap_or(0);
        let port = if host[end..].contains(':') { String::new() } else { format!(":{port}") };
        client_reads(scheme, &format!("redis://{host}{port}")).map(|info| address(&info))
    };
    hosts
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .map(read)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|addresses| if addresses.is_empty() { misread(scheme, "no host") } else { Ok(addresses) })
}

fn address(info: &ConnectionInfo) -> Address {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Address::Host { host: host.clone(), port: *port }
        }
        ConnectionAddr::Unix(path) => Address::Socket(path.clone()),
        // The client has no others today.
        other => Address::Host { host: other.to_string(), port: 0 },
    }
}

fn login(info: &ConnectionInfo) -> RedisConnectionInfo {
    info.redis_settings().clone().set_skip_set_lib_name()
}

fn client_reads(scheme: Scheme, url: &str) -> Result<ConnectionInfo, Error> {
    url.into_connection_info().or_else(|error| {
        // The client's own words name what is wrong, and hold nothing of the URL.
        let why = error.to_string();
        misread(scheme, &why.split(" - ").next().unwrap_or_default().to_lowercase())
    })
}

fn misread<T>(scheme: Scheme, why: &str) -> Result<T, Error> {
    refuse(&format!("the Redis URL is none ({why}); write `{}`", scheme.example()))
}

/// A setting can never be right.
pub(crate) fn refuse<T>(what: &str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Configuration, what))
}
