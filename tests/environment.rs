//! `Cache::from_env`, each case in a process of its own: variables belong to the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails the test")]

use std::process::Command;

use larder::{Cache, CacheBuilder, Local};

/// What a child prints about the cache that it got.
fn told_with(variables: &[(&str, &std::ffi::OsStr)]) -> String {
    let binary = std::env::current_exe().expect("the test itself");
    let mut child = Command::new(binary);
    child.args(["--exact", "child", "--nocapture", "--include-ignored"]);
    child
        .env_remove("LARDER_URL")
        .env_remove("LARDER_PREFIX")
        .env_remove("LARDER_SECRET_KEY")
        .envs(variables.iter().copied());
    let output = child.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.lines().find_map(|line| line.split_once("told: "));
    told.unwrap_or_else(|| panic!("the child told nothing: {text}")).1.to_owned()
}

fn told(variables: &[(&str, &str)]) -> String {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    told_with(&variables)
}

#[test]
#[ignore = "the child of the others"]
#[allow(clippy::print_stdout, reason = "that is how it talks")]
fn child() {
    let cache = match std::env::var_os("WITH_DEFAULTS") {
        None => Cache::from_env(),
        Some(_) => {
            let defaults = Cache::builder().prefix("defaults").local(Local::bytes(1 << 20));
            let defaults = match std::env::var_os("WITH_A_SHARED_TIER") {
                Some(_) => defaults.shared(larder::backend::Memory::new()),
                None => defaults,
            };
            defaults.env().and_then(CacheBuilder::build)
        }
    };
    match cache {
        Ok(cache) => {
            let stats = cache.stats();
            let shared = if stats.shared.is_some() { " and a shared tier" } else { "" };
            println!("told: {} {}{shared}", cache.prefix(), stats.local_capacity);
        }
        Err(error) => println!("told: {:?}: {error}", error.kind()),
    }
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(told(&[]), format!("larder {}", 64 << 20));
}

#[test]
fn a_size_and_a_prefix() {
    assert_eq!(told(&[("LARDER_URL", "memory:")]), format!("larder {}", 64 << 20));
    assert_eq!(
        told(&[("LARDER_URL", "memory:256MiB"), ("LARDER_PREFIX", "app/eu")]),
        format!("app/eu {}", 256 << 20)
    );
    assert_eq!(told(&[("LARDER_URL", "memory:0MiB")]), "larder 0");
}

#[test]
fn what_is_not_set_stays_as_it_was_built() {
    let with_defaults = |variables: &[_]| told(&[&[("WITH_DEFAULTS", "")], variables].concat());

    assert_eq!(with_defaults(&[]), format!("defaults {}", 1 << 20));
    assert_eq!(with_defaults(&[("LARDER_URL", "memory:2MiB")]), format!("defaults {}", 2 << 20));
    assert_eq!(with_defaults(&[("LARDER_PREFIX", "app")]), format!("app {}", 1 << 20));
    #[cfg(feature = "redis")]
    assert_eq!(
        with_defaults(&[("LARDER_URL", "redis://localhost:1/")]),
        format!("defaults {} and a shared tier", 1 << 20)
    );
    assert!(with_defaults(&[("LARDER_URL", "memory")]).contains("write `memory:`"));
    let shared = ("WITH_A_SHARED_TIER", "");
    assert_eq!(with_defaults(&[shared]), format!("defaults {} and a shared tier", 1 << 20));
    assert_eq!(with_defaults(&[shared, ("LARDER_URL", "memory:")]), format!("defaults {}", 64 << 20));
}

#[test]
fn it_can_be_switched_off() {
    for url in ["off", "OFF\n"] {
        assert_eq!(told(&[("LARDER_URL", url)]), format!("{} 0", Cache::disabled().prefix()));
    }
    assert!(told(&[("LARDER_URL", "none")]).contains("or `off`"));
}

#[test]
fn wrong_values_are_told_with_the_fix() {
    for (name, value, says) in [
        ("LARDER_URL", "memory", "write `memory:`"),
        ("LARDER_URL", "memory:lots", "as in `memory:256MiB`"),
        ("LARDER_URL", "memory:-1MiB", "as in `memory:256MiB`"),
        ("LARDER_URL", "memory:1 MiB", "write `memory:1MiB`"),
        ("LARDER_URL", "memory:256MB", "write `memory:256MiB`"),
        ("LARDER_URL", "localhost:6379", "write `redis://localhost:6379`"),
        ("LARDER_URL", ":secret:6379", "write `memory:`"),
        ("LARDER_URL", "postgres://host", "write `memory:`"),
        #[cfg(not(feature = "redis-tls"))]
        ("LARDER_URL", "rediss://:secret@host/", "needs the feature `redis-tls`"),
        #[cfg(not(feature = "redis-cluster"))]
        ("LARDER_URL", "redis+cluster://:secret@host/", "needs the feature `redis-cluster`"),
        #[cfg(not(feature = "redis-sentinel"))]
        ("LARDER_URL", "redis+sentinel://:secret@host/main", "needs the feature `redis-sentinel`"),
        #[cfg(not(feature = "redis"))]
        ("LARDER_URL", "redis://:secret@host/", "add the feature `redis`"),
        #[cfg(not(feature = "redis"))]
        ("LARDER_URL", "UNIX:///tmp/redis.sock", "add the feature `redis`"),
        ("LARDER_SECRET_KEY", "secret", "write 64 hex digits"),
        ("LARDER_PREFIX", "with space", "read LARDER_PREFIX: use the prefix \"with space\": write 1 to 64"),
    ] {
        let told = told(&[(name, value)]);

        assert!(told.starts_with("Configuration: ") && told.contains(says), "{name}={value}: {told}");
        assert!(!told.contains(":secret"), "{told}");
    }
}

#[test]
fn an_empty_variable_is_as_unset() {
    let empty = [("LARDER_URL", ""), ("LARDER_PREFIX", ""), ("LARDER_SECRET_KEY", "\n")];

    assert_eq!(told(&empty), told(&[]));
}

#[test]
fn a_line_break_at_the_end_is_dropped_and_a_scheme_is_alike_in_all_cases() {
    let key = "5a".repeat(32) + "\n";

    let told =
        told(&[("LARDER_URL", "Memory:1MiB\r\n"), ("LARDER_PREFIX", "app\n"), ("LARDER_SECRET_KEY", &key)]);

    assert_eq!(told, format!("app {}", 1 << 20));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;

    let told = told_with(&[("LARDER_URL", std::ffi::OsStr::from_bytes(b"memory:\xFF"))]);

    assert!(told.starts_with("Configuration: ") && told.contains("LARDER_URL"), "{told}");
}

#[test]
#[cfg(feature = "redis")]
fn a_shared_tier_is_opened_though_nobody_answers_there() {
    for url in [
        "redis://127.0.0.1:1",
        "REDIS://127.0.0.1:1",
        "Unix:///tmp/nobody.sock",
        "redis://app:hunter2@127.0.0.1:1/3",
        "valkey://127.0.0.1:1",
        #[cfg(feature = "redis-tls")]
        "rediss://127.0.0.1:1",
        #[cfg(feature = "redis-cluster")]
        "redis+cluster://app:hunter2@127.0.0.1:1,127.0.0.1:2",
        #[cfg(feature = "redis-sentinel")]
        "valkey+sentinel://127.0.0.1:1,127.0.0.1:2/main/3",
        #[cfg(all(feature = "redis-cluster", feature = "redis-tls"))]
        "rediss+cluster://127.0.0.1:1",
        #[cfg(all(feature = "redis-sentinel", feature = "redis-tls"))]
        "valkeys+sentinel://127.0.0.1:1/main",
    ] {
        let told = told(&[("LARDER_URL", url), ("LARDER_SECRET_KEY", &"5a".repeat(32))]);

        assert_eq!(told, format!("larder {} and a shared tier", 64 << 20), "{url}");
    }
}

#[test]
#[cfg(feature = "redis")]
fn a_wrong_url_of_a_shared_tier_is_told_with_the_fix_and_without_its_password() {
    for url in ["redis://:hunter2@", "redis://app:hunter2@host:notaport", "redis://host/notadatabase"] {
        let told = told(&[("LARDER_URL", url)]);

        assert!(told.starts_with("Configuration: read LARDER_URL: "), "{told}");
        assert!(told.contains("redis://") && !told.contains("hunter2"), "{told}");
    }
}
