//! Asks a region's STS who signed a call that was built anew here.

use std::sync::Arc;

use waybill_identity::AttestationError;
use waybill_identity::attest::aws::{self, AwsProof, AwsRole, Caller};
use waybill_model::Micros;

use super::{IssuerDoor, Unproven, answer};

/// Largest answer that is read.
const MOST: usize = 16 << 10;

/// Asks STS who signed a rebuilt call.
pub struct StsDoor {
    client: reqwest::Client,
    endpoint: Option<String>,
    /// The issuers of accounts that have STS sign tokens.
    pub(super) issuers: Arc<IssuerDoor>,
}

impl StsDoor {
    /// To each region's own STS, or to this endpoint instead; and to issuers of tokens.
    pub fn new(endpoint: Option<String>, issuers: Arc<IssuerDoor>) -> Result<Self, reqwest::Error> {
        Ok(Self { client: answer::client()?, endpoint, issuers })
    }

    pub(super) async fn ask(&self, proof: &AwsProof, role: &AwsRole, challenge: &str) -> Result<Caller, Unproven> {
        let call = proof.rebuild(role, challenge, Micros::now()).map_err(Unproven::Refused)?;
        let url = self.endpoint.clone().unwrap_or_else(|| format!("https://{}", call.host));
        let mut request = self.client.post(format!("{}/", url.trim_end_matches('/'))).header("host", &call.host);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let unavailable = |error: reqwest::Error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "STS could not be asked");
            Unproven::Unavailable
        };
        let answer = request.body(aws::BODY).send().await.map_err(unavailable)?;
        let status = answer.status();
        let body = answer::read(answer, MOST).await.map_err(unavailable)?;
        let body = body.ok_or(Unproven::Refused(AttestationError("the answer of STS is too large")))?;
        match status.as_u16() {
            200 => aws::read_caller(&body).map_err(Unproven::Refused),
            300..=399 => Err(Unproven::Refused(AttestationError("STS answered with a redirect"))),
            429 | 500..=599 => Err(Unproven::Unavailable),
            // STS says this with 400 too.
            _ if body.windows(10).any(|part| part == b"Throttling") => Err(Unproven::Unavailable),
            _ => Err(Unproven::Refused(AttestationError("STS did not accept the signature"))),
        }
    }
}
