//! The rows that a replace takes away: all of the table and none of another one, or the load is refused.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::fault::of_target;
use super::relation::Relation;
use super::session::count;
use crate::source::postgres::wire::Wire;

/// Why rows go.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// All of them do.
    Replace,
    /// The source has them no more.
    Sweep,
}

/// Refuses a table whose rows take others along when they go: in a table that is none of ours, or, where not all of them go, in itself.
pub(super) async fn check_references(wire: &mut Wire, table: &Relation, why: Why) -> FaultResult<()> {
    let own = format!(
        "SELECT {oid}::pg_catalog.oid UNION SELECT relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree({oid})",
        oid = table.oid
    );
    let others = match why {
        Why::Replace => "AND c.conrelid NOT IN (SELECT oid FROM own)",
        Why::Sweep => "",
    };
    let asked = format!(
        "WITH own(oid) AS ({own}) SELECT c.conname, c.conrelid::pg_catalog.regclass::pg_catalog.text \
         FROM pg_catalog.pg_constraint c WHERE c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') \
         AND c.confrelid IN (SELECT oid FROM own) {others} ORDER BY 2, 1 LIMIT 1"
    );
    let Some(row) = wire.ask(&asked).await.map_err(of_target)?.into_iter().next() else { return Ok(()) };
    let (what, instead) = match why {
        Why::Replace => {
            ("a load that replaces a table deletes all rows first", "do not replace this table (`full`, a reload)")
        }
        Why::Sweep => ("`deletes: remove` deletes rows", "mark them (`deletes: mark`)"),
    };
    let text = format!(
        "{what}, and the foreign key {} of {} would delete or change the rows there with them: \
         make it ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED, or {instead}",
        row.text(0)?,
        row.text(1)?
    );
    Err(Fault::new(FailureCode::TargetDenied, text))
}

/// Deletes all rows of a table that nobody else can write to any more, and says how many there were.
pub(super) async fn clear(wire: &mut Wire, table: &Relation, name: &str) -> FaultResult<u64> {
    check_references(wire, table, Why::Replace).await?;
    let place = format!("{}{name}", table.only());
    let gone = count(wire, &format!("DELETE FROM {place}")).await?;
    let left = wire.ask_one(&format!("SELECT EXISTS (SELECT FROM {place})")).await.map_err(of_target)?;
    if !left.flag(0)? {
        return Ok(gone);
    }
    let text = format!(
        "a trigger or a rule kept rows of {name} that a load which replaces it deletes: take it away, or do not replace this table (`full`, a \
         reload)"
    );
    Err(Fault::new(FailureCode::TargetDenied, text))
}
