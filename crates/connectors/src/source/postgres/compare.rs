//! Which operator a filter's comparison means: that of the column's own type.
//!
//! The session has no search path, so that nothing of the source's can get between; then a sign alone finds the server's own
//! operators only, and a type of an extension would quietly be compared as what it can be cast to.

use std::collections::HashMap;

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::catalog::Attribute;
use super::kind::{Types, undomain};
use super::literal::identifier;
use super::wire::Wire;

/// Types below this number come with the server, and so do their operators.
const FIRST_OF_OTHERS: u32 = 16_384;

/// Operators of types that do not come with the server: by type and sign, as SQL.
pub(super) struct Operators(HashMap<(u32, String), String>);

impl Operators {
    /// Looks up what compares two values of one such type. Of several, that in the type's own schema counts.
    pub(super) async fn of(wire: &mut Wire, types: &Types) -> FaultResult<Self> {
        let others: Vec<String> = types.keys().filter(|oid| **oid >= FIRST_OF_OTHERS).map(u32::to_string).collect();
        if others.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let sql = format!(
            "SELECT o.oprleft, o.oprname, n.nspname FROM pg_catalog.pg_operator o \
             JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace JOIN pg_catalog.pg_type t ON t.oid = o.oprleft \
             WHERE o.oprleft IN ({}) AND o.oprright = o.oprleft AND o.oprresult = 'bool'::pg_catalog.regtype \
             AND o.oprname IN ('=', '<>', '<', '<=', '>', '>=') \
             ORDER BY o.oprnamespace = t.typnamespace, o.oid DESC",
            others.join(", ")
        );
        let mut found = HashMap::new();
        for row in wire.ask(&sql).await? {
            let (oid, sign, schema): (u32, String, String) = (row.number(0)?, row.text(1)?, row.text(2)?);
            let operator = format!("OPERATOR({}.{sign})", identifier(&schema));
            found.insert((oid, sign), operator);
        }
        Ok(Self(found))
    }

    /// The operator that compares values of a column, as SQL.
    pub(super) fn sign(&self, sign: &str, column: &Attribute, types: &Types) -> FaultResult<String> {
        let (base, _) = undomain(types, column.type_oid, column.modifier)?;
        if let Some(own) = self.0.get(&(base.oid, sign.to_owned())) {
            return Ok(own.clone());
        }
        // Enums, rows, arrays and ranges of any type are compared by the server, elements and fields by their own types' rules.
        let is_the_servers = base.oid < FIRST_OF_OTHERS || base.is_array || matches!(base.kind, 'e' | 'c' | 'r' | 'm');
        if is_the_servers {
            return Ok(sign.to_owned());
        }
        let text = format!(
            "`filter` can't compare the column {}: its type {} has no operator {sign} of its own; filter on another column, or \
             read a view that holds the condition",
            column.name, column.cast
        );
        Err(Fault::new(FailureCode::SpecRefused, text))
    }
}
