use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, builder::BoolishValueParser};

use crate::{
    record::{Records, SealError},
    store::Store,
};

/// The file of seal keys.
#[derive(Debug, Args)]
pub(super) struct SealKeysFile {
    /// The file with the keys that seal records: lines ID BASE64, the first key is the current one
    #[arg(long, env = "CUSTOMERS_SEAL_KEYS", value_name = "FILE")]
    pub(super) seal_keys: Option<PathBuf>,
}

impl SealKeysFile {
    /// To read records; to write some, [`Records::begin`] is needed, too.
    pub(super) async fn open(&self, store: &Store) -> Result<Records, SealError> {
        Records::start(store, self.seal_keys.clone(), false).await
    }
}

/// How `serve` seals.
#[derive(Debug, Args)]
pub(super) struct SealOptions {
    #[command(flatten)]
    file: SealKeysFile,
    /// Refuse records that are not sealed, even if the database still admits them
    #[arg(long, env = "CUSTOMERS_SEAL_ONLY", value_parser = BoolishValueParser::new())]
    seal_only: bool,
}

impl SealOptions {
    /// To read and write records.
    pub(super) async fn start(&self, store: &Store) -> anyhow::Result<Records> {
        ensure!(
            !self.seal_only || self.file.seal_keys.is_some(),
            "--seal-only needs --seal-keys FILE: there is no key to seal with"
        );
        let records = Records::start(store, self.file.seal_keys.clone(), self.seal_only).await?;
        records.begin(store).await?;
        Ok(records)
    }
}
