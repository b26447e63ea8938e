//! Slots that get other nodes, and nodes that come back: what these may lack.

use std::sync::Arc;

use super::map::Map;
use super::node::Node;
use super::{Cluster, slot};
use crate::address::Address;
use crate::recent::Share;

impl Cluster {
    /// The changes of the slots that the node at an address has.
    pub(super) fn share_of(&self, address: Address) -> Share {
        let inner = Arc::downgrade(&self.inner);
        Share::of(&self.inner.recent, move |change| {
            let map = inner.upgrade().and_then(|inner| Cluster { inner }.current());
            let owner = map.as_ref().zip(change.key()).and_then(|(map, key)| map.owner(slot::of(key)));
            owner.is_some_and(|node| node.address == address)
        })
    }

    /// Puts another map in the place of the current one.
    ///
    /// A node that has a slot now and did not before may have taken over, without what was invalidated last. That is
    /// kept for it before anybody asks there; and what is still under way at the old one will be made again.
    pub(super) fn put(&self, next: impl FnOnce(Option<&Map>) -> Option<Map>) {
        let mut is_lacking = false;
        self.inner.recent.may_move(|changes| {
            let before = self.current();
            let Some(map) = next(before.as_deref()) else { return false };
            let is_new = |slot| before.as_ref().is_some_and(|before| map.is_another_at(before, slot));
            let has_moved = (0..slot::SLOTS).any(is_new);
            if has_moved {
                for change in changes.filter(|change| change.key().is_some_and(|key| is_new(slot::of(key)))) {
                    is_lacking |= self.inner.kept.push(change);
                }
            }
            self.inner.known.send_modify(|known| known.map = Some(Arc::new(map)));
            has_moved
        });
        if is_lacking {
            self.inner.bell.notify_one();
        }
    }

    /// A node said that a slot is at another one.
    pub(super) fn moved(&self, slot: u16, node: &Arc<Node>) {
        self.put(|current| {
            let map = current?;
            let is_known = map.owner(slot).is_some_and(|owner| Arc::ptr_eq(owner, node));
            (!is_known).then(|| map.with_moved(slot, Arc::clone(node)))
        });
    }
}
