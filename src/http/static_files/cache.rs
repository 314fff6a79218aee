//! What a thread remembers of the paths that were asked for. Nothing is believed for longer than a second.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use http::StatusCode;

use super::locate::{Located, locate};
use super::prepared::Prepared;
use super::root::Root;
use super::siblings;
use super::stamp::Stamp;
use crate::config::types::SiteIndex;
use crate::http::clock;

/// With the root's own 50 ms and [`SETTLE_MS`], a change is seen within a second.
const BELIEVE_MS: u64 = 850;
/// How much longer we believe while the file is perhaps being written.
const SETTLE_MS: u64 = 80;
const MAX_ENTRIES: usize = 4096;
const MAX_BYTES: usize = 32 * 1024 * 1024;
const MAX_DESCRIPTORS: usize = 512;
/// Longer paths are not worth remembering, and an attacker's are long.
const MAX_PATH: usize = 1024;

/// What lies at a path.
#[derive(Clone)]
pub(in crate::http) enum Entry {
    File(Rc<Prepared>),
    /// A folder named without its slash.
    Folder {
        has_index: bool,
    },
    /// A folder to be listed: its path below the root, with a slash behind it unless it is the root.
    Listing(Rc<Vec<u8>>),
    Missing(StatusCode),
}

impl Entry {
    fn weight(&self) -> usize {
        match self {
            Self::File(prepared) => prepared.weight(),
            Self::Listing(name) => name.len() + 64,
            _ => 64,
        }
    }

    /// Whether what it holds can still be sent.
    fn is_current(&self) -> bool {
        match self {
            Self::File(prepared) => prepared.is_current(),
            _ => true,
        }
    }

    fn descriptors(&self) -> usize {
        match self {
            Self::File(prepared) => prepared.descriptors(),
            _ => 0,
        }
    }
}

/// The cache of one thread, for all its sites.
#[derive(Default)]
pub(in crate::http) struct FileCache {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    slots: HashMap<Rc<[u8]>, Slot>,
    /// Oldest first; those used since they were put in go round once more.
    order: VecDeque<Rc<[u8]>>,
    bytes: usize,
    descriptors: usize,
    /// Where the key of a lookup is composed.
    scratch: Vec<u8>,
}

struct Slot {
    entry: Entry,
    checked_ms: u64,
    used: bool,
}

/// What a look at the file system came to.
enum Looked {
    /// To be remembered.
    New(Entry),
    /// True now, and perhaps no more when asked again.
    Passing(Entry),
    /// The old state, as the new one is perhaps still being written.
    Unsettled(Entry),
}

impl FileCache {
    /// What lies at `path` (as the client sent it, without the query) below `root`.
    pub(in crate::http) fn find(&self, site: SiteIndex, root: &Root, path: &str) -> Entry {
        let mut state = self.state.borrow_mut();
        let now = clock::now_ms();
        let mut key = std::mem::take(&mut state.scratch);
        key.clear();
        key.extend_from_slice(&site.to_ne_bytes());
        key.extend_from_slice(path.as_bytes());
        let entry = state.find(&key, now, root, path);
        state.scratch = key;
        entry
    }
}

impl State {
    fn find(&mut self, key: &[u8], now: u64, root: &Root, path: &str) -> Entry {
        let known = self.slots.get_mut(key).map(|slot| {
            slot.used = true;
            (slot.entry.clone(), now.saturating_sub(slot.checked_ms))
        });
        let known = match known {
            Some((entry, age)) if age < BELIEVE_MS && entry.is_current() => return entry,
            Some((Entry::File(file), age)) => Some((file, age)),
            _ => None,
        };
        let (entry, cacheable) = match self.look(root, path, known) {
            Looked::Unsettled(entry) => return entry,
            Looked::New(entry) => (entry, path.len() <= MAX_PATH),
            Looked::Passing(entry) => (entry, false),
        };
        if cacheable {
            self.put(
                key,
                Slot {
                    entry: entry.clone(),
                    checked_ms: now,
                    used: false,
                },
            );
        } else {
            self.remove(key);
        }
        entry
    }

    /// What lies there now. `known` is what lay there, and how long ago in milliseconds.
    fn look(&mut self, root: &Root, path: &str, known: Option<(Rc<Prepared>, u64)>) -> Looked {
        let mut located = locate(root, path);
        if matches!(located, Located::Missing(StatusCode::SERVICE_UNAVAILABLE)) {
            // Descriptors ran out: ours are the first to go.
            self.clear();
            located = locate(root, path);
        }
        let (file, stat, name) = match located {
            Located::File { file, stat, name } => (file, stat, name),
            Located::Folder { has_index } => return Looked::New(Entry::Folder { has_index }),
            Located::Listing(name) => return Looked::New(Entry::Listing(Rc::new(name))),
            Located::Missing(status) if status.is_server_error() => {
                return Looked::Passing(Entry::Missing(status));
            }
            Located::Missing(status) => return Looked::New(Entry::Missing(status)),
        };
        let stamp = Stamp::new(&stat);
        let siblings = siblings::find(root, &name, &stat);
        match known {
            Some((file, _)) if file.stamp == stamp && file.has_siblings(&siblings) => {
                return Looked::New(Entry::File(file));
            }
            Some((file, age))
                if stamp.is_racy() && age < BELIEVE_MS + SETTLE_MS && file.is_current() =>
            {
                return Looked::Unsettled(Entry::File(file));
            }
            _ => {}
        }
        match Prepared::with_siblings(file, &stat, siblings, &name, &root.rules) {
            Ok(file) if file.cacheable => Looked::New(Entry::File(Rc::new(file))),
            Ok(file) => Looked::Passing(Entry::File(Rc::new(file))),
            Err(_) => Looked::Passing(Entry::Missing(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    fn put(&mut self, key: &[u8], slot: Slot) {
        if let Some(old) = self.slots.get_mut(key) {
            self.bytes = self.bytes + slot.entry.weight() - old.entry.weight();
            self.descriptors =
                self.descriptors + slot.entry.descriptors() - old.entry.descriptors();
            *old = slot;
        } else {
            let key: Rc<[u8]> = key.into();
            self.bytes += slot.entry.weight() + key.len();
            self.descriptors += slot.entry.descriptors();
            self.order.push_back(key.clone());
            self.slots.insert(key, slot);
        }
        self.evict();
    }

    fn remove(&mut self, key: &[u8]) {
        // Its place in the order stays behind until it comes up.
        if let Some((key, slot)) = self.slots.remove_entry(key) {
            self.forget(&key, &slot);
        }
    }

    fn forget(&mut self, key: &[u8], slot: &Slot) {
        self.bytes -= slot.entry.weight() + key.len();
        self.descriptors -= slot.entry.descriptors();
    }

    fn evict(&mut self) {
        while self.order.len() > MAX_ENTRIES
            || self.bytes > MAX_BYTES
            || self.descriptors > MAX_DESCRIPTORS
        {
            let Some(key) = self.order.pop_front() else {
                return;
            };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.order.push_back(key);
                }
                Some(_) => self.remove(&key),
                None => {}
            }
        }
    }

    fn clear(&mut self) {
        *self = Self {
            scratch: std::mem::take(&mut self.scratch),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepared::Content;
    use super::super::rules::Rules;
    use super::*;
    use crate::http::testing;

    struct Setup {
        folder: tempfile::TempDir,
        root: Root,
        cache: FileCache,
    }

    fn setup() -> Setup {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(&testing::static_files(folder.path()), Rules::plain());
        Setup {
            folder,
            root,
            cache: FileCache::default(),
        }
    }

    impl Setup {
        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn find(&self, path: &str) -> Entry {
            self.cache.find(0, &self.root, path)
        }

        fn text(&self, path: &str) -> String {
            match self.find(path) {
                Entry::File(file) => match &file.content {
                    Content::Memory(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Content::Disk(_) => "on disk".into(),
                },
                _ => "nothing".into(),
            }
        }
    }

    #[test]
    fn a_change_is_seen_within_a_second() {
        let setup = setup();
        setup.write("x", "one");
        testing::wait_until(|| {
            setup.text("/x") == "one" && setup.cache.state.borrow().slots.len() == 1
        });
        setup.write("x", "two");
        let changed = std::time::Instant::now();
        testing::wait_until(|| setup.text("/x") == "two");
        // A second, and what a busy machine takes on top.
        assert!(changed.elapsed() < std::time::Duration::from_millis(1500));
    }

    #[test]
    fn what_was_missing_may_appear_and_an_unchanged_file_is_kept() {
        let setup = setup();
        assert_eq!(setup.text("/x"), "nothing");
        setup.write("x", "here");
        testing::wait_until(|| {
            setup.text("/x") == "here" && setup.cache.state.borrow().slots.len() == 1
        });
        let Entry::File(first) = setup.find("/x") else {
            panic!("a file")
        };
        let key = [&0u32.to_ne_bytes()[..], b"/x"].concat();
        setup
            .cache
            .state
            .borrow_mut()
            .slots
            .get_mut(&key[..])
            .unwrap()
            .checked_ms = 0;
        let Entry::File(second) = setup.find("/x") else {
            panic!("a file")
        };
        assert!(Rc::ptr_eq(&first, &second));
    }

    #[test]
    fn it_stays_bounded_and_its_sums_are_right() {
        let setup = setup();
        for number in 0..MAX_ENTRIES + 100 {
            setup.find(&format!("/missing-{number}"));
        }
        let mut state = setup.cache.state.borrow_mut();
        assert_eq!(state.slots.len(), MAX_ENTRIES);
        let keys: Vec<Rc<[u8]>> = state.slots.keys().cloned().collect();
        for key in keys {
            state.remove(&key);
        }
        assert_eq!((state.bytes, state.descriptors), (0, 0));
    }
}
