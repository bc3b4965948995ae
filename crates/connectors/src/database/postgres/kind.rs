//! Which type of the table a column becomes, and in which form its values travel: the type table of destinations as code.
//!
//! A source of the same kind gets its own types back. What no type here holds is refused before a row is read.

mod native;

use arrow::datatypes::{DataType, Field, TimeUnit};
use waybill_model::FailureCode;
use waybill_pipeline::{CAST_MARK, Fault, FaultResult};

use self::native::native;
use crate::source::postgres::BASE_TYPE;
use crate::source::postgres::wire::Wire;

/// How values are written in binary COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    /// 32 bits without a sign: `oid`, `xid`.
    Unsigned4,
    Float4,
    Float8,
    Numeric,
    Date,
    Timestamp,
    TimestampTz,
    Uuid,
    Jsonb,
    Text,
    Bytes,
    /// With the type that its elements have.
    Array(Box<Self>, u32),
}

/// What becomes of the text of a value that the column's Arrow type can't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restore {
    /// It stands in a column of its own.
    Twin,
    /// The table's type holds the value, and it is written as such.
    Value,
    /// The same, by a cast of the server's.
    Cast,
}

/// A column of the table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type, as the server writes it.
    pub(super) kind: String,
    pub(super) form: Form,
    /// Its values travel as `form` says and are cast to the type.
    pub(super) is_cast: bool,
    pub(super) restore: Restore,
}

impl Column {
    /// Its value as it waits at a place of a table of rows or keys on their way, which a statement calls `s`.
    pub(super) fn value(&self, at: usize) -> String {
        let cast = if self.is_cast { format!("::{}", self.kind) } else { String::new() };
        match self.restore {
            // Elements stand between commas there, whatever the type itself would have between them.
            Restore::Cast => {
                let by = if self.is_cast { format!("::{}", self.form.sql()) } else { String::new() };
                let whole = format!("s.t{at}::pg_catalog.text[]{by}::{}", self.kind);
                format!("CASE WHEN s.t{at} IS NULL THEN s.c{at}{cast} ELSE {whole} END")
            }
            _ => format!("s.c{at}{cast}"),
        }
    }

    /// The type in which its values wait for their place.
    pub(super) fn staged(&self) -> String {
        if self.is_cast { self.form.sql() } else { self.kind.clone() }
    }
}

impl Form {
    /// The type whose values look so.
    pub(super) fn sql(&self) -> String {
        let name = match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Unsigned4 => "oid",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric => "numeric",
            Self::Date => "date",
            Self::Timestamp => "timestamp without time zone",
            Self::TimestampTz => "timestamp with time zone",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::Array(element, _) => return format!("{}[]", element.sql()),
        };
        name.to_owned()
    }

    /// The oid of the type whose values look so, which an array names.
    const fn oid(&self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Int8 => 20,
            Self::Unsigned4 => 26,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Numeric => 1700,
            Self::Date => 1082,
            Self::Timestamp => 1114,
            Self::TimestampTz => 1184,
            Self::Uuid => 2950,
            Self::Jsonb => 3802,
            Self::Bytes => 17,
            Self::Text | Self::Array(..) => 25,
        }
    }

    /// Whether values of this Arrow type can be written so.
    fn takes(&self, kind: &DataType) -> bool {
        match (self, kind) {
            (Self::Bool, DataType::Boolean)
            | (Self::Int2, DataType::Int8 | DataType::Int16)
            | (Self::Int4, DataType::Int32)
            | (Self::Int8 | Self::Unsigned4, DataType::Int64)
            | (Self::Float4, DataType::Float32)
            | (Self::Float8, DataType::Float64)
            | (Self::Numeric, DataType::Decimal128(..) | DataType::Utf8)
            | (Self::Date, DataType::Date32)
            | (Self::Timestamp, DataType::Timestamp(TimeUnit::Microsecond, None))
            | (Self::TimestampTz, DataType::Timestamp(TimeUnit::Microsecond, Some(_)))
            | (Self::Uuid | Self::Jsonb | Self::Text, DataType::Utf8)
            | (Self::Bytes, DataType::Binary) => true,
            (Self::Array(element, _), DataType::List(field)) => element.takes(field.data_type()),
            _ => false,
        }
    }
}

/// The type that holds every value of an Arrow type.
fn of_arrow(kind: &DataType) -> Option<(String, Form)> {
    let form = match kind {
        DataType::Boolean => Form::Bool,
        DataType::Int8 | DataType::Int16 => Form::Int2,
        DataType::Int32 => Form::Int4,
        DataType::Int64 => Form::Int8,
        DataType::Float32 => Form::Float4,
        DataType::Float64 => Form::Float8,
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            return Some((format!("numeric({precision},{scale})"), Form::Numeric));
        }
        DataType::Date32 => Form::Date,
        DataType::Timestamp(TimeUnit::Microsecond, None) => Form::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Form::TimestampTz,
        DataType::Utf8 => Form::Text,
        DataType::Binary => Form::Bytes,
        DataType::List(field) => {
            let (element, form) = of_arrow(field.data_type())?;
            // A list of lists is no array of any type.
            if matches!(form, Form::Array(..)) {
                return None;
            }
            let oid = form.oid();
            return Some((format!("{element}[]"), Form::Array(Box::new(form), oid)));
        }
        _ => return None,
    };
    Some((form.sql(), form))
}

/// The columns of a table that holds what a stream brings. Asked within the transaction, where names are written in full.
pub(super) async fn columns(wire: &mut Wire, fields: &[&Field], same_kind: bool) -> FaultResult<Vec<Column>> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let Some((kind, form)) = of_arrow(field.data_type()) else {
            let text = format!(
                "the column {} is {}, which no type of the destination holds: leave it out with `columns.drop`",
                field.name(),
                field.data_type()
            );
            return Err(Fault::new(FailureCode::ValueRefused, text));
        };
        let plain = Column { name: field.name().clone(), kind, form, is_cast: false, restore: Restore::Twin };
        let noted =
            |key: &str| field.metadata().get(key).filter(|_| same_kind && !field.metadata().contains_key(CAST_MARK));
        let source = noted(BASE_TYPE).or_else(|| noted("waybill.src_type"));
        columns.push(match source {
            Some(source) => native(wire, source, field.data_type(), &plain).await?.unwrap_or(plain),
            None => plain,
        });
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_type_holds_is_refused() {
        let list = |kind| DataType::List(std::sync::Arc::new(Field::new("element", kind, true)));
        assert_eq!(of_arrow(&list(DataType::Int64)).map(|(kind, _)| kind).as_deref(), Some("bigint[]"));
        for kind in [list(list(DataType::Int64)), DataType::Struct(Vec::<Field>::new().into()), DataType::UInt64] {
            assert!(of_arrow(&kind).is_none(), "{kind}");
        }
    }
}
