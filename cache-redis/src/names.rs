//! The names of what is stored, and of the channels of the bus.
//!
//! `prefix:e:{key}` is an entry, `prefix:l:{key}` its lease, `prefix:t:{tag}` the epoch of a tag,
//! `prefix:f:{function}` that of a function, `prefix:a:{}` that of everything. A prefix holds no braces, so the
//! first `{` ends it and its letter, the last `}` ends the text, and no two names are one, whatever the text.
//!
//! What stands between the first `{` and the `}` after it is what a cluster hashes: an entry and its lease have
//! the same, so they lie in one slot.

use cache_core::backend::{EntryKey, Origin, Prefix, TagKey};

/// An entry.
pub(crate) fn entry(prefix: &Prefix, key: &EntryKey) -> String {
    braced(prefix, "e", key.as_str())
}

/// The lease of an entry.
pub(crate) fn lease(prefix: &Prefix, key: &EntryKey) -> String {
    braced(prefix, "l", key.as_str())
}

/// The epoch of a tag.
pub(crate) fn tag(prefix: &Prefix, tag: &TagKey) -> String {
    match tag {
        TagKey::Everything => braced(prefix, "a", ""),
        TagKey::Function(name) => braced(prefix, "f", name),
        TagKey::Tag(tag) => braced(prefix, "t", tag.as_str()),
    }
}

/// The channel that all processes of a prefix hear.
pub(crate) fn channel(prefix: &Prefix) -> String {
    format!("{prefix}:b")
}

/// The channel that one view alone hears. A prefix cannot imitate it: the last part of `prefix:b` is `b`.
pub(crate) fn own_channel(prefix: &Prefix, origin: Origin) -> String {
    format!("{prefix}:b:{:016x}", origin.bits())
}

/// The channel on which programs that are not Larder ask for invalidations. The last part of no other one is `invalidate`.
pub(crate) fn outside_channel(prefix: &Prefix) -> String {
    format!("{prefix}:invalidate")
}

fn braced(prefix: &Prefix, letter: &str, text: &str) -> String {
    parts(prefix, letter, text).concat()
}

fn parts<'n>(prefix: &'n Prefix, letter: &'n str, text: &'n str) -> [&'n str; 6] {
    // Nothing before the first `}` would make the cluster hash the whole name, and put an entry and its lease
    // into different slots. The other form has a letter of its own, so it stays injective.
    let (before, behind) = if text.is_empty() || text.starts_with('}') { ("-:{-", "}") } else { (":{", "}") };
    [prefix.as_str(), ":", letter, before, text, behind]
}

/// Enough bytes for most names.
const ROOM: usize = 48;

/// Many names, one behind the other.
#[derive(Default)]
pub(crate) struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    /// None yet; room for so many.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { text: String::with_capacity(ROOM * count), ends: Vec::with_capacity(count) }
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    /// Adds the name of an entry, unless `is_wanted` says no; tells whether it did.
    pub(crate) fn add_entry_if(
        &mut self,
        prefix: &Prefix,
        key: &EntryKey,
        is_wanted: impl FnOnce(&str) -> bool,
    ) -> bool {
        let start = self.text.len();
        parts(prefix, "e", key.as_str()).into_iter().for_each(|part| self.text.push_str(part));
        let is_added = is_wanted(&self.text[start..]);
        match is_added {
            true => self.ends.push(self.text.len()),
            false => self.text.truncate(start),
        }
        is_added
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        let mut begin = 0;
        self.ends.iter().map(move |&end| &self.text[std::mem::replace(&mut begin, end)..end])
    }
}

#[cfg(test)]
mod tests {
    use cache_core::Tag;
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::new(text).expect("a prefix")
    }

    /// What a cluster hashes of a name.
    fn hash_tag(name: &str) -> &str {
        let Some((_, rest)) = name.split_once('{') else { return name };
        match rest.split_once('}') {
            Some((tag, _)) if !tag.is_empty() => tag,
            _ => name,
        }
    }

    #[test]
    fn names_are_as_documented() {
        let app = prefix("app");

        assert_eq!(entry(&app, &"menu_of:42".into()), "app:e:{menu_of:42}");
        assert_eq!(lease(&app, &"menu_of:42".into()), "app:l:{menu_of:42}");
        assert_eq!(tag(&app, &Tag::from("menu").into()), "app:t:{menu}");
        assert_eq!(tag(&app, &TagKey::Function("menu_of".into())), "app:f:{menu_of}");
        assert_eq!(tag(&app, &TagKey::Everything), "app:a-:{-}");
        assert_eq!(entry(&app, &"".into()), "app:e-:{-}");
        assert_eq!(channel(&app), "app:b");
        assert_eq!(own_channel(&app, Origin::from_bits(7)), "app:b:0000000000000007");
        assert_eq!(outside_channel(&app), "app:invalidate");
    }

    /// All names of one prefix and text.
    fn all(prefix: &Prefix, text: &str) -> [String; 7] {
        [
            entry(prefix, &text.into()),
            lease(prefix, &text.into()),
            tag(prefix, &Tag::from(text).into()),
            tag(prefix, &TagKey::Function(text.into())),
            channel(prefix),
            own_channel(prefix, Origin::from_bits(0xb)),
            outside_channel(prefix),
        ]
    }

    proptest! {
        #[test]
        fn the_names_of_many_are_those_of_each(keys in prop::collection::vec(("\\PC{0,9}|", any::<bool>()), 0..9)) {
            let app = prefix("app");
            let mut names = Names::with_capacity(2);

            for (key, is_wanted) in &keys {
                let key = EntryKey::from(key.as_str());
                let is_added = names.add_entry_if(&app, &key, |name| {
                    assert_eq!(name, entry(&app, &key));
                    *is_wanted
                });
                prop_assert_eq!(is_added, *is_wanted);
            }
            names.add("last");

            let wanted = keys.iter().filter(|(_, is_wanted)| *is_wanted);
            let mut expected: Vec<_> = wanted.map(|(key, _)| entry(&app, &EntryKey::from(key.as_str()))).collect();
            expected.push("last".to_owned());
            prop_assert_eq!(names.len(), expected.len());
            prop_assert_eq!(names.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn an_entry_and_its_lease_lie_in_one_slot(text in "[{}a-]{0,6}|\\PC{0,8}") {
            let (app, key) = (prefix("app"), EntryKey::from(text));
            let (entry, lease) = (entry(&app, &key), lease(&app, &key));

            prop_assert_eq!(hash_tag(&entry), hash_tag(&lease), "{} and {}", &entry, &lease);
        }

        #[test]
        fn no_two_names_are_one(
            (a, b) in ("[elabtf:-]{1,5}", "[elabtf:-]{1,5}"),
            (x, y) in ("[{}ae:-]{0,5}", "[{}ae:-]{0,5}"),
        ) {
            let (here, there) = (all(&prefix(&a), &x), all(&prefix(&b), &y));

            for (m, name) in here.iter().enumerate() {
                for (n, other) in there.iter().enumerate() {
                    let are_one = m == n && a == b && (x == y || m >= 4);
                    prop_assert_eq!(name == other, are_one, "{} and {}", name, other);
                }
            }
        }
    }
}
