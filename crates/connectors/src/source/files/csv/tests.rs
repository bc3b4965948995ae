//! The splitter by itself, fed in pieces of every size.

use super::*;

/// Splits a text fed in pieces of `step` bytes; the first record is taken for the header.
fn split(text: &[u8], step: usize) -> Result<Vec<Vec<String>>, Broken> {
    let mut splitter = Splitter::new(&Csv::default(), 1 << 20).expect("dialect");
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut keep = |splitter: &mut Splitter| {
        if let Some(record) = splitter.record() {
            let text = |at| String::from_utf8_lossy(record.field(at).0).into_owned();
            rows.push((0..record.len()).map(text).collect());
            splitter.expect(rows[0].len());
            splitter.clear();
        }
    };
    for mut piece in text.chunks(step) {
        while !piece.is_empty() {
            let taken = splitter.feed(piece)?;
            piece = &piece[taken..];
            keep(&mut splitter);
        }
    }
    splitter.end()?;
    keep(&mut splitter);
    Ok(rows)
}

fn both(text: &[u8]) -> Result<Vec<Vec<String>>, (FailureCode, u64)> {
    let whole = split(text, usize::MAX).map_err(|b| (b.code, b.line));
    for step in [1, 2, 3, 7] {
        let pieces = split(text, step).map_err(|b| (b.code, b.line));
        assert_eq!(whole, pieces, "in steps of {step}");
    }
    whole
}

#[test]
fn quotes_line_ends_and_marks_are_read_as_the_standard_says() {
    let rows = both(b"\xef\xbb\xbfa,b\r\n\"x,\"\"y\"\"\nz\",1\r2,\n\"\",3").expect("rows");
    assert_eq!(rows, [["a", "b"], ["x,\"y\"\nz", "1"], ["2", ""], ["", "3"]]);
    assert_eq!(both(b"a\n1\n\n2\n").expect("rows"), [["a"], ["1"], [""], ["2"]]);
    assert_eq!(both(b"a,b\n1,2\n\n\r\n").expect("rows"), [["a", "b"], ["1", "2"]]);
    assert_eq!(both(b"a,b\r\n,\r\n1,2\n").expect("rows"), [["a", "b"], ["", ""], ["1", "2"]]);
    assert_eq!(both(b"a,b\n1,2\r3,4\r\r\n").expect("rows"), [["a", "b"], ["1", "2"], ["3", "4"]]);
    assert_eq!(both(b"\xef").expect("rows").len(), 1);
    assert_eq!(both(b"").expect("rows").len(), 0);
}

#[test]
fn what_a_lenient_reader_would_guess_is_an_error_with_its_line() {
    let bad = |text: &[u8]| both(text).expect_err("malformed");
    let csv = FailureCode::CsvMalformed;
    assert_eq!(bad(b"a,b\n1,2\n3\n"), (csv, 3));
    assert_eq!(bad(b"a,b\n\"x\ny\",2\n3,4,5\n"), (csv, 4));
    assert_eq!(bad(b"a,b\n1,x\"y\n"), (csv, 2));
    assert_eq!(bad(b"a,b\n1,\"x\"y\n"), (csv, 2));
    assert_eq!(bad(b"a,b\n1,\"x\n"), (csv, 3));
    assert_eq!(bad(b"a,b\n1,x\0y\n"), (csv, 2));
    assert_eq!(bad(b"a,b\n\n1,2\n"), (csv, 2));
    assert_eq!(bad(b"\xff\xfea\0"), (csv, 1));
}

/// Numbers of fields and raw texts of the records that have another number than the first.
fn wrong(text: &[u8], step: usize) -> Vec<(u64, String)> {
    let mut splitter = Splitter::new(&Csv::default(), 1 << 20).expect("dialect");
    splitter.keep_raw();
    let (mut all, mut first) = (Vec::new(), true);
    let mut keep = |splitter: &mut Splitter| {
        if let Some(broken) = splitter.wrong() {
            all.push((broken.line, String::from_utf8_lossy(splitter.raw()).into_owned()));
        }
        let Some(record) = splitter.record() else { return };
        if std::mem::take(&mut first) {
            let columns = record.len();
            splitter.expect(columns);
        }
        splitter.clear();
    };
    for mut piece in text.chunks(step) {
        while !piece.is_empty() {
            let taken = splitter.feed(piece).expect("records");
            piece = &piece[taken..];
            keep(&mut splitter);
        }
    }
    splitter.end().expect("the end");
    keep(&mut splitter);
    all
}

#[test]
fn a_record_that_is_none_is_kept_as_it_stands_wherever_the_bytes_are_cut() {
    let text = b"a,b\r\n1,2\r\n\"x\"\"y\"\r\n3,\"4\"\n5,\"6\",,\r7\r\n\"l\nm\",1,2\n8,9\n\xef\xbb,1,\"\"";
    let expect = [(3, "\"x\"\"y\""), (5, "5,\"6\",,"), (6, "7"), (7, "\"l\nm\",1,2"), (10, "\u{fffd},1,\"\"")];
    for step in [1, 2, 3, 5, 7, 1000] {
        let found = wrong(text, step);
        let found: Vec<_> = found.iter().map(|(line, raw)| (*line, raw.as_str())).collect();
        assert_eq!(found, expect, "in steps of {step}");
    }
    assert_eq!(wrong(b"\xef\n1,2\n", 1), [(2, "1,2".to_owned())]);
}

#[test]
fn a_record_is_bounded_before_it_is_buffered() {
    let mut splitter = Splitter::new(&Csv::default(), 1000).expect("dialect");
    let mut fed = 0;
    splitter.feed(b"a,\"").expect("start");
    let broken = loop {
        fed += 100;
        if let Err(broken) = splitter.feed(&[b'x'; 100]) {
            break broken;
        }
    };
    assert_eq!((broken.code, fed), (FailureCode::RowTooLarge, 1000));
    assert!(split(&[b','; 2 << 20], 4096).is_err());
}
