//! Data planes: registered places where workers run.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::DataPlaneId;

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// A registered place where workers run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DataPlane {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DataPlaneId,
    /// Its name; unique in the organization.
    pub name: String,
    /// How workers are started there: `process` or `agent`.
    pub kind: String,
    /// Settings of the kind.
    pub settings: ProcessSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Settings of a `process` data plane: workers are processes on the orchestrator's own host. Those of `agent` are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessSettings {
    /// Names of environment variables that pass to workers. Never their values.
    #[serde(default)]
    pub environment: Vec<String>,
}

/// Registers a data plane.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPlaneCreate {
    /// Lower-case letters, digits and dashes, at most 63.
    pub name: String,
    /// How workers are started there: `process` or `agent`.
    pub kind: String,
    /// Settings of the kind.
    #[serde(default)]
    pub settings: ProcessSettings,
}

/// Changes a data plane.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPlaneUpdate {
    /// The new settings.
    pub settings: ProcessSettings,
}

impl Example for DataPlane {
    fn example() -> Self {
        Self {
            id: example::id("dp", 1),
            name: "local".into(),
            kind: "process".into(),
            settings: ProcessSettings { environment: vec!["SHOP_PASSWORD".into()] },
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::no("data_plane_delete", "2 pipelines use it")],
        }
    }
}

impl Example for DataPlaneCreate {
    fn example() -> Self {
        Self { name: "office".into(), kind: "process".into(), settings: ProcessSettings::default() }
    }
}

impl Example for DataPlaneUpdate {
    fn example() -> Self {
        Self { settings: ProcessSettings { environment: vec!["SHOP_PASSWORD".into()] } }
    }
}
