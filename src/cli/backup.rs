use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use tokio::time::sleep;

use super::{database::Database, input, output, progress::Progress, stop::Signals};
use crate::{
    files::secret_options,
    store::{Access, DatabaseUrl},
};

/// Copy a SQLite database into a new file while the service runs
///
/// The copy is the database as it is when the command begins. Only its owner can read it, and sealed records stay
/// sealed. To restore it, stop the service, remove the files of the database (also -wal and -shm), and copy the file
/// to the database's place.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Backup {
    /// The new file
    #[arg(value_name = "FILE", value_parser = input::new_file("a backup"))]
    file: PathBuf,
    #[command(flatten)]
    database: Database,
}

const EXAMPLES: &str = "\
Examples:
  customers-api backup customers-2026-01-31.db
  customers-api backup /backup/customers.db --database-url sqlite:/var/lib/customers/customers.db";

const LOOK_PAUSE: Duration = Duration::from_millis(100);

const INTERRUPTED: &str = "interrupted: there is no backup";

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { file, database } = self;
        if let DatabaseUrl::Postgres(_) = database.database_url {
            let message = "only a SQLite database is copied into a file: use pg_dump for Postgres\n";
            return Err(clap::Error::raw(clap::error::ErrorKind::ValueValidation, message).into());
        }
        let shown = file.display();
        let file = std::path::absolute(&file).with_context(|| format!("cannot write {shown}"))?;
        let mut signals = Signals::listen()?;
        let store = tokio::select! {
            opened = database.open(Access::Read) => opened?,
            () = signals.next() => bail!(INTERRUPTED),
        };
        ensure!(fs::symlink_metadata(&file).is_err(), "the file {shown} is there already");
        let partial = Partial::create(&file)?;
        let mut backup = store.backup(&partial.path).await.context("cannot copy the database")?;
        let mut progress = Progress::of_bytes(backup.bytes, "bytes were copied");
        loop {
            tokio::select! {
                copied = backup.finish() => break copied.context("cannot copy the database")?,
                () = signals.next() => bail!(INTERRUPTED),
                () = sleep(LOOK_PAUSE) => progress.set(partial.bytes()),
            }
        }
        progress.end();
        let bytes = partial.bytes();
        partial.keep_as(&file).with_context(|| format!("cannot write {shown}"))?;
        output::report(&format!("copied {bytes} bytes into {shown}"))
    }
}

/// The file while it is written, in a folder of its own that goes away when this is dropped: SQLite makes other files beside
/// it. Under its own name the backup is whole or not there.
struct Partial {
    folder: PathBuf,
    path: PathBuf,
    content: File,
}

/// How often the folder is removed, if SQLite makes files in it meanwhile.
const REMOVALS_MAX: usize = 100;

impl Partial {
    fn create(file: &Path) -> anyhow::Result<Self> {
        let mut name = file.as_os_str().to_owned();
        name.push(".partial");
        let folder = PathBuf::from(name);
        let shown = folder.display();
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| match fs::symlink_metadata(&folder) {
            Ok(_) => {
                format!("another backup is being written in {shown}, or was interrupted: if so, run `rm -r {shown}`")
            }
            Err(_) => format!("cannot create {shown}"),
        })?;
        let path = folder.join("copy.db");
        let content = secret_options().create_new(true).open(&path);
        // The first error tells more.
        let content = content.inspect_err(|_| drop(fs::remove_dir(&folder)));
        let content = content.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { folder, path, content })
    }

    fn bytes(&self) -> u64 {
        self.content.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Puts the file in its place, where it is on disk afterwards. It replaces no other file.
    fn keep_as(self, file: &Path) -> io::Result<()> {
        self.content.sync_all()?;
        match fs::hard_link(&self.path, file) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // Some file systems have no links.
            Err(_) if fs::symlink_metadata(file).is_err() => fs::rename(&self.path, file)?,
            linked => linked?,
        }
        drop(self);
        match file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After an interruption, SQLite may still be at work.
        for _ in 0..REMOVALS_MAX {
            match fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {}
                _ => return,
            }
        }
    }
}
