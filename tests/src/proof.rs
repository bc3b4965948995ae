//! How long a random story goes on: short in every run of the tests, long where a proof asks for it.

/// As many runs at once as `FAULT_RUNS` says; these many where it says nothing.
#[must_use]
pub fn runs(usual: usize) -> usize {
    std::env::var("FAULT_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// As many cases as `PROPTEST_CASES` says; these many where it says nothing.
#[must_use]
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
