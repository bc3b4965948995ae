//! What is fed with bytes of any kind: by the fuzzer, and in each run of the tests with the inputs that are kept.
//!
//! It is part of no program.

use crate::commit::fuzz;

/// Commits of Delta's log, one after the other.
pub fn delta_log(data: &[u8]) {
    fuzz::delta_log(data);
}

/// Actions of a checkpoint of Delta's log.
pub fn delta_checkpoint(data: &[u8]) {
    fuzz::delta_checkpoint(data);
}

/// Versions of the plain log, one after the other.
pub fn plain_log(data: &[u8]) {
    fuzz::plain_log(data);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn logs_that_are_kept_are_read_or_refused() {
        for (target, feed) in [
            ("delta_log", super::delta_log as fn(&[u8])),
            ("delta_checkpoint", super::delta_checkpoint),
            ("plain_log", super::plain_log),
        ] {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target);
            let mut fed = 0;
            for entry in std::fs::read_dir(&kept).expect(target) {
                feed(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
                fed += 1;
            }
            assert!(fed > 5, "{target}: {fed} inputs");
        }
    }
}
