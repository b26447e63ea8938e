//! Which node has which slots, as a node of the cluster tells it.

use redis::Value;

use super::slot::SLOTS;
use crate::address::Address;
use crate::command::reply::Failure;

/// An answer to `CLUSTER SLOTS`, in an order of its own, so that two that say the same are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) ranges: Vec<Range>,
}

/// Slots in a row, and the nodes that have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: Address,
    pub(super) replicas: Vec<Address>,
}

impl Topology {
    /// Reads an answer that came from `asked`, whose host stands in where a node has no other.
    pub(super) fn of(answer: &Value, asked: &Address) -> Result<Self, Failure> {
        let Value::Array(ranges) = answer else { return Err(Failure::Misfit) };
        let mut ranges = ranges.iter().map(|range| Range::of(range, asked)).collect::<Option<Vec<_>>>();
        if let Some(ranges) = &mut ranges {
            ranges.sort_by_key(|range| range.first);
        }
        ranges.map(|ranges| Self { ranges }).ok_or(Failure::Misfit)
    }
}

impl Range {
    fn of(range: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), nodes @ ..] = &parts[..] else { return None };
        let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
        if last >= SLOTS || first > last {
            return None;
        }
        let mut nodes = nodes.iter().map(|node| node_of(node, asked));
        let master = nodes.next()??;
        let mut replicas = nodes.collect::<Option<Vec<_>>>()?;
        replicas.sort_by_key(ToString::to_string);
        Some(Self { first, last, master, replicas })
    }
}

fn node_of(node: &Value, asked: &Address) -> Option<Address> {
    let Value::Array(parts) = node else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = match host {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        Value::Nil => "",
        _ => return None,
    };
    Some(address(host, u16::try_from(*port).ok()?, asked))
}

/// The address of a node; one that does not know its own host has that of the node that tells of it.
pub(super) fn address(host: &str, port: u16, asked: &Address) -> Address {
    match (host, asked) {
        ("" | "?", Address::Host { host, .. }) => Address::host(host.clone(), port),
        _ => Address::host(host, port),
    }
}

/// Reads the `host:port` of a redirection. An address of IPv6 has no brackets there.
pub(super) fn redirection(text: &str, asked: &Address) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    Some(address(host, port.parse().ok()?, asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])])
    }

    #[test]
    fn nodes_without_a_host_have_that_of_the_one_that_was_asked() {
        let asked = Address::host("10.0.0.1", 7000);
        let range = |first, last, master| {
            let replica = node(text("10.0.0.9"), 7009);
            Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
        };
        let answer = Value::Array(vec![
            range(100, 16383, node(text("10.0.0.2"), 7002)),
            range(0, 99, node(Value::Nil, 7001)),
        ]);

        let topology = Topology::of(&answer, &asked).expect("an answer");

        assert_eq!(topology.ranges[0].master, Address::host("10.0.0.1", 7001));
        assert_eq!(topology.ranges[1].master, Address::host("10.0.0.2", 7002));
        assert_eq!(topology.ranges[1].replicas, [Address::host("10.0.0.9", 7009)]);
        assert_eq!(redirection("::1:7003", &asked), Some(Address::host("::1", 7003)));
        assert_eq!(redirection(":7003", &asked), Some(Address::host("10.0.0.1", 7003)));
    }

    #[test]
    fn what_is_none_is_refused() {
        let asked = Address::host("a", 1);
        for answer in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(16384), node(text("a"), 1)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1), node(text("a"), 70_000)])]),
        ] {
            assert!(Topology::of(&answer, &asked).is_err(), "{answer:?}");
        }
    }
}
