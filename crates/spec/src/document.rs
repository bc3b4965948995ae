//! A pipeline file that was found right: its connections and pipelines, and the plan of each pipeline.
//!
//! Its canonical form is JSON with names in order, so that equal documents have equal bytes. It holds references to
//! secrets, never a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use waybill_model::plan::{Endpoint, Files, Limits, Plan, StreamPlan, System};
use waybill_model::schedule::Schedule;

/// A pipeline file, or what a server holds of one project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Systems by name.
    #[serde(default)]
    pub connections: BTreeMap<String, System>,
    /// Pipelines by name.
    #[serde(default)]
    pub pipelines: BTreeMap<String, Pipeline>,
}

/// One pipeline of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pipeline {
    /// Name of the source connection.
    pub from: String,
    /// Name of the connection to the bucket.
    pub to: String,
    /// Name of the data plane; the project's only one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_plane: Option<String>,
    /// When it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What is moved, with the defaults of `every-stream` merged in; the order gives the stream indices.
    pub streams: Vec<StreamPlan>,
    /// How files are written.
    #[serde(default)]
    pub files: Files,
    /// Bounds of one run.
    #[serde(default)]
    pub limits: Limits,
}

impl Document {
    /// The plan of a pipeline; none where the document has no such pipeline or not both its connections.
    #[must_use]
    pub fn plan(&self, pipeline: &str) -> Option<Plan> {
        let this = self.pipelines.get(pipeline)?;
        Some(Plan {
            pipeline: pipeline.to_owned(),
            from: self.endpoint(&this.from)?,
            to: self.endpoint(&this.to)?,
            streams: this.streams.clone(),
            files: this.files.clone(),
            limits: this.limits.clone(),
        })
    }

    fn endpoint(&self, name: &str) -> Option<Endpoint> {
        Some(Endpoint { connection: name.to_owned(), system: self.connections.get(name)?.clone() })
    }

    /// The canonical form: the same bytes for the same meaning, whatever the file looked like.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical(self)
    }

    /// SHA-256 of the canonical form, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.canonical())
    }
}

/// The canonical form of a plan, as a worker gets it.
#[must_use]
pub fn plan_canonical(plan: &Plan) -> String {
    canonical(plan)
}

/// SHA-256 of a plan's canonical form, in hex.
#[must_use]
pub fn plan_digest(plan: &Plan) -> String {
    digest(&canonical(plan))
}

/// JSON with keys in declared order. These values have only text keys and no floats, so printing them can't fail.
fn canonical(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
