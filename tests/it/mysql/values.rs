//! Every row of the fidelity table, and the values that other tools lose: each is exact or recoverable, and counted.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::receipt::Grade;

use super::{Read, full, read, server, source, stream};

fn decimal(read: &Read, name: &str, row: usize) -> Option<(String, i8)> {
    let column = read.column(name);
    let DataType::Decimal128(_, scale) = column.data_type() else { panic!("{name} is {}", column.data_type()) };
    let values = column.as_primitive::<Decimal128Type>();
    values.is_valid(row).then(|| (values.value_as_string(row), *scale))
}

fn counted(read: &Read) -> Vec<(&str, u64)> {
    read.coerced.iter().map(|(name, count)| (name.as_str(), *count)).collect()
}

#[tokio::test]
async fn d1_values_that_other_tools_lose_on_mariadb_arrive_exact_or_as_text() {
    let server = server();
    server.run(
        "SET sql_mode = 'ALLOW_INVALID_DATES';
         CREATE TABLE lost (id int PRIMARY KEY, u bigint unsigned, n decimal(65,30), d date, dt datetime(3), ts timestamp NULL,
           t time(6), dec40 decimal(40,10), b bit(64), y year);
         INSERT INTO lost VALUES
           (1, 18446744073709551615, 12345678901234567890123456789012345.123456789012345678901234567890, '0000-00-00',
            '0000-00-00 00:00:00', '0000-00-00 00:00:00', '-838:59:59.000000', 123456789012345678901234567890.0123456789,
            0xFFFFFFFFFFFFFFFF, 0),
           (2, 9223372036854775808, -0.000000000000000000000000000001, '2022-11-00', '2022-11-00 10:00:00.250', '2038-01-19 03:14:07',
            '838:59:59.000000', -0.0000000001, 0, 2155),
           (3, 0, NULL, '2023-02-30', '9999-12-31 23:59:59.999', NULL, '24:00:00.000001', NULL, 1, NULL),
           (4, NULL, 0, '0000-01-01', '2024-02-29 12:00:00.001', '1970-01-01 00:00:01', NULL, 0, NULL, 1901)",
    );
    let read = read(&source(&server), &full("lost"), 1).await.expect("read");
    assert_eq!(decimal(&read, "u", 0), Some(("18446744073709551615".into(), 0)));
    assert_eq!(decimal(&read, "u", 1), Some(("9223372036854775808".into(), 0)));
    let long = "12345678901234567890123456789012345.123456789012345678901234567890";
    assert_eq!(read.text("n", 0).as_deref(), Some(long));
    assert_eq!(read.text("n", 1).as_deref(), Some("-0.000000000000000000000000000001"));
    assert_eq!(read.text("dec40", 0).as_deref(), Some("123456789012345678901234567890.0123456789"));
    let dates = read.column("d");
    let dates = dates.as_primitive::<Date32Type>();
    assert!(dates.is_null(0) && dates.is_null(1) && dates.is_null(2));
    assert_eq!(dates.value(3), -719_528, "a day of the year 0 is kept");
    let twins: Vec<_> = (0..4).map(|row| read.twin("d", row)).collect();
    assert_eq!(twins, [Some("0000-00-00"), Some("2022-11-00"), Some("2023-02-30"), None]);
    let twins: Vec<_> = (0..4).map(|row| read.twin("dt", row)).collect();
    assert_eq!(twins, [Some("0000-00-00 00:00:00.000"), Some("2022-11-00 10:00:00.250"), None, None]);
    let times = read.column("dt");
    assert_eq!(times.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(times.as_primitive::<TimestampMicrosecondType>().value(2), 253_402_300_799_999_000);
    let stamps = read.column("ts");
    assert_eq!(stamps.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let stamps = stamps.as_primitive::<TimestampMicrosecondType>();
    assert_eq!((stamps.is_null(0), stamps.value(1), stamps.value(3)), (true, 2_147_483_647_000_000, 1_000_000));
    assert_eq!((read.twin("ts", 0), read.twin("ts", 2)), (Some("0000-00-00 00:00:00"), None));
    let texts: Vec<_> = (0..3).map(|row| read.text("t", row)).collect();
    assert_eq!(texts, ["-838:59:59.000000", "838:59:59.000000", "24:00:00.000001"].map(|text| Some(text.to_owned())));
    assert_eq!(decimal(&read, "b", 0), Some(("18446744073709551615".into(), 0)));
    assert_eq!(read.column("y").as_primitive::<Int16Type>().values()[..2], [0, 2155]);
    assert_eq!(counted(&read), [("d", 4), ("dt", 2), ("ts", 1)]);
    assert_eq!((read.proof.grade, read.proof.snapshot.as_str()), (Grade::Counted, "one connection"));
}

#[tokio::test]
async fn integers_and_floats_of_mariadb_keep_their_bits() {
    let server = server();
    server.run(
        "CREATE TABLE n (t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned, m mediumint, mu mediumint unsigned zerofill,
           i int, iu int unsigned, b bigint, bo boolean, f float, d double, fz float, z int(5) zerofill);
         INSERT INTO n VALUES (-128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, 2,
           16777216.0, 4.9406564584124654e-324, 1.17549435e-38, 42), (127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, -1,
           0.1, 1.7976931348623157e308, 3.4028234e38, 0)",
    );
    let read = read(&source(&server), &full("n"), 1).await.expect("read");
    assert_eq!(read.column("t").as_primitive::<Int8Type>().values(), &[-128, 127]);
    assert_eq!(read.column("tu").as_primitive::<Int16Type>().values(), &[255, 0]);
    assert_eq!(read.column("s").as_primitive::<Int16Type>().values(), &[i16::MIN, i16::MAX]);
    assert_eq!(read.column("su").as_primitive::<Int32Type>().values(), &[65_535, 0]);
    assert_eq!(read.column("m").as_primitive::<Int32Type>().values(), &[-8_388_608, 8_388_607]);
    assert_eq!(read.column("mu").as_primitive::<Int32Type>().values(), &[16_777_215, 0]);
    assert_eq!(read.column("i").as_primitive::<Int32Type>().values(), &[i32::MIN, i32::MAX]);
    assert_eq!(read.column("iu").as_primitive::<Int64Type>().values(), &[4_294_967_295, 0]);
    assert_eq!(read.column("b").as_primitive::<Int64Type>().values(), &[i64::MIN, i64::MAX]);
    assert_eq!(read.column("bo").as_primitive::<Int8Type>().values(), &[2, -1], "a boolean is a number here");
    assert_eq!(read.column("f").as_primitive::<Float32Type>().values(), &[16_777_216.0, 0.1]);
    let doubles = read.column("d");
    assert_eq!(doubles.as_primitive::<Float64Type>().values(), &[5e-324, f64::MAX]);
    assert_eq!(read.column("fz").as_primitive::<Float32Type>().value(0).to_bits(), f32::MIN_POSITIVE.to_bits());
    assert_eq!(read.column("z").as_primitive::<Int64Type>().values(), &[42, 0], "ZEROFILL has no sign");
    assert!(read.twins.is_empty() && read.coerced.is_empty());
}

#[tokio::test]
async fn decimals_bits_enumerations_sets_and_bytes_of_mariadb_are_exact() {
    let server = server();
    let nines = "9".repeat(38);
    server.run(&format!(
        "SET sql_mode = '';
         CREATE TABLE x (id int PRIMARY KEY, p38 decimal(38,0), s38 decimal(38,38), d decimal(10,2) zerofill, b1 bit(1), b9 bit(9),
           e enum('a','b'), ee enum('','x'), st set('a','b'), bin binary(4), vb varbinary(10), bl longblob, j json, u uuid,
           i6 inet6, i4 inet4, c char(5), v varchar(10));
         INSERT INTO x VALUES (1, {nines}, -0.{nines}, 12.5, b'1', b'100000001', 'nonsense', '', '', 'ab', x'00ff', '', '{{\"n\": 1.0000000000000000000001}}',
           '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '192.0.2.1', 'a  ', 'b  '),
           (2, -{nines}, 0, 0, b'0', 0, 'b', 'x', 'a,b', x'', x'', x'0001', NULL, NULL, NULL, NULL, '', '')"
    ));
    let read = read(&source(&server), &full("x"), 1).await.expect("read");
    assert_eq!(decimal(&read, "p38", 0), Some((nines.clone(), 0)));
    assert_eq!(decimal(&read, "s38", 0), Some((format!("-0.{nines}"), 38)));
    assert_eq!(decimal(&read, "d", 0), Some(("12.50".into(), 2)));
    let bits = read.column("b1");
    assert!(bits.as_boolean().value(0) && !bits.as_boolean().value(1));
    assert_eq!(decimal(&read, "b9", 0), Some(("257".into(), 0)));
    assert_eq!((read.text("e", 0).as_deref(), read.text("e", 1).as_deref()), (Some(""), Some("b")));
    assert_eq!(read.text("ee", 0).as_deref(), Some(""));
    assert_eq!((read.text("st", 0).as_deref(), read.text("st", 1).as_deref()), (Some(""), Some("a,b")));
    let bytes = |name: &str, row: usize| read.column(name).as_binary::<i32>().value(row).to_vec();
    assert_eq!((bytes("bin", 0), bytes("bin", 1)), (b"ab\0\0".to_vec(), vec![0; 4]), "the padding is kept");
    assert_eq!((bytes("vb", 0), bytes("bl", 1)), (vec![0, 0xff], vec![0, 1]));
    assert_eq!(read.text("j", 0).as_deref(), Some("{\"n\": 1.0000000000000000000001}"));
    assert_eq!(read.text("u", 0).as_deref(), Some("123e4567-e89b-12d3-a456-426655440000"));
    assert_eq!(read.text("i6", 0).as_deref(), Some("2001:db8::ff00:42:8329"));
    assert_eq!(read.text("i4", 0).as_deref(), Some("192.0.2.1"));
    assert_eq!((read.text("c", 0).as_deref(), read.text("v", 0).as_deref()), (Some("a"), Some("b  ")));
    assert_eq!(
        counted(&read),
        [("e", 1)],
        "an empty enumeration that is no member is counted, and an empty member is not"
    );
}

#[tokio::test]
async fn text_of_every_character_set_is_what_it_says_or_its_bytes_are_kept() {
    let server = server();
    let all: String = (0..=255).map(|byte| format!("{byte:02x}")).collect();
    server.run(&format!(
        "CREATE TABLE c (id int PRIMARY KEY, l1 varchar(300) CHARACTER SET latin1, sj varchar(20) CHARACTER SET sjis,
           u16 varchar(20) CHARACTER SET utf16, l7 varchar(20) CHARACTER SET latin7, u3 varchar(20) CHARACTER SET utf8mb3,
           u4 varchar(20) CHARACTER SET utf8mb4, g char(4) CHARACTER SET gbk COLLATE gbk_bin,
           e enum('é','x') CHARACTER SET latin1);
         INSERT INTO c VALUES (1, 'é', 'ﾊﾝ漢', 'ü🦀', 'ė', 'ß', '🦀', '中', 'é'), (2, '', '', '', '', '', '', '', 'x'),
           (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
         INSERT INTO c (id, l1, sj) VALUES (4, x'{all}', x'618740')"
    ));
    let read = read(&source(&server), &full("c"), 1).await.expect("read");
    let first = |name: &str| read.text(name, 0).unwrap_or_default();
    assert_eq!([first("l1"), first("sj"), first("u16"), first("l7")], ["é", "ﾊﾝ漢", "ü🦀", "ė"]);
    assert_eq!([first("u3"), first("u4"), first("g"), first("e")], ["ß", "🦀", "中", "é"]);
    for name in ["l1", "sj", "u16", "l7", "u3", "u4", "g"] {
        assert_eq!((read.text(name, 1).as_deref(), read.text(name, 2)), (Some(""), None), "{name}");
    }
    let latin = read.text("l1", 3).expect("all of latin1");
    assert_eq!(latin.chars().collect::<std::collections::BTreeSet<_>>().len(), 256, "no two bytes are one character");
    // A pair of bytes that sjis has no character for.
    assert_eq!((read.text("sj", 3).as_deref(), read.twin("sj", 3)), (Some("a?"), Some("618740")));
    assert_eq!(counted(&read), [("sj", 1)]);
}

/// The functions of the server give NULL for what gets longer than `max_allowed_packet`.
#[tokio::test]
async fn a_text_that_the_server_can_not_convert_for_its_length_is_refused_and_never_null() {
    let server = server();
    server.run(
        "CREATE TABLE c (id int PRIMARY KEY, latin longtext CHARACTER SET latin1, wide longtext CHARACTER SET ucs2);
         INSERT INTO c VALUES (1, repeat('é', 900000), NULL), (2, NULL, repeat('你', 300000)), (3, NULL, NULL);
         SET GLOBAL max_allowed_packet = 1048576",
    );
    let whole = read(&source(&server), &full("c"), 1).await.expect("read");
    let length = |name: &str, row| whole.text(name, row).map(|text: String| text.chars().count());
    assert_eq!([length("latin", 0), length("latin", 1), length("latin", 2)], [Some(900_000), None, None]);
    assert_eq!([length("wide", 0), length("wide", 1), length("wide", 2)], [None, Some(300_000), None]);
    server.run("SET GLOBAL max_allowed_packet = 67108864");
    server.run("UPDATE c SET wide = repeat('你', 400000) WHERE id = 2; SET GLOBAL max_allowed_packet = 1048576");
    let fault = read(&source(&server), &full("c"), 1).await.map(drop).expect_err("refused");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
    let text = fault.text.for_customer();
    assert!(text.contains("column wide") && text.contains("max_allowed_packet"), "{text}");
}

#[tokio::test]
async fn text_that_is_not_valid_in_its_character_set_is_repaired_and_kept_as_hex() {
    let server = server();
    // What a server would not let in: the files of a table of bytes under a table of text.
    server.run(
        "CREATE TABLE raw (id int, u3 varbinary(60), u4 varbinary(80), a varbinary(20)) ENGINE = MyISAM;
         CREATE TABLE bad (id int, u3 varchar(20) CHARACTER SET utf8mb3, u4 varchar(20) CHARACTER SET utf8mb4,
           a varchar(20) CHARACTER SET ascii) ENGINE = MyISAM;
         INSERT INTO raw VALUES (1, 'ok', 'ok', 'ok'), (2, x'63ff', x'64c3', x'65e9'); FLUSH TABLES raw, bad",
    );
    for end in ["MYD", "MYI"] {
        let bytes = std::fs::read(server.data().join(format!("shop/raw.{end}"))).expect("a file of the server");
        std::fs::write(server.data().join(format!("shop/bad.{end}")), bytes).expect("write");
    }
    server.run("FLUSH TABLES raw, bad");
    let read = read(&source(&server), &full("bad"), 1).await.expect("read");
    for (name, shown, hex) in [("u3", "c\u{fffd}", "63ff"), ("u4", "d\u{fffd}", "64c3"), ("a", "e\u{fffd}", "65e9")] {
        assert_eq!((read.text(name, 0).as_deref(), read.twin(name, 0)), (Some("ok"), None));
        assert_eq!((read.text(name, 1).as_deref(), read.twin(name, 1)), (Some(shown), Some(hex)));
    }
    assert_eq!(counted(&read), [("a", 1), ("u3", 1), ("u4", 1)]);
    assert_eq!(read.proof.snapshot, "one statement", "its engine has no snapshots");
    let strict = stream("bad", json!({"invalid-text": "fail"}));
    let fault = super::read(&source(&server), &strict, 1).await.map(drop).expect_err("refused");
    assert_eq!(fault.code, FailureCode::ValueRefused);
}

#[tokio::test]
async fn geometries_of_mariadb_are_wkb_with_their_reference_system() {
    let server = server();
    server.run(
        "CREATE TABLE g (id int PRIMARY KEY, p point, any_of geometry);
         INSERT INTO g VALUES (1, ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')),
           (2, ST_GeomFromText('POINT(9 8)', 4326), NULL)",
    );
    let read = read(&source(&server), &full("g"), 1).await.expect("read");
    let told = server.run("SELECT HEX(ST_AsBinary(p)), HEX(ST_AsBinary(any_of)) FROM g ORDER BY id");
    let told: Vec<Vec<String>> =
        told.lines().map(|line| line.split('\t').map(str::to_ascii_lowercase).collect()).collect();
    let points = read.column("p");
    let points = points.as_binary::<i32>();
    assert_eq!(hex::encode(points.value(0)), told[0][0], "WKB as the server writes it itself");
    assert_eq!(hex::encode(read.column("any_of").as_binary::<i32>().value(0)), told[0][1]);
    // Byte order, type with its flag, the system 4326, the coordinates.
    assert_eq!(hex::encode(points.value(1)), format!("0101000020e6100000{}", &told[1][0][10..]));
    assert!(read.coerced.is_empty());
}

#[tokio::test]
async fn generated_invisible_and_versioned_columns_come_and_old_versions_do_not() {
    let server = server();
    server.run(
        "CREATE TABLE v (id int PRIMARY KEY, a int, hidden int INVISIBLE DEFAULT 7, twice int AS (a * 2) VIRTUAL,
           kept int AS (a * 3) PERSISTENT) WITH SYSTEM VERSIONING;
         INSERT INTO v (id, a) VALUES (1, 1), (2, 2); UPDATE v SET a = 5 WHERE id = 1; DELETE FROM v WHERE id = 2;
         CREATE TABLE w (id int PRIMARY KEY, a int, f timestamp(6) GENERATED ALWAYS AS ROW START,
           t timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME(f, t)) WITH SYSTEM VERSIONING;
         INSERT INTO w (id, a) VALUES (1, 1)",
    );
    let first = read(&source(&server), &full("v"), 1).await.expect("read");
    let names: Vec<&str> = first.rows.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names.join(" ").as_str(), first.rows.num_rows()), ("id a hidden twice kept", 1));
    let value = |name: &str| first.column(name).as_primitive::<Int32Type>().value(0);
    assert_eq!((value("a"), value("hidden"), value("twice"), value("kept")), (5, 7, 10, 15));
    let second = read(&source(&server), &full("w"), 1).await.expect("read");
    let end = second.column("t");
    assert_eq!(
        end.as_primitive::<TimestampMicrosecondType>().value(0),
        2_147_483_647_999_999,
        "no end yet, as the server has it"
    );
}

#[tokio::test]
async fn edge_policies_of_mariadb_do_what_they_say_and_count_it() {
    let server = server();
    server.run(
        "SET sql_mode = ''; CREATE TABLE e (id int PRIMARY KEY, d date, dt datetime);
         INSERT INTO e VALUES (1, '0000-00-00', '0000-00-00 00:00:00'), (2, '2022-11-00', '2022-00-01 10:00:00')",
    );
    let with = |policy: &str| stream("e", json!({"edge-values": policy}));
    let lossy = read(&source(&server), &with("null"), 1).await.expect("read");
    assert!(lossy.twins.is_empty() && lossy.column("d").null_count() == 2);
    assert_eq!(counted(&lossy), [("d", 2), ("dt", 2)]);
    let sentinel = read(&source(&server), &with("sentinel"), 1).await.expect("read");
    assert_eq!(sentinel.column("d").as_primitive::<Date32Type>().value(0), -719_162, "0001-01-01");
    assert_eq!((sentinel.twin("d", 0), sentinel.twin("d", 1)), (None, Some("2022-11-00")));
    assert_eq!(
        sentinel.twin("dt", 1),
        Some("2022-00-01 10:00:00"),
        "a day within the calendar has no end to stand for it"
    );
    assert_eq!(counted(&sentinel), [("d", 2), ("dt", 2)]);
    let fault = read(&source(&server), &with("fail"), 1).await.map(drop).expect_err("refused");
    assert_eq!(fault.code, FailureCode::ValueRefused);
    assert!(!fault.text.for_customer().contains("0000"));
}
