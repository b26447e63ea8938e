//! Which node has which slot, for lookups.

use std::sync::Arc;

use super::node::Node;
use super::slot::SLOTS;
use super::topology::Topology;
use crate::address::Address;

/// For a slot that nobody has.
const NOBODY: u16 = u16::MAX;

/// The nodes, and who has which slot.
#[derive(Debug)]
pub(super) struct Map {
    /// By slot the place among the masters.
    owners: Vec<u16>,
    masters: Vec<Arc<Node>>,
    replicas: Vec<Arc<Node>>,
}

impl Map {
    pub(super) fn new(topology: &Topology, mut node: impl FnMut(&Address) -> Arc<Node>) -> Self {
        let mut map = Self { owners: vec![NOBODY; usize::from(SLOTS)], masters: vec![], replicas: vec![] };
        for range in &topology.ranges {
            let owner = map.place(node(&range.master));
            map.owners[usize::from(range.first)..=usize::from(range.last)].fill(owner);
            for replica in &range.replicas {
                if !map.replicas.iter().any(|known| known.address == *replica) {
                    map.replicas.push(node(replica));
                }
            }
        }
        map
    }

    /// The node that has a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Node>> {
        self.masters.get(usize::from(self.owners[usize::from(slot % SLOTS)]))
    }

    /// Whether a slot has another node than before.
    pub(super) fn is_another_at(&self, before: &Self, slot: u16) -> bool {
        let old = before.owner(slot).map(|node| &node.address);
        self.owner(slot).is_some_and(|node| Some(&node.address) != old)
    }

    /// The nodes that have slots.
    pub(super) fn masters(&self) -> &[Arc<Node>] {
        &self.masters
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.masters.iter().chain(&self.replicas)
    }

    /// The same, but for one slot, which has moved to `node`.
    pub(super) fn with_moved(&self, slot: u16, node: Arc<Node>) -> Self {
        let (owners, masters, replicas) = (self.owners.clone(), self.masters.clone(), self.replicas.clone());
        let mut map = Self { owners, masters, replicas };
        map.owners[usize::from(slot % SLOTS)] = map.place(node);
        map
    }

    /// The place of a node among the masters.
    fn place(&mut self, node: Arc<Node>) -> u16 {
        let known = self.masters.iter().position(|other| other.address == node.address);
        let at = known.unwrap_or_else(|| {
            self.masters.push(node);
            self.masters.len() - 1
        });
        u16::try_from(at).unwrap_or(NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Redis;
    use crate::cluster::topology::Range;
    use crate::config::Config;
    use crate::recent::Share;

    /// A map of hosts, each with one slot.
    fn map(owners: &[(&str, u16)]) -> Map {
        let config = Config::new(Redis::builder().url("redis+cluster://a:1")).expect("a good URL");
        let config = Arc::new(config);
        let range = |&(host, slot): &(&str, u16)| Range {
            first: slot,
            last: slot,
            master: Address::host(host, 1),
            replicas: vec![],
        };
        let topology = Topology { ranges: owners.iter().map(range).collect() };
        Map::new(&topology, |address| {
            Arc::new(Node::new(&config, address.clone(), Share::all(&Arc::default())))
        })
    }

    #[test]
    fn a_slot_has_another_node_also_if_it_had_none() {
        let before = map(&[("a", 0), ("a", 1), ("a", 3)]);
        let after = map(&[("a", 0), ("b", 1), ("a", 2)]);

        let others: Vec<u16> = (0..SLOTS).filter(|&slot| after.is_another_at(&before, slot)).collect();

        assert_eq!(others, [1, 2]);
    }
}
