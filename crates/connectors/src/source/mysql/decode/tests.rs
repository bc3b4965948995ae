//! Rows written by hand to the protocol's description, and bytes that no server would send.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int32Type, Schema};
use proptest::prelude::*;

use super::*;
use crate::source::mysql::kind::Width;

fn decoder(kinds: &[Kind], policies: Policies, row_bytes: usize) -> Decoder {
    let fields: Vec<Field> =
        kinds.iter().enumerate().map(|(at, kind)| Field::new(format!("c{at}"), kind.arrow(), true)).collect();
    let bounds = Bounds { batch_bytes: 1 << 20, row_bytes };
    Decoder::new(&kinds.to_vec().into(), Arc::new(Schema::new(fields)), policies, bounds)
}

fn defaults() -> Policies {
    Policies { edges: EdgePolicy::default(), text: TextPolicy::default() }
}

#[test]
fn a_row_is_its_nulls_and_then_its_values() {
    let kinds = [Kind::Integer(Width::Four, true), Kind::Text, Kind::Decimal { precision: 5, scale: 1 }];
    let mut decoder = decoder(&kinds, defaults(), 1000);
    // The second of three columns is NULL: bit 3.
    decoder.row(b"\x08\xfe\xff\xff\xff\x041.50").map(drop).expect_err("two digits where the type has one");
    let mut decoder = super::tests::decoder(&kinds, defaults(), 1000);
    decoder.row(b"\x08\xfe\xff\xff\xff\x04-1.5").expect("a row");
    decoder.row(b"\x10\x07\0\0\0\x02ab").expect("a row");
    let batch = decoder.take().expect("a batch");
    assert_eq!(batch.rows.column(0).as_primitive::<Int32Type>().values(), &[-2, 7]);
    let texts = batch.rows.column(1).as_string::<i32>();
    assert!(texts.is_null(0) && texts.value(1) == "ab");
    let decimals = batch.rows.column(2).as_primitive::<Decimal128Type>();
    assert!(decimals.value(0) == -15 && decimals.is_null(1));
    assert!(batch.twins.is_empty() && batch.coerced.is_empty());
}

#[test]
fn text_that_lost_something_on_its_way_keeps_its_bytes_in_the_twin() {
    let mut decoder = decoder(&[Kind::Converted], defaults(), 1000);
    decoder.row(b"\0\x03tab").expect("whole");
    decoder.row(b"\0\x08x8181:a?").expect("lossy");
    decoder.row(b"\0\x02t\xff").expect("bad all the same");
    let batch = decoder.take().expect("a batch");
    let texts: Vec<Option<&str>> = batch.rows.column(0).as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("ab"), Some("a?"), Some("\u{fffd}")]);
    let (place, twin) = &batch.twins[0];
    assert_eq!((*place, twin.iter().collect::<Vec<_>>()), (0, vec![None, Some("8181"), Some("ff")]));
    assert_eq!(batch.coerced, [(0, 2)]);
    let strict = Policies { text: TextPolicy::Fail, ..defaults() };
    let mut decoder = super::tests::decoder(&[Kind::Converted], strict, 1000);
    assert_eq!(decoder.row(b"\0\x08x8181:a?").expect_err("refused").code, FailureCode::ValueRefused);
    let mut decoder = super::tests::decoder(&[Kind::Converted], defaults(), 1000);
    assert!(decoder.row(b"\0\x02ab").is_err() && decoder.row(b"\0\x02xa").is_err());
    let fault = decoder.row(b"\0\x01n").expect_err("longer than the server lets it be");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
    assert!(fault.text.for_customer().contains("column c0"));
}

#[test]
fn a_geometry_keeps_its_reference_system() {
    let point = |srid: u32| {
        let mut row = vec![0, 25];
        row.extend(srid.to_le_bytes());
        row.extend([1, 1, 0, 0, 0]);
        row.extend(1.0_f64.to_le_bytes());
        row.extend(2.0_f64.to_le_bytes());
        row
    };
    let mut decoder = decoder(&[Kind::Geometry], defaults(), 1000);
    decoder.row(&point(0)).expect("plain");
    decoder.row(&point(4326)).expect("with a system");
    let batch = decoder.take().expect("a batch");
    let values = batch.rows.column(0).as_binary::<i32>();
    assert_eq!(values.value(0), &point(0)[6..]);
    assert_eq!(values.value(1)[..9], [1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0]);
    assert_eq!(values.value(1)[9..], point(0)[11..]);
}

#[test]
fn a_row_over_its_bound_is_refused() {
    let mut decoder = decoder(&[Kind::Text], defaults(), 20);
    assert_eq!(decoder.row(&[b'x'; 21]).expect_err("long").code, FailureCode::RowTooLarge);
    assert_eq!(DataType::Utf8, Kind::Text.arrow());
}

proptest! {
    #[test]
    fn arbitrary_rows_never_panic_nor_hoard(bytes in prop::collection::vec(any::<u8>(), 0..400), fail in any::<bool>()) {
        let kinds = fuzz::kinds();
        let edges = if fail { EdgePolicy::Fail } else { EdgePolicy::Sentinel };
        for kind in &kinds {
            let mut decoder = decoder(std::slice::from_ref(kind), Policies { edges, ..defaults() }, 300);
            if decoder.row(&bytes).is_ok() {
                prop_assert!(decoder.take().is_ok());
            }
        }
        let mut decoder = decoder(&kinds, Policies { edges, ..defaults() }, 300);
        if decoder.row(&bytes).is_ok() {
            prop_assert!(decoder.take().is_ok());
        }
        prop_assert!(bytes.len() <= 300 || decoder.row(&bytes).is_err());
    }
}
