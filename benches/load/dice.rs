//! Numbers that look random and are the same in every run, so that two builds get equal loads.

/// The output of SplitMix64 for one of many numbers.
pub(crate) fn dice(seed: u64, number: usize) -> u64 {
    const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = seed.wrapping_add((number as u64).wrapping_add(1).wrapping_mul(GOLDEN_GAMMA));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One of some values.
#[allow(clippy::cast_possible_truncation, reason = "any part of the number is as good as another")]
pub(crate) fn pick<T: Copy>(values: &[T], seed: u64, number: usize) -> T {
    values[dice(seed, number) as usize % values.len()]
}
