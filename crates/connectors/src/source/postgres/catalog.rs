//! What the catalogue says of one relation: where it is, its columns and their types, the tables that hold its rows.
//!
//! Only names, types and sizes are read here.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::kind::{PgType, Types};
use super::literal::{TableName, identifier, literal};
use super::wire::Wire;
use crate::source::shape::{self, Unique};

/// A relation, found once by its name and from then on by its oid.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r`, `p`, `v`, `m` or `f`, as in pg_class.
    pub(super) kind: char,
    /// Which file holds it; another one means that it was rewritten.
    pub(super) file: String,
}

impl Relation {
    /// Schema and name, quoted.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// LOCK TABLE takes tables and views only.
    pub(super) const fn is_lockable(&self) -> bool {
        matches!(self.kind, 'r' | 'p' | 'v')
    }
}

/// A column as the catalogue has it.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
    /// The type in the source's words, with its modifier.
    pub(super) shown: String,
    /// The same through domains, of the type and of its elements: what its values are in the end, with the modifier that counts.
    pub(super) base: String,
    /// The type to cast a literal to: without a modifier, and for a domain what it rests on, whose modifier it would apply, so
    /// that nothing is cut or rounded.
    pub(super) cast: String,
}

/// A table that holds rows of the relation: itself, a partition, an heir.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) oid: u32,
    pub(super) sql: String,
    /// Whether its rows have row ids that can be read in ranges.
    pub(super) is_heap: bool,
    pub(super) is_readable: bool,
    pub(super) blocks: u64,
    /// Bytes with what is stored out of line.
    pub(super) bytes: u64,
    pub(super) rows: Option<f64>,
}

/// Finds the stream's table as the role would: an unqualified name by its search path.
pub(super) async fn find(wire: &mut Wire, stream: &str) -> FaultResult<Relation> {
    let name = TableName::parse(stream)?;
    let quoted = literal(&name.sql(), "pg_catalog.text")?;
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, coalesce(pg_catalog.pg_relation_filenode(c.oid), 0) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = pg_catalog.to_regclass({quoted})"
    );
    let Some(row) = wire.ask(&sql).await?.into_iter().next() else {
        let text = format!("{} does not exist or is hidden from this user", name.sql());
        return Err(Fault::new(FailureCode::StreamNotFound, text));
    };
    let kind = row.text(3)?.chars().next().unwrap_or(' ');
    if !matches!(kind, 'r' | 'p' | 'v' | 'm' | 'f') {
        let text = format!("{} is neither a table nor a view", name.sql());
        return Err(Fault::new(FailureCode::StreamNotFound, text));
    }
    Ok(Relation { oid: row.number(0)?, schema: row.text(1)?, name: row.text(2)?, kind, file: row.text(4)? })
}

/// Refuses a relation that was replaced or rewritten between its look-up and the snapshot, or that row security filters.
pub(super) async fn confirm(wire: &mut Wire, relation: &Relation) -> FaultResult<()> {
    let quoted = literal(&relation.sql(), "pg_catalog.text")?;
    if relation.kind == 'm' {
        // A materialized view can't be locked by name; a statement on it takes the lock and holds it.
        wire.ask(&format!("SELECT FROM {} LIMIT 0", relation.sql())).await?;
    }
    let sql = format!(
        "SELECT pg_catalog.to_regclass({quoted})::pg_catalog.oid, \
         coalesce(pg_catalog.pg_relation_filenode({oid}), 0), pg_catalog.row_security_active({oid}::pg_catalog.oid)",
        oid = relation.oid
    );
    let row = wire.ask_one(&sql).await?;
    let same_file = relation.kind != 'm' || row.text(1)? == relation.file;
    if row.opt(0)? != Some(relation.oid.to_string()) || !same_file {
        let text = format!("{} was replaced while the run began", relation.sql());
        return Err(Fault::new(FailureCode::SourceChanged, text));
    }
    if row.flag(2)? {
        let text = format!("row-level security of {} would hide rows from this user", relation.sql());
        return Err(Fault::new(FailureCode::RowSecurity, text));
    }
    Ok(())
}

/// SQL: the attribute `alias` of its own table is never NULL. A constraint may be there for new rows only, and nobody holds a
/// foreign table to its own.
fn is_held(alias: &str) -> String {
    format!(
        "{alias}.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = {alias}.attrelid \
         AND k.contype = 'n' AND NOT k.convalidated AND {alias}.attnum = ANY (k.conkey))"
    )
}

/// Whether the column is NULL in no row of the relation, of its partitions and of its heirs: what it says of itself says nothing
/// of them.
pub(super) async fn holds_no_null(wire: &mut Wire, relation: &Relation, column: &str) -> FaultResult<bool> {
    let sql = format!(
        "WITH RECURSIVE t(oid) AS (SELECT {}::pg_catalog.oid \
           UNION SELECT i.inhrelid FROM t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid) \
         SELECT NOT EXISTS (SELECT FROM t JOIN pg_catalog.pg_class c ON c.oid = t.oid \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attname = {} \
         WHERE c.relkind NOT IN ('r', 'p') OR NOT ({}))",
        relation.oid,
        literal(column, "pg_catalog.text")?,
        is_held("a")
    );
    wire.ask_one(&sql).await?.flag(0)
}

/// The relation's columns in order.
pub(super) async fn attributes(wire: &mut Wire, relation: &Relation) -> FaultResult<Vec<Attribute>> {
    let sql = format!(
        "SELECT a.attname, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         pg_catalog.format_type((WITH RECURSIVE d(oid, base) AS (\
             SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid \
             UNION ALL SELECT t.oid, t.typbasetype FROM d JOIN pg_catalog.pg_type t ON t.oid = d.base) \
           SELECT d.oid FROM d WHERE d.base = 0), -1), \
         (WITH RECURSIVE d(place, oid, modifier, suffix) AS (\
             SELECT 0, a.atttypid, a.atttypmod, '' \
             UNION ALL SELECT d.place + 1, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END, \
               CASE WHEN t.typtype = 'd' AND t.typtypmod <> -1 THEN t.typtypmod ELSE d.modifier END, \
               CASE t.typtype WHEN 'd' THEN d.suffix ELSE '[]' END \
             FROM d JOIN pg_catalog.pg_type t ON t.oid = d.oid \
             WHERE t.typtype = 'd' OR (d.suffix = '' AND t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0 AND t.oid NOT IN (22, 30))) \
           SELECT pg_catalog.format_type(d.oid, d.modifier) || d.suffix FROM d ORDER BY d.place DESC LIMIT 1) \
         FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        relation.oid
    );
    let rows = wire.ask(&sql).await?;
    rows.iter()
        .map(|row| {
            Ok(Attribute {
                name: row.text(0)?,
                type_oid: row.number(1)?,
                modifier: row.number(2)?,
                shown: row.text(3)?,
                cast: row.text(4)?,
                base: row.text(5)?,
            })
        })
        .collect()
}

/// What the relation's indexes hold unique over all of its rows, and never NULL: of what a table's heirs hold no index of its
/// own knows.
pub(super) async fn unique(wire: &mut Wire, relation: &Relation) -> FaultResult<Vec<Unique>> {
    let sql = format!(
        "SELECT i.indexrelid, a.attname, i.indisprimary FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
         CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY k(attnum, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
         WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
         AND k.place <= i.indnkeyatts AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute n \
           WHERE n.attrelid = i.indrelid AND NOT ({held}) AND n.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])) AND (c.relkind <> 'r' OR NOT EXISTS \
           (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = {oid})) \
         ORDER BY i.indisprimary DESC, i.indexrelid, k.place",
        oid = relation.oid,
        held = is_held("n")
    );
    let rows = wire.ask(&sql).await?;
    let rows = rows.iter().map(|row| Ok((row.text(0)?, Some(row.text(1)?), row.flag(2)?)));
    Ok(shape::unique(rows.collect::<FaultResult<Vec<_>>>()?))
}

/// The types that the columns lead to: domains' bases, arrays' elements and row types' members.
pub(super) async fn types(wire: &mut Wire, relation: &Relation) -> FaultResult<Types> {
    let sql = format!(
        "WITH RECURSIVE t(oid) AS (\
           SELECT a.atttypid FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped \
           UNION SELECT x.oid FROM t JOIN pg_catalog.pg_type p ON p.oid = t.oid \
           CROSS JOIN LATERAL (VALUES (p.typbasetype), (p.typelem) \
             UNION ALL SELECT m.atttypid FROM pg_catalog.pg_attribute m WHERE m.attrelid = p.typrelid AND p.typtype = 'c' \
               AND m.attnum > 0 AND NOT m.attisdropped) x(oid) WHERE x.oid <> 0) \
         SELECT p.oid, p.typname, p.typtype, p.typbasetype, p.typtypmod, p.typelem, \
           p.typcategory = 'A' AND p.typlen = -1 AND p.oid NOT IN (22, 30), e.extname \
         FROM t JOIN pg_catalog.pg_type p ON p.oid = t.oid \
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass \
           AND d.objid = p.oid AND d.deptype = 'e' \
         LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid",
        relation.oid
    );
    let mut types = Types::new();
    for row in wire.ask(&sql).await? {
        let found = PgType {
            oid: row.number(0)?,
            name: row.text(1)?,
            kind: row.text(2)?.chars().next().unwrap_or('b'),
            base: row.number(3)?,
            modifier: row.number(4)?,
            element: row.number(5)?,
            is_array: row.flag(6)?,
            extension: row.opt(7)?,
            members: Vec::new(),
        };
        types.insert(found.oid, found);
    }
    let rows: Vec<String> =
        types.values().filter(|found| found.kind == 'c').map(|found| found.oid.to_string()).collect();
    if rows.is_empty() {
        return Ok(types);
    }
    let sql = format!(
        "SELECT p.oid, m.attname, m.atttypid FROM pg_catalog.pg_type p JOIN pg_catalog.pg_attribute m ON m.attrelid = p.typrelid \
         WHERE p.oid IN ({}) AND m.attnum > 0 AND NOT m.attisdropped ORDER BY p.oid, m.attnum",
        rows.join(", ")
    );
    for row in wire.ask(&sql).await? {
        if let Some(found) = types.get_mut(&row.number(0)?) {
            found.members.push((row.text(1)?, row.number(2)?));
        }
    }
    Ok(types)
}

/// Decimal places of `money`, which follow from the database's lc_monetary.
pub(super) async fn money_scale(wire: &mut Wire, types: &Types) -> FaultResult<u8> {
    const MONEY: u32 = 790;
    if !types.contains_key(&MONEY) {
        return Ok(2);
    }
    let sql = "SELECT pg_catalog.scale('0'::pg_catalog.money::pg_catalog.numeric)";
    wire.ask_one(sql).await?.number(0)
}

/// The tables that hold the rows: the relation and all that inherit from it, as partitions or otherwise.
pub(super) async fn leaves(wire: &mut Wire, relation: &Relation) -> FaultResult<Vec<Leaf>> {
    let sql = format!(
        "WITH RECURSIVE t(oid) AS (SELECT {}::pg_catalog.oid \
           UNION SELECT i.inhrelid FROM t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid \
           WHERE NOT i.inhdetachpending) \
         SELECT n.nspname, c.relname, coalesce(am.amname, '') = 'heap' AND c.relkind IN ('r', 'm'), \
           pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
           coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::bigint, \
           coalesce(pg_catalog.pg_table_size(c.oid), 0), c.reltuples, c.relpages, c.oid \
         FROM t JOIN pg_catalog.pg_class c ON c.oid = t.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind <> 'p'",
        relation.oid
    );
    let mut leaves = Vec::new();
    for row in wire.ask(&sql).await? {
        let blocks: u64 = row.number(4)?;
        let (tuples, pages): (f64, f64) = (row.number(6)?, row.number(7)?);
        let known = tuples >= 0.0 && pages > 0.0;
        leaves.push(Leaf {
            oid: row.number(8)?,
            sql: format!("{}.{}", identifier(&row.text(0)?), identifier(&row.text(1)?)),
            is_heap: row.flag(2)?,
            is_readable: row.flag(3)?,
            blocks,
            bytes: row.number(5)?,
            rows: known.then(|| tuples / pages * blocks as f64),
        });
    }
    Ok(leaves)
}
