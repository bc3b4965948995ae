//! What the sequence behind an integer cursor tells of its numbers: how far it is, and whether they may come out of order.
//!
//! Only the catalogue is asked. A sequence that this user may not read tells nothing of how far it is.

use waybill_pipeline::FaultResult;

use super::catalog::Relation;
use super::literal::literal;
use super::origin::sources;
use super::replica::RECORDED_AHEAD;
use super::session::Hello;
use super::wire::Wire;

/// Whether the column's own sequence was at this number or beyond: then the rows above were deleted, and the next ones
/// come higher. A replica's stands ahead of the primary's.
pub(super) async fn goes_on(
    wire: &mut Wire,
    (relation, column): (&Relation, &str),
    low: &str,
    hello: &Hello,
) -> FaultResult<bool> {
    let ahead = if hello.is_replica { RECORDED_AHEAD } else { 0 };
    let name = literal(column, "pg_catalog.text")?;
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_depend d \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
           JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
           JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid \
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid \
           AND d.refobjid = {} AND a.attname = {name} AND d.deptype IN ('a', 'i') \
           AND CASE WHEN pg_catalog.has_sequence_privilege(s.oid, 'SELECT, USAGE') \
             THEN pg_catalog.pg_sequence_last_value(s.oid) - {ahead} * q.seqincrement::numeric >= {low} END)",
        relation.oid
    );
    wire.ask_one(&sql).await?.flag(0)
}

/// Whether a sequence that the column belongs to, or takes its default from, hands out numbers to a session before they are
/// used: a transaction that begins later may then bear a lower one. Partitions and heirs have defaults of their own, and a view's
/// column is taken for those of its name.
pub(super) async fn is_cached(wire: &mut Wire, relation: &Relation, column: &str) -> FaultResult<bool> {
    let name = literal(column, "pg_catalog.text")?;
    let sql = format!(
        "{} SELECT EXISTS (SELECT FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attname = {name} \
           LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
           JOIN pg_catalog.pg_depend d ON (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND d.refclassid = d.classid AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')) \
             OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid \
               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass) \
           JOIN pg_catalog.pg_sequence q ON q.seqrelid IN (d.objid, d.refobjid) WHERE q.seqcache > 1)",
        sources(relation)
    );
    wire.ask_one(&sql).await?.flag(0)
}
