//! What is fed with bytes of any kind: by the fuzzer, and in each run of the tests with the inputs that are kept.
//!
//! It is part of no program.

use crate::source;

/// A COPY of PostgreSQL.
pub fn postgres_copy(data: &[u8]) {
    source::postgres::fuzz::copy(data);
}

/// Rows of MySQL.
pub fn mysql_rows(data: &[u8]) {
    source::mysql::fuzz::rows(data);
}

/// A file of CSV.
pub fn csv(data: &[u8]) {
    source::files::fuzz::csv(data);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn inputs_that_are_kept_are_read_or_refused() {
        for (target, feed) in [
            ("postgres_copy", super::postgres_copy as fn(&[u8])),
            ("mysql_rows", super::mysql_rows),
            ("csv", super::csv),
        ] {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target);
            let mut fed = 0;
            for entry in std::fs::read_dir(&kept).expect(target) {
                feed(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
                fed += 1;
            }
            assert!(fed > 10, "{target}: {fed} inputs");
        }
    }
}
