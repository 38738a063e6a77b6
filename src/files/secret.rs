//! Files that hold a secret: seal keys, the private key of a certificate, a database.
//!
//! One rule for all that are read. The file belongs to root, or to the user of the process. Besides the owner only a group of
//! the process may read it, which is how Kubernetes gives a secret to a container without root (`fsGroup`, mode 0440).

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::process::{Gid, getegid, geteuid, getgroups};
use zeroize::Zeroizing;

/// Why a file is not read as a secret, in words that follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It belongs to neither root nor the user of the process, so somebody else can change it.
    #[error("belongs to another user: it must belong to the user of the service, or to root")]
    OfAnotherUser,
    #[error("can be read by others: run `chmod 600` on it")]
    ReadableByOthers,
}

impl From<io::Error> for SecretError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Reads a file that nobody but its owner and the groups of this process may read. The bytes are wiped from memory when
/// they are dropped.
pub fn read_secret(file: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let mut file = File::open(file)?;
    let metadata = file.metadata()?;
    Process::of_this()?.check(metadata.uid(), metadata.gid(), metadata.mode())?;
    // With room for all of it, no part stays behind in memory that was too small.
    let bytes = usize::try_from(metadata.size()).unwrap_or_default();
    let mut secret = Zeroizing::new(Vec::with_capacity(bytes + 1));
    file.read_to_end(&mut secret)?;
    Ok(secret)
}

/// How a file is opened for writing that only its owner can read, if it is made.
pub fn secret_options() -> OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600);
    options
}

/// The process that reads.
struct Process {
    user: u32,
    groups: Vec<u32>,
}

impl Process {
    fn of_this() -> io::Result<Self> {
        let groups = getgroups()?.into_iter().chain([getegid()]);
        Ok(Self { user: geteuid().as_raw(), groups: groups.map(Gid::as_raw).collect() })
    }

    fn check(&self, owner: u32, group: u32, mode: u32) -> Result<(), SecretError> {
        const ROOT: u32 = 0;
        const OF_OWNER: u32 = 0o700;
        const READ_BY_GROUP: u32 = 0o040;
        if owner != ROOT && owner != self.user {
            return Err(SecretError::OfAnotherUser);
        }
        let of_group = if self.groups.contains(&group) { READ_BY_GROUP } else { 0 };
        if mode & 0o777 & !(OF_OWNER | of_group) == 0 { Ok(()) } else { Err(SecretError::ReadableByOthers) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_and_for_a_group_of_the_service() {
        const USER: u32 = 65532;
        const FS_GROUP: u32 = 2000;
        let service = Process { user: USER, groups: vec![USER, FS_GROUP] };
        for (owner, group, mode, allowed) in [
            (USER, USER, 0o600, Ok(())),
            (USER, 7, 0o400, Ok(())),
            (USER, 7, 0o700, Ok(())),
            (USER, USER, 0o640, Ok(())),
            // Kubernetes: a secret with `fsGroup`, whatever `runAsUser` is.
            (0, FS_GROUP, 0o440, Ok(())),
            (0, FS_GROUP, 0o640, Ok(())),
            (0, 0, 0o600, Ok(())),
            (0, 0, 0o440, Err(SecretError::ReadableByOthers)),
            (USER, 7, 0o640, Err(SecretError::ReadableByOthers)),
            (0, FS_GROUP, 0o460, Err(SecretError::ReadableByOthers)),
            (0, FS_GROUP, 0o450, Err(SecretError::ReadableByOthers)),
            (0, FS_GROUP, 0o444, Err(SecretError::ReadableByOthers)),
            (USER, USER, 0o602, Err(SecretError::ReadableByOthers)),
            (USER, USER, 0o601, Err(SecretError::ReadableByOthers)),
            (1000, FS_GROUP, 0o440, Err(SecretError::OfAnotherUser)),
            (1000, USER, 0o600, Err(SecretError::OfAnotherUser)),
        ] {
            assert_eq!(service.check(owner, group, mode), allowed, "{owner}:{group} {mode:o}");
        }
    }
}
