//! What an answer of the service means. Of it only status and reason are kept: its message may name things.

use serde::Deserialize;

use super::super::remote::{Failed, Kind};

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    error: Words,
}

#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

/// The reasons for waiting.
const BUSY: &[&str] = &["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"];

/// What a refusal means. Where contents were asked for it is plain text.
pub(super) fn judge(operation: &'static str, status: u16, body: &[u8]) -> Failed {
    let said = serde_json::from_slice::<Said>(body).unwrap_or_default().error;
    let message = if said.message.is_empty() { String::from_utf8_lossy(body).into_owned() } else { said.message };
    let reason = said.errors.first().map(|cause| cause.reason.as_str()).filter(|reason| !reason.is_empty());
    let reason = reason.unwrap_or("without a reason");
    Failed::answered(by_answer(operation, status, reason, &message), operation, status, reason)
}

fn by_answer(operation: &str, status: u16, reason: &str, message: &str) -> Kind {
    // Of these two the service says the same by its reason.
    let is_sum = status == 400 && (message.contains("CRC32C") || message.contains("MD5"));
    let no_bucket = message.starts_with("The specified bucket does not exist");
    match (status, reason) {
        _ if is_sum => Kind::Garbled,
        (429, _) => Kind::Throttled,
        (_, reason) if BUSY.contains(&reason) => Kind::Throttled,
        (501, _) => Kind::Unsupported,
        (500.., _) | (408, _) => Kind::Unanswered,
        (403, "retentionPolicyNotMet" | "objectUnderActiveHold") => Kind::Other,
        (401 | 403, _) => Kind::Denied,
        (404, _) if no_bucket || matches!(operation, "ListObjects" | "InsertObject" | "BeginUpload") => Kind::NoBucket,
        // The session of an upload is gone: what was sent in it is, too.
        (404 | 410, _) if matches!(operation, "UploadPart" | "UploadStatus" | "FinishUpload") => Kind::Other,
        (404, _) => Kind::Absent,
        (412, _) => Kind::Precondition,
        (409, _) => Kind::Conflict,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let no_bucket = "The specified bucket does not exist.";
        let sums = r#"Provided CRC32C "1DxABw==" doesn't match calculated CRC32C "mnG7TA=="."#;
        for (operation, status, reason, message, kind) in [
            ("InsertObject", 412, "conditionNotMet", "", Kind::Precondition),
            ("InsertObject", 409, "conflict", "", Kind::Conflict),
            ("InsertObject", 400, "invalid", sums, Kind::Garbled),
            ("InsertObject", 400, "invalid", "Invalid argument.", Kind::Other),
            ("InsertObject", 429, "rateLimitExceeded", "", Kind::Throttled),
            ("InsertObject", 403, "quotaExceeded", "", Kind::Throttled),
            ("InsertObject", 503, "backendError", "", Kind::Unanswered),
            ("InsertObject", 408, "without a reason", "", Kind::Unanswered),
            ("InsertObject", 404, "notFound", no_bucket, Kind::NoBucket),
            ("GetObject", 401, "authError", "", Kind::Denied),
            ("GetObject", 403, "forbidden", "", Kind::Denied),
            ("DeleteObject", 403, "retentionPolicyNotMet", "", Kind::Other),
            ("GetObject", 404, "notFound", "No such object: lake/x", Kind::Absent),
            ("GetObject", 404, "notFound", no_bucket, Kind::NoBucket),
            ("UploadPart", 410, "without a reason", "", Kind::Other),
            ("UploadPart", 404, "notFound", "", Kind::Other),
        ] {
            assert_eq!(by_answer(operation, status, reason, message), kind, "{operation} {status} {reason} {message}");
        }
        let plain = judge("GetObject", 404, b"The specified bucket does not exist.");
        assert_eq!(plain.kind, Kind::NoBucket, "contents are refused in plain text");
        assert_eq!(judge("GetObject", 404, b"").kind, Kind::Absent);
    }
}
