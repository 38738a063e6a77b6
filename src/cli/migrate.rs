use super::{database::Database, output};
use crate::store::Access;

/// Bring the database's tables up to date, as `serve` does when it starts
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    database: Database,
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.database.open(Access::Create).await?;
        output::report(&format!("{} is up to date", self.database.database_url))
    }
}
