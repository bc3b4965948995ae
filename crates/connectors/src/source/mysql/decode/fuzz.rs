//! Bytes of any kind in place of rows of the binary form: each is a row or a refusal, alone as among others.

use arrow::array::Array;
use arrow::datatypes::{Field, Schema};

use super::*;
use crate::source::mysql::kind::Width;

/// A kind of every shape. Kept inputs name them by their place.
pub(super) fn kinds() -> Vec<Kind> {
    let widths = [Width::One, Width::Two, Width::Three, Width::Four, Width::Eight];
    let mut kinds: Vec<Kind> = widths.map(|width| Kind::Integer(width, true)).to_vec();
    kinds.extend(widths.map(|width| Kind::Integer(width, false)));
    kinds.extend([
        Kind::Float4,
        Kind::Float8,
        Kind::Decimal { precision: 38, scale: 10 },
        Kind::Decimal { precision: 10, scale: 2 },
        Kind::Date,
        Kind::Moment { digits: 6, is_utc: true },
        Kind::Moment { digits: 0, is_utc: false },
        Kind::Time { digits: 3 },
        Kind::Year,
        Kind::Bit,
        Kind::Bits,
        Kind::Text,
        Kind::Converted,
        Kind::Enum,
        Kind::Bytes,
        Kind::Geometry,
    ]);
    kinds
}

/// The twin of a column in a row, where there is one.
fn twin(batch: &Batch, place: usize, row: usize) -> Option<&str> {
    let (_, texts) = batch.twins.iter().find(|(at, _)| *at == place)?;
    texts.is_valid(row).then(|| texts.value(row))
}

/// How many values of a column a policy changed.
fn coerced(batch: &Batch, place: usize) -> u64 {
    batch.coerced.iter().filter(|(at, _)| *at == place).map(|(_, many)| many).sum()
}

/// The first two bytes say the columns and the policies, the next two the length of each row.
pub(crate) fn rows(data: &[u8]) {
    let Some(([columns, policy, low, high], bytes)) = data.split_first_chunk::<4>() else { return };
    let all = kinds();
    let mut kinds = vec![all[usize::from(*columns) % all.len()].clone()];
    if policy & 1 != 0 {
        kinds.push(all[usize::from(policy >> 3) % all.len()].clone());
    }
    let fields: Vec<Field> =
        kinds.iter().enumerate().map(|(at, kind)| Field::new(format!("c{at}"), kind.arrow(), true)).collect();
    let (schema, kinds) = (Arc::new(Schema::new(fields)), Arc::<[Kind]>::from(kinds));
    let edges = if policy & 2 != 0 { EdgePolicy::Sentinel } else { EdgePolicy::Twin };
    let policies = Policies { edges, text: TextPolicy::default() };
    let bounds = Bounds { batch_bytes: 1 << 20, row_bytes: 768 };
    let decoder = || Decoder::new(&kinds, Arc::clone(&schema), policies, bounds);
    let alone = |packet: &[u8]| {
        let mut decoder = decoder();
        decoder.row(packet).ok()?;
        Some(decoder.take().unwrap_or_else(|fault| panic!("a row that was read is no batch: {}", fault.code)))
    };
    let mut together = decoder();
    let mut expected = Vec::new();
    let length = usize::from(u16::from_le_bytes([*low, *high]) % 1024) + 1;
    for packet in bytes.chunks(length) {
        if let Some(batch) = alone(packet) {
            let taken = together.row(packet);
            assert!(taken.is_ok(), "a row that is read alone is refused among others");
            expected.push(batch);
        }
    }
    let found = together.take().unwrap_or_else(|fault| panic!("rows that were read are no batch: {}", fault.code));
    assert_eq!(found.rows.num_rows(), expected.len());
    for (at, batch) in expected.iter().enumerate() {
        assert_eq!(batch.rows.num_rows(), 1);
        assert!(found.rows.slice(at, 1) == batch.rows, "a row is another one among others");
        for place in 0..found.rows.num_columns() {
            assert!(twin(&found, place, at) == twin(batch, place, 0), "a twin is another one among others");
        }
    }
    for place in 0..found.rows.num_columns() {
        let alone: u64 = expected.iter().map(|batch| coerced(batch, place)).sum();
        assert_eq!(coerced(&found, place), alone, "what policies changed is counted otherwise among others");
    }
}
