//! GetObject and ListObjectsV2 of buckets that hold no object: who may not list is not told that there is none.

use axum::response::Response;

use super::{Key, Shared, answer};

/// Which of the two calls it is.
pub(super) fn action((_, query): (&str, &str)) -> &'static str {
    if query.contains("list-type=2") { "ListObjects" } else { "GetObject" }
}

pub(super) fn call(shared: &Shared, key: &Key, asked: (&str, &str)) -> Response {
    let name = asked.0.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    let state = shared.lock();
    let Some(region) = state.buckets.get(&name) else {
        return answer::s3_error(404, "NoSuchBucket", "The specified bucket does not exist");
    };
    if region != super::REGION {
        return answer::s3_error(
            301,
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed otherwise",
        );
    }
    let role = key.role.as_ref().and_then(|role| state.roles.get(role));
    let may = |action: &str| role.is_some_and(|role| role.extra.contains(&action));
    let denied = |action: &str| {
        let message = format!(
            "User: {} is not authorized to perform: s3:{action} on resource: \"arn:aws:s3:::{name}\" because no \
             identity-based policy allows the s3:{action} action",
            key.arn
        );
        answer::s3_error(403, "AccessDenied", if state.terse { "Access Denied" } else { &message })
    };
    match action(asked) {
        "ListObjects" if may("ListBucket") => answer::xml("<ListBucketResult></ListBucketResult>".to_owned()),
        "ListObjects" => denied("ListBucket"),
        _ if !may("GetObject") => denied("GetObject"),
        _ if !may("ListBucket") => denied("ListBucket"),
        _ => answer::s3_error(404, "NoSuchKey", "The specified key does not exist."),
    }
}
