//! Row types, and arrays where they are asked for so, as JSON: what the server is asked for, and which values JSON can't say.
//!
//! An array in JSON has no bounds, and `null` in a member of JSON is not told from a member that is NULL. Such a value comes as
//! its type's own text. Nothing is parsed here, and no value is looked at but by the server.

use waybill_pipeline::FaultResult;

use super::{Cast, Kind, Types, undomain};
use crate::source::postgres::literal::identifier;

/// Types that are looked at below one column at most; one with more comes as its own text, which says everything.
const MOST: usize = 2000;

const JSON: u32 = 114;
const JSONB: u32 = 3802;

/// How a row type or an array of any kind comes.
pub(super) fn resolve(types: &Types, oid: u32) -> FaultResult<(Kind, Cast)> {
    Ok(match conditions(types, oid, "x")? {
        Some(found) if found.is_empty() => (Kind::Text, Cast::Json),
        Some(_) => (Kind::Json, Cast::MarkedJson),
        None => (Kind::Text, Cast::Text),
    })
}

/// The expression for a column of marked JSON.
pub(super) fn marked(types: &Types, oid: u32, column: &str) -> FaultResult<String> {
    let bent = conditions(types, oid, column)?.unwrap_or_default().join(" OR ");
    Ok(format!(
        "CASE WHEN {bent} THEN 'x' OPERATOR(pg_catalog.||) {column}::pg_catalog.text \
         ELSE 'j' OPERATOR(pg_catalog.||) pg_catalog.to_json({column})::pg_catalog.text END"
    ))
}

/// Conditions on `value`, of which each alone says that JSON loses something of it; none where there would be too many.
fn conditions(types: &Types, oid: u32, value: &str) -> FaultResult<Option<Vec<String>>> {
    Search { types, left: MOST }.below(oid, value)
}

struct Search<'a> {
    types: &'a Types,
    /// Types that may still be looked at.
    left: usize,
}

impl Search<'_> {
    fn below(&mut self, oid: u32, value: &str) -> FaultResult<Option<Vec<String>>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let (base, _) = undomain(self.types, oid, -1)?;
        if base.is_array && base.element != 0 {
            return self.elements(base.element, value);
        }
        if matches!(base.oid, JSON | JSONB) {
            let text = format!("pg_catalog.btrim({value}::pg_catalog.text, E' \\t\\n\\r')");
            return Ok(Some(vec![format!("{text} OPERATOR(pg_catalog.=) 'null'")]));
        }
        let mut found = Vec::new();
        for (name, member) in &base.members {
            let Some(more) = self.below(*member, &format!("({value}).{}", identifier(name)))? else { return Ok(None) };
            found.extend(more);
        }
        Ok(Some(found))
    }

    fn elements(&mut self, element: u32, value: &str) -> FaultResult<Option<Vec<String>>> {
        // A lower bound other than 1 shows as [0:1]= in the array's text, which begins with { otherwise.
        let mut found = vec![format!("pg_catalog.left({value}::pg_catalog.text, 1) OPERATOR(pg_catalog.=) '['")];
        let name = format!("waybill_element_{}", self.left);
        let Some(within) = self.below(element, &name)? else { return Ok(None) };
        if !within.is_empty() {
            let within = within.join(" OR ");
            found.push(format!("EXISTS (SELECT FROM pg_catalog.unnest({value}) {name} WHERE {within})"));
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::super::PgType;
    use super::*;

    fn row(oid: u32, members: &[(&str, u32)]) -> (u32, PgType) {
        let members = members.iter().map(|(name, oid)| ((*name).to_owned(), *oid)).collect();
        (oid, PgType { oid, kind: 'c', modifier: -1, members, ..PgType::default() })
    }

    fn plain(oid: u32) -> (u32, PgType) {
        (oid, PgType { oid, kind: 'b', modifier: -1, ..PgType::default() })
    }

    fn list(oid: u32, element: u32) -> (u32, PgType) {
        (oid, PgType { element, is_array: true, ..plain(oid).1 })
    }

    #[test]
    fn a_row_of_plain_members_needs_no_look_and_one_with_arrays_or_json_does() {
        let types =
            Types::from([plain(23), plain(JSON), list(1007, 23), row(1, &[("a", 23)]), row(2, &[("o\"dd", 1007)])]);
        assert_eq!(resolve(&types, 1).expect("a type"), (Kind::Text, Cast::Json));
        assert_eq!(resolve(&types, 2).expect("a type"), (Kind::Json, Cast::MarkedJson));
        let sql = marked(&types, 2, "\"c\"").expect("an expression");
        assert!(sql.contains("left((\"c\").\"o\"\"dd\"::pg_catalog.text, 1)"), "{sql}");
    }

    #[test]
    fn types_with_too_many_ways_down_come_as_their_own_text() {
        let wide: Vec<(String, u32)> = (0..=MOST).map(|n| (format!("m{n}"), 1007)).collect();
        let wide: Vec<(&str, u32)> = wide.iter().map(|(name, oid)| (name.as_str(), *oid)).collect();
        let types = Types::from([plain(23), list(1007, 23), row(1, &wide)]);
        assert_eq!(resolve(&types, 1).expect("a type"), (Kind::Text, Cast::Text));
        // Two of the one before in each: as many ways down as two to the power of the depth.
        let mut types = Types::from([plain(23)]);
        for oid in 100..200 {
            types.extend([row(oid, &[("a", oid - 1), ("b", oid - 1)])]);
        }
        types.extend([row(99, &[("a", 23)])]);
        assert_eq!(resolve(&types, 199).expect("a type"), (Kind::Text, Cast::Text));
    }
}
