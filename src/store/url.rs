use std::{fmt, path::PathBuf, str::FromStr};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
}

/// Why a text is no [`DatabaseUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// An engine that does not exist here. Never taken for a file's name.
    #[error("unknown database: must be sqlite:PATH")]
    Scheme,
    /// A database that no second connection would see, or none at all.
    #[error("sqlite: needs the path of a file, such as sqlite:customers.db")]
    Path,
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, InvalidDatabaseUrl> {
        let path = url.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl::Scheme)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') || path.contains(['?', '#', '\0']) {
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
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
