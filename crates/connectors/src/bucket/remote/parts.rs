//! How an upload is cut: parts in flight within a fixed budget, larger ones after many.

const MIB: u64 = 1 << 20;
/// Parts grow after each so many, so that a long object stays below the service's limit.
const GROW_AFTER: u32 = 1_000;

/// Parts that are taken in order only are whole multiples of this.
pub const STEP: u64 = 256 << 10;

/// How an upload is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Bytes of the first parts.
    pub bytes: u64,
    /// Parts on their way at once.
    pub in_flight: u64,
}

impl Parts {
    /// 16 MiB and four in flight, less where the budget is small; never below 8 MiB.
    #[must_use]
    pub fn for_memory(memory: u64) -> Self {
        let share = memory / 4;
        let bytes = (share / 5).clamp(8 * MIB, 16 * MIB);
        Self { bytes, in_flight: (share / bytes).saturating_sub(1).clamp(1, 4) }
    }

    /// The same memory for a store that takes one part after the other: one on its way and one that is filled.
    pub(super) fn in_order(self) -> Self {
        Self { bytes: (self.buffer() / 2 / STEP).max(1) * STEP, in_flight: 1 }
    }

    /// What an upload may hold: the parts in flight and the one that is being filled.
    pub(super) const fn buffer(self) -> u64 {
        self.bytes * (self.in_flight + 1)
    }

    /// The size of a part and how many of that size may be in flight: their sum never grows.
    pub(super) fn of(self, number: u32) -> (u64, usize) {
        let doubled = self.bytes << ((number - 1) / GROW_AFTER).min(16);
        let bytes = doubled.min(self.buffer() / 2);
        (bytes, usize::try_from(self.buffer() / bytes - 1).unwrap_or(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_the_budget_and_the_service() {
        assert_eq!(Parts::for_memory(128 * MIB), Parts { bytes: 8 * MIB, in_flight: 3 });
        assert_eq!(Parts::for_memory(64 * MIB), Parts { bytes: 8 * MIB, in_flight: 1 });
        assert_eq!(Parts::for_memory(4 << 30), Parts { bytes: 16 * MIB, in_flight: 4 });
        let parts = Parts::for_memory(4 << 30);
        for number in [1, 1000, 1001, 2001, 5000, 10_000] {
            let (bytes, at_once) = parts.of(number);
            assert!(bytes * (at_once as u64 + 1) <= parts.buffer(), "part {number}");
        }
        assert_eq!((parts.of(1000).0, parts.of(1001).0), (16 * MIB, 32 * MIB));
    }

    #[test]
    fn parts_that_go_in_order_are_whole_steps_one_at_a_time_in_the_same_memory() {
        for memory in [0, 64 * MIB, 128 * MIB, 200_000_001, 4 << 30] {
            let parts = Parts::for_memory(memory);
            let (one, at_once) = parts.in_order().of(2_500);
            assert_eq!((one % STEP, at_once), (0, 1), "{memory}");
            assert!(parts.in_order().buffer() <= parts.buffer() && one >= 8 * MIB, "{memory}: {one}");
        }
    }
}
