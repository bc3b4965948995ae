//! The decoder against every way of cutting its input, and against bytes that no server would send.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Field, Int32Type, Schema};
use proptest::prelude::*;

use super::*;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

fn decoder(kinds: &[Kind], policies: Policies, row_bytes: usize) -> Decoder {
    let fields: Vec<Field> =
        kinds.iter().enumerate().map(|(at, kind)| Field::new(format!("c{at}"), kind.arrow(), true)).collect();
    let bounds = Bounds { batch_bytes: 8 << 20, row_bytes };
    Decoder::new(kinds, Arc::new(Schema::new(fields)), policies, bounds)
}

fn defaults() -> Policies {
    Policies { edges: EdgePolicy::default(), arrays: ArrayPolicy::default(), text: TextPolicy::default() }
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = (fields.len() as i16).to_be_bytes().to_vec();
    for field in fields {
        match field {
            None => out.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                out.extend((bytes.len() as i32).to_be_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }
    out
}

fn copy_of(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    rows.iter().for_each(|row| out.extend_from_slice(row));
    out.extend((-1_i16).to_be_bytes());
    out
}

/// Feeds pieces as the lane does: what is not taken comes again in front of the next piece.
fn feed(decoder: &mut Decoder, pieces: &[&[u8]]) -> FaultResult<()> {
    let mut carry = Vec::new();
    for piece in pieces {
        carry.extend_from_slice(piece);
        let taken = decoder.feed(&carry)?;
        carry.drain(..taken);
    }
    Ok(())
}

#[test]
fn rows_may_straddle_chunks_anywhere() {
    let rows: Vec<Vec<u8>> = (0..5_i32).map(|n| row(&[Some(&n.to_be_bytes()), Some(b"text"), None])).collect();
    let bytes = copy_of(&rows);
    for cut in 0..bytes.len() {
        let mut decoder = decoder(&[Kind::Int4, Kind::Text, Kind::Bool], defaults(), 1000);
        feed(&mut decoder, &[&bytes[..cut], &bytes[cut..]]).expect("well formed");
        assert!(decoder.is_complete());
        let batch = decoder.take().expect("a batch").rows;
        assert_eq!(batch.column(0).as_primitive::<Int32Type>().values(), &[0, 1, 2, 3, 4]);
        assert_eq!(batch.column(1).as_string::<i32>().value(4), "text");
        assert_eq!(batch.column(2).null_count(), 5);
    }
}

#[test]
fn a_row_too_large_is_refused_at_its_length() {
    let mut decoder = decoder(&[Kind::Text], defaults(), 100);
    let mut bytes = HEADER.to_vec();
    bytes.extend(1_i16.to_be_bytes());
    bytes.extend(1_000_000_000_i32.to_be_bytes());
    let fault = decoder.feed(&bytes).expect_err("too large");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
}

#[test]
fn a_small_numeric_that_prints_large_counts_as_what_it_prints() {
    let mut numeric = Vec::new();
    for word in [1_u16, 32_767, 0, 0, 9] {
        numeric.extend(word.to_be_bytes());
    }
    let mut small = decoder(&[Kind::NumericText], defaults(), 10_000);
    let fault = small.feed(&copy_of(&[row(&[Some(&numeric)])])).expect_err("too large");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
    let mut large = decoder(&[Kind::NumericText], defaults(), 1 << 20);
    large.feed(&copy_of(&[row(&[Some(&numeric)])])).expect("fits");
    let batch = large.take().expect("a batch").rows;
    assert_eq!(batch.column(0).as_string::<i32>().value(0).len(), 131_069);
}

#[test]
fn broken_copies_are_malformed() {
    let whole = copy_of(&[row(&[Some(b"\0\0\0\x01")])]);
    let mut broken = vec![
        [&whole[..], b"x"].concat(),
        [HEADER, &row(&[Some(b"\0\0\x01")])].concat(),
        [HEADER, &row(&[])].concat(),
        [HEADER, &row(&[None, None])].concat(),
        [HEADER, &[0, 1, 0xff, 0xff, 0xff, 0xfe]].concat(),
        [HEADER, &[0xff, 0xfe]].concat(),
        b"PGCOPX".to_vec(),
    ];
    let mut flags = whole.clone();
    flags[11] = 1;
    broken.push(flags);
    for bytes in broken {
        let mut decoder = decoder(&[Kind::Int4], defaults(), 1000);
        let fault = decoder.feed(&bytes).expect_err("malformed");
        assert_eq!(fault.code, FailureCode::SourceMalformed, "{bytes:?}");
    }
}

#[test]
fn without_the_trailer_a_copy_is_not_complete() {
    let whole = copy_of(&[row(&[Some(b"\0\0\0\x01")])]);
    for cut in 0..whole.len() {
        let mut decoder = decoder(&[Kind::Int4], defaults(), 1000);
        decoder.feed(&whole[..cut]).expect("a beginning");
        assert!(!decoder.is_complete(), "{cut}");
    }
}

#[test]
fn bad_text_is_replaced_counted_and_kept_as_hex() {
    let rows = [row(&[Some(b"good")]), row(&[Some(b"b\xffd")]), row(&[None])];
    let mut lenient = decoder(&[Kind::Text], defaults(), 1000);
    lenient.feed(&copy_of(&rows)).expect("well formed");
    let batch = lenient.take().expect("a batch");
    assert_eq!(batch.rows.column(0).as_string::<i32>().value(1), "b\u{fffd}d");
    assert!(batch.rows.column(0).is_null(2));
    assert_eq!(batch.coerced, [(0, 1)]);
    assert_eq!((batch.twins[0].1.value(1), batch.twins[0].1.null_count()), ("62ff64", 2));
    let mut strict = decoder(&[Kind::Text], Policies { text: TextPolicy::Fail, ..defaults() }, 1000);
    strict.feed(&copy_of(&rows)).expect("well formed");
    assert_eq!(strict.take().err().expect("refused").code, FailureCode::ValueRefused);
}

#[test]
fn two_texts_that_only_together_are_utf8_are_both_bad() {
    let mut decoder = decoder(&[Kind::Text], defaults(), 1000);
    decoder.feed(&copy_of(&[row(&[Some(b"\xc3")]), row(&[Some(b"\xa4")])])).expect("well formed");
    assert_eq!(decoder.take().expect("a batch").coerced, [(0, 2)]);
}

fn list(elements: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [1, 1, 0, elements.len() as i32, 1] {
        out.extend(word.to_be_bytes());
    }
    out.extend_from_slice(&row(elements)[2..]);
    out
}

#[test]
fn an_edge_inside_a_list_keeps_the_whole_array_as_text() {
    let nan = [0, 0, 0, 0, 0xc0, 0, 0, 2];
    let half = [0, 1, 0xff, 0xff, 0, 0, 0, 2, 0x13, 0x88];
    let kind = Kind::List(Box::new(Kind::Decimal { precision: 5, scale: 2 }));
    let mut decoder = decoder(&[kind], defaults(), 1000);
    let rows = [list(&[Some(&half), Some(&nan), None]), list(&[Some(&half)])];
    decoder.feed(&copy_of(&[row(&[Some(&rows[0])]), row(&[Some(&rows[1])])])).expect("well formed");
    let batch = decoder.take().expect("a batch");
    assert_eq!(batch.twins[0].1.value(0), "{0.50,NaN,NULL}");
    assert!(batch.twins[0].1.is_null(1));
    let first = batch.rows.column(0).as_list::<i32>().value(0);
    let first = first.as_primitive::<Decimal128Type>();
    assert_eq!((first.value(0), first.is_null(1), first.is_null(2)), (50, true, true));
}

/// An array of any shape: sizes and lower bounds first.
fn shaped(dimensions: &[(i32, i32)], elements: &[Option<&[u8]>]) -> Vec<u8> {
    let head = [dimensions.len() as i32, 1, 0].into_iter().chain(dimensions.iter().flat_map(|(n, lower)| [*n, *lower]));
    let mut out: Vec<u8> = head.flat_map(i32::to_be_bytes).collect();
    out.extend_from_slice(&row(elements)[2..]);
    out
}

#[test]
fn an_array_that_is_no_list_is_null_beside_its_text_and_counted_once() {
    let (one, two) = (1_i32.to_be_bytes(), (-2_i32).to_be_bytes());
    let four: [Option<&[u8]>; 4] = [Some(&one), None, Some(&two), Some(&one)];
    let rows = [
        list(&four[..1]),
        shaped(&[(2, 1), (2, 1)], &four),
        shaped(&[(4, 0)], &four),
        shaped(&[(1, i32::MAX), (2, -7), (2, 1)], &four),
        shaped(&[], &[]),
    ];
    let bytes = copy_of(&rows.each_ref().map(|array| row(&[Some(array)])));
    let kind = [Kind::List(Box::new(Kind::Int4))];
    let mut lenient = decoder(&kind, defaults(), 1000);
    lenient.feed(&bytes).expect("well formed");
    let batch = lenient.take().expect("a batch");
    let texts: Vec<_> = batch.twins[0].1.iter().collect();
    let bounds = "[2147483647:2147483647][-7:-6][1:2]={{{1,NULL},{-2,1}}}";
    assert_eq!(texts, [None, Some("{{1,NULL},{-2,1}}"), Some("[0:3]={1,NULL,-2,1}"), Some(bounds), None]);
    assert_eq!(batch.coerced, [(0, 3)]);
    let lists = batch.rows.column(0).as_list::<i32>();
    assert_eq!((lists.value(0).len(), lists.value(4).len(), lists.null_count()), (1, 0, 3));
    let mut strict = decoder(&kind, Policies { arrays: ArrayPolicy::Fail, ..defaults() }, 1000);
    assert_eq!(strict.feed(&bytes).expect_err("refused").code, FailureCode::ArrayShape);
}

#[test]
fn an_edge_in_an_array_that_is_no_list_stands_in_its_text_whatever_edges_become() {
    let nan = [0, 0, 0, 0, 0xc0, 0, 0, 2];
    let array = shaped(&[(1, 1), (2, 1)], &[Some(&nan), None]);
    let kind = [Kind::List(Box::new(Kind::Decimal { precision: 5, scale: 2 }))];
    for edges in [EdgePolicy::Twin, EdgePolicy::Null, EdgePolicy::Sentinel] {
        let mut decoder = decoder(&kind, Policies { edges, ..defaults() }, 1000);
        decoder.feed(&copy_of(&[row(&[Some(&array)])])).expect("well formed");
        let batch = decoder.take().expect("a batch");
        assert_eq!((batch.twins[0].1.value(0), &batch.coerced[..]), ("{{NaN,NULL}}", &[(0, 1)][..]));
    }
    let mut strict = decoder(&kind, Policies { edges: EdgePolicy::Fail, ..defaults() }, 1000);
    assert_eq!(strict.feed(&copy_of(&[row(&[Some(&array)])])).expect_err("refused").code, FailureCode::ValueRefused);
}

#[test]
fn impossible_shapes_are_malformed() {
    let one = 1_i32.to_be_bytes();
    for dimensions in
        [&[(1, 1); 7][..], &[(-1, 1)], &[(0, 1), (1, 1)], &[(i32::MAX, 1); 6], &[(2, 0)], &[(1, 1), (2, 1)]]
    {
        let array = shaped(dimensions, &[Some(&one)]);
        let mut decoder = decoder(&[Kind::List(Box::new(Kind::Int4))], defaults(), 1000);
        let fault = decoder.feed(&copy_of(&[row(&[Some(&array)])])).expect_err("malformed");
        assert_eq!(fault.code, FailureCode::SourceMalformed, "{dimensions:?}");
    }
}

/// By pgvector's layout: dimensions, a reserved word, then the elements: `'[1,2.5,-3]'::vector` and `'[1,-2]'::halfvec`.
#[test]
fn vectors_read_from_recorded_bytes() {
    let vector = hex::decode("000300003f80000040200000c0400000").expect("hex");
    let half = hex::decode("000200003c00c000").expect("hex");
    let mut decoder = decoder(&[Kind::Vector, Kind::HalfVector], defaults(), 1000);
    decoder.feed(&copy_of(&[row(&[Some(&vector), Some(&half)])])).expect("well formed");
    let batch = decoder.take().expect("a batch").rows;
    let floats = |at: usize| {
        let list = batch.column(at).as_list::<i32>().value(0);
        list.as_primitive::<arrow::datatypes::Float32Type>().values().to_vec()
    };
    assert_eq!((floats(0), floats(1)), (vec![1.0, 2.5, -3.0], vec![1.0, -2.0]));
}

/// Every kind by itself and in a list.
fn every_kind() -> Vec<Kind> {
    let scalar = fuzz::kinds().into_iter().filter(|kind| !matches!(kind, Kind::List(_)));
    let of_list = |kind: &Kind| !matches!(kind, Kind::Vector | Kind::HalfVector);
    let lists = scalar.clone().filter(of_list).map(|kind| Kind::List(Box::new(kind)));
    scalar.chain(lists).collect()
}

proptest! {
    #[test]
    fn arbitrary_fields_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in every_kind() {
            let mut decoder = decoder(std::slice::from_ref(&kind), defaults(), 1 << 20);
            let array = list(&[Some(&bytes), None]);
            for field in [&bytes, &array] {
                if decoder.feed(&[&row(&[Some(field)])[..]].concat()).is_err() { break }
            }
            let mut decoder = self::decoder(&[kind], defaults(), 1 << 20);
            for field in [&bytes, &array] {
                if decoder.feed(&copy_of(&[row(&[Some(field)])])).is_ok() {
                    let _ = decoder.take();
                }
                decoder.begin();
            }
        }
    }

    #[test]
    fn arbitrary_streams_never_panic_nor_hoard(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cuts in proptest::collection::vec(0_usize..300, 0..5),
    ) {
        let kinds = [Kind::Int4, Kind::Text, Kind::List(Box::new(Kind::Int8))];
        let mut decoder = decoder(&kinds, defaults(), 4096);
        let stream = [HEADER, &bytes].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        if feed(&mut decoder, &pieces).is_ok() {
            prop_assert!(decoder.need() <= 4096 + 4);
        }
    }
}
