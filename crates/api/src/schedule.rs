//! Schedules: when a pipeline runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waybill_model::{PipelineId, ScheduleId};

use crate::action::AllowedAction;
use crate::example::{self, Example};
use crate::timestamp::Timestamp;

/// When a pipeline runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ScheduleId,
    /// Its pipeline.
    #[schema(value_type = String)]
    pub pipeline_id: PipelineId,
    /// Five cron fields: minute, hour, day of month, month, day of week. Absent where `every_ms` is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// IANA time zone that the fields are read in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Milliseconds between slots, which are its multiples since 1970-01-01T00:00:00Z. Absent where `cron` is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// What happens when a run is due while the one before still works: `skip` or `queue`.
    pub overlap: String,
    /// What happens to slots that were missed: `last` or `none`.
    pub catch_up: String,
    /// A paused schedule starts no runs.
    pub paused: bool,
    /// The next slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the caller may do with it.
    #[serde(default)]
    pub allowed_actions: Vec<AllowedAction>,
}

/// Gives a pipeline its schedule, or replaces the one that it has.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSet {
    /// Five cron fields; either these or `every_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// IANA time zone of the fields; `UTC` where absent. It has no meaning with `every_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Milliseconds between slots, from a minute to 366 days; slots are its multiples since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// What happens when a run is due while the one before still works: `skip` or `queue`.
    #[serde(default = "skip")]
    pub overlap: String,
    /// What happens to slots that were missed: `last` or `none`.
    #[serde(default = "last")]
    pub catch_up: String,
    /// Whether it starts no runs for now.
    #[serde(default)]
    pub paused: bool,
}

fn skip() -> String {
    "skip".into()
}

fn last() -> String {
    "last".into()
}

impl Example for Schedule {
    fn example() -> Self {
        Self {
            id: example::id("sch", 1),
            pipeline_id: example::id("pl", 1),
            cron: Some("0 2 * * *".into()),
            zone: Some("Europe/Stockholm".into()),
            every_ms: None,
            overlap: skip(),
            catch_up: last(),
            paused: false,
            next_at: Some(example::at(86_400)),
            created_at: example::at(0),
            allowed_actions: vec![AllowedAction::yes("schedule_set")],
        }
    }
}

impl Example for ScheduleSet {
    fn example() -> Self {
        Self {
            cron: Some("0 2 * * *".into()),
            zone: Some("Europe/Stockholm".into()),
            every_ms: None,
            overlap: skip(),
            catch_up: last(),
            paused: false,
        }
    }
}
