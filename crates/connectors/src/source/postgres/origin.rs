//! Where the rows of a relation come from: which tables are behind it, and who writes them.
//!
//! What a function in a view fetches is not seen. Only the catalogue is asked.

use waybill_pipeline::FaultResult;

use super::catalog::Relation;
use super::wire::Wire;

/// Where a relation's rows come from, besides transactions of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// From a foreign table: what is open there is not seen here.
    pub(super) is_foreign: bool,
    /// By a subscription: they bear times and numbers of another server, and come when they are committed there.
    pub(super) is_subscribed: bool,
    /// From a materialized view: its rows appear when somebody refreshes it.
    pub(super) is_materialized: bool,
}

/// The beginning of a statement: as `t`, the relation and all that its rows may come from, through partitions, heirs and the
/// definitions of views.
pub(super) fn sources(relation: &Relation) -> String {
    format!(
        "WITH RECURSIVE t(oid) AS (SELECT {}::pg_catalog.oid UNION SELECT x.oid FROM t CROSS JOIN LATERAL (\
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid \
           UNION ALL SELECT d.refobjid FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d \
             ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid \
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass WHERE r.ev_class = t.oid) x(oid))",
        relation.oid
    )
}

/// Looks where the rows come from. A subscription may write into a partition by the table that it belongs to.
pub(super) async fn of(wire: &mut Wire, relation: &Relation) -> FaultResult<Origin> {
    let sql = format!(
        "{}, u(oid) AS (SELECT t.oid FROM t UNION SELECT i.inhparent FROM u JOIN pg_catalog.pg_inherits i ON i.inhrelid = u.oid \
           JOIN pg_catalog.pg_class p ON p.oid = i.inhparent AND p.relkind = 'p') \
         SELECT coalesce(pg_catalog.bool_or(c.relkind = 'f'), false), coalesce(pg_catalog.bool_or(c.relkind = 'm'), false), \
           EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s JOIN u ON u.oid = s.srrelid) \
         FROM t JOIN pg_catalog.pg_class c ON c.oid = t.oid",
        sources(relation)
    );
    let row = wire.ask_one(&sql).await?;
    Ok(Origin { is_foreign: row.flag(0)?, is_materialized: row.flag(1)?, is_subscribed: row.flag(2)? })
}
