//! Connections: systems that a worker can reach. They hold references to secrets, never a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use waybill_model::{ConnectionId, ProjectId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// A system that a worker can reach.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ConnectionId,
    /// Its project.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// Its name; unique in the project.
    pub name: String,
    /// What it is: `postgres`, `mysql`, `sqlite`, `files`, `local`, `s3`, `azure` or `gcs`.
    pub kind: String,
    /// How to reach it, as in a pipeline file: `type` and the kind's own keys.
    #[schema(value_type = Object)]
    pub system: Value,
    /// Rises by one with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Makes a connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionCreate {
    /// Its project.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// Lower-case letters, digits and dashes, at most 63.
    pub name: String,
    /// How to reach it, as in a pipeline file: `type` and the kind's own keys. Secrets are references.
    #[schema(value_type = Object)]
    pub system: Value,
}

/// Changes how a connection is reached. Pipelines that use it take the change with their next run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionUpdate {
    /// The whole new description.
    #[schema(value_type = Object)]
    pub system: Value,
    /// References to secrets that are meant to go to the new place, by field: needed for each one that the connection
    /// already had, as soon as any other field changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

fn shop() -> Value {
    serde_json::json!({
        "type": "postgres", "host": "db.internal", "port": 5432, "database": "shop", "user": "waybill_ro",
        "password": "env://SHOP_PASSWORD", "tls": "verify-full",
    })
}

impl Example for Connection {
    fn example() -> Self {
        Self {
            id: example::id("con", 1),
            project_id: example::id("prj", 1),
            name: "shop".into(),
            kind: "postgres".into(),
            system: shop(),
            version: 1,
            created_at: example::at(0),
            updated_at: example::at(0),
            allowed_actions: vec![AllowedAction::yes("connection_update")],
        }
    }
}

impl Example for ConnectionCreate {
    fn example() -> Self {
        Self { project_id: example::id("prj", 1), name: "shop".into(), system: shop() }
    }
}

impl Example for ConnectionUpdate {
    fn example() -> Self {
        let secrets = BTreeMap::from([("password".to_owned(), "env://SHOP_PASSWORD".to_owned())]);
        Self { system: shop(), secrets }
    }
}
