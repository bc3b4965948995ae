//! Which launcher serves a data plane: one for all of a kind where tasks run on this host, one for each in a cloud.

use std::collections::HashMap;
use std::sync::Arc;

use waybill_launcher::Launcher;
#[cfg(feature = "aws")]
use waybill_launcher::ecs::{Cloud, EcsPlace};
use waybill_store::DataPlane;

/// Workers are processes on this host.
pub const PROCESS: &str = "process";
/// Workers are tasks on Amazon ECS.
pub const AWS_ECS: &str = "aws-ecs";

/// The launchers of this orchestrator.
#[derive(Clone, Default)]
pub struct Launchers {
    fixed: HashMap<String, Arc<dyn Launcher>>,
    #[cfg(feature = "aws")]
    aws: Option<Arc<Cloud>>,
}

impl Launchers {
    /// The same with this launcher for every data plane of a kind.
    #[must_use]
    pub fn with(mut self, kind: &str, launcher: Arc<dyn Launcher>) -> Self {
        self.fixed.insert(kind.to_owned(), launcher);
        self
    }

    /// The same with this way to AWS.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn with_aws(mut self, cloud: Arc<Cloud>) -> Self {
        self.aws = Some(cloud);
        self
    }

    /// The launcher of a data plane; none where its kind is not served here or its settings can't be used.
    #[must_use]
    pub fn of(&self, plane: &DataPlane) -> Option<Arc<dyn Launcher>> {
        if let Some(fixed) = self.fixed.get(&plane.kind) {
            return Some(Arc::clone(fixed));
        }
        #[cfg(feature = "aws")]
        if plane.kind == AWS_ECS {
            let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref()?);
            let place = place.map_err(|error| tracing::error!(plane.id = %plane.id, %error, "settings can't be used"));
            return Some(Arc::new(self.aws.as_ref()?.launcher(place.ok()?.owned_by(plane.org, plane.id))));
        }
        None
    }
}
