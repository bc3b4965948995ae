//! Pages of the reference that are made from code, so that they can't say something else than the product does.

use std::fmt::Write;

use waybill_model::FailureCode;
use waybill_model::failure::RetryPolicy;

/// Every failure code with its retry policy and hint.
#[must_use]
pub fn failures() -> String {
    let mut page = String::from(
        "# Failure codes\n\nA public contract: a code is never renamed. `retry` is tried again by itself with a growing, jittered wait; \
         `retry after` waits as long as the other side named; `after a fix` waits for somebody; `never` ends.\n\n\
         | code | retried | what to do |\n|---|---|---|\n",
    );
    for code in FailureCode::ALL {
        let policy = match code.policy() {
            RetryPolicy::Retry => "retry",
            RetryPolicy::RetryAfter => "retry after",
            RetryPolicy::AfterFix => "after a fix",
            RetryPolicy::Never => "never",
        };
        writeln!(page, "| `{code}` | {policy} | {} |", code.hint()).expect("write to a string");
    }
    page
}
