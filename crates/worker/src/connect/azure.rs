//! Containers of Azure Blob Storage: as whom the plan, or the environment, says that they are opened.

use std::env;
use std::sync::Arc;

use waybill_connectors::bucket::azure::{AzureBucket, Login, Way};
use waybill_model::FailureCode;
use waybill_model::plan::{Azure, AzureAccess};
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Bucket, Fault, FaultResult};

use super::Means;

/// The container of a plan.
pub(super) async fn open(settings: &Azure, memory: u64, means: &Means) -> FaultResult<Arc<dyn Bucket>> {
    let way = Way { login: login(&settings.access, means).await?, dialer: means.dialer.clone() };
    Ok(Arc::new(AzureBucket::connect(settings, way, memory).await?))
}

/// As whom: the one way that is given, and the worker's own identity where none is.
async fn login(access: &AzureAccess, means: &Means) -> FaultResult<Login> {
    let AzureAccess { account_key, sas, tenant, client, client_secret, endpoint: _, encryption_scope: _ } = access;
    match (account_key, sas, client_secret) {
        (Some(key), None, None) => Ok(Login::Key(means.secrets.credential(key))),
        (None, Some(sas), None) => Ok(Login::Signature(means.secrets.credential(sas))),
        (None, None, Some(reference)) => {
            let (Some(tenant), Some(client)) = (tenant.clone(), client.clone()) else {
                let text = "`tenant`, `client` and `client-secret` go together: give all three";
                return Err(Fault::new(FailureCode::SpecRefused, text));
            };
            let secret = means.secrets.credential(reference);
            Ok(Login::Application { tenant, client, secret })
        }
        (None, None, None) => Ok(Login::Own { client: client.clone() }),
        _ => {
            let text = "`account-key`, `sas` and `client-secret` exclude each other: give one, or none to use the worker's own \
                        identity";
            Err(Fault::new(FailureCode::SpecRefused, text))
        }
    }
}

/// What the variables say that Azure's own tools read.
pub(super) fn of_environment() -> AzureAccess {
    let text = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let secret = |name: &str| text(name).map(|_| SecretRef::Env(name.to_owned()));
    let (sas, key) = (secret("AZURE_STORAGE_SAS_TOKEN"), secret("AZURE_STORAGE_KEY"));
    let application = secret("AZURE_CLIENT_SECRET").filter(|_| sas.is_none() && key.is_none());
    AzureAccess {
        endpoint: text("AZURE_STORAGE_SERVICE_ENDPOINT"),
        account_key: key.filter(|_| sas.is_none()),
        sas,
        tenant: application.as_ref().and_then(|_| text("AZURE_TENANT_ID")),
        client: text("AZURE_CLIENT_ID"),
        client_secret: application,
        encryption_scope: None,
    }
}
