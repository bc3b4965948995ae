//! Proof of an AWS role: a call of sts:GetCallerIdentity that the worker signed and the orchestrator makes.
//!
//! The signature covers a header that binds nonce, public key and deployment. Of the worker's request nothing is taken but
//! the parts of its signature: method, host, headers and body are built anew here, so a proof can't be pointed anywhere
//! else and can't say anything else. Who the caller is, only STS says.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use waybill_model::Micros;
use waybill_model::net::partition_of;

use super::AttestationError;
use crate::nonce::Nonce;

mod answer;
#[cfg(feature = "aws")]
mod sign;

pub use answer::{Caller, caller_of, caller_of_role, read_caller};
#[cfg(feature = "aws")]
pub use sign::sign;

/// The body of the call; there is no other.
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// Its type.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The header that binds the call to one enrolment.
pub const CHALLENGE_HEADER: &str = "x-waybill-challenge";
/// What is signed, in this order; there is no other.
const SIGNED_HEADERS: &str = "content-type;host;x-amz-date;x-amz-security-token;x-waybill-challenge";
/// How far the signer's clock may be off.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// The parts of a signature. Who holds them can ask STS who signed within a few minutes, and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsProof {
    /// Access key id of the task's temporary keys.
    pub access_key_id: String,
    /// `20260102T030405Z`.
    pub date: String,
    /// Region that it was signed for.
    pub region: String,
    /// 64 hexadecimal digits.
    pub signature: String,
    /// Token of the temporary keys.
    pub security_token: String,
}

/// Which role must have signed, and where that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRole {
    /// `aws`, `aws-us-gov` or `aws-cn`.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// Name of the role, without its path.
    pub role: String,
    /// Region of the data plane.
    pub region: String,
    /// Host of that region's STS, from the orchestrator's own list.
    pub host: String,
    /// Issuer of its account's tokens, where it is proven by one.
    pub token_issuer: Option<String>,
}

/// The call as the orchestrator makes it: POST, path `/`, [`BODY`], these headers.
pub struct Rebuilt {
    /// Host to call and to name.
    pub host: String,
    /// Headers besides the host.
    pub headers: [(&'static str, String); 5],
}

/// Host of a region's own STS. The global one is never used: it would take a signature for any region.
#[must_use]
pub fn sts_host(region: &str, fips: bool) -> String {
    let partition = partition_of(region);
    let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    // GovCloud's plain endpoints are FIPS endpoints already.
    let service = if fips && partition != "aws-us-gov" { "sts-fips" } else { "sts" };
    format!("{service}.{region}.{suffix}")
}

/// What a signature must cover: base64 of SHA-256 over nonce, public key and deployment.
#[must_use]
pub fn challenge(nonce: &Nonce, spki_sha256: &[u8; 32], deployment: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(nonce);
    context.update(spki_sha256);
    context.update(deployment.as_bytes());
    STANDARD.encode(context.finish())
}

impl AwsProof {
    /// Builds the call that must have been signed, for this role and this challenge.
    pub fn rebuild(&self, role: &AwsRole, challenge: &str, now: Micros) -> Result<Rebuilt, AttestationError> {
        self.check(role, now)?;
        let day = &self.date[..8];
        let mut authorization = String::new();
        // Writing to a String can't fail.
        let _ = write!(
            authorization,
            "AWS4-HMAC-SHA256 Credential={}/{day}/{}/sts/aws4_request, SignedHeaders={SIGNED_HEADERS}, Signature={}",
            self.access_key_id, role.region, self.signature
        );
        let headers = [
            ("content-type", CONTENT_TYPE.to_owned()),
            ("x-amz-date", self.date.clone()),
            ("x-amz-security-token", self.security_token.clone()),
            (CHALLENGE_HEADER, challenge.to_owned()),
            ("authorization", authorization),
        ];
        Ok(Rebuilt { host: role.host.clone(), headers })
    }

    fn check(&self, role: &AwsRole, now: Micros) -> Result<(), AttestationError> {
        let refuse = |reason| Err(AttestationError(reason));
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        // A task's keys are temporary ones; a user's are not what a task has.
        if !self.access_key_id.starts_with("ASIA")
            || self.access_key_id.len() > 128
            || !self.access_key_id.bytes().all(upper)
        {
            return refuse("not a temporary access key");
        }
        if self.region != role.region {
            return refuse("it is signed for another region than the data plane's");
        }
        if self.signature.len() != 64
            || !self.signature.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return refuse("the signature is not one");
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"+/=-_%.".contains(&b);
        if self.security_token.is_empty() || self.security_token.len() > 8192 || !self.security_token.bytes().all(token)
        {
            return refuse("the security token is not one");
        }
        let date = NaiveDateTime::parse_from_str(&self.date, "%Y%m%dT%H%M%SZ").map(|date| date.and_utc());
        match (date, DateTime::<Utc>::from_timestamp_micros(now.0)) {
            (Ok(date), Some(now)) if self.date.len() == 16 && (now - date).abs() <= SKEW => Ok(()),
            (Ok(_), _) => refuse("the worker's clock is more than 5 minutes off"),
            (Err(_), _) => refuse("the date is not one"),
        }
    }
}

impl AwsRole {
    /// Whether STS named this role.
    pub fn accept(&self, caller: &Caller) -> Result<(), AttestationError> {
        if caller.account != self.account || caller.partition != self.partition {
            return Err(AttestationError("it was signed in another account than the data plane's"));
        }
        if caller.role != self.role {
            return Err(AttestationError("it was signed by another role than the data plane's"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_767_323_045_000_000);

    fn role() -> AwsRole {
        AwsRole {
            partition: "aws".into(),
            account: "222222222222".into(),
            role: "waybill-worker".into(),
            region: "eu-central-1".into(),
            host: "sts.eu-central-1.amazonaws.com".into(),
            token_issuer: None,
        }
    }

    fn proof() -> AwsProof {
        AwsProof {
            access_key_id: "ASIA0000000000000001".into(),
            date: "20260102T030405Z".into(),
            region: "eu-central-1".into(),
            signature: "ab".repeat(32),
            security_token: "IQoJb3JpZ2luX2VjEA==".into(),
        }
    }

    #[test]
    fn the_call_is_built_from_our_own_parts() {
        let Ok(rebuilt) = proof().rebuild(&role(), "challenge", NOW) else { panic!("it must be accepted") };
        assert_eq!(rebuilt.host, "sts.eu-central-1.amazonaws.com");
        let authorization = &rebuilt.headers[4].1;
        assert!(authorization.contains("Credential=ASIA0000000000000001/20260102/eu-central-1/sts/aws4_request"));
        assert!(authorization.contains(SIGNED_HEADERS));
        assert_eq!(rebuilt.headers[3], (CHALLENGE_HEADER, "challenge".into()));
    }

    #[test]
    fn h36_a_part_that_is_not_one_is_refused_with_its_reason() {
        let refused = |change: fn(&mut AwsProof)| {
            let mut proof = proof();
            change(&mut proof);
            proof.rebuild(&role(), "challenge", NOW).err().expect("refused").0
        };
        assert_eq!(refused(|p| p.region = "us-east-1".into()), "it is signed for another region than the data plane's");
        assert_eq!(
            refused(|p| p.region = "aws-global".into()),
            "it is signed for another region than the data plane's"
        );
        assert_eq!(refused(|p| p.date = "20260102T025904Z".into()), "the worker's clock is more than 5 minutes off");
        assert_eq!(refused(|p| p.date = "20260102T030906Z".into()), "the worker's clock is more than 5 minutes off");
        assert_eq!(refused(|p| p.date = "20260102".into()), "the date is not one");
        assert_eq!(refused(|p| p.access_key_id = "AKIA0000000000000001".into()), "not a temporary access key");
        assert_eq!(refused(|p| p.access_key_id = "ASIA/20260102/us-east-1".into()), "not a temporary access key");
        assert_eq!(refused(|p| p.signature = "AB".repeat(32)), "the signature is not one");
        assert_eq!(
            refused(|p| p.signature = format!("{}, SignedHeaders=host", "ab".repeat(32))),
            "the signature is not one"
        );
        assert_eq!(refused(|p| p.security_token = "a\r\nhost: evil".into()), "the security token is not one");
        assert_eq!(refused(|p| p.security_token = "a".repeat(9000)), "the security token is not one");
    }

    #[test]
    fn every_region_has_its_own_host() {
        for (region, fips, host) in [
            ("eu-central-1", false, "sts.eu-central-1.amazonaws.com"),
            ("us-east-1", false, "sts.us-east-1.amazonaws.com"),
            ("us-east-1", true, "sts-fips.us-east-1.amazonaws.com"),
            ("us-gov-west-1", true, "sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, "sts.cn-north-1.amazonaws.com.cn"),
        ] {
            assert_eq!(sts_host(region, fips), host);
        }
    }

    #[test]
    fn a_challenge_differs_with_nonce_key_and_deployment() {
        let one = challenge(&[1; 32], &[2; 32], "sha256:aa");
        assert_eq!(one, challenge(&[1; 32], &[2; 32], "sha256:aa"));
        for other in [
            challenge(&[9; 32], &[2; 32], "sha256:aa"),
            challenge(&[1; 32], &[9; 32], "sha256:aa"),
            challenge(&[1; 32], &[2; 32], "sha256:bb"),
        ] {
            assert_ne!(one, other);
        }
    }
}
