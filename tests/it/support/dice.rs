/// Numbers that look random, and are the same for each seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below this one.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(crate) fn number(&mut self, sides: u32) -> u32 {
        u32::try_from(self.roll(sides.into())).unwrap()
    }

    /// An index into so many.
    pub(crate) fn pick(&mut self, many: usize) -> usize {
        usize::try_from(self.roll(many as u64)).unwrap()
    }
}
