//! What one `#[cached]` leaves behind: a static record.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use once_cell::sync::{Lazy, OnceCell};

use crate::entry::Remember;
use crate::key::Identity;
use crate::policy::Policy;

/// Where an attribute stands: file, line, column; and the number of its expansion, since a macro may write several there.
type Position = (&'static str, u32, u32, u64);

/// Who first came with an identity that was made from a path.
///
/// A path does not tell everything: two functions of one name in two blocks of one function have the same one, and
/// so have those of two versions of one crate.
static OWNERS: Lazy<Mutex<HashMap<Identity, Position>>> = Lazy::new(Mutex::default);

/// Identities that more than one place in the source came with.
static AMBIGUOUS: Lazy<Mutex<HashSet<Identity>>> = Lazy::new(Mutex::default);
static IS_ANY_AMBIGUOUS: AtomicBool = AtomicBool::new(false);

/// Whether several functions have the path that `identity` was made from. Which of them came first differs between
/// processes, so such an identity means something in this process alone.
pub(crate) fn is_ambiguous(identity: Identity) -> bool {
    // Hardly a program has any.
    IS_ANY_AMBIGUOUS.load(Ordering::Acquire)
        && AMBIGUOUS.lock().unwrap_or_else(PoisonError::into_inner).contains(&identity)
}

/// The static record that one `#[cached]` leaves behind in each function it emits.
#[derive(Debug)]
pub struct CallSite {
    module: &'static str,
    /// The annotated function, without `r#`.
    function: &'static str,
    /// The emitted function this record sits in: `f`, `f_refresh`, `f_entry` or `f_clear`, without `r#`.
    emitted: &'static str,
    pub(crate) policy: Policy,
    position: Position,
    /// What the policy says of all calls, worked out once.
    remember: OnceCell<Remember>,
    /// The instance seen first; of a function without type arguments the only one.
    first: OnceCell<Instance>,
    others: RwLock<Vec<Instance>>,
}

/// One instance of a function, by the type arguments of its own and of what it stands in.
#[derive(Debug, Clone)]
struct Instance {
    path: &'static str,
    types: Box<[&'static str]>,
    identity: Identity,
}

impl Instance {
    /// Compares where the names lie, not what they say: equal places are equal names, and an equal name
    /// in another place only costs the slower way.
    #[inline]
    fn is(&self, path: &'static str, types: &[&'static str]) -> bool {
        let same = |a: &str, b: &str| std::ptr::eq(a, b);
        same(self.path, path)
            && self.types.len() == types.len()
            && self.types.iter().zip(types).all(|(a, b)| same(a, b))
    }
}

impl CallSite {
    /// Makes the record.
    pub const fn new(
        module: &'static str,
        function: &'static str,
        emitted: &'static str,
        policy: Policy,
    ) -> Self {
        let position = ("", 0, 0, 0);
        Self {
            module,
            function,
            emitted,
            policy,
            position,
            remember: OnceCell::new(),
            first: OnceCell::new(),
            others: RwLock::new(Vec::new()),
        }
    }

    /// Says where the attribute stands.
    pub const fn at(mut self, position: Position) -> Self {
        self.position = position;
        self
    }

    /// What calls remember, unless they have a ttl of their own.
    pub(crate) fn remember(&self) -> &Remember {
        self.remember.get_or_init(|| self.policy.remember())
    }

    /// The identity of the instance whose closure has the type name `path`, with the type arguments `types`.
    #[inline]
    pub(crate) fn identity(&self, path: &'static str, types: &[&'static str]) -> Identity {
        match self.first.get() {
            Some(first) if first.is(path, types) => first.identity,
            _ => self.other_identity(path, types),
        }
    }

    #[cold]
    fn other_identity(&self, path: &'static str, types: &[&'static str]) -> Identity {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.iter().find(|known| known.is(path, types)) {
            return known.identity;
        }
        drop(others);
        let identity = self.intern(path, types);
        let instance = Instance { path, types: types.into(), identity };
        if let Err(instance) = self.first.set(instance) {
            self.others.write().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
        identity
    }

    fn intern(&self, path: &str, types: &[&str]) -> Identity {
        let version = self.policy.version;
        let Some(front) = front_of(path, self.emitted) else {
            // Type names are for people, and a compiler may change how it writes them. Then the whole
            // of it tells instances apart.
            let name =
                self.policy.name.map_or_else(|| format!("{}::{}", self.module, self.function), String::from);
            return Identity::intern(&name, &[&[path], types].concat(), version);
        };
        // The function's path is its name, also in a generic `impl`: whoever names it means all instances.
        let (stands_in, generics) = without_generics(front);
        let types = [&generics[..], types].concat();
        // A name that was given is an identity by intent: who gives it twice means one function.
        if let Some(name) = self.policy.name {
            return Identity::intern(name, &types, version);
        }
        let name = format!("{stands_in}::{}", self.function);
        let identity = Identity::intern(&name, &types, version);
        let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
        if *owners.entry(identity).or_insert(self.position) == self.position {
            return identity;
        }
        drop(owners);
        let (file, line, column, expansion) = self.position;
        let place = format!("{file}:{line}:{column}:{expansion:x}");
        let own = Identity::intern(&name, &[&types[..], &[&place]].concat(), version);
        AMBIGUOUS.lock().unwrap_or_else(PoisonError::into_inner).extend([identity, own]);
        IS_ANY_AMBIGUOUS.store(true, Ordering::Release);
        own
    }
}

/// What a function stands in, out of the type name of a closure inside it: `app::Repo<u8>` of
/// `app::Repo<u8>::find<u16>::{{closure}}::{{closure}}`. The function's own type arguments are dropped, since
/// some of them do not count.
fn front_of<'p>(path: &'p str, function: &str) -> Option<&'p str> {
    let mut front = path;
    while let Some(outer) = front.strip_suffix("::{{closure}}") {
        front = outer;
    }
    if front.ends_with('>') {
        front = &front[..opening_of(front)?];
    }
    front.strip_suffix(function)?.strip_suffix("::")
}

/// Where the `<` lies that the `>` at the end of `text` closes.
fn opening_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    for index in (0..bytes.len()).rev() {
        match bytes[index] {
            // The arrow of a function type.
            b'>' if index > 0 && bytes[index - 1] == b'-' => {}
            b'>' => depth += 1,
            b'<' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// A path without its type arguments, and those, group by group: `<app::Repo as app::Find>` and `u8` of
/// `<app::Repo<u8> as app::Find>`.
fn without_generics(path: &str) -> (String, Vec<&str>) {
    let (mut name, mut groups) = (String::new(), Vec::new());
    let (mut named, mut rest) = (0, 0);
    while let Some(open) = path[rest..].find('<').map(|at| rest + at) {
        let follows_a_name = path[..open].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let mut closes = path[open..].match_indices('>').map(|(at, _)| open + at + 1);
        let close = closes.find(|&end| opening_of(&path[open..end]) == Some(0));
        match close {
            Some(close) if follows_a_name => {
                name.push_str(&path[named..open]);
                groups.push(&path[open + 1..close - 1]);
                (named, rest) = (close, close);
            }
            // A qualified path: its arguments are inside.
            _ => rest = open + 1,
        }
    }
    name.push_str(&path[named..]);
    (name, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_what_it_stands_in() {
        for (path, front) in [
            ("app::find::{{closure}}", "app"),
            ("app::Repo<u8>::find::{{closure}}::{{closure}}", "app::Repo<u8>"),
            ("app::find<fn(u8) -> u8, 4>::{{closure}}", "app"),
            ("<app::Repo<u8> as app::Find>::find::{{closure}}", "<app::Repo<u8> as app::Find>"),
            ("app::outer::{{closure}}::find::{{closure}}", "app::outer::{{closure}}"),
        ] {
            assert_eq!(front_of(path, "find"), Some(front), "{path}");
        }
        assert_eq!(front_of("something else", "find"), None);
        assert_eq!(front_of("app::refind::{{closure}}", "find"), None);
    }

    #[test]
    fn the_type_arguments_of_a_path_are_taken_out_in_groups() {
        for (path, name, groups) in [
            ("app::Repo<alloc::vec::Vec<u8>>", "app::Repo", &["alloc::vec::Vec<u8>"][..]),
            ("<app::Repo<u8> as app::Find<u16>>", "<app::Repo as app::Find>", &["u8", "u16"]),
            ("<app::Repo as app::Find>", "<app::Repo as app::Find>", &[]),
            ("<(app::A<u8>, &[u8]) as app::Find>", "<(app::A, &[u8]) as app::Find>", &["u8"]),
            ("app::Größe<app::Ö>", "app::Größe", &["app::Ö"]),
            ("<app::Größe as app::Find>", "<app::Größe as app::Find>", &[]),
            ("app::Repo<fn(u8) -> u8>", "app::Repo", &["fn(u8) -> u8"]),
            ("app::Repo<dyn Fn(A<u8>) -> B<u8>, 4>", "app::Repo", &["dyn Fn(A<u8>) -> B<u8>, 4"]),
            ("app", "app", &[]),
        ] {
            assert_eq!(without_generics(path), (name.to_owned(), groups.to_vec()), "{path}");
        }
    }

    #[test]
    fn instances_of_one_function_are_told_apart() {
        static SITE: CallSite = CallSite::new("app", "find", "find", Policy::new());

        let a = SITE.identity("app::Repo<u8>::find::{{closure}}", &[]);
        let b = SITE.identity("app::Repo<u16>::find::{{closure}}", &[]);

        assert_eq!((a.name(), b.name()), ("app::Repo::find<u8>", "app::Repo::find<u16>"));
        assert_eq!((a.function(), b.function()), ("app::Repo::find", "app::Repo::find"));
        assert_eq!(SITE.identity("app::Repo<u8>::find::{{closure}}", &[]), a);
        assert_eq!(SITE.identity("app::Repo<u16>::find::{{closure}}", &[]), b);
    }

    #[test]
    fn the_functions_emitted_beside_share_the_identity() {
        static F: CallSite = CallSite::new("app", "find", "find", Policy::new());
        static ENTRY: CallSite = CallSite::new("app", "find", "find_entry", Policy::new());

        let f = F.identity("app::Repo<u8>::find<u16>::{{closure}}::{{closure}}", &["u16"]);

        assert_eq!(ENTRY.identity("app::Repo<u8>::find_entry<u16>::{{closure}}", &["u16"]), f);
        assert_eq!(f.name(), "app::Repo::find<u8, u16>");
    }

    #[test]
    fn functions_of_one_path_are_told_apart_by_where_they_stand() {
        static ONE: CallSite =
            CallSite::new("app", "one_path", "one_path", Policy::new()).at(("a.rs", 1, 5, 0));
        static TWO: CallSite =
            CallSite::new("app", "one_path", "one_path", Policy::new()).at(("a.rs", 9, 5, 0));
        static TWO_ENTRY: CallSite =
            CallSite::new("app", "one_path", "one_path_entry", Policy::new()).at(("a.rs", 9, 5, 0));

        static SAME_PLACE: CallSite =
            CallSite::new("app", "one_path", "one_path", Policy::new()).at(("a.rs", 9, 5, 1));

        let [one, two, same_place] =
            [&ONE, &TWO, &SAME_PLACE].map(|site| site.identity("app::outer::one_path::{{closure}}", &[]));

        assert!(one != two && two != same_place && same_place != one);
        assert_eq!(TWO_ENTRY.identity("app::outer::one_path_entry::{{closure}}", &[]), two);
    }

    #[test]
    fn an_explicit_name_keeps_the_type_arguments() {
        static SITE: CallSite = CallSite::new("app", "find", "find", Policy::new().name("menus"));

        let of = |path| SITE.identity(path, &[]).name();

        assert_eq!(of("app::Repo::find::{{closure}}"), "menus");
        assert_eq!(of("app::Repo<u8>::find::{{closure}}"), "menus<u8>");
    }
}
