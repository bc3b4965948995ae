//! What stands for AWS in a build without it: a refusal that names the feature.

use async_trait::async_trait;
use waybill_connectors::dial::Dialer;
use waybill_model::secret::{AwsParameter, AwsSecret};

use super::{Keeper, Problem, Secret};

/// Refuses both kinds.
pub(super) struct Aws;

impl Aws {
    pub(super) fn new(_: Dialer) -> Self {
        Self
    }
}

fn left_out() -> Problem {
    Problem::unusable("can't be read: this worker was built without the feature `aws`")
}

#[async_trait]
impl Keeper<AwsSecret> for Aws {
    async fn fetch(&self, _: &AwsSecret) -> Result<Secret, Problem> {
        Err(left_out())
    }
}

#[async_trait]
impl Keeper<AwsParameter> for Aws {
    async fn fetch(&self, _: &AwsParameter) -> Result<Secret, Problem> {
        Err(left_out())
    }
}
