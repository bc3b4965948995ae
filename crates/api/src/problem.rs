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
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal, $status:literal, $title:literal, $next:literal;)+) => {
        /// Every code that the API answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemCode { $($(#[doc = $doc])+ $variant,)+ }

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

            /// When it is answered, in a sentence: what its page says.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim()),+ }
            }

            /// The code in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What to do next, where nothing better is known about this one answer.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self { $(Self::$variant => $next),+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON, is too deep, or names a key twice.
    BodyMalformed = "body_malformed", 400, "The body could not be read",
        "send one JSON object with each key once";
    /// The body holds a key that this operation does not know.
    BodyUnknownField = "body_unknown_field", 400, "The body holds an unknown field",
        "take the named key out; the OpenAPI document lists what is known";
    /// The body holds a field that only the server sets.
    FieldNotWritable = "field_not_writable", 400, "This field can't be written",
        "take the named key out: the server sets it";
    /// A value in the body has the wrong type or form.
    BodyInvalid = "body_invalid", 400, "A field of the body can't be used",
        "mend the named field; the OpenAPI document says what it takes";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", 413, "The body is too large",
        "send less at once";
    /// The body is of another media type than `application/json`.
    MediaTypeUnsupported = "media_type_unsupported", 415, "The body must be application/json",
        "send `Content-Type: application/json`";
    /// A query parameter or header is unknown or can't be used.
    ParameterInvalid = "parameter_invalid", 400, "A parameter can't be used",
        "mend the named parameter or header; the OpenAPI document says what it takes";
    /// The page cursor was edited, belongs to another user, or to other filters.
    PageTokenInvalid = "page_token_invalid", 400, "The page cursor can't be used",
        "begin again with the first page";
    /// No token, or one that is not valid (any more).
    TokenInvalid = "token_invalid", 401, "Log in first",
        "waybill login";
    /// E-mail address and password do not fit together.
    LoginFailed = "login_failed", 401, "The login was refused",
        "check e-mail address and password, then try again";
    /// The setup token is wrong, used, or setup has been done.
    SetupRefused = "setup_refused", 401, "The setup was refused",
        "waybill-orchestrator setup-token prints a new token, unless there is an administrator already: then waybill login";
    /// The invitation is wrong, used, too old, taken back, or more than who made it may still give.
    InvitationRefused = "invitation_refused", 401, "The invitation was refused",
        "ask whoever invited you for a new one: an invitation is good once, for 72 hours";
    /// The link for a new password is wrong, used, too old, or its maker may not give it any more.
    ResetRefused = "reset_refused", 401, "The link was refused",
        "ask whoever looks after people for a new one: a link is good once, for an hour where they said nothing else";
    /// The caller's role does not allow the action.
    Forbidden = "forbidden", 403, "Your role does not allow this",
        "ask an administrator of the organization or an admin of the project";
    /// Nothing is there, or nothing that this caller may see.
    NotFound = "not_found", 404, "Not found",
        "look at the list of its kind; what belongs to others is not shown";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here",
        "the `Allow` header says which methods there are";
    /// Something of that name exists.
    NameTaken = "name_taken", 409, "The name is taken",
        "choose another name, or change the one that is there";
    /// The object is in use by others.
    InUse = "in_use", 409, "It is in use",
        "look at what uses it, and change that first";
    /// The change would leave nobody who owns the organization or the project.
    LastOwner = "last_owner", 409, "The last owner stays",
        "make somebody else an owner first";
    /// The object's state does not allow the action.
    StateConflict = "state_conflict", 409, "Its state does not allow this",
        "look at it as it is now, then decide again";
    /// A run of this pipeline is live.
    RunLive = "run_live", 409, "A run of this pipeline is live",
        "cancel the run, or wait for its end";
    /// A request with the same idempotency key is still being worked on.
    IdempotencyPending = "idempotency_pending", 409, "The first request with this key is still running",
        "wait a moment, then send the same request again";
    /// The object changed since it was read.
    PreconditionFailed = "precondition_failed", 412, "It changed since you read it",
        "read it again, then decide anew";
    /// `If-Match` is missing.
    PreconditionRequired = "precondition_required", 428, "Say which version you mean",
        "read it, and send its ETag as `If-Match`";
    /// The same idempotency key was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422, "The idempotency key was used for something else",
        "take a new idempotency key for a new request";
    /// A name holds characters that names can't hold.
    NameInvalid = "name_invalid", 422, "The name can't be used",
        "take lower-case letters, digits, - and _, a letter or digit first, 63 at most";
    /// The password is too short, too long or well known.
    PasswordWeak = "password_weak", 422, "The password can't be used",
        "choose a longer one, such as four words that nobody says together";
    /// The document has mistakes; `errors` names each.
    SpecInvalid = "spec_invalid", 422, "The document has mistakes",
        "mend what is named, then apply the file again";
    /// The place of a system changes; every secret that goes there must be named anew in the same request.
    SecretRequired = "secret_required", 422, "Name the secret anew",
        "name the secret anew: `waybill apply --secret CONNECTION.FIELD=REFERENCE`";
    /// The role of a data plane can be assumed without its external id, or with a wrong one.
    ExternalIdNotEnforced = "external_id_not_enforced", 422, "The role must ask for its external id",
        "put the external id into the role's trust policy: `waybill data-plane policy NAME --document trust`";
    /// A data plane, bucket or secret stands in a region that the project does not allow.
    RegionNotAllowed = "region_not_allowed", 422, "This region is not allowed in the project",
        "move it, or allow the region: `waybill project set NAME --allow-region REGION`";
    /// A schedule can't be used.
    ScheduleInvalid = "schedule_invalid", 422, "The schedule can't be used",
        "mend the cron line, the zone or the distance that is named";
    /// A value is well-formed but can't be used here.
    Unusable = "unusable", 422, "A value can't be used here",
        "change the value that is named";
    /// More requests, or more failed logins, than allowed for now.
    TooManyRequests = "too_many_requests", 429, "Too many requests",
        "wait as long as `Retry-After` says";
    /// A defect in the server.
    Internal = "internal", 500, "The server failed",
        "look for the request id in the orchestrator's log";
    /// The database can't be reached, or the server is about to stop.
    Unavailable = "unavailable", 503, "Try again soon",
        "try again in a moment";
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
            next: Some(self.next().into()),
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
            assert!(code.problem().next.is_some_and(|next| !next.is_empty()), "{} leaves people alone", code.as_str());
        }
    }
}
