//! How a bucket is reached, and as whom, in the keys of the file.

use waybill_model::plan::{AzureAccess, GcsAccess, S3Access};

use super::{Keys, Out};

impl Keys {
    pub(super) fn s3(&mut self, access: Option<&S3Access>) {
        let Some(access) = access else { return };
        self.maybe("region", access.region.as_ref());
        self.maybe("endpoint", access.endpoint.as_ref());
        self.maybe("access-key", access.access_key.as_ref());
        self.maybe("secret-key", access.secret_key.as_ref());
        self.maybe("kms-key", access.kms_key.as_ref());
    }

    pub(super) fn azure(&mut self, access: Option<&AzureAccess>) {
        let Some(access) = access else { return };
        self.maybe("endpoint", access.endpoint.as_ref());
        self.maybe("account-key", access.account_key.as_ref());
        self.maybe("sas", access.sas.as_ref());
        self.maybe("tenant", access.tenant.as_ref());
        self.maybe("client", access.client.as_ref());
        self.maybe("client-secret", access.client_secret.as_ref());
        self.maybe("encryption-scope", access.encryption_scope.as_ref());
    }

    pub(super) fn gcs(&mut self, access: Option<&GcsAccess>) {
        let Some(access) = access else { return };
        self.maybe("endpoint", access.endpoint.as_ref());
        self.maybe("service-account", access.service_account.as_ref());
        if access.anonymous {
            self.put("anonymous", Out::Flag(true));
        }
        self.maybe("kms-key", access.kms_key.as_ref());
        self.maybe("billing-project", access.billing_project.as_ref());
    }
}
