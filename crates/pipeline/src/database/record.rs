//! The state of a table as it stands in the database, beside the rows that it speaks of.
//!
//! It holds the cursor, so it is turned into text here and nowhere else, and the digest that leaves is one under a key that
//! stays in the same row.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use waybill_model::errand::Errand;
use waybill_model::plan::Load;
use waybill_model::receipt::Grade;
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};

use super::Swept;
use crate::commit::{Delivery, Drift, Origin, State};
use crate::expect::Expected;
use crate::fault::{Fault, FaultResult};
use crate::source::CursorState;

/// The form of the record.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    pipeline: String,
    run: RunId,
    attempt: AttemptId,
    epoch: Epoch,
    load: Load,
    cursor: Option<String>,
    cursor_column: Option<String>,
    origin: Option<Origin>,
    key: Vec<String>,
    columns: Vec<(String, String)>,
    /// None in what an older version wrote.
    #[serde(default)]
    twins: Option<Vec<String>>,
    rows: u64,
    bytes: u64,
    table_rows: Option<u64>,
    coerced: u64,
    grade: Grade,
    source_count: Option<u64>,
    snapshot: String,
    /// None in what an older version wrote.
    #[serde(default)]
    drift: Drift,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errand: Option<Errand>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    expected: Vec<Expected>,
    /// None in what an older version wrote.
    #[serde(default)]
    swept: Swept,
}

/// What a delivery leaves in a table of these columns with so many rows, as text. Those that the stream has not are twins.
pub fn write_state(
    delivery: &Delivery,
    pipeline: &str,
    columns: Vec<(String, String)>,
    (table_rows, swept): (Option<u64>, Swept),
) -> FaultResult<String> {
    let is_twin = |name: &String| delivery.schema.index_of(name).is_err();
    let twins = columns.iter().map(|(name, _)| name).filter(|name| is_twin(name)).cloned().collect();
    let record = Record {
        format: FORMAT,
        pipeline: pipeline.to_owned(),
        run: delivery.run,
        attempt: delivery.attempt,
        epoch: delivery.epoch,
        load: delivery.load,
        cursor: delivery.cursor.as_ref().map(|cursor| cursor.reveal().to_owned()),
        cursor_column: delivery.cursor_column.clone(),
        origin: Some(delivery.origin.clone()),
        key: delivery.key.clone(),
        twins: Some(twins),
        columns,
        rows: delivery.rows(),
        bytes: delivery.bytes(),
        table_rows,
        coerced: delivery.coerced.values().sum(),
        grade: delivery.proof.grade,
        source_count: delivery.proof.source_count,
        snapshot: delivery.proof.snapshot.clone(),
        drift: delivery.drift.clone(),
        errand: delivery.errand.clone(),
        expected: delivery.expected.clone(),
        swept,
    };
    serde_json::to_string(&record).map_err(|_| Fault::new(FailureCode::WorkerBug, "a state can't be written"))
}

/// The state that a text holds, as the row with this key has it.
pub fn read_state(text: &str, key: &[u8]) -> FaultResult<State> {
    let damaged = || Fault::new(FailureCode::CommitLogCorrupt, "the table's state in _waybill_commit can't be read");
    let record: Record = serde_json::from_str(text).map_err(|_| damaged())?;
    if record.format != FORMAT {
        let text = "the table's state in _waybill_commit has a newer format: use the version that wrote it";
        return Err(Fault::new(FailureCode::CommitLogCorrupt, text));
    }
    Ok(State {
        run: record.run,
        attempt: record.attempt,
        epoch: record.epoch,
        pipeline: record.pipeline,
        load: record.load,
        errand: record.errand,
        cursor: record.cursor.map(CursorState::new),
        origin: record.origin,
        cursor_column: record.cursor_column,
        key: record.key,
        columns: record.columns,
        twins: record.twins,
        rows: record.rows,
        bytes: record.bytes,
        files: 0,
        table_rows: record.table_rows,
        coerced: record.coerced,
        aside: 0,
        drift: record.drift.counts(),
        grade: record.grade,
        receipt: digest(key, text),
    })
}

/// What leaves of a state.
#[must_use]
pub fn digest(key: &[u8], state: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), state.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_says_which_columns_are_twins_and_an_older_one_does_not() {
        let (run, attempt) = (RunId::generate(), AttemptId::generate());
        let mut record = json!({
            "format": 1, "pipeline": "p", "run": run, "attempt": attempt, "epoch": 1, "load": "new", "cursor": null,
            "cursor_column": null, "origin": null, "key": [], "columns": [["x", "date"], ["x__text", "text"]], "rows": 1,
            "bytes": 1, "table_rows": null, "coerced": 0, "grade": "counted", "source_count": null, "snapshot": "",
        });
        assert_eq!(read_state(&record.to_string(), b"key").expect("an older state").twins, None);
        record["twins"] = json!(["x__text"]);
        let state = read_state(&record.to_string(), b"key").expect("a state");
        assert_eq!(state.twins, Some(vec!["x__text".to_owned()]));
    }
}
