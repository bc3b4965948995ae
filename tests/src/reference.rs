//! Pages of the reference that are made from code, so that they can't say something else than the product does.

use std::fmt::Write;

use waybill_api::ProblemCode;
use waybill_api::problem::{DOCS, MEDIA_TYPE};
use waybill_model::FailureCode;
use waybill_model::failure::RetryPolicy;
use waybill_spec::describe::{describe, markdown};

use crate::binaries::repository;

/// Every failure code with its retry policy and hint.
#[must_use]
pub fn failures() -> String {
    let mut page = String::from(
        "# Failure codes\n\nA public contract: a code is never renamed. `retry` is tried again by itself with a growing, jittered wait; \
         `retry after` likewise, but never before half of the longest wait (`bounds.backoff-max`) is over, since the other side \
         asked for patience; `after a fix` waits for somebody; `never` ends.\n\n\
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

/// What `waybill pipeline describe` prints of the example.
pub fn description() -> anyhow::Result<String> {
    let file = repository().join("examples/described.waybill.yaml");
    let found = |found| anyhow::anyhow!("the example is refused: {found:?}");
    let document = waybill_spec::parse(&std::fs::read_to_string(file)?).map_err(found)?;
    let plan = document.plan("shop").ok_or_else(|| anyhow::anyhow!("the example has no pipeline `shop`"))?;
    Ok(markdown(&describe(&plan)))
}

/// Every problem code under a heading of its own, which is what `type` of a problem points to.
#[must_use]
pub fn problems() -> String {
    let mut page = format!(
        "# Problems\n\nWhat the API answers with where it does not succeed, as `{MEDIA_TYPE}` (RFC 9457). `type` points below this page \
         (`{DOCS}CODE`), `code` is a public contract and never renamed, `detail` says what was wrong here, `errors` names each \
         mistake of the input, `next` is the command or link that helps, and `request_id` finds the answer in the server's log. \
         Failures of runs have their own codes: [failures.md](failures.md).\n",
    );
    for code in ProblemCode::ALL {
        let (word, status, title) = (code.as_str(), code.status(), code.title());
        writeln!(page, "\n## {word}\n\n{status} · {title}. {} What helps: {}.", code.meaning(), code.next())
            .expect("write to a string");
    }
    page
}
