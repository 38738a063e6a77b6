//! The ids of customers, in no order, as callers send them: UUIDs, and random texts with a prefix.

use customers_api::random;
use uuid::Builder;

use crate::dice::{dice, pick};

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many letters follow the prefix.
const LETTER_COUNT: usize = 22;

/// A list of ids without end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    seed: u64,
    is_ascending: bool,
}

impl Ids {
    /// Those of the customers that are there from the start.
    pub(crate) const SEEDED: Self = Self { seed: 0, is_ascending: false };

    /// Ids that nobody used before.
    #[allow(clippy::cast_possible_truncation, reason = "half of a random number is a random number")]
    pub(crate) fn fresh(is_ascending: bool) -> Self {
        Self { seed: random::uuid().as_u128() as u64, is_ascending }
    }

    pub(crate) fn id(self, number: usize) -> String {
        if self.is_ascending {
            return format!("{:016x}-{number:08}", self.seed);
        }
        let (high, low) = (dice(self.seed, 2 * number), dice(self.seed, 2 * number + 1));
        if number.is_multiple_of(2) {
            let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            return Builder::from_random_bytes(bytes).into_uuid().to_string();
        }
        let letters = (0..LETTER_COUNT).map(|index| char::from(pick(LETTERS, high ^ low, index)));
        ["cus_".to_owned(), letters.collect()].concat()
    }
}
