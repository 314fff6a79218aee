//! Watches the folders of the configuration's files (inotify(7)). Folders, because editors and Kubernetes replace
//! files instead of writing them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::master::Input;

/// It must have been quiet for so long …
const QUIET: Duration = Duration::from_millis(300);
/// … but a folder that is never quiet is looked at this often.
const LONGEST: Duration = Duration::from_secs(3);

/// Sends [`Input::SourcesTouched`] after changes, until dropped.
pub struct Watch {
    task: JoinHandle<()>,
    sources: Arc<[PathBuf]>,
}

impl Watch {
    /// Watches what makes up the configuration. None, with a warning, when the system does not allow it.
    pub fn start(sources: &[PathBuf], inputs: mpsc::Sender<Input>) -> Option<Self> {
        let (sender, events) = mpsc::channel(1);
        let on_event = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                // One that waits already is enough.
                let _ = sender.try_send(());
            }
        };
        let watcher = match notify::recommended_watcher(on_event) {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(
                    "server.watch_config has no effect: {error}: raise it with 'sysctl fs.inotify.max_user_instances'"
                );
                return None;
            }
        };
        let sources: Arc<[PathBuf]> = sources.into();
        let of_task = sources.clone();
        let task = tokio::task::spawn_local(async move {
            // Ten thousand files are not looked at on the way to the next worker.
            let watching = tokio::task::spawn_blocking(move || watch(watcher, &of_task)).await;
            if let Ok(_watcher) = watching {
                debounce(events, inputs).await;
            }
        });
        Some(Self { task, sources })
    }

    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn watch(mut watcher: RecommendedWatcher, sources: &[PathBuf]) -> RecommendedWatcher {
    for folder in folders(sources) {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            tracing::warn!("'{}' is not watched for changes: {error}", folder.display());
        }
    }
    watcher
}

/// Reading the files is an event as well, and not one to react to.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The folders in which a replacement of `sources` would be seen: their own, and those that symbolic links lead to. Of
/// ten thousand files in one folder, only those that are links themselves are followed.
fn folders(sources: &[PathBuf]) -> BTreeSet<PathBuf> {
    let own: BTreeSet<PathBuf> = sources.iter().map(|source| folder_of(source)).collect();
    let links = sources.iter().filter(|source| source.is_symlink());
    let targets = links.filter_map(|link| Some(folder_of(&link.canonicalize().ok()?)));
    let real = own.iter().filter_map(|folder| folder.canonicalize().ok());
    let led_to: Vec<PathBuf> = targets.chain(real).collect();
    own.into_iter().chain(led_to).collect()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        _ if path.is_dir() => path.to_path_buf(),
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_path_buf(),
        None => path.to_path_buf(),
    }
}

async fn debounce(mut events: mpsc::Receiver<()>, inputs: mpsc::Sender<Input>) {
    // What changed between loading and watching was not seen.
    let mut changed = Some(());
    while changed.is_some() {
        let limit = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(limit);
            match timeout_at(quiet, events.recv()).await {
                Ok(Some(())) if Instant::now() < limit => {}
                Ok(None) => return,
                _ => break,
            }
        }
        if inputs.send(Input::SourcesTouched).await.is_err() {
            return;
        }
        changed = events.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn touched(inputs: &mut mpsc::Receiver<Input>) -> bool {
        let input = tokio::time::timeout(Duration::from_secs(5), inputs.recv()).await;
        matches!(input, Ok(Some(Input::SourcesTouched)))
    }

    #[test]
    fn links_are_followed_whatever_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let path = |name: &str| root.join(name);
        for name in ["real", "elsewhere", "included"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("real/a.pem"), "").unwrap();
        std::fs::write(path("elsewhere/b.pem"), "").unwrap();
        std::os::unix::fs::symlink(path("real"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("elsewhere/b.pem"), path("real/b.pem")).unwrap();
        let sources = ["link/a.pem", "link/b.pem", "included", "real/missing"].map(path);
        let expected = ["elsewhere", "included", "link", "real"].map(path);
        assert_eq!(folders(&sources), BTreeSet::from(expected));
    }

    #[tokio::test]
    async fn a_replaced_file_is_seen_and_a_read_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bws.toml");
        std::fs::write(&file, "one").unwrap();
        let run = async {
            let (sender, mut inputs) = mpsc::channel(8);
            let _watch = Watch::start(std::slice::from_ref(&file), sender).unwrap();
            assert!(touched(&mut inputs).await, "the first look");
            std::fs::read(&file).unwrap();
            tokio::time::sleep(QUIET * 2).await;
            assert!(inputs.try_recv().is_err(), "reading changes nothing");
            let other = folder.path().join(".bws.toml.swp");
            std::fs::write(&other, "two").unwrap();
            std::fs::rename(&other, &file).unwrap();
            assert!(touched(&mut inputs).await);
        };
        tokio::task::LocalSet::new().run_until(run).await;
    }
}
