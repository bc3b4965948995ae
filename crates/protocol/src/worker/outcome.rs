//! Asking for leave to commit, and the attempt's outcome.

use waybill_model::Epoch;
use waybill_model::receipt::{ColumnDrift, Grade, StreamOutcome};
use waybill_model::report::{Completion, DiscoveredColumn, DiscoveredTable, Outcome};

use super::report::{read_state, state};
use crate::pb::worker as pb;
use crate::wire::{self, Problem, WireError, WireResult};

const MAX_STREAMS: usize = 10_000;
const MAX_TABLES: usize = 20_000;
const MAX_COLUMNS: usize = 5_000;
const MAX_NAME_BYTES: usize = 4096;

/// Asks for leave to commit one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareCommit {
    /// Fencing number of the attempt.
    pub epoch: Epoch,
    /// The stream's place in the plan.
    pub stream: u32,
    /// HMAC over state and actions under the bucket's digest key.
    pub digest: [u8; 32],
}

impl From<PrepareCommit> for pb::PrepareCommitRequest {
    fn from(p: PrepareCommit) -> Self {
        Self { epoch: p.epoch.0, stream: p.stream, digest: p.digest.to_vec() }
    }
}

impl TryFrom<pb::PrepareCommitRequest> for PrepareCommit {
    type Error = WireError;

    fn try_from(wire: pb::PrepareCommitRequest) -> WireResult<Self> {
        Ok(Self {
            epoch: wire::epoch("epoch", wire.epoch)?,
            stream: wire.stream,
            digest: wire::array("digest", &wire.digest)?,
        })
    }
}

/// A completion together with the fencing number that it was sent under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Fencing number of the attempt.
    pub epoch: Epoch,
    /// How it ended.
    pub completion: Completion,
}

impl From<Submission> for pb::CompleteRequest {
    fn from(Submission { epoch, completion }: Submission) -> Self {
        Self {
            epoch: epoch.0,
            outcome: match completion.outcome {
                Outcome::Succeeded => pb::Outcome::Succeeded,
                Outcome::Failed => pb::Outcome::Failed,
                Outcome::Canceled => pb::Outcome::Canceled,
            }
            .into(),
            streams: completion.streams.into_iter().map(stream_outcome).collect(),
            failure: completion.failure.map(|f| f.as_str().to_owned()),
            tables: completion.tables.into_iter().map(table).collect(),
            tables_withheld: completion.tables_withheld,
        }
    }
}

impl TryFrom<pb::CompleteRequest> for Submission {
    type Error = WireError;

    fn try_from(wire: pb::CompleteRequest) -> WireResult<Self> {
        wire::at_most("streams", &wire.streams, MAX_STREAMS)?;
        wire::at_most("tables", &wire.tables, MAX_TABLES)?;
        let outcome = match wire.outcome() {
            pb::Outcome::Unspecified => return Err(WireError::new("outcome", Problem::UnknownValue)),
            pb::Outcome::Succeeded => Outcome::Succeeded,
            pb::Outcome::Failed => Outcome::Failed,
            pb::Outcome::Canceled => Outcome::Canceled,
        };
        let completion = Completion {
            outcome,
            streams: wire::each("streams", wire.streams, read_stream_outcome)?,
            failure: wire.failure.map(|f| wire::code("failure", &f)).transpose()?,
            tables: wire::each("tables", wire.tables, read_table)?,
            tables_withheld: wire::count("tables_withheld", wire.tables_withheld)?,
        };
        Ok(Self { epoch: wire::epoch("epoch", wire.epoch)?, completion })
    }
}

fn stream_outcome(o: StreamOutcome) -> pb::StreamOutcome {
    pb::StreamOutcome {
        stream: o.stream,
        state: state(o.state).into(),
        rows: o.rows,
        bytes: o.bytes,
        files: o.files,
        coerced: o.coerced,
        grade: match o.grade {
            Grade::Verified => pb::Grade::Verified,
            Grade::Counted => pb::Grade::Counted,
            Grade::Unchecked => pb::Grade::Unchecked,
        }
        .into(),
        version: o.version,
        epoch: o.epoch.map(|e| e.0),
        // A digest that is not hexadecimal can't have come from the HMAC: it does not leave.
        receipt: o.receipt.and_then(|text| hex::decode(text).ok()),
        adopted: o.adopted,
        failure: o.failure.map(|f| f.as_str().to_owned()),
        columns_new: o.columns.new,
        columns_gone: o.columns.gone,
        columns_changed: o.columns.changed,
        columns_ignored: o.columns.ignored,
    }
}

fn read_stream_outcome(wire: pb::StreamOutcome) -> WireResult<StreamOutcome> {
    let grade = match wire.grade() {
        pb::Grade::Unspecified => return Err(WireError::new("grade", Problem::UnknownValue)),
        pb::Grade::Verified => Grade::Verified,
        pb::Grade::Counted => Grade::Counted,
        pb::Grade::Unchecked => Grade::Unchecked,
    };
    let receipt = wire.receipt.as_deref().map(|bytes| wire::array::<32>("receipt", bytes)).transpose()?;
    Ok(StreamOutcome {
        stream: wire.stream,
        state: read_state(wire.state())?,
        rows: wire::count("rows", wire.rows)?,
        bytes: wire::count("bytes", wire.bytes)?,
        files: wire::count("files", wire.files)?,
        coerced: wire::count("coerced", wire.coerced)?,
        grade,
        version: wire::optional_count("version", wire.version)?,
        epoch: wire.epoch.map(|e| wire::epoch("epoch", e)).transpose()?,
        receipt: receipt.map(hex::encode),
        adopted: wire.adopted,
        failure: wire.failure.map(|f| wire::code("failure", &f)).transpose()?,
        columns: ColumnDrift {
            new: wire::count("columns_new", wire.columns_new)?,
            gone: wire::count("columns_gone", wire.columns_gone)?,
            changed: wire::count("columns_changed", wire.columns_changed)?,
            ignored: wire::count("columns_ignored", wire.columns_ignored)?,
        },
    })
}

fn table(table: DiscoveredTable) -> pb::DiscoveredTable {
    let column =
        |c: DiscoveredColumn| pb::DiscoveredColumn { name: c.name, source_type: c.source_type, nullable: c.nullable };
    pb::DiscoveredTable {
        name: table.name,
        columns: table.columns.into_iter().map(column).collect(),
        rows_estimate: table.rows_estimate,
        key: table.key,
    }
}

fn read_table(wire: pb::DiscoveredTable) -> WireResult<DiscoveredTable> {
    wire::at_most("name", wire.name.as_bytes(), MAX_NAME_BYTES)?;
    wire::at_most("columns", &wire.columns, MAX_COLUMNS)?;
    let columns = wire.columns.len();
    if wire.key.iter().any(|place| *place as usize >= columns) || wire.key.len() > columns {
        return Err(WireError::new("key", Problem::OutOfRange));
    }
    Ok(DiscoveredTable {
        name: wire.name,
        columns: wire::each("columns", wire.columns, read_column)?,
        rows_estimate: wire::optional_count("rows_estimate", wire.rows_estimate)?,
        key: wire.key,
    })
}

fn read_column(wire: pb::DiscoveredColumn) -> WireResult<DiscoveredColumn> {
    wire::at_most("name", wire.name.as_bytes(), MAX_NAME_BYTES)?;
    wire::at_most("source_type", wire.source_type.as_bytes(), MAX_NAME_BYTES)?;
    Ok(DiscoveredColumn { name: wire.name, source_type: wire.source_type, nullable: wire.nullable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::FailureCode;
    use waybill_model::run::StreamState;

    fn submission() -> Submission {
        let stream = StreamOutcome {
            stream: 0,
            state: StreamState::Committed,
            rows: 10,
            bytes: 20,
            files: 1,
            coerced: 0,
            grade: Grade::Counted,
            version: Some(3),
            epoch: Some(Epoch(7)),
            receipt: Some("ab".repeat(32)),
            adopted: false,
            failure: None,
            columns: ColumnDrift { new: 1, gone: 2, changed: 3, ignored: 4 },
        };
        let column = DiscoveredColumn { name: "id".into(), source_type: "int4".into(), nullable: false };
        let table =
            DiscoveredTable { name: "public.t".into(), columns: vec![column], rows_estimate: Some(4), key: vec![0] };
        let completion = Completion {
            outcome: Outcome::Failed,
            streams: vec![stream],
            failure: Some(FailureCode::SourceFailed),
            tables: vec![table],
            tables_withheld: 2,
        };
        Submission { epoch: Epoch(7), completion }
    }

    fn field(change: impl FnOnce(&mut pb::CompleteRequest)) -> String {
        let mut wire = pb::CompleteRequest::from(submission());
        change(&mut wire);
        Submission::try_from(wire).expect_err("must be refused").field
    }

    #[test]
    fn a_completion_survives_the_wire() {
        assert_eq!(Submission::try_from(pb::CompleteRequest::from(submission())), Ok(submission()));
    }

    #[test]
    fn a_bad_completion_names_its_field() {
        assert_eq!(field(|c| c.outcome = 0), "outcome");
        assert_eq!(field(|c| c.streams[0].grade = 0), "streams[0].grade");
        assert_eq!(field(|c| c.streams[0].receipt = Some(vec![1; 31])), "streams[0].receipt");
        assert_eq!(field(|c| c.streams[0].rows = 1 << 63), "streams[0].rows");
        assert_eq!(field(|c| c.streams[0].epoch = Some(-3)), "streams[0].epoch");
        assert_eq!(field(|c| c.streams[0].columns_ignored = 1 << 63), "streams[0].columns_ignored");
        assert_eq!(field(|c| c.failure = Some("boom".into())), "failure");
        assert_eq!(field(|c| c.tables[0].key = vec![1]), "tables[0].key");
        assert_eq!(field(|c| c.tables[0].columns[0].name = "x".repeat(5000)), "tables[0].columns[0].name");
    }

    #[test]
    fn a_digest_of_another_length_is_refused() {
        let good = PrepareCommit { epoch: Epoch(1), stream: 2, digest: [9; 32] };
        assert_eq!(PrepareCommit::try_from(pb::PrepareCommitRequest::from(good)), Ok(good));
        let mut wire = pb::PrepareCommitRequest::from(good);
        wire.digest.push(0);
        assert_eq!(PrepareCommit::try_from(wire), Err(WireError::new("digest", Problem::Length(32))));
    }
}
