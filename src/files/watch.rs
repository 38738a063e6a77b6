//! Watches files that an operator writes or replaces.

use std::{
    convert::Infallible,
    error::Error,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;
use tracing::field::display;

use crate::telemetry::chain;

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// Files that belong together, and how they were before they were read.
#[derive(Debug)]
pub struct Watch {
    files: Vec<PathBuf>,
    read: Vec<Option<Stamp>>,
}

/// What changes when a file is written, replaced, or gets another mode or owner. The file is the one that symbolic links
/// lead to. Times are seconds and nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` for a file that is not there.
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Watch {
    /// Call it before the files are read, so that no change is missed.
    pub fn new(files: Vec<PathBuf>) -> Self {
        let read = look(&files);
        Self { files, read }
    }

    /// Has the files read again after each change, once they have stayed the same from one look to the next: several files
    /// are often written one after the other.
    ///
    /// A failure is not for ever: what fails is tried again each second until it succeeds, because the cause may be the
    /// database, or a limit of the system. Each failure is logged once. `what` is read, such as `the seal keys`.
    pub async fn follow<E: Error>(
        &self,
        what: &str,
        mut read: impl AsyncFnMut() -> Result<(), E>,
    ) -> Infallible {
        let (mut done, mut seen) = (self.read.clone(), self.read.clone());
        let (mut told, file) = (None, self.files.first().map(|file| display(file.display())));
        loop {
            sleep(PAUSE).await;
            let now = look(&self.files);
            if now != seen {
                (seen, told) = (now, None);
                continue;
            }
            if now == done {
                continue;
            }
            match read().await {
                Ok(()) => {
                    done = now;
                    tracing::info!(file, "{what} were read again");
                }
                Err(error) => {
                    let cause = chain(&error);
                    if told.as_ref() != Some(&cause) {
                        tracing::error!(file, cause, "{what} of before are kept");
                        told = Some(cause);
                    }
                }
            }
        }
    }
}

fn look(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{File, FileTimes, Permissions},
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    #[test]
    fn every_change_of_a_file_is_seen() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 6] = [
            ("written", |file| fs::write(file, "longer").unwrap()),
            ("another mode", |file| fs::set_permissions(file, Permissions::from_mode(0o400)).unwrap()),
            ("gone", |file| fs::remove_file(file).unwrap()),
            ("there again", |file| fs::write(file, "x").unwrap()),
            ("another file of the same length and time", |file| {
                let (next, modified) = (file.with_extension("next"), fs::metadata(file).unwrap().modified());
                fs::write(&next, "y").unwrap();
                let times = FileTimes::new().set_modified(modified.unwrap());
                File::options().write(true).open(&next).unwrap().set_times(times).unwrap();
                fs::rename(next, file).unwrap();
            }),
            ("a link to another file", |file| {
                let other = file.with_extension("other");
                fs::rename(file, &other).unwrap();
                fs::write(file.with_extension("third"), "z").unwrap();
                symlink(file.with_extension("third"), file).unwrap();
            }),
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "x").unwrap();
        for (name, change) in changes {
            let before = Stamp::of(&file);
            assert_eq!(Stamp::of(&file), before);
            change(&file);
            assert_ne!(Stamp::of(&file), before, "{name}");
        }
    }
}
