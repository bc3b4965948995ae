//! A changed place demands its secrets anew: nobody sends a stored reference elsewhere by editing a host.
//!
//! The one rule, for single connections and for documents alike. It names fields, never a reference's text.

use std::collections::BTreeMap;

use serde_json::Value;
use waybill_api::ProblemCode;
use waybill_api::problem::FieldError;
use waybill_model::plan::System;

use super::{Refused, ServiceResult};

/// Fields whose reference the connection had before and would now send to another place. Empty where the place stays.
#[must_use]
pub(crate) fn carried(before: &System, after: &System) -> Vec<&'static str> {
    if place(before) == place(after) {
        return Vec::new();
    }
    let had: Vec<_> = before.secrets().into_iter().map(|(_, reference)| reference).collect();
    let keeps = after.credentials().into_iter().filter(|(_, reference)| had.contains(reference));
    keeps.map(|(field, _)| field).collect()
}

/// Everything of a system but its credentials: where it is and how it is spoken to.
fn place(system: &System) -> Value {
    let mut place = serde_json::to_value(system).unwrap_or_default();
    for (field, _) in system.credentials() {
        let (above, last) = field.rsplit_once('.').unwrap_or(("", field));
        let above = if above.is_empty() { String::new() } else { format!("/{}", above.replace('.', "/")) };
        if let Some(object) = place.pointer_mut(&above).and_then(Value::as_object_mut) {
            object.remove(last);
        }
    }
    place
}

/// A carried secret: how the request names it, where an error points to, and the reference that is in the new system.
pub(crate) struct Carried {
    /// `password` for one connection, `shop.password` in a document.
    pub(crate) name: String,
    reference: String,
}

impl Carried {
    /// The carried secrets of one connection, each named behind `prefix`.
    pub(crate) fn of(before: &System, after: &System, prefix: &str) -> Vec<Self> {
        let fields = carried(before, after);
        let kept = after.credentials().into_iter().filter(|(field, _)| fields.contains(field));
        kept.map(|(field, reference)| Self { name: format!("{prefix}{field}"), reference: reference.to_string() })
            .collect()
    }
}

/// Refuses unless each carried secret is named with the reference that the new description holds, and nothing else is.
pub(crate) fn check(carried: &[Carried], named: &BTreeMap<String, String>, next: &str) -> ServiceResult<()> {
    let mut errors = Vec::new();
    for secret in carried {
        let message = match named.get(&secret.name) {
            Some(reference) if *reference == secret.reference => continue,
            Some(_) => format!("`{}` is named with another reference than the description holds", secret.name),
            None => format!("the place changes, so `{}` must be named anew: nobody else may get it", secret.name),
        };
        errors.push(mistake(&secret.name, message));
    }
    let unasked = named.keys().filter(|name| !carried.iter().any(|secret| secret.name == **name));
    errors.extend(unasked.map(|name| {
        let message = "no secret of this name goes to a changed place; leave it out".to_owned();
        mistake(name, message)
    }));
    if errors.is_empty() {
        return Ok(());
    }
    let detail = match carried {
        [] => "nothing here needs a secret to be named anew".to_owned(),
        _ => format!("name anew: {}", names(carried)),
    };
    let next = if carried.is_empty() { "send the request without `secrets`" } else { next };
    Err(Refused::new(ProblemCode::SecretRequired, detail).errors(errors).next(next))
}

fn names(carried: &[Carried]) -> String {
    carried.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn mistake(name: &str, message: String) -> FieldError {
    let shown: String = name.chars().take(100).filter(|c| !c.is_control()).collect();
    FieldError { pointer: Some(format!("/secrets/{shown}")), message, ..FieldError::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop(changes: &Value) -> System {
        let mut system = json!({
            "type": "postgres", "host": "db.internal", "port": 5432, "database": "shop", "user": "ro",
            "password": "env://SHOP", "tls": "verify-full", "ca": "/etc/ca.pem",
        });
        for (key, value) in changes.as_object().expect("an object") {
            system[key] = value.clone();
        }
        serde_json::from_value(system).expect("a system")
    }

    fn bucket(json: Value) -> System {
        serde_json::from_value(json).expect("a system")
    }

    #[test]
    fn h19_every_other_field_of_a_connection_is_its_place() {
        let before = shop(&json!({}));
        for change in [
            json!({ "host": "elsewhere" }),
            json!({ "port": 5433 }),
            json!({ "database": "other" }),
            json!({ "user": "root" }),
            json!({ "tls": "disable" }),
            json!({ "ca": "/tmp/mine.pem" }),
            json!({ "ca": "aws-ssm:///mine" }),
            json!({ "ssh": { "host": "jump.evil", "user": "u", "key": "env://MINE", "host-key": format!("SHA256:{}", "A".repeat(43)) } }),
        ] {
            assert_eq!(carried(&before, &shop(&change)), ["password"], "{change}");
        }
        assert!(carried(&before, &shop(&json!({}))).is_empty());
        // A CA that is found by a reference is one of them: who names another one can stand for the server.
        let found = |name: &str| shop(&json!({ "ca": name }));
        assert_eq!(carried(&found("aws-ssm:///shop/ca"), &found("aws-ssm:///mine")), ["password"]);
        assert!(carried(&found("aws-ssm:///shop/ca"), &found("aws-ssm:///shop/ca")).is_empty());
    }

    #[test]
    fn h19_a_secret_that_changes_with_the_place_or_leaves_is_free_and_one_that_moves_to_another_field_is_not() {
        let before = shop(&json!({}));
        assert!(carried(&before, &shop(&json!({ "host": "elsewhere", "password": "env://OTHER" }))).is_empty());
        assert!(carried(&before, &shop(&json!({ "host": "elsewhere", "password": null }))).is_empty());
        assert!(carried(&before, &shop(&json!({ "password": "env://OTHER" }))).is_empty());
        let thief = json!({ "type": "s3", "bucket": "b", "endpoint": "http://evil", "access-key": "env://A", "secret-key": "env://SHOP" });
        assert_eq!(carried(&before, &bucket(thief)), ["secret-key"]);
    }

    #[test]
    fn h19_nested_secrets_are_left_out_of_the_place() {
        let files = |url: &str, key: &str| {
            let s3 = json!({ "region": "eu-west-1", "access-key": "env://A", "secret-key": key });
            bucket(json!({ "type": "files", "url": url, "s3": s3 }))
        };
        assert!(carried(&files("s3://a/x", "env://S"), &files("s3://a/x", "env://T")).is_empty());
        let both = carried(&files("s3://a/x", "env://S"), &files("s3://b/x", "env://S"));
        assert_eq!(both, ["s3.access-key", "s3.secret-key"]);
        let local = |path: &str| bucket(json!({ "type": "local", "path": path }));
        assert!(carried(&local("/a"), &local("/b")).is_empty());
    }

    #[test]
    fn a_reference_that_is_named_but_not_asked_for_or_another_one_is_refused_without_its_text() {
        let (before, after) = (shop(&json!({})), shop(&json!({ "host": "elsewhere" })));
        let carried = Carried::of(&before, &after, "shop.");
        let named = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        assert!(check(&carried, &named(&[("shop.password", "env://SHOP")]), "x").is_ok());
        for (given, pointer) in [
            (named(&[]), "/secrets/shop.password"),
            (named(&[("shop.password", "hunter2")]), "/secrets/shop.password"),
            (named(&[("shop.password", "env://SHOP"), ("lake.key", "hunter2")]), "/secrets/lake.key"),
        ] {
            let refused = check(&carried, &given, "x").expect_err("a refusal");
            assert_eq!(refused.code, ProblemCode::SecretRequired);
            assert_eq!(refused.errors.last().and_then(|e| e.pointer.clone()).as_deref(), Some(pointer));
            assert!(!format!("{refused:?}").contains("hunter2"));
        }
        assert!(check(&[], &named(&[("shop.password", "env://SHOP")]), "x").is_err());
    }
}
