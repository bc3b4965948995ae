//! Problem details (RFC 9457): the one shape of every answer that is not a success.
//!
//! A code is a public contract: never renamed. Texts never repeat what the caller sent beyond the names of known fields.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::example::Example;

/// Where the page of a code stands, relative to the server.
pub const DOCS: &str = "/docs/reference/problems#";
/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The page that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in a few words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The path that was asked for.
    #[serde(default)]
    pub instance: String,
    /// A stable word to decide on.
    pub code: String,
    /// Names this answer in the server's log; also in `X-Request-Id`.
    #[serde(default)]
    pub request_id: String,
    /// What to do next: a command or a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Every mistake of the input, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One mistake of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer of the field in the request's body, or the parameter's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Line in the document, from 1, where the input is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// A stable word for the mistake, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal, $title:literal;)+) => {
        /// Every code that the API answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemCode { $($(#[$doc])* $variant,)+ }

        impl ProblemCode {
            /// Every code, in declared order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it stands in `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The code in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON, is too deep, or names a key twice.
    BodyMalformed = "body_malformed", 400, "The body could not be read";
    /// The body holds a key that this operation does not know.
    BodyUnknownField = "body_unknown_field", 400, "The body holds an unknown field";
    /// The body holds a field that only the server sets.
    FieldNotWritable = "field_not_writable", 400, "This field can't be written";
    /// A value in the body has the wrong type or form.
    BodyInvalid = "body_invalid", 400, "A field of the body can't be used";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The body is of another media type than `application/json`.
    MediaTypeUnsupported = "media_type_unsupported", 415, "The body must be application/json";
    /// A query parameter or header is unknown or can't be used.
    ParameterInvalid = "parameter_invalid", 400, "A parameter can't be used";
    /// The page cursor was edited, belongs to another user, or to other filters.
    PageTokenInvalid = "page_token_invalid", 400, "The page cursor can't be used";
    /// No token, or one that is not valid (any more).
    TokenInvalid = "token_invalid", 401, "Log in first";
    /// E-mail address and password do not fit together.
    LoginFailed = "login_failed", 401, "The login was refused";
    /// The setup token is wrong, used, or setup has been done.
    SetupRefused = "setup_refused", 401, "The setup was refused";
    /// The caller's role does not allow the action.
    Forbidden = "forbidden", 403, "Your role does not allow this";
    /// Nothing is there, or nothing that this caller may see.
    NotFound = "not_found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// Something of that name exists.
    NameTaken = "name_taken", 409, "The name is taken";
    /// The object is in use by others.
    InUse = "in_use", 409, "It is in use";
    /// The object's state does not allow the action.
    StateConflict = "state_conflict", 409, "Its state does not allow this";
    /// A run of this pipeline is live.
    RunLive = "run_live", 409, "A run of this pipeline is live";
    /// A request with the same idempotency key is still being worked on.
    IdempotencyPending = "idempotency_pending", 409, "The first request with this key is still running";
    /// The object changed since it was read.
    PreconditionFailed = "precondition_failed", 412, "It changed since you read it";
    /// `If-Match` is missing.
    PreconditionRequired = "precondition_required", 428, "Say which version you mean";
    /// The same idempotency key was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422, "The idempotency key was used for something else";
    /// A name holds characters that names can't hold.
    NameInvalid = "name_invalid", 422, "The name can't be used";
    /// The password is too short, too long or well known.
    PasswordWeak = "password_weak", 422, "The password can't be used";
    /// The document has mistakes; `errors` names each.
    SpecInvalid = "spec_invalid", 422, "The document has mistakes";
    /// The place of a system changes; every secret that goes there must be named anew in the same request.
    SecretRequired = "secret_required", 422, "Name the secret anew";
    /// The role of a data plane can be assumed without its external id, or with a wrong one.
    ExternalIdNotEnforced = "external_id_not_enforced", 422, "The role must ask for its external id";
    /// A data plane, bucket or secret stands in a region that the project does not allow.
    RegionNotAllowed = "region_not_allowed", 422, "This region is not allowed in the project";
    /// A schedule can't be used.
    ScheduleInvalid = "schedule_invalid", 422, "The schedule can't be used";
    /// A value is well-formed but can't be used here.
    Unusable = "unusable", 422, "A value can't be used here";
    /// More requests, or more failed logins, than allowed for now.
    TooManyRequests = "too_many_requests", 429, "Too many requests";
    /// A defect in the server.
    Internal = "internal", 500, "The server failed";
    /// The database can't be reached, or the server is about to stop.
    Unavailable = "unavailable", 503, "Try again soon";
}

impl ProblemCode {
    /// A problem of this code.
    #[must_use]
    pub fn problem(self) -> Problem {
        Problem {
            kind: format!("{DOCS}{}", self.as_str()),
            title: self.title().into(),
            status: self.status(),
            detail: None,
            instance: String::new(),
            code: self.as_str().into(),
            request_id: String::new(),
            next: None,
            errors: Vec::new(),
        }
    }

    /// The code of this word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl Example for Problem {
    fn example() -> Self {
        Self {
            detail: Some("no such pipeline in this organization".into()),
            instance: "/v1/runs".into(),
            request_id: "req_01jd8m2v5k0000000000000001".into(),
            next: Some("waybill pipeline list".into()),
            ..ProblemCode::NotFound.problem()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_has_a_client_or_server_status() {
        for code in ProblemCode::ALL {
            assert_eq!(ProblemCode::read(code.as_str()), Some(*code));
            assert!((400..600).contains(&code.status()));
        }
    }
}
