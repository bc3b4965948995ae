//! Bytes of any kind in place of a COPY: it must end in rows or in a refusal, and wherever the bytes are cut in the same ones.

use arrow::datatypes::{Field, Schema};

use super::*;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A kind of every shape. Kept inputs name them by their place.
pub(super) fn kinds() -> Vec<Kind> {
    let plain = [
        Kind::Bool,
        Kind::Int2,
        Kind::Int4,
        Kind::Int8,
        Kind::Float4,
        Kind::Float8,
        Kind::Unsigned4,
        Kind::Decimal { precision: 38, scale: 10 },
        Kind::Decimal { precision: 5, scale: 0 },
        Kind::NumericText,
        Kind::Date,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Uuid,
        Kind::Char,
        Kind::Jsonb,
        Kind::Text,
        Kind::Bytes,
        Kind::Vector,
        Kind::HalfVector,
        Kind::Json,
    ];
    let lists = [Kind::Int4, Kind::Text, Kind::NumericText, Kind::Date, Kind::Decimal { precision: 10, scale: 2 }];
    plain.into_iter().chain(lists.map(|kind| Kind::List(Box::new(kind)))).collect()
}

/// What reading came to: batches, or the code of the refusal.
type Outcome = Result<Vec<Batch>, FailureCode>;

fn read(mut decoder: Decoder, bytes: &[u8], step: usize) -> Outcome {
    let (mut carry, mut batches) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(step) {
        carry.extend_from_slice(piece);
        loop {
            let taken = decoder.feed(&carry).map_err(|fault| fault.code)?;
            carry.drain(..taken);
            if !decoder.is_full() {
                break;
            }
            batches.push(decoder.take().map_err(|fault| fault.code)?);
        }
    }
    if decoder.has_rows() && decoder.is_complete() {
        batches.push(decoder.take().map_err(|fault| fault.code)?);
    }
    Ok(batches)
}

fn is_same(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            let same = |(one, other): (&Batch, &Batch)| {
                one.rows == other.rows && one.twins == other.twins && one.coerced == other.coerced
            };
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

/// The first three bytes say the columns, the policies and where the rest is cut.
pub(crate) fn copy(data: &[u8]) {
    let Some(([columns, policy, cut], bytes)) = data.split_first_chunk::<3>() else { return };
    let all = kinds();
    let mut kinds = vec![all[usize::from(*columns) % all.len()].clone()];
    if policy & 1 != 0 {
        kinds.push(all[usize::from(policy >> 3) % all.len()].clone());
    }
    let fields: Vec<Field> =
        kinds.iter().enumerate().map(|(at, kind)| Field::new(format!("c{at}"), kind.arrow(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let edges = if policy & 2 != 0 { EdgePolicy::Sentinel } else { EdgePolicy::Twin };
    let policies = Policies { edges, arrays: ArrayPolicy::default(), text: TextPolicy::default() };
    let bounds = Bounds { batch_bytes: 256, row_bytes: 4096 };
    let decoder = || Decoder::new(&kinds, Arc::clone(&schema), policies, bounds);
    // Few inputs would get past the signature by themselves.
    let whole = if policy & 4 != 0 { bytes.to_vec() } else { [HEADER, bytes].concat() };
    let at_once = read(decoder(), &whole, usize::MAX);
    let in_steps = read(decoder(), &whole, usize::from(*cut % 31) + 1);
    assert!(is_same(&at_once, &in_steps), "cut otherwise, the same bytes are read otherwise");
}
