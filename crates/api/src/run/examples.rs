//! Examples of the bodies of runs.

use waybill_model::FailureCode;
use waybill_model::receipt::Grade;
use waybill_model::run::{AttemptState, Desired, RunKind, RunState, StreamState};

use super::{
    Attempt, ColumnDrift, DiscoveredColumn, DiscoveredTable, Discovery, Failure, ReceiptDigest, Run, RunDetail,
    RunStart, RunStream, StreamReceipt,
};
use crate::action::AllowedAction;
use crate::example::{self, Example};

impl Example for RunStart {
    fn example() -> Self {
        Self { pipeline_id: Some(example::id("pl", 1)), ..Self::default() }
    }
}

impl Example for Run {
    fn example() -> Self {
        Self {
            id: example::id("run", 1),
            project_id: example::id("prj", 1),
            pipeline_id: Some(example::id("pl", 1)),
            subject: "shop-nightly".into(),
            pipeline_version: Some(3),
            kind: RunKind::Sync.into(),
            state: RunState::Failed.into(),
            desired: Desired::Run.into(),
            trigger: "schedule".into(),
            waiting_for: None,
            failure: Some(denied()),
            attempts: 1,
            streams_total: 2,
            streams_delivered: 1,
            retry_of: None,
            created_at: example::at(0),
            started_at: Some(example::at(2)),
            ended_at: Some(example::at(447)),
            events_removed_at: None,
            allowed_actions: vec![
                AllowedAction::no("run_cancel", "the run has ended"),
                AllowedAction::yes("run_retry"),
            ],
        }
    }
}

fn denied() -> Failure {
    let code = FailureCode::SourceDenied;
    Failure { code: code.into(), hint: code.hint().into() }
}

impl Example for RunDetail {
    fn example() -> Self {
        Self {
            run: Run::example(),
            streams: vec![RunStream::example()],
            attempt_list: vec![Attempt::example()],
            destination: Some(serde_json::json!({ "type": "s3", "bucket": "lake", "prefix": "shop" })),
        }
    }
}

impl Example for RunStream {
    fn example() -> Self {
        Self {
            index: 0,
            name: "public.orders".into(),
            reload: false,
            forget_cursor: false,
            backfill: None,
            limit: None,
            state: StreamState::Committed.into(),
            rows: Some(1_204_511),
            bytes: Some(388_000_000),
            files: Some(3),
            rows_estimate: None,
            coerced: Some(0),
            columns: Some(ColumnDrift { new: 1, gone: 0, changed: 0, ignored: 0 }),
            failure: None,
            delivered_late: false,
        }
    }
}

impl Example for Attempt {
    fn example() -> Self {
        Self {
            id: example::id("att", 1),
            run_id: example::id("run", 1),
            number: 1,
            state: AttemptState::Failed.into(),
            epoch: 1_763_690_404_000_000,
            task: None,
            failure: Some(denied()),
            created_at: example::at(0),
            enrolled_at: Some(example::at(2)),
            ended_at: Some(example::at(447)),
        }
    }
}

impl Example for ReceiptDigest {
    fn example() -> Self {
        Self { run_id: example::id("run", 1), streams: vec![StreamReceipt::example()] }
    }
}

impl Example for StreamReceipt {
    fn example() -> Self {
        Self {
            index: 0,
            name: "public.orders".into(),
            state: StreamState::Committed.into(),
            rows: 1_204_511,
            bytes: 388_000_000,
            files: 3,
            coerced: 0,
            grade: Some(Grade::Counted.into()),
            version: Some(41),
            digest: Some("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".into()),
            adopted: false,
        }
    }
}

impl Example for Discovery {
    fn example() -> Self {
        let column = |name: &str, source_type: &str| DiscoveredColumn {
            name: name.into(),
            source_type: source_type.into(),
            nullable: false,
        };
        Self {
            tables: vec![DiscoveredTable {
                name: "public.orders".into(),
                columns: vec![column("id", "bigint"), column("updated_at", "timestamp with time zone")],
                rows_estimate: Some(1_490_000),
                key: vec!["id".into()],
            }],
            tables_withheld: 0,
        }
    }
}
