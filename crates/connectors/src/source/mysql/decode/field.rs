//! One column of a batch: the bytes of a field go straight into the buffers of its Arrow array.
//!
//! Which buffers is decided once per column, so that a field costs one predictable branch.

use arrow::array::ArrayRef;
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::moment::{FIRST_DAY, Moment, Place, write_time};
use super::{Policies, decimal};
use crate::source::column::Done;
use crate::source::column::edge::Edges;
use crate::source::column::fixed::{Fixed, Truths};
use crate::source::column::text::{Stored, Texts};
use crate::source::mysql::bytes::Bytes;
use crate::source::mysql::kind::{Kind, Width};
use crate::source::server::malformed;

/// A column that is being filled.
pub(super) struct Column {
    sink: Sink,
    edges: Edges,
}

enum Sink {
    Tiny(Fixed<Int8Type>),
    TinyUnsigned(Fixed<Int16Type>),
    /// SMALLINT and YEAR.
    Small(Fixed<Int16Type>),
    SmallUnsigned(Fixed<Int32Type>),
    /// INT, and MEDIUMINT with and without a sign, which has four bytes on the wire.
    Int(Fixed<Int32Type>),
    IntUnsigned(Fixed<Int64Type>),
    Big(Fixed<Int64Type>),
    BigUnsigned(Fixed<Decimal128Type>),
    Float4(Fixed<Float32Type>),
    Float8(Fixed<Float64Type>),
    Decimal {
        into: Fixed<Decimal128Type>,
        precision: u8,
        scale: u8,
    },
    Date(Fixed<Date32Type>),
    Moment {
        into: Fixed<TimestampMicrosecondType>,
        digits: u8,
    },
    Time {
        into: Texts,
        digits: u8,
    },
    Bit(Truths),
    Bits(Fixed<Decimal128Type>),
    Text(Texts),
    Converted {
        into: Texts,
        name: String,
    },
    Enum(Texts),
    Geometry(Texts),
}

impl Column {
    pub(super) fn new(kind: &Kind, name: &str, policies: Policies) -> Self {
        let (arrow, text) = (kind.arrow(), || Texts::new(Stored::Text, policies.text));
        let sink = match kind {
            Kind::Integer(Width::One, true) => Sink::Tiny(Fixed::new(arrow)),
            Kind::Integer(Width::One, false) => Sink::TinyUnsigned(Fixed::new(arrow)),
            Kind::Integer(Width::Two, true) | Kind::Year => Sink::Small(Fixed::new(arrow)),
            Kind::Integer(Width::Two, false) => Sink::SmallUnsigned(Fixed::new(arrow)),
            Kind::Integer(Width::Three, _) | Kind::Integer(Width::Four, true) => Sink::Int(Fixed::new(arrow)),
            Kind::Integer(Width::Four, false) => Sink::IntUnsigned(Fixed::new(arrow)),
            Kind::Integer(Width::Eight, true) => Sink::Big(Fixed::new(arrow)),
            Kind::Integer(Width::Eight, false) => Sink::BigUnsigned(Fixed::new(arrow)),
            Kind::Float4 => Sink::Float4(Fixed::new(arrow)),
            Kind::Float8 => Sink::Float8(Fixed::new(arrow)),
            Kind::Decimal { precision, scale } => {
                Sink::Decimal { into: Fixed::new(arrow), precision: *precision, scale: *scale }
            }
            Kind::Date => Sink::Date(Fixed::new(arrow)),
            Kind::Moment { digits, .. } => Sink::Moment { into: Fixed::new(arrow), digits: *digits },
            Kind::Time { digits } => Sink::Time { into: text(), digits: *digits },
            Kind::Bit => Sink::Bit(Truths::new()),
            Kind::Bits => Sink::Bits(Fixed::new(arrow)),
            Kind::Text => Sink::Text(text()),
            Kind::Converted => Sink::Converted { into: text(), name: name.to_owned() },
            Kind::Enum => Sink::Enum(text()),
            Kind::Bytes => Sink::Text(Texts::new(Stored::Bytes, policies.text)),
            Kind::Geometry => Sink::Geometry(Texts::new(Stored::Bytes, policies.text)),
        };
        Self { sink, edges: Edges::new(policies.edges) }
    }

    /// Takes a field and says how many bytes it holds beyond the column's fixed width.
    #[inline]
    pub(super) fn push(&mut self, bytes: &mut Bytes<'_>) -> FaultResult<usize> {
        Ok(match &mut self.sink {
            Sink::Text(into) => into.push(bytes.string()?)?,
            Sink::Int(into) => into.push(i32::from_le_bytes(bytes.array()?)),
            Sink::Big(into) => into.push(i64::from_le_bytes(bytes.array()?)),
            Sink::Decimal { into, precision, scale } => into.push(decimal::read(bytes.string()?, *precision, *scale)?),
            Sink::Date(into) => {
                let moment = Moment::read(bytes)?;
                push_place(into, (moment.date(), FIRST_DAY), || moment.date_text(), &mut self.edges)?
            }
            Sink::Moment { into, digits } => {
                let moment = Moment::read(bytes)?;
                let first = i64::from(FIRST_DAY) * 86_400_000_000;
                push_place(into, (moment.timestamp(), first), || moment.text(*digits), &mut self.edges)?
            }
            Sink::Tiny(into) => into.push(i8::from_le_bytes(bytes.array()?)),
            Sink::TinyUnsigned(into) => into.push(i16::from(bytes.byte()?)),
            Sink::Small(into) => into.push(i16::from_le_bytes(bytes.array()?)),
            Sink::SmallUnsigned(into) => into.push(i32::from(bytes.u16()?)),
            Sink::IntUnsigned(into) => into.push(i64::from(bytes.u32()?)),
            Sink::BigUnsigned(into) => into.push(i128::from(u64::from_le_bytes(bytes.array()?))),
            Sink::Float4(into) => into.push(f32::from_le_bytes(bytes.array()?)),
            Sink::Float8(into) => into.push(f64::from_le_bytes(bytes.array()?)),
            Sink::Time { into, digits } => into.push_with(|out| write_time(bytes, *digits, out))?,
            Sink::Bit(into) => into.push(bits(bytes.string()?)? != 0),
            Sink::Bits(into) => into.push(i128::from(bits(bytes.string()?)?)),
            Sink::Converted { into, name } => push_converted(into, name, bytes.string()?)?,
            Sink::Enum(into) => {
                let member = bytes.string()?;
                if member.is_empty() {
                    // None of the members: what was refused once, and stored as nothing. It is kept and counted.
                    self.edges.count();
                }
                into.push(member)?
            }
            Sink::Geometry(into) => push_geometry(into, bytes.string()?)?,
        })
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        match &mut self.sink {
            Sink::Tiny(into) => into.push_null(),
            Sink::TinyUnsigned(into) | Sink::Small(into) => into.push_null(),
            Sink::SmallUnsigned(into) | Sink::Int(into) => into.push_null(),
            Sink::IntUnsigned(into) | Sink::Big(into) => into.push_null(),
            Sink::BigUnsigned(into) | Sink::Bits(into) | Sink::Decimal { into, .. } => into.push_null(),
            Sink::Float4(into) => into.push_null(),
            Sink::Float8(into) => into.push_null(),
            Sink::Date(into) => into.push_null(),
            Sink::Moment { into, .. } => into.push_null(),
            Sink::Bit(into) => into.push_null(),
            Sink::Text(into) | Sink::Enum(into) | Sink::Geometry(into) => into.push_null(),
            Sink::Converted { into, .. } | Sink::Time { into, .. } => into.push_null(),
        }
    }

    /// The column's array; begins anew.
    pub(super) fn finish(&mut self) -> FaultResult<Done> {
        let values: ArrayRef = match &mut self.sink {
            Sink::Tiny(into) => into.finish(),
            Sink::TinyUnsigned(into) | Sink::Small(into) => into.finish(),
            Sink::SmallUnsigned(into) | Sink::Int(into) => into.finish(),
            Sink::IntUnsigned(into) | Sink::Big(into) => into.finish(),
            Sink::BigUnsigned(into) | Sink::Bits(into) | Sink::Decimal { into, .. } => into.finish(),
            Sink::Float4(into) => into.finish(),
            Sink::Float8(into) => into.finish(),
            Sink::Date(into) => into.finish(),
            Sink::Moment { into, .. } => into.finish(),
            Sink::Bit(into) => into.finish(),
            Sink::Text(into)
            | Sink::Enum(into)
            | Sink::Geometry(into)
            | Sink::Converted { into, .. }
            | Sink::Time { into, .. } => return into.finish(&mut self.edges),
        };
        let (twin, coerced) = self.edges.finish(values.len());
        Ok(Done { values, twin, coerced })
    }
}

/// A BIT's value: its bytes come the highest first, without those that its length does not need.
fn bits(bytes: &[u8]) -> FaultResult<u64> {
    if bytes.len() > 8 {
        return Err(malformed("a bit field is longer than 64 bits"));
    }
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// A text that the server converted, with its mark.
fn push_converted(into: &mut Texts, name: &str, bytes: &[u8]) -> FaultResult<usize> {
    match bytes {
        [b't', text @ ..] => into.push(text),
        [b'x', rest @ ..] => {
            let end =
                rest.iter().position(|byte| *byte == b':').ok_or_else(|| malformed("a text came without its bytes"))?;
            let was = String::from_utf8_lossy(&rest[..end]).into_owned();
            into.push_replaced(&rest[end + 1..], was)
        }
        [b'n'] => Err(over_packet(name)),
        _ => Err(malformed("a text came without its mark")),
    }
}

/// The server gives NULL for what its functions would make longer than it may be.
fn over_packet(name: &str) -> Fault {
    let text = format!(
        "a text of the column {name}, converted to UTF-8, is longer than the server's max_allowed_packet, and the server gives nothing \
         instead: set that higher on the server (16M to 1G), or drop the column"
    );
    Fault::new(FailureCode::RowTooLarge, text)
}

/// Says in a geometry's type that its reference system follows.
const HAS_SRID: u32 = 0x2000_0000;

/// A geometry: four bytes name its reference system, then it stands as WKB. What has a system becomes EWKB, since each value
/// may have its own; what has none stays WKB.
fn push_geometry(into: &mut Texts, bytes: &[u8]) -> FaultResult<usize> {
    let mut rest = Bytes::new(bytes);
    let srid = rest.u32()?;
    if srid == 0 {
        return into.push(rest.rest());
    }
    let order = rest.byte()?;
    if order != 1 {
        return Err(malformed("a geometry is not written as MySQL writes them"));
    }
    let kind = rest.u32()?;
    into.push_with(|out| {
        out.push(order);
        out.extend_from_slice(&(kind | HAS_SRID).to_le_bytes());
        out.extend_from_slice(&srid.to_le_bytes());
        out.extend_from_slice(rest.rest());
        Ok(())
    })
}

/// A date or time, or what becomes of one that there is not. `first` stands for the zero date under `sentinel`.
fn push_place<T: ArrowPrimitiveType>(
    into: &mut Fixed<T>,
    (place, first): (Place<T::Native>, T::Native),
    text: impl FnOnce() -> String,
    edges: &mut Edges,
) -> FaultResult<usize> {
    match place {
        Place::Plain(value) => Ok(into.push(value)),
        Place::Unusual(value) => {
            edges.count();
            Ok(into.push(value))
        }
        Place::Zero if edges.has_sentinels() => {
            edges.count();
            Ok(into.push(first))
        }
        Place::Zero | Place::Nowhere => {
            into.push_null();
            edges.meet(into.last(), text)
        }
    }
}
