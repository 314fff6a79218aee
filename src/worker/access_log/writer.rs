//! Writes the lines of all threads to one file. Nobody waits for it: what a disk is too slow or too full to take is
//! dropped, counted, and told of once a minute.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::worker::journal;

/// Bytes that may wait for the disk.
const BACKLOG: usize = 8 << 20;
/// The end of the process waits this long for the disk.
const LAST_LINES: Duration = Duration::from_secs(1);
/// At most one warning in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);
const TOO_SLOW: &str = "the disk takes lines more slowly than they are made";

/// The way to the thread that writes.
pub struct Writer {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    /// Bytes in `jobs`.
    backlog: AtomicUsize,
    /// Lines dropped, and not yet counted by a thread.
    lost: AtomicU64,
    reopen: AtomicBool,
    complaint: Mutex<Complaint>,
    ended: Mutex<mpsc::Receiver<()>>,
}

enum Job {
    Lines(Vec<u8>),
    /// Look at [`Writer::reopen`].
    Wake,
    End,
}

/// What is to be told of lost lines.
#[derive(Default)]
struct Complaint {
    lines: u64,
    reason: String,
    told: Option<Instant>,
}

impl Writer {
    /// Opens the file and starts the thread. A file that cannot be opened is no reason not to serve: it is tried again
    /// with each write.
    pub fn start(path: &Path) -> io::Result<Arc<Self>> {
        let (jobs, inbox) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let writer = Arc::new(Self {
            path: path.to_path_buf(),
            jobs,
            backlog: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            complaint: Mutex::default(),
            ended: Mutex::new(ended),
        });
        let output = Output::new(writer.clone());
        std::thread::Builder::new()
            .name("bws-access-log".into())
            .spawn(move || {
                output.run(&inbox);
                let _ = end.send(());
            })?;
        Ok(writer)
    }

    /// Takes whole lines; drops them when too many wait already.
    pub fn push(&self, lines: Vec<u8>) {
        let length = lines.len();
        if self.backlog.fetch_add(length, Ordering::Relaxed) + length > BACKLOG {
            self.backlog.fetch_sub(length, Ordering::Relaxed);
            return self.note_lost(&lines, TOO_SLOW);
        }
        let _ = self.jobs.send(Job::Lines(lines));
    }

    /// Opens the file anew before the next line, after logrotate moved it away.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
        let _ = self.jobs.send(Job::Wake);
    }

    /// Writes what is left, unless the disk hangs.
    pub fn finish(&self) {
        let _ = self.jobs.send(Job::End);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(LAST_LINES);
    }

    /// How many lines were dropped since the last call.
    pub fn take_lost(&self) -> u64 {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let mut complaint = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let quiet = complaint
            .told
            .is_none_or(|told| told.elapsed() >= WARN_EVERY);
        if complaint.lines > 0 && quiet {
            journal::access_log_lost(&self.path, complaint.lines, &complaint.reason);
            complaint.lines = 0;
            complaint.told = Some(Instant::now());
        }
        lost
    }

    fn note_lost(&self, lines: &[u8], reason: &str) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.lost.fetch_add(count, Ordering::Relaxed);
        let mut complaint = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        complaint.lines += count;
        complaint.reason.clear();
        complaint.reason.push_str(reason);
    }
}

/// The thread's own: the file.
struct Output {
    writer: Arc<Writer>,
    file: Option<File>,
    /// The last line in the file is cut off.
    torn: bool,
}

impl Output {
    fn new(writer: Arc<Writer>) -> Self {
        let file = open(&writer.path).ok();
        Self {
            writer,
            file,
            torn: false,
        }
    }

    fn run(mut self, inbox: &mpsc::Receiver<Job>) {
        for job in inbox {
            self.follow_rotation();
            match job {
                Job::Lines(lines) => {
                    self.write(&lines);
                    self.writer
                        .backlog
                        .fetch_sub(lines.len(), Ordering::Relaxed);
                }
                Job::Wake => {}
                Job::End => return,
            }
        }
    }

    fn follow_rotation(&mut self) {
        if !self.writer.reopen.swap(false, Ordering::Relaxed) {
            return;
        }
        // On failure lines go on into the old file.
        match open(&self.writer.path) {
            Ok(file) => (self.file, self.torn) = (Some(file), false),
            Err(error) => tracing::warn!(
                "the access log '{}' cannot be opened anew: {error}",
                self.writer.path.display()
            ),
        }
    }

    fn write(&mut self, lines: &[u8]) {
        if self.file.is_none() {
            match open(&self.writer.path) {
                Ok(file) => self.file = Some(file),
                Err(error) => return self.writer.note_lost(lines, &error.to_string()),
            }
        }
        let Some(file) = &mut self.file else { return };
        if self.torn && file.write(b"\n").is_ok() {
            self.torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let written = lines.len() - rest.len();
                    self.torn = match written {
                        0 => self.torn,
                        _ => lines[written - 1] != b'\n',
                    };
                    return self.writer.note_lost(rest, &error.to_string());
                }
            }
        }
    }
}

/// Appends, so that several workers and generations can write to the same file. A pipe that nobody reads fails instead
/// of waiting.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let writer = Writer::start(&path).unwrap();
        writer.push(b"one\n".to_vec());
        while writer.backlog.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        writer.reopen();
        writer.push(b"two\n".to_vec());
        writer.finish();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            (read("access.log.1"), read("access.log")),
            ("one\n".into(), "two\n".into())
        );
        assert_eq!(writer.take_lost(), 0);
    }

    #[test]
    fn a_full_disk_loses_lines_and_counts_them() {
        let writer = Writer::start(Path::new("/dev/full")).unwrap();
        writer.push(b"one\ntwo\n".to_vec());
        writer.finish();
        assert_eq!(writer.take_lost(), 2);
        assert_eq!(writer.take_lost(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/access.log");
        let writer = Writer::start(&path).unwrap();
        writer.push(b"one\n".to_vec());
        while writer.backlog.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        std::fs::create_dir(folder.path().join("later")).unwrap();
        writer.push(b"two\n".to_vec());
        writer.finish();
        assert_eq!(writer.take_lost(), 1);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }

    #[test]
    fn a_disk_that_hangs_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (jobs, inbox) = mpsc::channel();
        let writer = Writer {
            path: folder.path().join("x"),
            jobs,
            backlog: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            complaint: Mutex::default(),
            ended: Mutex::new(mpsc::channel().1),
        };
        let mut mebibyte = vec![b'x'; 1 << 20];
        mebibyte[99] = b'\n';
        for _ in 0..10 {
            writer.push(mebibyte.clone());
        }
        assert_eq!(inbox.try_iter().count(), 8);
        assert_eq!(writer.take_lost(), 2);
    }
}
