//! The role that an agent's workers prove: as the agent tells it, as it is kept, and as a proof is held against it.
//!
//! It comes from the customer's own program over its own certificate. Which host of STS is asked follows from the region.

use serde::{Deserialize, Serialize};
use waybill_identity::AwsRole;
use waybill_identity::attest::aws::sts_host;
use waybill_launcher::ecs::arn::{Region, RoleArn};
use waybill_protocol::agent::WorkerRole;

#[derive(Serialize, Deserialize)]
struct Kept {
    role_arn: String,
    region: String,
    fips: bool,
}

/// What is kept of what an agent told; none where that is no role of a region.
pub(crate) fn keep(told: &WorkerRole) -> Option<String> {
    let WorkerRole { role_arn, region, fips } = told.clone();
    let text = serde_json::to_string(&Kept { role_arn, region, fips }).ok()?;
    read(&text).map(|_| text)
}

/// What is held against a proof.
pub(crate) fn read(kept: &str) -> Option<AwsRole> {
    let Kept { role_arn, region, fips } = serde_json::from_str(kept).ok()?;
    let (role, region): (RoleArn, Region) = (role_arn.parse().ok()?, region.parse().ok()?);
    (role.partition() == region.partition()).then(|| of(&role, &region, fips))
}

/// The same of settings that were checked.
pub(crate) fn of(role: &RoleArn, region: &Region, fips: bool) -> AwsRole {
    AwsRole {
        partition: role.partition().as_str().to_owned(),
        account: role.account().to_owned(),
        role: role.name().to_owned(),
        region: region.as_str().to_owned(),
        host: sts_host(region.as_str(), fips),
        token_issuer: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(role_arn: &str, region: &str) -> Option<AwsRole> {
        let told = WorkerRole { role_arn: role_arn.into(), region: region.into(), fips: false };
        read(&keep(&told)?)
    }

    #[test]
    fn only_a_role_of_the_regions_partition_is_kept() {
        let role = "arn:aws:iam::222222222222:role/service/waybill-worker";
        let kept = told(role, "eu-central-1").unwrap();
        assert_eq!((kept.account.as_str(), kept.role.as_str()), ("222222222222", "waybill-worker"));
        assert_eq!(kept.host, sts_host("eu-central-1", false));
        for (role, region) in [
            (role, "us-gov-west-1"),
            (role, "eu-central-1.example.com/"),
            ("arn:aws:iam::222222222222:user/ada", "eu-central-1"),
            ("", ""),
        ] {
            assert_eq!(told(role, region), None, "{role} {region}");
        }
    }
}
