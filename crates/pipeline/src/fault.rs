//! A failure of the data plane: a public code that may leave, and a text that stays in the customer's log.
//!
//! The text has no `Debug`, `Display` or `Serialize`, so that it can't be formatted into anything that leaves by mistake.

use waybill_model::FailureCode;
use waybill_model::failure::known_sqlstate;
use waybill_model::name::NoName;

/// The result of everything that can fail with a public code.
pub type FaultResult<T> = Result<T, Fault>;

/// Text for the customer's own log only; may name files, tables and what a driver said. Never a secret or a row.
#[derive(Clone, Default)]
pub struct CustomerText(String);

impl CustomerText {
    /// Wraps a text that must stay on the customer's side.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the customer's log and for the terminal of `waybill-worker once`.
    #[must_use]
    pub fn for_customer(&self) -> &str {
        &self.0
    }
}

/// Why a stream failed.
#[derive(Clone)]
pub struct Fault {
    /// The public code.
    pub code: FailureCode,
    /// SQLSTATE from the compiled list, or `other`.
    pub sqlstate: Option<&'static str>,
    /// What stays with the customer.
    pub text: CustomerText,
}

impl Fault {
    /// A failure with a text for the customer's log.
    pub fn new(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code, sqlstate: None, text: CustomerText::new(text) }
    }

    /// The same with the SQLSTATE that the source gave; one outside the compiled list becomes `other`.
    #[must_use]
    pub fn with_sqlstate(mut self, state: &str) -> Self {
        self.sqlstate = Some(known_sqlstate(state));
        self
    }
}

impl From<NoName> for Fault {
    fn from(why: NoName) -> Self {
        Self::new(FailureCode::SpecRefused, why.to_string())
    }
}

/// Prints the code and nothing else.
impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())
    }
}

/// Prints the code and nothing else.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl std::error::Error for Fault {}
