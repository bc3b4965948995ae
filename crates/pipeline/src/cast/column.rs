//! One column of a batch in another type: through its exact text, and straight where that would say less than the value.

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use waybill_model::plan::CsvType;

use crate::encode::cell::{Cell, DAY, scalar};
use crate::exact::{ExactColumn, decimal};

/// A column that was cast.
pub(super) struct Done {
    pub(super) values: ArrayRef,
    /// Rows whose value the type does not hold, which are NULL, with what stood there.
    pub(super) edges: Vec<(usize, String)>,
}

/// Whether values of the one type can be ones of the other at all.
pub(super) fn can(from: &DataType, to: CsvType) -> bool {
    use DataType as D;
    let is_whole = matches!(from, D::Int8 | D::Int16 | D::Int32 | D::Int64);
    let is_number = is_whole || matches!(from, D::Float32 | D::Float64 | D::Decimal128(..));
    let is_text = matches!(from, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    match to {
        _ if is_text => true,
        CsvType::Text => is_number || matches!(from, D::Boolean | D::Date32 | D::Timestamp(..)),
        CsvType::Bigint | CsvType::Double | CsvType::Decimal(..) => is_number,
        CsvType::Boolean => is_whole || *from == D::Boolean,
        // A moment has no day before somebody names a zone, and a day and a clock no moment.
        CsvType::Date | CsvType::Timestamp => matches!(from, D::Date32 | D::Timestamp(_, None)),
        CsvType::TimestampTz => matches!(from, D::Timestamp(_, Some(_))),
    }
}

/// The column in the type. A row that has a text in its twin already keeps that, and NULL beside it.
pub(super) fn cast(column: &ArrayRef, to: CsvType, twin: Option<&StringArray>) -> Done {
    let mut values = ExactColumn::new(to);
    let mut edges = Vec::new();
    let mut text = Vec::new();
    for row in 0..column.len() {
        if column.is_null(row) || twin.is_some_and(|twin| twin.is_valid(row)) {
            values.push_null();
            continue;
        }
        text.clear();
        if push(&mut values, column, row, to, &mut text).is_some() {
            continue;
        }
        values.push_null();
        edges.push((row, String::from_utf8_lossy(&text).into_owned()));
    }
    Done { values: values.finish(), edges }
}

/// Takes a value where the type holds it; its text stands in `text` otherwise.
fn push(values: &mut ExactColumn, column: &ArrayRef, row: usize, to: CsvType, text: &mut Vec<u8>) -> Option<()> {
    let cell = Cell::at(column, row)?;
    scalar(&cell, text).ok()?;
    match (cell, to) {
        // Beyond 2^53 the fewest digits that read back are not those of the value.
        (Cell::Double(value), CsvType::Bigint) => values.push_whole(whole(value)?),
        (Cell::Single(value), CsvType::Bigint) => values.push_whole(whole(value.into())?),
        (Cell::Double(value), CsvType::Double) => values.push_double(value),
        (Cell::Single(value), CsvType::Double) => values.push_double(value.into()),
        (Cell::Decimal(..), CsvType::Bigint) => values.push_whole(i64::try_from(decimal(text, 19, 0)?).ok()?),
        // Without an exponent, which a decimal has not. A whole one is what it is, where the fewest digits are not.
        (Cell::Double(value), CsvType::Decimal(..)) if is_whole(value) => {
            values.push((value as i128).to_string().as_bytes())
        }
        (Cell::Single(value), CsvType::Decimal(..)) if is_whole(value.into()) => {
            values.push((value as i128).to_string().as_bytes())
        }
        (Cell::Double(value), CsvType::Decimal(..)) => values.push(value.to_string().as_bytes()),
        (Cell::Single(value), CsvType::Decimal(..)) => values.push(value.to_string().as_bytes()),
        // By their numbers: a text has years of four digits only.
        (Cell::Date(days), CsvType::Date) => values.push_days(days),
        (Cell::Date(days), CsvType::Timestamp) => values.push_micros(i64::from(days).checked_mul(DAY)?),
        (Cell::Time(micros, _), CsvType::Timestamp | CsvType::TimestampTz) => values.push_micros(micros),
        (Cell::Time(micros, _), CsvType::Date) if micros.rem_euclid(DAY) == 0 => {
            values.push_days(i32::try_from(micros.div_euclid(DAY)).ok()?)
        }
        (Cell::Time(..), CsvType::Date) => None,
        _ => values.push(text),
    }
}

/// Whether a float is a whole number of less than 2^127, which is more than any decimal holds.
fn is_whole(value: f64) -> bool {
    const END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    value.fract() == 0.0 && value.abs() < END
}

/// The whole number that a float is.
fn whole(value: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    (value.fract() == 0.0 && (-END..END).contains(&value)).then_some(value as i64)
}

/// The texts of a twin with more of them beside; none without any.
pub(super) fn merged(rows: usize, there: Option<StringArray>, more: Vec<(usize, String)>) -> Option<StringArray> {
    if more.is_empty() {
        return there;
    }
    let mut builder = StringBuilder::new();
    let mut more = more.into_iter().peekable();
    for row in 0..rows {
        match more.next_if(|(at, _)| *at == row) {
            Some((_, text)) => builder.append_value(text),
            None => builder.append_option(there.as_ref().filter(|twin| twin.is_valid(row)).map(|twin| twin.value(row))),
        }
    }
    Some(builder.finish())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        AsArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, TimeUnit};

    use super::*;

    fn texts(column: impl Array + 'static, to: CsvType) -> (Vec<Option<String>>, Vec<(usize, String)>) {
        let column: ArrayRef = Arc::new(column);
        assert!(can(column.data_type(), to), "{} to {to}", column.data_type());
        let done = cast(&column, to, None);
        let shown = (0..done.values.len()).map(|row| {
            let mut text = Vec::new();
            let cell = Cell::at(&done.values, row).expect("a table's type");
            scalar(&cell, &mut text).expect("text");
            done.values.is_valid(row).then(|| String::from_utf8(text).expect("UTF-8"))
        });
        (shown.collect(), done.edges)
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect()
    }

    fn edges(texts: &[(usize, &str)]) -> Vec<(usize, String)> {
        texts.iter().map(|(row, text)| (*row, (*text).to_owned())).collect()
    }

    #[test]
    fn numbers_go_where_they_are_held_exactly_and_to_the_twin_otherwise() {
        let long = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let (values, odd) = texts(long(&[0, -7, (1 << 53) + 1, i64::MAX]), CsvType::Double);
        assert_eq!(values, some(&["0.0", "-7.0", "", ""]));
        assert_eq!(odd, edges(&[(2, "9007199254740993"), (3, "9223372036854775807")]));
        let (values, odd) = texts(long(&[99, 100, -99]), CsvType::Decimal(4, 2));
        assert_eq!((values, odd), (some(&["99.00", "", "-99.00"]), edges(&[(1, "100")])));
        let (values, odd) = texts(long(&[1, 0, 2]), CsvType::Boolean);
        assert_eq!((values, odd), (some(&["true", "false", ""]), edges(&[(2, "2")])));

        let float: ArrayRef =
            Arc::new(Float64Array::from(vec![0.1, 1e16, 2.0_f64.powi(60), 1.005, f64::NAN, -0.0, 9.3e18]));
        let (values, odd) = texts(Arc::clone(&float), CsvType::Bigint);
        assert_eq!(values, some(&["", "10000000000000000", "1152921504606846976", "", "", "0", ""]));
        assert_eq!(odd.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 3, 4, 6]);
        let (values, odd) = texts(float, CsvType::Decimal(19, 2));
        assert_eq!(values, some(&["0.10", "10000000000000000.00", "", "", "", "0.00", ""]));
        assert_eq!(odd[1..], edges(&[(3, "1.005"), (4, "NaN"), (6, "9.3e+18")]));

        // What the float is, and not its fewest digits with zeros behind them.
        let whole: ArrayRef =
            Arc::new(Float64Array::from(vec![2.0_f64.powi(60), -2.0_f64.powi(100), 2.0_f64.powi(127)]));
        let (values, odd) = texts(whole, CsvType::Decimal(38, 0));
        assert_eq!(values, some(&["1152921504606846976", "-1267650600228229401496703205376", ""]));
        assert_eq!(odd.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2]);
        let whole = texts(Float32Array::from(vec![2.0_f32.powi(90)]), CsvType::Decimal(38, 2)).0;
        assert_eq!(whole, some(&["1237940039285380274899124224.00"]));

        let exact: ArrayRef = Arc::new(
            Decimal128Array::from(vec![1200, 1250, -10_i128.pow(21)]).with_precision_and_scale(38, 2).expect("a type"),
        );
        let (values, odd) = texts(Arc::clone(&exact), CsvType::Bigint);
        assert_eq!((values, odd), (some(&["12", "", ""]), edges(&[(1, "12.50"), (2, "-10000000000000000000.00")])));
        assert_eq!(texts(exact, CsvType::Double).0, some(&["12.0", "12.5", "-1e+19"]));
        let single: ArrayRef = Arc::new(Float32Array::from(vec![0.1_f32, 16_777_216.0]));
        let wide = cast(&single, CsvType::Double, None);
        assert_eq!(wide.values.as_primitive::<Float64Type>().values(), &[f64::from(0.1_f32), 16_777_216.0]);
        assert_eq!(texts(single, CsvType::Decimal(10, 1)).0, some(&["0.1", "16777216.0"]));
    }

    #[test]
    fn texts_are_read_as_they_are_written_and_everything_has_a_text() {
        let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let (values, odd) = texts(text(&["007", "7.0", "", "x"]), CsvType::Bigint);
        assert_eq!((values, odd), (some(&["7", "", "", ""]), edges(&[(1, "7.0"), (2, ""), (3, "x")])));
        let (values, odd) = texts(text(&["2024-02-29T12:00:00+02:00", "2024-02-29"]), CsvType::TimestampTz);
        assert_eq!((values, odd), (some(&["2024-02-29T10:00:00.000000Z", ""]), edges(&[(1, "2024-02-29")])));
        let (values, _) = texts(Int32Array::from(vec![Some(-1), None]), CsvType::Text);
        assert_eq!(values, some(&["-1", ""]));
        assert_eq!(texts(BooleanArray::from(vec![true]), CsvType::Text).0, some(&["true"]));
        assert_eq!(texts(Float64Array::from(vec![0.1, f64::INFINITY]), CsvType::Text).0, some(&["0.1", "Infinity"]));
        assert_eq!(texts(Date32Array::from(vec![0]), CsvType::Text).0, some(&["1970-01-01"]));
    }

    #[test]
    fn days_and_times_become_each_other_where_nothing_is_cut_or_guessed() {
        let (values, odd) = texts(TimestampMicrosecondArray::from(vec![0, 1, -86_400_000_000]), CsvType::Date);
        assert_eq!(
            (values, odd),
            (some(&["1970-01-01", "", "1969-12-31"]), edges(&[(1, "1970-01-01T00:00:00.000001")]))
        );
        let (values, odd) = texts(Date32Array::from(vec![1, i32::MAX]), CsvType::Timestamp);
        assert_eq!((values, odd), (some(&["1970-01-02T00:00:00.000000", ""]), edges(&[(1, "5881580-07-11")])));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (from, to) in [
            (&utc, CsvType::Timestamp),
            (&utc, CsvType::Date),
            (&plain, CsvType::TimestampTz),
            (&DataType::Date32, CsvType::TimestampTz),
            (&DataType::Date32, CsvType::Bigint),
            (&DataType::Boolean, CsvType::Bigint),
            (&DataType::Float64, CsvType::Boolean),
            (&DataType::Binary, CsvType::Text),
        ] {
            assert!(!can(from, to), "{from} to {to}");
        }
    }

    /// Years that no text of four digits has are values as any other: nothing of them is lost between numbers.
    #[test]
    fn days_and_times_of_every_year_are_taken() {
        const LATE: i64 = 317_278_684_800_000_001; // 12024-02-29T00:00:00.000001
        const CAESAR: i32 = -735_160; // The Ides of March, 44 BC: the year -0043.
        let utc = |micros: Vec<i64>| TimestampMicrosecondArray::from(micros).with_timezone("UTC");
        let ides = i64::from(CAESAR) * DAY;
        let (values, odd) = texts(utc(vec![LATE, ides]), CsvType::TimestampTz);
        assert_eq!((values, odd.len()), (some(&["12024-02-29T00:00:00.000001Z", "-0043-03-15T00:00:00.000000Z"]), 0));
        let plain = |micros: Vec<i64>| TimestampMicrosecondArray::from(micros);
        let (values, odd) = texts(plain(vec![LATE, ides]), CsvType::Timestamp);
        assert_eq!((values, odd.len()), (some(&["12024-02-29T00:00:00.000001", "-0043-03-15T00:00:00.000000"]), 0));
        let (values, odd) = texts(plain(vec![LATE, LATE - 1, ides]), CsvType::Date);
        assert_eq!(values, some(&["", "12024-02-29", "-0043-03-15"]));
        assert_eq!(odd, edges(&[(0, "12024-02-29T00:00:00.000001")]));
        let days = |days: Vec<i32>| Date32Array::from(days);
        let (values, odd) = texts(days(vec![3_672_207, CAESAR, i32::MAX]), CsvType::Date);
        assert_eq!((values, odd.len()), (some(&["12024-02-29", "-0043-03-15", "5881580-07-11"]), 0));
        let (values, odd) = texts(days(vec![3_672_207, CAESAR]), CsvType::Timestamp);
        assert_eq!((values, odd.len()), (some(&["12024-02-29T00:00:00.000000", "-0043-03-15T00:00:00.000000"]), 0));
    }

    #[test]
    fn a_text_that_stands_in_the_twin_stays_there() {
        let column: ArrayRef =
            Arc::new(Decimal128Array::from(vec![None, Some(5)]).with_precision_and_scale(3, 1).expect("a type"));
        let twin = StringArray::from(vec![Some("NaN"), None]);
        let done = cast(&column, CsvType::Bigint, Some(&twin));
        assert_eq!((done.values.null_count(), &done.edges), (2, &edges(&[(1, "0.5")])));
        let both = merged(2, Some(twin), done.edges).expect("texts");
        assert_eq!(both.iter().collect::<Vec<_>>(), [Some("NaN"), Some("0.5")]);
        assert_eq!(cast(&column, CsvType::Decimal(4, 2), None).values.as_primitive::<Decimal128Type>().value(1), 50);
        assert_eq!(
            cast(&(Arc::new(Int64Array::from(vec![5])) as ArrayRef), CsvType::Bigint, None)
                .values
                .as_primitive::<Int64Type>()
                .value(0),
            5
        );
    }
}
