//! The file under the service: is it still the one that was opened?
//!
//! SQLite goes on with a file that was moved, deleted, replaced or overwritten, and what it writes is lost. So a store
//! whose file is gone refuses everything until the service is started again.

use std::{
    ffi::OsString,
    fs, io,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::super::error::StoreError;

/// The files of a database in WAL mode, by what follows the path.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// What every SQLite database begins with.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// How often readers have the file looked at. Writers have it looked at for each commit.
const CHECK_PAUSE: Duration = Duration::from_millis(100);

/// A database's files, by path and by what the paths led to when the database was opened.
pub(super) struct File {
    path: PathBuf,
    opened: [(PathBuf, Identity); SUFFIXES.len()],
    /// Never closed: that would release SQLite's locks on the file, which belong to the process.
    content: ManuallyDrop<fs::File>,
    is_gone: AtomicBool,
    started: Instant,
    /// When the files were last looked at, in milliseconds after the start.
    checked: AtomicU64,
}

/// Device and inode.
type Identity = (u64, u64);

impl File {
    /// Remembers the files. The database must be open.
    pub(super) fn remember(path: &Path) -> Result<Self, StoreError> {
        let remember = |suffix| {
            let mut companion = OsString::from(path);
            companion.push(suffix);
            let companion = PathBuf::from(companion);
            identity(&companion).map(|identity| (companion, identity))
        };
        let [file, wal, shm] = SUFFIXES.map(remember);
        let opened = [file, wal, shm].into_iter().collect::<io::Result<Vec<_>>>();
        let opened = opened.map_err(StoreError::unavailable)?;
        let opened = opened.try_into().map_err(|_| StoreError::failed("a database has three files"))?;
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
        let is_as_opened =
            |(path, opened): &(PathBuf, Identity)| identity(path).is_ok_and(|now| now == *opened);
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

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(unix)]
fn has_header(file: &fs::File) -> bool {
    use std::os::unix::fs::FileExt as _;
    let mut header = [0; HEADER.len()];
    file.read_exact_at(&mut header, 0).is_ok() && header == *HEADER
}

#[cfg(not(unix))]
fn has_header(_file: &fs::File) -> bool {
    true
}

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|_| (0, 0))
}
