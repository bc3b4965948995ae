//! Attempts of several runs in any order of steps, with lost answers and conflicts: at most one commit per run, and in
//! the end every row once.

use std::sync::Arc;

use proptest::prelude::*;
use waybill_model::plan::Load;
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::{Prepared, Table};
use waybill_tests::proof::cases;

use super::fixture::{Blow, Faulty, Place, Try, delivery, file, ids, open_on};

/// Rows that each run finds in its source: run `n` sees those below `(n + 1) * ROWS`.
const ROWS: i64 = 3;

/// Where one attempt is.
enum Stage {
    Fresh,
    Open(Box<Table>),
    Ready(Box<(Table, Prepared)>),
    Done,
}

struct Attempt {
    who: Try,
    limit: i64,
    bucket: Arc<dyn Bucket>,
    stage: Stage,
}

impl Attempt {
    /// One step on. What an attempt may end in is checked here.
    async fn step(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Fresh => {
                let table = open_on(&self.bucket).await.expect("a sound table");
                if table.delivered(self.who.run).is_some() { Stage::Done } else { Stage::Open(Box::new(table)) }
            }
            Stage::Open(table) => self.prepare(*table).await,
            Stage::Ready(ready) => {
                let (table, held) = *ready;
                if let Err(fault) = table.commit(&held).await {
                    let known = [FailureCode::Fenced, FailureCode::CommitUnknown];
                    assert!(known.contains(&fault.code), "{}: {}", fault.code, fault.text.for_customer());
                }
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
    }

    /// Reads what is new after the state's cursor, as an engine does.
    async fn prepare(&self, table: Table) -> Stage {
        let cursor = table.state().and_then(|state| state.cursor.as_ref());
        let from: i64 = cursor.map_or(0, |cursor| cursor.reveal().parse().expect("a number"));
        if from >= self.limit {
            return Stage::Done;
        }
        let data = file(&self.bucket, &table, self.who, &ids(from..self.limit)).await;
        let mut delivery = delivery(self.who, Load::New, vec![data], ids(0..1).schema());
        delivery.cursor = Some(waybill_pipeline::CursorState::new(self.limit.to_string()));
        match table.prepare(&delivery).await {
            Ok(held) => Stage::Ready(Box::new((table, held.expect("rows")))),
            Err(fault) => {
                assert_eq!(fault.code, FailureCode::Fenced, "{}", fault.text.for_customer());
                Stage::Done
            }
        }
    }
}

async fn play(order: &[usize], blows: &[Blow]) {
    let place = Place::new();
    let bucket: Arc<dyn Bucket> = Faulty::commits(&place.bucket, blows);
    let runs = [RunId::generate(), RunId::generate(), RunId::generate()];
    let base = waybill_model::Micros::now().0;
    // Two attempts of two runs each; epochs rise from attempt to attempt.
    let mut attempts: Vec<Attempt> = (0..4_usize)
        .map(|n| Attempt {
            who: Try {
                run: runs[n / 2],
                attempt: AttemptId::generate(),
                epoch: Epoch(base + i64::try_from(n).expect("small")),
            },
            limit: (i64::try_from(n / 2).expect("small") + 1) * ROWS,
            bucket: bucket.clone(),
            stage: Stage::Fresh,
        })
        .collect();
    for n in order {
        attempts[*n].step().await;
    }
    // A last run without any fault delivers what is missing; then whoever is left tries to.
    let last = Try { run: runs[2], attempt: AttemptId::generate(), epoch: Epoch(base + 10) };
    let mut closing = Attempt { who: last, limit: 3 * ROWS, bucket: place.bucket.clone(), stage: Stage::Fresh };
    for _ in 0..3 {
        closing.step().await;
    }
    for attempt in &mut attempts {
        attempt.step().await;
        attempt.step().await;
        attempt.step().await;
    }
    assert_eq!(place.ids(), (0..3 * ROWS).collect::<Vec<_>>());
    for run in runs {
        assert!(place.commits_of(run) <= 1);
    }
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![3 => Just(Blow::Pass), 2 => Just(Blow::LoseAnswer), 1 => Just(Blow::LoseRequest), 1 => Just(Blow::Conflict)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(48), ..ProptestConfig::default() })]

    #[test]
    fn two_writers_in_any_order_commit_each_run_once_and_every_row_once(
        order in prop::collection::vec(0..4_usize, 0..14),
        blows in prop::collection::vec(blow(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(play(&order, &blows));
    }
}
