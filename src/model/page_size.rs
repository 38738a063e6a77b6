use std::str::FromStr;

/// The largest number of customers on one page.
pub const PAGE_ITEMS_MAX: u32 = 100;

/// How many customers a page holds at most: 1 to [`PAGE_ITEMS_MAX`], 20 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u32);

/// Why a text is not a [`PageSize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from 1 to {PAGE_ITEMS_MAX}")]
pub struct InvalidPageSize;

impl PageSize {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(20)
    }
}

impl FromStr for PageSize {
    type Err = InvalidPageSize;

    /// Takes an integer as JSON writes it: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, InvalidPageSize> {
        let size: u32 = text.parse().map_err(|_| InvalidPageSize)?;
        let is_canonical = size.to_string() == text;
        if is_canonical && (1..=PAGE_ITEMS_MAX).contains(&size) {
            Ok(Self(size))
        } else {
            Err(InvalidPageSize)
        }
    }
}
