use std::borrow::Cow;

use crate::account::{Account, InvalidAccount};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A customer.
    Customer,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Customer];

    /// What the key of a record has after the name of the account. No name holds the character `/`.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Customer => "",
        }
    }
}

/// The records of one kind that an account has: the first part of every key, in the column `account`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection<'a> {
    kind: Kind,
    key: Cow<'a, str>,
}

impl<'a> Collection<'a> {
    /// The records of this kind that an account has.
    pub fn new(account: &'a Account, kind: Kind) -> Self {
        let key = match kind.suffix() {
            "" => Cow::Borrowed(account.as_str()),
            suffix => Cow::Owned(format!("{account}{suffix}")),
        };
        Self { kind, key }
    }

    /// The collection that a key names, such as `acme`.
    pub fn parse(key: &'a str) -> Result<Self, InvalidAccount> {
        let (account, kind) = Self::split(key);
        account.parse::<Account>()?;
        Ok(Self { kind, key: Cow::Borrowed(key) })
    }

    /// The kind of the records of a key, whatever its account is called.
    pub(crate) fn kind_of(key: &str) -> Kind {
        Self::split(key).1
    }

    fn split(key: &str) -> (&str, Kind) {
        let place = key.find('/').unwrap_or(key.len());
        let (account, suffix) = key.split_at(place);
        let kind = Kind::ALL.into_iter().find(|kind| kind.suffix() == suffix);
        // A suffix that no kind has belongs to the name, which it makes invalid.
        kind.map_or((key, Kind::Customer), |kind| (account, kind))
    }

    /// The kind of the records.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same collection, to be asked once more.
    pub fn by_ref(&self) -> Collection<'_> {
        Collection { kind: self.kind, key: Cow::Borrowed(&self.key) }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.key
    }
}

/// The customers of an account.
impl<'a> From<&'a Account> for Collection<'a> {
    fn from(account: &'a Account) -> Self {
        Self::new(account, Kind::Customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_an_account_and_a_kind() {
        let account: Account = "acme".parse().unwrap();
        for kind in Kind::ALL {
            let collection = Collection::new(&account, kind);
            assert_eq!(Collection::parse(collection.as_str()).as_ref(), Ok(&collection));
            assert_eq!(Collection::kind_of(collection.as_str()), kind);
        }
        assert_eq!(Collection::from(&account).as_str(), "acme");
        for key in ["", "/", "acme/", "acme/x", "/acme", "a b"] {
            assert_eq!(Collection::parse(key), Err(InvalidAccount), "{key}");
        }
    }
}
