//! The file under the service: is it still the one that was opened?
//!
//! SQLite goes on with a file that was moved, deleted, replaced or overwritten, and what it writes is lost. So a store
//! whose file is gone refuses everything until the service is started again.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    mem::ManuallyDrop,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::super::{error::StoreError, types::Access};
use crate::files::secret_options;

/// The other files of a database in WAL mode, by what follows the path.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";

/// How long a log is that has no page in it.
const LOG_HEADER_BYTES: u64 = 32;

/// What every SQLite database begins with.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Where the header says how the file is written and read (1: without a log, 2: with one).
const VERSIONS: std::ops::Range<usize> = 18..20;
const WITHOUT_LOG: [u8; 2] = [1, 1];

/// How often readers have the file looked at. Writers have it looked at for each commit.
const CHECK_PAUSE: Duration = Duration::from_millis(100);

/// A database's files, by path and by what the paths led to when the database was opened.
pub(super) struct File {
    path: PathBuf,
    /// `None` for a file that was not there, such as the log of a backup that is only read.
    opened: [(PathBuf, Option<Identity>); 3],
    /// Never closed: that would release SQLite's locks on the file, which belong to the process.
    content: ManuallyDrop<fs::File>,
    is_gone: AtomicBool,
    started: Instant,
    /// When the files were last looked at, in milliseconds after the start.
    checked: AtomicU64,
}

/// Device and inode.
type Identity = (u64, u64);

/// Makes the file if it may, and finds it: its path as it was given, absolute, and the path that links lead to, where SQLite
/// has its other files. Only its owner can read it, because it holds personal data; SQLite gives the others the same mode.
pub(super) fn find(path: &Path, access: Access) -> Result<(PathBuf, PathBuf), StoreError> {
    // SQLite has special names, none of which is an absolute path.
    let given = std::path::absolute(path).map_err(StoreError::unavailable)?;
    let refused = |error: io::Error| format!("cannot open {}: {error}", given.display());
    check_log(&fs::canonicalize(&given).unwrap_or_else(|_| given.clone()))?;
    let mut options = secret_options();
    options.read(true).create(access == Access::Create);
    options.open(&given).map_err(refused).map_err(StoreError::unavailable)?;
    let real = fs::canonicalize(&given).map_err(refused).map_err(StoreError::unavailable)?;
    Ok((given, real))
}

/// Refuses a log that another file has left. SQLite would take its pages for those of this one.
fn check_log(path: &Path) -> Result<(), StoreError> {
    // The log first: whoever begins to use one has changed the header before.
    let log = companion(path, LOG);
    let has_pages = fs::metadata(&log).is_ok_and(|metadata| metadata.len() > LOG_HEADER_BYTES);
    let mut header = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(VERSIONS.end as u64).read_to_end(&mut header));
    let has_no_log = read.is_err()
        || header.is_empty()
        || header.starts_with(HEADER) && header.get(VERSIONS) == Some(&WITHOUT_LOG);
    if has_pages && has_no_log {
        return Err(StoreError::failed(format!(
            "the log {} was left by another database, and does not belong to this file, which is new or a backup: move the log \
             and {} away, and try again",
            log.display(),
            companion(path, INDEX).display()
        )));
    }
    Ok(())
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut companion = OsString::from(path);
    companion.push(suffix);
    companion.into()
}

impl File {
    /// Remembers the files. The database must be open.
    pub(super) fn remember(given: PathBuf, path: &Path) -> Result<Self, StoreError> {
        let opened = [given, companion(path, LOG), companion(path, INDEX)].map(|path| {
            let identity = identity(&path).ok();
            (path, identity)
        });
        let content = fs::File::open(path).map_err(StoreError::unavailable)?;
        Ok(Self {
            path: path.to_owned(),
            opened,
            content: ManuallyDrop::new(content),
            is_gone: AtomicBool::new(false),
            started: Instant::now(),
            checked: AtomicU64::new(0),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the files.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let is_as_opened = |(path, opened): &(PathBuf, Option<Identity>)| identity(path).ok() == *opened;
        if self.is_gone.load(Ordering::Relaxed)
            || !self.opened.iter().all(is_as_opened)
            || !has_header(&self.content)
        {
            self.give_up();
            return Err(StoreError::unavailable(
                "the database file was moved, deleted, replaced or overwritten",
            ));
        }
        Ok(())
    }

    /// From now on, every check fails: the file is not the database that was opened.
    pub(super) fn give_up(&self) {
        if !self.is_gone.swap(true, Ordering::Relaxed) {
            tracing::error!(
                file = %self.path.display(),
                "the database file was moved, deleted, replaced or overwritten: every request is refused until the service is started again"
            );
        }
    }

    /// Looks at the files if nobody did so for a while.
    pub(super) fn check_now_and_then(&self) -> Result<(), StoreError> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let pause = u64::try_from(CHECK_PAUSE.as_millis()).unwrap_or(u64::MAX);
        let is_due = now.saturating_sub(self.checked.load(Ordering::Relaxed)) >= pause;
        if is_due || self.is_gone.load(Ordering::Relaxed) {
            self.checked.store(now, Ordering::Relaxed);
            self.check()?;
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

fn has_header(file: &fs::File) -> bool {
    let mut header = [0; HEADER.len()];
    file.read_exact_at(&mut header, 0).is_ok() && header == *HEADER
}
