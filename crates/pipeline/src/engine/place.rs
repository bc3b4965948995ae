//! Where a stream's rows become visible: a table of files, or one of a database. The steps and their order are the same.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use waybill_model::plan::{Load, Plan, StreamPlan};
use waybill_model::{Epoch, FailureCode, Micros, RunId};

use super::Context;
use super::stream::StreamWork;
use crate::commit::{Delivered, Delivery, Drift, OWN_MARK, Outcome, Owner, Prepared, State, Table};
use crate::database::{DatabaseTable, Destination, Placed, Swept, Wanted};
use crate::encode::{RowTarget, TwinSet, Way};
use crate::fault::{Fault, FaultResult};
use crate::source::Snapshot;
use crate::stop::End;

/// One stream's table.
pub(super) enum Place {
    Files(Arc<Table>),
    Rows(Arc<dyn DatabaseTable>),
}

/// Everything is written but the commit.
pub(super) struct Ready {
    /// What `PrepareCommit` carries.
    pub(super) digest: [u8; 32],
    /// Of the receipt; in a database the state is the receipt.
    pub(super) receipt: [u8; 32],
    /// Rows that the source has no more, or has again.
    pub(super) swept: Swept,
    files: Option<Prepared>,
}

impl Place {
    /// Looks at the table that rows of a stream come into by this load; writes nothing.
    pub(super) async fn open(context: &Context, (stream, load): (&StreamPlan, Load), plan: &Plan) -> FaultResult<Self> {
        let owner = Owner { pipeline: context.owner.clone(), take_over: stream.take_over, accepted: context.accepted };
        Ok(match &context.destination {
            Destination::Bucket(bucket) => {
                Self::Files(Arc::new(Table::open_as(Arc::clone(bucket), &stream.name, &owner, &plan.files).await?))
            }
            Destination::Database(database) => {
                let (run, attempt) = (context.run, context.attempt);
                let wanted = Wanted { stream, load, source: &plan.from.system, owner: &owner, run, attempt };
                Self::Rows(database.open(wanted).await?)
            }
        })
    }

    pub(super) fn state(&self) -> Option<&State> {
        match self {
            Self::Files(table) => table.state(),
            Self::Rows(table) => table.state(),
        }
    }

    /// What was committed last, where the table that it speaks of is still there.
    pub(super) fn standing(&self) -> Option<&State> {
        self.state().filter(|_| match self {
            Self::Files(_) => true,
            Self::Rows(table) => table.is_there(),
        })
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.state().map(|state| state.epoch)
    }

    /// Refuses an epoch that stands too far in the future, unless it was accepted: `epoch_ahead`.
    pub(super) fn check_epoch(&self, accepted: Option<Epoch>) -> FaultResult<()> {
        match self {
            Self::Files(table) => table.check_epoch(),
            Self::Rows(_) => match self.epoch().filter(|epoch| epoch.is_ahead(Micros::now(), accepted)) {
                Some(found) => {
                    let text = format!("the table has epoch {found}, more than 24 h in the future");
                    Err(Fault::new(FailureCode::EpochAhead, text))
                }
                None => Ok(()),
            },
        }
    }

    /// Refuses to append where nothing tells whether rows of ours are there already. A database always tells.
    pub(super) fn check_proven(&self, load: Load) -> FaultResult<()> {
        match self {
            Self::Files(table) => table.check_proven(load),
            Self::Rows(_) => Ok(()),
        }
    }

    /// How a stream's columns differ from those of the table that is there; of a database's only names are known here. None
    /// where there is no table, or one that this load replaces whatever it is.
    pub(super) fn drift(&self, load: Load, stream: &Schema) -> FaultResult<Option<Drift>> {
        match (self, self.state()) {
            (_, None) if load == Load::Full => Ok(None),
            (Self::Files(table), _) => table.drift(stream),
            (Self::Rows(_), None) => Ok(None),
            (Self::Rows(_), Some(state)) => {
                let table: Vec<&str> = state.columns.iter().map(|(name, _)| name.as_str()).collect();
                // A column of our own comes and is no difference; where it is there and the stream gives it up, it is one.
                let is_own = |field: &Field| field.metadata().contains_key(OWN_MARK);
                let fields = stream.fields().iter();
                let fields = fields.filter(|field| !is_own(field) || table.contains(&field.name().as_str()));
                let stream: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
                Ok(Some(Drift::of_names(&table, state.twins.as_deref(), &stream)))
            }
        }
    }

    /// The commit of an earlier attempt of this run, if it is the newest one.
    pub(super) fn delivered(&self, run: RunId) -> Option<Delivered> {
        match self {
            Self::Files(table) => table.delivered(run),
            Self::Rows(table) => {
                table.state().filter(|state| state.run == run).map(|state| state.delivered(table.version()))
            }
        }
    }

    /// Makes that commit safe, before it is told as delivered. A database has done so with the commit itself.
    pub(super) async fn settle(&self) -> FaultResult<()> {
        match self {
            Self::Files(table) => table.settle().await,
            Self::Rows(_) => Ok(()),
        }
    }

    /// What the stream's lanes write by.
    pub(super) async fn way(&self, work: &StreamWork<'_>, from: (&dyn Snapshot, Epoch)) -> Result<Way, End> {
        match self {
            Self::Files(table) => Ok(Way::Files(work.target(from, table.bucket(), table)?)),
            Self::Rows(table) => {
                let schema = from.0.schema();
                let begun = table.begin(Arc::clone(&schema));
                let sink = work.shared.context.stop.or_halt(begun).await??;
                let twins = TwinSet::known(&schema, |_| false);
                Ok(Way::Rows(RowTarget { sink, schema, twins }))
            }
        }
    }

    pub(super) async fn prepare(&self, delivery: &Delivery) -> FaultResult<Option<Ready>> {
        match self {
            Self::Files(table) => Ok(table.prepare(delivery).await?.map(|prepared| Ready {
                digest: prepared.digest,
                receipt: prepared.receipt_digest,
                swept: Swept {
                    removed: delivery.merged.removed,
                    marked: delivery.merged.marked,
                    unmarked: delivery.merged.unmarked,
                },
                files: Some(prepared),
            })),
            Self::Rows(table) => {
                let placed = table.prepare(delivery).await?;
                Ok(placed.map(|Placed { digest, swept }| Ready { digest, receipt: digest, swept, files: None }))
            }
        }
    }

    pub(super) async fn commit(&self, ready: &Ready) -> FaultResult<Outcome> {
        match (self, &ready.files) {
            (Self::Files(table), Some(prepared)) => table.commit(prepared).await,
            (Self::Rows(table), _) => table.commit().await,
            (Self::Files(_), None) => Err(Fault::new(FailureCode::WorkerBug, "a commit without its records")),
        }
    }

    /// Does what follows a commit and what no row depends on.
    pub(super) async fn after_commit(&self) {
        if let Self::Files(table) = self {
            table.after_commit().await;
        }
    }

    /// How many data files a delivery is; a database has none.
    pub(super) fn files(&self, delivery: &Delivery) -> u64 {
        match self {
            Self::Files(_) => delivery.files.len() as u64,
            Self::Rows(_) => 0,
        }
    }
}
