//! Tools for testing caches and backends.
