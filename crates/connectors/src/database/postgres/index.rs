//! The unique index that rows are merged by: made where no index of the table tells its rows apart so, and taken away by a load
//! with another key or none, which it would refuse rows of.
//!
//! An index that somebody else made is never touched: ours are told by their names.

use std::collections::HashMap;

use waybill_model::FailureCode;
use waybill_pipeline::{CustomerText, Fault, FaultResult};

use super::fault::of_target;
use super::relation::{Relation, sql};
use super::session::run;
use crate::source::postgres::literal::{identifier, literal};
use crate::source::postgres::wire::Wire;

/// How the names of ours begin. One that an older version made in a new table was named after what the table was called until then.
const OWN: &str = "_waybill_";

/// The place of equality among the operators of a B-tree, which every unique index is.
const EQUAL: u8 = 3;

/// Columns of an index, in the order of their names.
const COLUMNS: &str = "(SELECT pg_catalog.array_agg(a.attname ORDER BY a.attname) FROM pg_catalog.pg_attribute a \
    WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]))";

/// Makes the one over the key, if there is a key and the table that was found has none.
pub(super) async fn make(wire: &mut Wire, table: &str, found: Option<&Relation>, key: &[String]) -> FaultResult<()> {
    if key.is_empty() {
        return Ok(());
    }
    if let Some(found) = found
        && is_there(wire, found.oid, key).await?
    {
        return Ok(());
    }
    let name = format!("{OWN}key_{}", uuid::Uuid::new_v4().simple());
    let columns = key.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ");
    let made = wire.run(&format!("CREATE UNIQUE INDEX {} ON {table} ({columns})", identifier(&name))).await;
    made.map(drop).map_err(of_target).map_err(|fault| match fault.code {
        FailureCode::ValueRefused => {
            let text = format!("several rows of the table have one key ({})", key.join(", "));
            Fault { code: FailureCode::KeyViolated, text: CustomerText::new(text), ..fault }
        }
        _ => fault,
    })
}

/// Takes those of ours away that are not over this key.
pub(super) async fn drop_others(wire: &mut Wire, schema: &str, found: &Relation, key: &[String]) -> FaultResult<()> {
    let asked = format!(
        "SELECT c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {} AND i.indisunique AND pg_catalog.starts_with(c.relname::pg_catalog.text, '{OWN}') \
         AND {COLUMNS} IS DISTINCT FROM {} ORDER BY 1",
        found.oid,
        sorted(key)?
    );
    for row in wire.ask(&asked).await.map_err(of_target)? {
        let name = row.text(0)?;
        run(wire, &format!("DROP INDEX {}", sql(schema, &name))).await.map_err(|fault| match fault.code {
            FailureCode::SchemaChanged => {
                let text = format!(
                    "rows were merged by the unique index {name}, which this load without that key must take away, and a foreign key or a \
                     constraint stands on it: take that away first"
                );
                Fault { text: CustomerText::new(text), ..fault }
            }
            _ => fault,
        })?;
    }
    Ok(())
}

/// How the one over a key tells whether two values of a column are the same: the operator, by the column's name.
pub(super) struct Equality(HashMap<String, String>);

impl Equality {
    /// That of the index that rows are merged by; none where the table has none yet. A sign alone would find the server's own operators
    /// only: none for a type of an extension, or that of what it can be cast to.
    pub(super) async fn of(wire: &mut Wire, oid: u32, key: &[String]) -> FaultResult<Option<Self>> {
        let asked = format!(
            "SELECT a.attname, n.nspname, o.oprname \
             FROM (SELECT i.* FROM pg_catalog.pg_index i WHERE {} ORDER BY i.indexrelid LIMIT 1) i \
             CROSS JOIN unnest(i.indkey::pg_catalog.int2[], i.indclass::pg_catalog.oid[]) AS x (attnum, class) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = x.attnum \
             JOIN pg_catalog.pg_opclass c ON c.oid = x.class \
             JOIN pg_catalog.pg_amop m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype \
               AND m.amoprighttype = c.opcintype AND m.amopstrategy = {EQUAL} \
             JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace",
            over(oid, key)?
        );
        let mut found = HashMap::new();
        for row in wire.ask(&asked).await.map_err(of_target)? {
            let (column, schema, sign): (String, String, String) = (row.text(0)?, row.text(1)?, row.text(2)?);
            found.insert(column, format!("OPERATOR({}.{sign})", identifier(&schema)));
        }
        Ok(key.iter().all(|column| found.contains_key(column)).then_some(Self(found)))
    }

    /// What stands between two values of a column; none for one that is not of the key.
    pub(super) fn operator(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }
}

/// Whether the table has one over these columns, whoever made it.
async fn is_there(wire: &mut Wire, oid: u32, key: &[String]) -> FaultResult<bool> {
    let asked = format!("SELECT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE {})", over(oid, key)?);
    wire.ask_one(&asked).await.map_err(of_target)?.flag(0)
}

/// The condition on an index that rows can be merged by.
fn over(oid: u32, key: &[String]) -> FaultResult<String> {
    Ok(format!(
        "i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
         AND {} OPERATOR(pg_catalog.=) {COLUMNS}",
        sorted(key)?
    ))
}

/// A key's columns as an array, in the order of their names.
fn sorted(key: &[String]) -> FaultResult<String> {
    let mut names: Vec<&String> = key.iter().collect();
    names.sort_unstable();
    let names = names.iter().map(|name| literal(name, "pg_catalog.name")).collect::<FaultResult<Vec<_>>>()?;
    Ok(format!("ARRAY[{}]::pg_catalog.name[]", names.join(", ")))
}
