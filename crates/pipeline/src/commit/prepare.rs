//! Everything that precedes the commit: checks, then receipt and state, each written once.

use std::collections::BTreeSet;
use std::sync::Arc;

use waybill_model::plan::Load;
use waybill_model::{Epoch, FailureCode, Micros, fault};

use crate::commit::compose::{Intent, NewFile, Plan, Work};
use crate::commit::delivery::{Delivery, Prepared};
use crate::commit::digest::DigestKey;
use crate::commit::record::{self, Frame};
use crate::commit::table::Table;
use crate::commit::{key, schema, write};
use crate::encode::partition;
use crate::fault::{Fault, FaultResult};
use crate::source::CursorState;
use crate::taken::{Part, Shelf};

/// Writes receipt and state of a delivery, if it can be committed on the table as it was opened, and read again.
pub(crate) async fn prepare(table: &Table, delivery: &Delivery) -> FaultResult<Option<Prepared>> {
    let takes_files = delivery.cursor.as_ref().is_some_and(CursorState::takes_files);
    if delivery.load.has_window() && delivery.rows() == 0 && delivery.merged.is_empty() && !takes_files {
        return Ok(None);
    }
    check_epoch(table, delivery)?;
    table.check_proven(delivery.load)?;
    let intent = intent(table, delivery)?;
    intent.on(&table.head)?;
    let bucket = &*table.bucket;
    table.limit.record(bucket, &table.dir, delivery.epoch).await?;
    let digest = DigestKey::find_or_make(bucket).await?;
    // Behind the key: making that shows whether the store minds a condition.
    if table.head.version.is_none() {
        table.head.log.claim(bucket, &table.dir).await?;
    }
    let taken = listed(table, delivery).await?;
    let frame = Frame {
        table: &table.dir,
        stream: &table.stream,
        pipeline: &table.owner.pipeline,
        columns: &intent.columns,
        base: table.found.as_ref().map(|found| (found.state.epoch, found.digest)),
        prepared_on: table.head.version,
        gone_before: table.found.as_ref().and_then(|found| found.gone_before),
        taken: taken.as_deref(),
        rows_before: if table.head.version.is_none() { Some(0) } else { table.head.rows() },
    };
    let (receipt_digest, receipt) = record::receipt(&digest, delivery, &frame)?;
    let (state_digest, state) = record::state(&digest, delivery, &frame, receipt_digest)?;
    let parent = table.found.as_ref().map(|found| hex::encode(found.digest));
    let plan = Plan { intent, state: hex::encode(state_digest), receipt: hex::encode(receipt_digest), parent };
    plan.body(&table.head, &digest)?;
    write::put_once(bucket, &key::receipt(&table.dir, delivery.epoch), receipt).await?;
    write::put_once(bucket, &key::state(&table.dir, delivery.epoch), state).await?;
    fault::point("prepared");
    Ok(Some(Prepared { digest: state_digest, receipt_digest, plan }))
}

/// The list of taken files, once it is written; none for other streams.
async fn listed(table: &Table, delivery: &Delivery) -> FaultResult<Option<Vec<Part>>> {
    let Some(taken) = delivery.cursor.as_ref().and_then(CursorState::taken) else { return Ok(None) };
    let mut listed = table.listed.lock().await;
    if let Some((_, parts)) = listed.as_ref().filter(|(epoch, _)| *epoch == delivery.epoch) {
        return Ok(Some(parts.clone()));
    }
    let shelf = Shelf { bucket: Arc::clone(&table.bucket), table: table.dir.clone() };
    let parts = taken.write(&shelf, delivery.epoch).await?;
    fault::point("files_listed");
    *listed = Some((delivery.epoch, parts.clone()));
    Ok(Some(parts))
}

/// The attempt must be newer than what is there, and not from the far future.
fn check_epoch(table: &Table, delivery: &Delivery) -> FaultResult<()> {
    table.limit.check(delivery.epoch, &table.owner)?;
    let newer = table.found.as_ref().filter(|found| found.state.epoch >= delivery.epoch);
    match newer {
        Some(found) if found.state.run != delivery.run => {
            Err(Fault::new(FailureCode::Fenced, "the table has a commit of a later epoch"))
        }
        _ if delivery.epoch <= Epoch(0) => Err(Fault::new(FailureCode::WorkerBug, "an epoch must be positive")),
        _ => Ok(()),
    }
}

fn intent(table: &Table, delivery: &Delivery) -> FaultResult<Intent> {
    let mut adds = Vec::with_capacity(delivery.files.len());
    for file in delivery.all_files() {
        let path = record::path(&table.dir, file)?.to_owned();
        let (size, stats, partition) = (file.bytes, file.stats.to_delta(file.rows), file.partition.clone());
        adds.push(NewFile { path, size, stats, partition });
    }
    let mut columns = schema::columns(&delivery.schema, &delivery.twins)?;
    if partition::has_run_day(&table.files) {
        columns = schema::with_run_day(columns)?;
    }
    Ok(Intent {
        run: delivery.run,
        attempt: delivery.attempt,
        epoch: delivery.epoch,
        base: table.head.epoch,
        seen: table.head.version,
        work: Work::Load(delivery.load),
        replaced: delivery.merged.replaced.clone(),
        base_files: if delivery.load == Load::Changed {
            table.head.files.keys().cloned().collect()
        } else {
            BTreeSet::new()
        },
        adds,
        rows: delivery.rows(),
        columns,
        partition: partition::columns(&table.files),
        added: delivery.drift.new.clone(),
        format: table.files.format,
        shrink_guard: delivery.shrink_guard,
        rows_expected: table.found.as_ref().and_then(|found| found.state.table_rows),
        table_id: uuid::Uuid::new_v4().to_string(),
        now: Micros::now().0 / 1000,
    })
}
