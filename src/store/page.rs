//! Pages that are bounded in rows and in bytes.

use super::{
    row::DamagedRow,
    types::{Position, Snapshot, StoredCustomer},
};
use crate::model::SortDirection;

/// How many bytes of records a page has at most, unless its first record alone is longer.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const EXPORT_ROWS_MAX: usize = 500;

/// What a page of a list is asked for.
pub(super) struct PageQuery {
    pub account: String,
    pub direction: SortDirection,
    pub after: Option<Position>,
    /// How many customers the page has at most.
    pub limit: u32,
}

/// What a walk keeps of its first page, and the rows of this one.
pub(super) type Listed = (Snapshot, Page<Result<StoredCustomer, DamagedRow>>);

pub(super) struct Page<T> {
    pub rows: Vec<T>,
    /// Whether there are rows after the last one.
    pub has_more: bool,
    rows_max: usize,
    bytes: usize,
}

impl<T> Page<T> {
    /// A page for at most so many rows.
    pub(super) fn new(rows_max: usize) -> Self {
        Self { rows: Vec::new(), has_more: false, rows_max, bytes: 0 }
    }

    /// Adds the next row, whose record has so many bytes. False if the page is full without it.
    pub(super) fn add(&mut self, row: T, record_bytes: usize) -> bool {
        let fits = self.rows.is_empty()
            || (self.rows.len() < self.rows_max && self.bytes + record_bytes <= PAGE_BYTES_MAX);
        if fits {
            self.bytes += record_bytes;
            self.rows.push(row);
        } else {
            self.has_more = true;
        }
        fits
    }
}

/// Divides the rows of an export into parts.
pub(super) struct Batch<T> {
    rows: Vec<T>,
    bytes: usize,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), bytes: 0 }
    }
}

impl<T> Batch<T> {
    /// Adds the next row, whose record has so many bytes. Returns the rows since the last part if these are enough.
    pub(super) fn add(&mut self, row: T, record_bytes: usize) -> Option<Vec<T>> {
        self.bytes += record_bytes;
        self.rows.push(row);
        let is_enough = self.rows.len() == EXPORT_ROWS_MAX || self.bytes >= PAGE_BYTES_MAX;
        is_enough.then(|| self.take())
    }

    /// The rows since the last part.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: usize = 1024 * 1024;

    fn page(rows_max: usize, records: &[usize]) -> (usize, bool) {
        let mut page = Page::new(rows_max);
        let _ = records.iter().all(|bytes| page.add((), *bytes));
        (page.rows.len(), page.has_more)
    }

    #[test]
    fn a_page_ends_at_its_number_of_rows_or_of_bytes() {
        assert_eq!(page(3, &[]), (0, false));
        assert_eq!(page(3, &[1; 3]), (3, false));
        assert_eq!(page(3, &[1; 4]), (3, true));
        assert_eq!(page(9, &[MEBIBYTE; 4]), (4, false));
        assert_eq!(page(9, &[MEBIBYTE; 5]), (4, true));
        assert_eq!(page(9, &[5 * MEBIBYTE, 1]), (1, true), "the first record is there, however long");
    }
}
