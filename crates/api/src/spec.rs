//! Documents: validating one, and applying its connections, pipelines and schedules as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use waybill_model::ProjectId;

use crate::example::{self, Example};
use crate::problem::FieldError;
use crate::timestamp::Timestamp;

/// Asks what is wrong with a document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecValidate {
    /// The YAML document.
    pub document: String,
}

/// What is wrong with a document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SpecDiagnostics {
    /// Whether it could be applied.
    pub valid: bool,
    /// Every mistake with line and column.
    pub diagnostics: Vec<FieldError>,
}

/// Makes a project's connections, pipelines and schedules as the document says, all of them or none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecApply {
    /// The project.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// The YAML document.
    pub document: String,
    /// Also removes what the document does not name.
    #[serde(default)]
    pub prune: bool,
    /// `plan_digest` of the dry run that was looked at: refused with 412 if the changes would be others by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// References to secrets that are meant to go to a changed place, by `connection.field` such as `shop.password`:
    /// needed for each one that `secrets_required` of a dry run names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Signatures of plans, for workers whose guard asks for them; each must be of a plan that the document has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<PlanSignature>,
}

/// A signature of the customer over one pipeline's plan. The orchestrator keeps it and can't check it: it has no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanSignature {
    /// The pipeline's name.
    pub pipeline: String,
    /// SHA-256 of the canonical plan that was signed, in hex.
    pub digest: String,
    /// The signature, as `waybill sign` makes it.
    pub signature: String,
}

/// What was, or would be, changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SpecApplied {
    /// Whether nothing was changed since a dry run was asked for.
    pub dry_run: bool,
    /// The changes; empty where everything stands as the document says.
    pub changes: Vec<Change>,
    /// Names these changes; give it as `expect` to apply exactly them.
    pub plan_digest: String,
    /// Secrets that would go to a changed place, as `connection.field`; applying demands them in `secrets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets_required: Vec<String>,
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `add`, `change` or `remove`.
    pub kind: String,
    /// `connection`, `pipeline` or `schedule`.
    pub noun: String,
    /// Its name; a schedule has its pipeline's.
    pub name: String,
    /// Its id, where it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its version before and after the change, where it has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_changed_at: Option<Timestamp>,
    /// What changes in it.
    #[serde(default)]
    pub fields: Vec<FieldChange>,
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Where, such as `streams.public.orders.load`.
    pub path: String,
    /// What stood there; absent where it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What will stand there; absent where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// What follows from it, where that is not plain to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

const DOCUMENT: &str = "waybill: 1
connections:
  shop: { type: sqlite, path: /data/shop.db }
  lake: { type: local, path: /data/lake }
pipelines:
  shop-nightly: { from: shop, to: lake, streams: { orders: { load: full } } }
";

impl Example for SpecValidate {
    fn example() -> Self {
        Self { document: DOCUMENT.into() }
    }
}

impl Example for SpecDiagnostics {
    fn example() -> Self {
        Self {
            valid: false,
            diagnostics: vec![FieldError {
                line: Some(6),
                column: Some(63),
                code: Some("spec_unknown_field".into()),
                message: "unknown field `laod` in stream orders".into(),
                suggestion: Some("did you mean `load`?".into()),
                pointer: None,
            }],
        }
    }
}

impl Example for SpecApply {
    fn example() -> Self {
        Self {
            project_id: example::id("prj", 1),
            document: DOCUMENT.into(),
            prune: false,
            expect: None,
            secrets: BTreeMap::new(),
            signatures: Vec::new(),
        }
    }
}

impl Example for SpecApplied {
    fn example() -> Self {
        Self {
            dry_run: true,
            changes: vec![Change {
                kind: "change".into(),
                noun: "schedule".into(),
                name: "shop-nightly".into(),
                id: Some("sch_01jd8m2v5k0000000000000001".into()),
                version: None,
                last_changed_at: Some(example::at(0)),
                fields: vec![FieldChange {
                    path: "cron".into(),
                    before: Some("0 3 * * *".into()),
                    after: Some("0 2 * * *".into()),
                    note: None,
                }],
            }],
            plan_digest: "8f3c1a5b2b0b822cd15d6c15b0f00a089f86d081884c7d659a2feaa0c55ad015".into(),
            secrets_required: Vec::new(),
        }
    }
}
