//! The issuer of an account's web identity tokens, as a setting.

use waybill_model::net::token_issuer_host;

use super::arn::{Partition, Region};
use super::place::SettingError;

/// Refuses what is no issuer of AWS, and any in a partition whose issuers are not known.
pub(super) fn check(issuer: Option<&str>, region: &Region) -> Result<(), SettingError> {
    let Some(issuer) = issuer else { return Ok(()) };
    let refuse = |what: &str| Err(SettingError::new("token_issuer", what));
    if region.partition() != Partition::Aws {
        return refuse("only in the commercial regions; elsewhere leave it out, and workers sign a call themselves");
    }
    if token_issuer_host(issuer).is_none() {
        return refuse(
            "https://ID.tokens.sts.global.api.aws, as `aws iam get-outbound-web-identity-federation-info` prints it",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::ecs::place::{EcsPlace, EcsSettings, example};
    use crate::ecs::task::{EcsTask, Wish};

    const ISSUER: &str = "https://0a1b2c3d-0000-4000-8000-000000000001.tokens.sts.global.api.aws";

    fn place(region: &str, issuer: &str) -> Result<EcsPlace, String> {
        let arn =
            |role: &str| role.replace(":aws:", if region.starts_with("us-gov") { ":aws-us-gov:" } else { ":aws:" });
        let settings = EcsSettings {
            region: region.into(),
            role_arn: arn(&example().role_arn),
            task_role_arn: arn(&example().task_role_arn),
            token_issuer: Some(issuer.into()),
            ..example()
        };
        EcsPlace::new(settings, "id").map_err(|error| error.to_string())
    }

    #[test]
    fn an_issuer_that_is_none_of_the_account_is_refused_by_name() {
        let error = place("eu-central-1", "https://login.example.com").expect_err("another issuer");
        assert!(error.starts_with("token_issuer: https://ID.tokens"), "{error}");
        let error = place("us-gov-west-1", ISSUER).expect_err("another partition");
        assert!(error.starts_with("token_issuer: only in the commercial regions"), "{error}");
    }

    #[test]
    fn only_tasks_of_a_place_with_an_issuer_are_told_to_prove_themselves_by_its_token() {
        let variables =
            |place: &EcsPlace| EcsTask::new(place, Wish::default(), Default::default()).expect("a task").variables;
        let with = variables(&place("eu-central-1", ISSUER).expect("a place"));
        assert_eq!(with.get("WAYBILL_PROOF").map(String::as_str), Some("web-identity-token"));
        let without = variables(&EcsPlace::new(example(), "id").expect("a place"));
        assert_eq!(without.get("WAYBILL_PROOF"), None);
    }
}
