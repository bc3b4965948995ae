//! One column of a batch: the bytes of a field go straight into the buffers of its Arrow array.
//!
//! Which buffers is decided once per column, so that a field costs one predictable branch. A wrong length is an error.

use arrow::array::ArrayRef;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use waybill_pipeline::FaultResult;

use super::Policies;
use super::array::{Lists, Vectors};
use super::numeric;
use super::text::{Form, FormedTexts};
use super::time::{self, Moment};
use crate::source::column::Done;
use crate::source::column::edge::Edges;
use crate::source::column::fixed::{Fixed, Truths};
use crate::source::postgres::kind::Kind;
use crate::source::postgres::wire::malformed;

/// A column that is being filled.
pub(super) struct Column {
    sink: Sink,
    edges: Edges,
}

enum Sink {
    Bool(Truths),
    Int2(Fixed<Int16Type>),
    Int4(Fixed<Int32Type>),
    Int8(Fixed<Int64Type>),
    Unsigned4(Fixed<Int64Type>),
    Float4(Fixed<Float32Type>),
    Float8(Fixed<Float64Type>),
    Decimal { into: Fixed<Decimal128Type>, target: numeric::Target },
    Date(Fixed<Date32Type>),
    Time { into: Fixed<TimestampMicrosecondType> },
    Text(FormedTexts),
    List(Box<Lists>),
    Vector(Vectors),
}

/// The bytes of a value of known width.
#[inline]
fn exact<const N: usize>(bytes: &[u8]) -> FaultResult<[u8; N]> {
    bytes.try_into().map_err(|_| malformed("a field has another length than its type"))
}

impl Column {
    pub(super) fn new(kind: &Kind, policies: Policies) -> Self {
        let arrow = kind.arrow();
        let sink = match kind {
            Kind::Bool => Sink::Bool(Truths::new()),
            Kind::Int2 => Sink::Int2(Fixed::new(arrow)),
            Kind::Int4 => Sink::Int4(Fixed::new(arrow)),
            Kind::Int8 => Sink::Int8(Fixed::new(arrow)),
            Kind::Unsigned4 => Sink::Unsigned4(Fixed::new(arrow)),
            Kind::Float4 => Sink::Float4(Fixed::new(arrow)),
            Kind::Float8 => Sink::Float8(Fixed::new(arrow)),
            Kind::Decimal { precision, scale } => {
                Sink::Decimal { into: Fixed::new(arrow), target: numeric::Target::new(*precision, *scale) }
            }
            Kind::Date => Sink::Date(Fixed::new(arrow)),
            Kind::Timestamp | Kind::TimestampTz => Sink::Time { into: Fixed::new(arrow) },
            Kind::NumericText => Sink::Text(FormedTexts::new(Form::Numeric, policies.text)),
            Kind::Uuid => Sink::Text(FormedTexts::new(Form::Uuid, policies.text)),
            Kind::Char => Sink::Text(FormedTexts::new(Form::Char, policies.text)),
            Kind::Jsonb => Sink::Text(FormedTexts::new(Form::Jsonb, policies.text)),
            Kind::Json => Sink::Text(FormedTexts::new(Form::Json, policies.text)),
            Kind::Text => Sink::Text(FormedTexts::new(Form::Text, policies.text)),
            Kind::Bytes => Sink::Text(FormedTexts::new(Form::Bytes, policies.text)),
            Kind::Vector => Sink::Vector(Vectors::new(false)),
            Kind::HalfVector => Sink::Vector(Vectors::new(true)),
            Kind::List(element) => Sink::List(Box::new(Lists::new(element, policies))),
        };
        Self { sink, edges: Edges::new(policies.edges) }
    }

    /// Takes a field and says how many bytes it holds beyond the column's fixed width.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) -> FaultResult<usize> {
        match &mut self.sink {
            Sink::Text(texts) => texts.push(bytes, &mut self.edges),
            Sink::Decimal { into, target } => match target.read(bytes)? {
                Some(value) => Ok(into.push(value)),
                None => {
                    let text = numeric::text(bytes)?;
                    into.push_null();
                    self.edges.meet(into.last(), || text)
                }
            },
            Sink::Int8(into) => Ok(into.push(i64::from_be_bytes(exact(bytes)?))),
            Sink::Int4(into) => Ok(into.push(i32::from_be_bytes(exact(bytes)?))),
            Sink::Int2(into) => Ok(into.push(i16::from_be_bytes(exact(bytes)?))),
            Sink::Unsigned4(into) => Ok(into.push(i64::from(u32::from_be_bytes(exact(bytes)?)))),
            Sink::Float4(into) => Ok(into.push(f32::from_be_bytes(exact(bytes)?))),
            Sink::Float8(into) => Ok(into.push(f64::from_be_bytes(exact(bytes)?))),
            Sink::Bool(into) => {
                let [byte] = exact(bytes)?;
                Ok(into.push(byte != 0))
            }
            Sink::Date(into) => {
                let moment = time::date(i32::from_be_bytes(exact(bytes)?));
                push_moment(into, moment, &mut self.edges)
            }
            Sink::Time { into } => {
                let zoned = matches!(into.kind(), DataType::Timestamp(_, Some(_)));
                let moment = time::timestamp(i64::from_be_bytes(exact(bytes)?), zoned);
                push_moment(into, moment, &mut self.edges)
            }
            Sink::List(lists) => lists.push(bytes),
            Sink::Vector(vectors) => vectors.push(bytes),
        }
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        match &mut self.sink {
            Sink::Bool(into) => into.push_null(),
            Sink::Int2(into) => into.push_null(),
            Sink::Int4(into) => into.push_null(),
            Sink::Int8(into) | Sink::Unsigned4(into) => into.push_null(),
            Sink::Float4(into) => into.push_null(),
            Sink::Float8(into) => into.push_null(),
            Sink::Decimal { into, .. } => into.push_null(),
            Sink::Date(into) => into.push_null(),
            Sink::Time { into } => into.push_null(),
            Sink::Text(texts) => texts.push_null(),
            Sink::List(lists) => lists.push_null(),
            Sink::Vector(vectors) => vectors.push_null(),
        }
    }

    /// The column's array; begins anew.
    pub(super) fn finish(&mut self) -> FaultResult<Done> {
        let values: ArrayRef = match &mut self.sink {
            Sink::Bool(into) => into.finish(),
            Sink::Int2(into) => into.finish(),
            Sink::Int4(into) => into.finish(),
            Sink::Int8(into) | Sink::Unsigned4(into) => into.finish(),
            Sink::Float4(into) => into.finish(),
            Sink::Float8(into) => into.finish(),
            Sink::Decimal { into, .. } => into.finish(),
            Sink::Date(into) => into.finish(),
            Sink::Time { into } => into.finish(),
            Sink::Text(texts) => return texts.finish(&mut self.edges),
            Sink::List(lists) => return lists.finish(),
            Sink::Vector(vectors) => vectors.finish(),
        };
        let (twin, coerced) = self.edges.finish(values.len());
        Ok(Done { values, twin, coerced })
    }
}

fn push_moment<T: ArrowPrimitiveType>(
    into: &mut Fixed<T>,
    moment: Moment<T::Native>,
    edges: &mut Edges,
) -> FaultResult<usize> {
    match moment {
        Moment::Plain(value) => Ok(into.push(value)),
        Moment::Unusual(value) => {
            edges.count();
            Ok(into.push(value))
        }
        Moment::Infinite { sentinel, .. } if edges.has_sentinels() => {
            edges.count();
            Ok(into.push(sentinel))
        }
        Moment::Infinite { text, .. } => {
            into.push_null();
            edges.meet(into.last(), || text.to_owned())
        }
        Moment::Beyond(text) => {
            into.push_null();
            edges.meet(into.last(), || text)
        }
    }
}
