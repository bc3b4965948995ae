//! A source of the same kind gets its own types back: by name, from a list and from the destination's own catalogue.
//!
//! Nothing of a source's text becomes SQL but words of the list and numbers.

use arrow::datatypes::DataType;
use waybill_pipeline::FaultResult;

use super::{Column, Form, Restore};
use crate::database::postgres::fault::of_target;
use crate::database::postgres::session::run;
use crate::source::postgres::literal::{TableName, literal};
use crate::source::postgres::refusal::Failure;
use crate::source::postgres::wire::Wire;

/// A type of the server's own by the name that a source of the same kind gives it.
struct Native {
    form: Form,
    oid: u32,
    is_cast: bool,
}

/// Types that every server has. What is not listed is looked for in the catalogue.
fn built_in(name: &str) -> Option<Native> {
    let plain = |form: Form| Some(Native { oid: form.oid(), form, is_cast: false });
    let text = |oid| Some(Native { form: Form::Text, oid, is_cast: false });
    let cast = |form: Form| Some(Native { oid: form.oid(), form, is_cast: true });
    match name {
        "boolean" => plain(Form::Bool),
        "smallint" => plain(Form::Int2),
        "integer" => plain(Form::Int4),
        "bigint" => plain(Form::Int8),
        "oid" => plain(Form::Unsigned4),
        "xid" => Some(Native { form: Form::Unsigned4, oid: 28, is_cast: false }),
        "real" => plain(Form::Float4),
        "double precision" => plain(Form::Float8),
        "numeric" => plain(Form::Numeric),
        "money" => cast(Form::Numeric),
        "date" => plain(Form::Date),
        "timestamp without time zone" => plain(Form::Timestamp),
        "timestamp with time zone" => plain(Form::TimestampTz),
        "uuid" => plain(Form::Uuid),
        "jsonb" => plain(Form::Jsonb),
        "bytea" => plain(Form::Bytes),
        "text" => plain(Form::Text),
        "json" => text(114),
        "name" => text(19),
        "character varying" => text(1043),
        "character" | "bpchar" => text(1042),
        "time without time zone"
        | "time with time zone"
        | "interval"
        | "inet"
        | "cidr"
        | "macaddr"
        | "macaddr8"
        | "bit"
        | "bit varying"
        | "int4range"
        | "int8range"
        | "numrange"
        | "tsrange"
        | "tstzrange"
        | "daterange"
        | "int4multirange"
        | "int8multirange"
        | "nummultirange"
        | "tsmultirange"
        | "tstzmultirange"
        | "datemultirange"
        | "tsvector"
        | "tsquery"
        | "pg_lsn"
        | "point"
        | "line"
        | "lseg"
        | "box"
        | "path"
        | "polygon"
        | "circle"
        | "xml"
        | "\"char\""
        | "xid8"
        | "jsonpath"
        | "pg_snapshot"
        | "txid_snapshot" => cast(Form::Text),
        _ => None,
    }
}

/// A type's name without its modifier, if that is one of numbers alone.
fn bare(text: &str) -> Option<String> {
    let fields = "interval";
    let Some((head, rest)) = text.split_once('(') else {
        let name = text.strip_prefix(fields).map_or(text, |rest| if is_words(rest) { fields } else { text });
        return Some(name.to_owned());
    };
    let (numbers, tail) = rest.split_once(')')?;
    let are_numbers = numbers.split(',').all(|number| number.parse::<i16>().is_ok());
    let name = format!("{head}{tail}");
    are_numbers.then(|| if name.starts_with(fields) && is_words(&name) { fields.to_owned() } else { name })
}

fn is_words(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c == ' ')
}

/// The column as the source has it; none where this server knows no such type.
pub(super) async fn native(
    wire: &mut Wire,
    source: &str,
    kind: &DataType,
    plain: &Column,
) -> FaultResult<Option<Column>> {
    let (element, array) = source.strip_suffix("[]").map_or((source, false), |element| (element, true));
    if let Some(found) = bare(element).as_deref().and_then(built_in) {
        return of_built_in(wire, (source, array), found, kind, plain).await;
    }
    match resolve(wire, element).await? {
        Some(found) => of_catalogue(wire, (&found.name, array), found.is_enum, plain).await,
        None => Ok(None),
    }
}

async fn of_built_in(
    wire: &mut Wire,
    (source, array): (&str, bool),
    found: Native,
    kind: &DataType,
    plain: &Column,
) -> FaultResult<Option<Column>> {
    let Native { form, oid, is_cast } = found;
    let form = if array { Form::Array(Box::new(form), oid) } else { form };
    if !form.takes(kind) || (source.starts_with("money") && !same_money(wire, kind).await?) {
        return Ok(None);
    }
    let restore = match form {
        Form::Numeric | Form::Date | Form::Timestamp | Form::TimestampTz if !is_cast => Restore::Value,
        Form::Array(..) => Restore::Cast,
        _ => Restore::Twin,
    };
    // Of the text only numbers and words of the list are left by now.
    Ok(Some(Column { kind: source.to_owned(), form, is_cast, restore, name: plain.name.clone() }))
}

/// Whether `money` has as many decimal places here as the source's: with fewer it would be rounded.
async fn same_money(wire: &mut Wire, kind: &DataType) -> FaultResult<bool> {
    let element = if let DataType::List(field) = kind { field.data_type() } else { kind };
    let asked = "SELECT pg_catalog.scale('0'::pg_catalog.money::pg_catalog.numeric)";
    let own: i8 = wire.ask_one(asked).await.map_err(of_target)?.number(0)?;
    Ok(matches!(element, DataType::Decimal128(_, scale) if *scale == own))
}

/// What the destination's catalogue knows by a name. The server's own types that are not listed name objects of one database, or
/// take no value: they stay text. So does what is a domain here and none at the source: it may hold less.
struct Resolved {
    name: String,
    is_enum: bool,
}

async fn resolve(wire: &mut Wire, source: &str) -> FaultResult<Option<Resolved>> {
    let name = source.split_once('(').map_or(source, |(name, _)| name);
    let Ok(name) = TableName::parse(name) else { return Ok(None) };
    let quoted = literal(&name.sql(), "pg_catalog.text")?;
    let asked = format!(
        "SELECT t.typtype, pg_catalog.format_type(t.oid, -1) FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.to_regtype({quoted}) AND t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace"
    );
    let Some(row) = wire.ask(&asked).await.map_err(of_target)?.into_iter().next() else { return Ok(None) };
    let name = row.text(1)?;
    Ok(match row.text(0)?.as_str() {
        "e" => Some(Resolved { name, is_enum: true }),
        "b" | "r" | "m" => Some(Resolved { name, is_enum: false }),
        _ => None,
    })
}

/// A type that this database has by the same name. Its name is the server's own, quoted by it.
async fn of_catalogue(
    wire: &mut Wire,
    (name, array): (&str, bool),
    is_enum: bool,
    plain: &Column,
) -> FaultResult<Option<Column>> {
    let is_list = matches!(plain.form, Form::Array(..));
    let kind = if array { format!("{name}[]") } else { name.to_owned() };
    let is_direct = is_enum && !array && plain.form == Form::Text;
    if !is_direct && !casts(wire, &plain.form.sql(), &kind).await? {
        return Ok(None);
    }
    let restore = if array && is_list { Restore::Cast } else { Restore::Twin };
    Ok(Some(Column { kind, is_cast: !is_direct, restore, ..plain.clone() }))
}

/// Whether the server can turn values of one type into another.
async fn casts(wire: &mut Wire, from: &str, to: &str) -> FaultResult<bool> {
    run(wire, "SAVEPOINT waybill_cast").await?;
    match wire.run(&format!("SELECT NULL::{from}::{to}")).await {
        Ok(_) => run(wire, "RELEASE waybill_cast").await.map(|()| true),
        Err(Failure::Server(_)) => run(wire, "ROLLBACK TO waybill_cast; RELEASE waybill_cast").await.map(|()| false),
        Err(failure) => Err(of_target(failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_can_not_smuggle_sql_in_a_types_name() {
        let known = |text: &str| bare(text).as_deref().and_then(built_in).is_some();
        for text in [
            "numeric(10,2)",
            "timestamp(3) with time zone",
            "interval day to second(3)",
            "interval year",
            "character varying(20)",
            "\"char\"",
            "bit(3)",
        ] {
            assert!(known(text), "{text}");
        }
        for text in [
            "integer); DROP TABLE x; --",
            "numeric(10,2); DROP TABLE x",
            "numeric(a)",
            "numeric(10) DEFAULT (1)",
            "interval; DROP TABLE x",
            "interval(3) DEFAULT 'x'",
            "text, y text",
            "shop.mood",
        ] {
            assert!(!known(text), "{text}");
        }
    }
}
