//! Pipelines and their versions. They are written as documents (`spec`); here they are read, paused and removed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use waybill_model::run::RunState;
use waybill_model::{DataPlaneId, PipelineId, ProjectId, RunId, UserId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::open::RunStateWord;
use crate::run::Failure;
use crate::timestamp::Timestamp;

/// A pipeline.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
    /// Its id.
    #[schema(value_type = String)]
    pub id: PipelineId,
    /// Its project.
    #[schema(value_type = String)]
    pub project_id: ProjectId,
    /// Its name; unique in the project.
    pub name: String,
    /// The version that the next run takes.
    pub version: u64,
    /// Name of the source connection.
    pub from: String,
    /// Name of the destination connection.
    pub to: String,
    /// Names of its streams; their order gives the stream indices.
    pub streams: Vec<String>,
    /// Where its workers run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub data_plane_id: Option<DataPlaneId>,
    /// A paused pipeline starts no runs by itself.
    pub paused: bool,
    /// The run that is live now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub live_run_id: Option<RunId>,
    /// The newest run that moves rows, whatever became of it; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// When its schedule starts the next run; none without a schedule, or while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Timestamp>,
    /// An epoch that was found, or would be given, more than 24 h in the future: no run goes on before somebody accepts it.
    /// Microseconds since 1970, where a clock made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_ahead: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// A run in short, as a list of pipelines shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LastRun {
    /// Its id.
    #[schema(value_type = String)]
    pub id: RunId,
    /// Where it is.
    pub state: RunStateWord,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// Changes a pipeline's switch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineUpdate {
    /// Whether it starts no runs by itself.
    pub paused: bool,
}

/// Accepts an epoch that stood too far in the future.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochAccept {
    /// The one that is accepted: `epoch_ahead` of the pipeline, as the caller saw it.
    pub found: i64,
}

/// One version of a pipeline.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PipelineVersion {
    /// Its number, from 1.
    pub version: u64,
    /// The canonical plan as a worker gets it; references to secrets, never secrets.
    #[schema(value_type = Object)]
    pub plan: Value,
    /// SHA-256 of the canonical plan, in hex.
    pub digest: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a pipeline does to rows on their way, in words, made from its present plan.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PipelineDescription {
    /// The pipeline.
    #[schema(value_type = String)]
    pub pipeline_id: PipelineId,
    /// Its name.
    pub name: String,
    /// The version that is described.
    pub version: u64,
    /// Where rows come from.
    pub from: DescribedEnd,
    /// Where they land.
    pub to: DescribedEnd,
    /// Its streams, in the plan's order.
    pub streams: Vec<DescribedStream>,
    /// The same as a page of Markdown.
    pub markdown: String,
}

/// One end of a pipeline.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DescribedEnd {
    /// The connection's name.
    pub connection: String,
    /// Its kind: `postgres`, `s3`.
    pub kind: String,
    /// Which server, file or bucket.
    pub place: String,
}

/// A stream in words.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DescribedStream {
    /// Its name.
    pub name: String,
    /// What holds of it, in the order in which it happens to a row.
    pub facts: Vec<DescribedFact>,
}

/// One thing that holds of a stream.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DescribedFact {
    /// Where on a row's way: `read`, `values`, `expected` or `table`.
    pub part: String,
    /// The key of the pipeline file that says it, or that would.
    pub key: String,
    /// Whether the pipeline says other than what holds where the key is absent.
    pub is_set: bool,
    /// What holds, in Markdown.
    pub text: String,
}

impl Example for PipelineDescription {
    fn example() -> Self {
        let end = |connection: &str, kind: &str, place: &str| DescribedEnd {
            connection: connection.into(),
            kind: kind.into(),
            place: place.into(),
        };
        let fact = DescribedFact {
            part: "read".into(),
            key: "load".into(),
            is_set: false,
            text: "`full`: every row, in each run".into(),
        };
        Self {
            pipeline_id: example::id("pl", 1),
            name: "shop-nightly".into(),
            version: 3,
            from: end("shop", "postgres", "postgres://db.internal:5432/shop"),
            to: end("lake", "s3", "s3://example-lake/raw/shop"),
            streams: vec![DescribedStream { name: "public.orders".into(), facts: vec![fact] }],
            markdown: "# Pipeline `shop-nightly`\n".into(),
        }
    }
}

impl Example for Pipeline {
    fn example() -> Self {
        Self {
            id: example::id("pl", 1),
            project_id: example::id("prj", 1),
            name: "shop-nightly".into(),
            version: 3,
            from: "shop".into(),
            to: "lake".into(),
            streams: vec!["public.orders".into(), "public.customers".into()],
            data_plane_id: Some(example::id("dp", 1)),
            paused: false,
            live_run_id: None,
            last_run: Some(LastRun {
                id: example::id("run", 1),
                state: RunState::Succeeded.into(),
                failure: None,
                created_at: example::at(0),
                ended_at: Some(example::at(60)),
            }),
            next_run_at: Some(example::at(86_400)),
            epoch_ahead: None,
            created_at: example::at(0),
            updated_at: example::at(60),
            allowed_actions: vec![AllowedAction::yes("run_start")],
        }
    }
}

impl Example for PipelineUpdate {
    fn example() -> Self {
        Self { paused: true }
    }
}

impl Example for EpochAccept {
    fn example() -> Self {
        Self { found: 1_893_456_000_000_000 }
    }
}

impl Example for PipelineVersion {
    fn example() -> Self {
        Self {
            version: 3,
            plan: serde_json::json!({ "pipeline": "shop-nightly", "streams": [{ "name": "public.orders", "load": "full" }] }),
            digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            created_by: Some(example::id("usr", 1)),
            created_at: example::at(60),
        }
    }
}
