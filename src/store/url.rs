use std::{fmt, path::PathBuf, str::FromStr};

use super::postgres::url::{InvalidPostgresUrl, PostgresUrl};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `postgres://USER@HOST:PORT/NAME?PARAMETERS`
    Postgres(Box<PostgresUrl>),
}

/// Why a text is no [`DatabaseUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// An engine that does not exist here. Never taken for a file's name.
    #[error("unknown database: must be sqlite:PATH or postgres://USER@HOST/NAME")]
    Scheme,
    /// A database that no second connection would see, or none at all.
    #[error("sqlite: needs the path of a file, such as sqlite:customers.db")]
    Path,
    /// A Postgres URL that cannot be understood whole.
    #[error("postgres: {0}")]
    Postgres(#[from] InvalidPostgresUrl),
}

impl DatabaseUrl {
    /// The name of the engine.
    pub const fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, InvalidDatabaseUrl> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(Box::new(url.parse()?)));
        }
        let path = url.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl::Scheme)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        // SQLite gives a meaning to `:memory:` and `file:`; `://` is the URL of something else.
        let is_special = path.is_empty() || path == "-" || path.starts_with(':') || path.starts_with("file:");
        if is_special || path.trim() != path || path.contains(['?', '#', '\0']) || path.contains("://") {
            return Err(InvalidDatabaseUrl::Path);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Without credentials, for logs.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(formatter),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
