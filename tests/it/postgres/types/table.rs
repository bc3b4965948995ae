//! What each PostgreSQL type arrives as: one entry per row of the fidelity table and per type of the catalogue.

use serde_json::Value;
use waybill_tests::services::postgres::Release;

/// A type, values of it as a column of a table holds them, and what readers find.
#[derive(Clone)]
pub(super) struct Entry {
    /// As a column is declared.
    pub(super) sql: &'static str,
    /// The value's SQL, of this type, and how it arrives.
    pub(super) values: Vec<(String, Arrives)>,
    /// The text of an array of it, from the array's column `{}`.
    pub(super) array_text: &'static str,
    /// Arrays of it are stored as JSON. The last value is one that JSON can't say all of.
    pub(super) is_row: bool,
}

/// How a value arrives under default settings.
#[derive(Clone)]
pub(super) enum Arrives {
    /// As this, in its own column.
    As(Value),
    /// As NULL, with this text in the twin.
    Twin(&'static str),
    /// As the text that the server itself prints for it: nothing else is known about it.
    Printed,
}

use Arrives::{As, Printed, Twin};

fn is(value: impl Into<Value>) -> Arrives {
    As(value.into())
}

fn of(sql: &'static str, values: impl IntoIterator<Item = (&'static str, Arrives)>) -> Entry {
    let values = values.into_iter().map(|(text, arrives)| (literal(text, sql), arrives)).collect();
    Entry { sql, values, array_text: "{}::text", is_row: false }
}

fn literal(text: &str, sql: &str) -> String {
    format!("'{}'::{sql}", text.replace('\'', "''"))
}

/// Texts that arrive as they are written.
fn same<const N: usize>(sql: &'static str, texts: [&'static str; N]) -> Entry {
    of(sql, texts.map(|text| (text, is(text))))
}

/// Texts that the server writes in its own way.
fn printed<const N: usize>(sql: &'static str, texts: [(&'static str, &'static str); N]) -> Entry {
    of(sql, texts.map(|(text, shown)| (text, is(shown))))
}

/// Values that only an expression makes.
fn made(sql: &'static str, expression: &str) -> Entry {
    Entry { values: vec![(expression.to_owned(), Printed)], ..of(sql, []) }
}

/// All entries. The schema `kit` holds what is no part of the server itself.
pub(super) fn entries(release: Release) -> Vec<Entry> {
    let own = match release {
        Release::Installed => [vec![same("xml", ["<a b=\"1\">ü</a>"])], postgis(), recorded_vectors()].concat(),
        // It is built without what reads XML, and has the real pgvector.
        Release::Newest => vec![
            of("xml", []),
            same("interval", ["infinity", "-infinity"]),
            of("kit.vector", [("[1,2.5,-3]", is(vec![1.0, 2.5, -3.0]))]),
            of("kit.halfvec", [("[1,-2,65504]", is(vec![1.0, -2.0, 65504.0]))]),
        ],
    };
    [common(), own].concat()
}

fn common() -> Vec<Entry> {
    [
        numbers(),
        times(),
        texts(),
        names_and_ids(),
        networks_and_bits(),
        ranges(),
        shapes(),
        internals(),
        made_by_users(),
        extensions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn numbers() -> Vec<Entry> {
    const NINES: &str = "99999999999999999999999999999999999999";
    vec![
        of("bool", [("true", is(true)), ("false", is(false))]),
        of("int2", [("-32768", is(-32768)), ("32767", is(32767))]),
        of("int4", [("-2147483648", is(i32::MIN)), ("2147483647", is(i32::MAX))]),
        of("int8", [("-9223372036854775808", is(i64::MIN)), ("9223372036854775807", is(i64::MAX))]),
        of(
            "float4",
            [("1.5", is(1.5)), ("NaN", is("NaN")), ("-Infinity", is("-Infinity")), ("1e-45", is(f64::from(1e-45_f32)))],
        ),
        of(
            "float8",
            [
                ("0.1", is(0.1)),
                ("5e-324", is(5e-324)),
                ("1.7976931348623157e308", is(f64::MAX)),
                ("Infinity", is("Infinity")),
                ("NaN", is("NaN")),
            ],
        ),
        of("numeric(10,2)", [("12345678.91", is("12345678.91")), ("NaN", Twin("NaN")), ("-0.01", is("-0.01"))]),
        of("numeric(38,0)", [(NINES, is(NINES)), ("-99999999999999999999999999999999999999", is(format!("-{NINES}")))]),
        of("numeric(38,38)", [("-0.99999999999999999999999999999999999999", is(format!("-0.{NINES}")))]),
        of(
            "numeric(40,1)",
            [("999999999999999999999999999999999999999.5", is(format!("9{NINES}.5"))), ("NaN", is("NaN"))],
        ),
        of("numeric(76,70)", [("123456.1", is(format!("123456.1{}", "0".repeat(69))))]),
        of("numeric(3,5)", [("0.00123", is("0.00123")), ("-0.00999", is("-0.00999")), ("NaN", Twin("NaN"))]),
        of("numeric(3,-2)", [("12345", is("12300")), ("-99900", is("-99900")), ("NaN", Twin("NaN"))]),
        of("numeric(2,-1000)", [("12e1000", is(format!("12{}", "0".repeat(1000))))]),
        of(
            "numeric",
            [
                ("1.123456789012345678901234567890", is("1.123456789012345678901234567890")),
                ("1000.0100", is("1000.0100")),
                ("-Infinity", is("-Infinity")),
                ("Infinity", is("Infinity")),
                ("NaN", is("NaN")),
            ],
        ),
        Entry {
            array_text: "{}::numeric[]::text",
            ..of("money", [("12.5", is("12.50")), ("-92233720368547758.08", is("-92233720368547758.08"))])
        },
    ]
}

fn times() -> Vec<Entry> {
    vec![
        of(
            "date",
            [
                ("2024-02-29", is("2024-02-29")),
                ("infinity", Twin("infinity")),
                ("-infinity", Twin("-infinity")),
                ("4713-01-01 BC", is("-2440550 days")),
                ("5874897-12-31", is("2145042905 days")),
            ],
        ),
        of(
            "timestamp",
            [
                ("2024-06-01 23:59:59.999999", is("2024-06-01T23:59:59.999999")),
                ("infinity", Twin("infinity")),
                ("-infinity", Twin("-infinity")),
                ("4713-01-01 00:00:00 BC", is("-210863520000000000 us")),
                ("294276-12-31 23:59:59.999999", Twin("294276-12-31 23:59:59.999999")),
            ],
        ),
        of("timestamp(3)", [("2024-06-01 23:59:59.123456", is("2024-06-01T23:59:59.123000"))]),
        of(
            "timestamptz",
            [
                ("2024-06-01 00:00:00.000001+02", is("2024-05-31T22:00:00.000001Z")),
                ("infinity", Twin("infinity")),
                ("-infinity", Twin("-infinity")),
                ("0044-03-15 12:00:00+00 BC", is("-63517780800000000 us")),
                ("294276-12-31 23:59:59.999999+00", Twin("294276-12-31 23:59:59.999999+00")),
            ],
        ),
        same("time", ["24:00:00", "00:00:00", "12:34:56.789012"]),
        same("timetz", ["12:00:00.5+05:30", "24:00:00-15:59:59"]),
        printed(
            "interval",
            [
                ("1 year -2 months 3 days -04:05:06.000007", "P10M3DT-4H-5M-6.000007S"),
                ("178000000 years", "P178000000Y"),
                ("-178000000 years", "P-178000000Y"),
                ("2147483647 days", "P2147483647D"),
                ("2562047788:00:54.775807", "PT2562047788H54.775807S"),
                ("0", "PT0S"),
            ],
        ),
    ]
}

fn texts() -> Vec<Entry> {
    const LONG: &str = "a name of sixty-three bytes, the longest that a server may hold";
    vec![
        same("text", ["a\nb \"ü\" 🦀", "", "NULL", "{1,2}", "back\\slash, 'quoted'"]),
        same("varchar", ["no limit "]),
        same("varchar(5)", ["x ", "12345"]),
        printed("char(6)", [("pad", "pad   ")]),
        printed("bpchar", [("kept  ", "kept  ")]),
        same("name", [LONG]),
        same("\"char\"", ["q", ""]),
        same("json", ["{\"n\": 1.000000000000000000000000001, \"n\": 2}", " [ ] ", "null"]),
        printed(
            "jsonb",
            [("{\"b\":1, \"a\" :[1,null]}", "{\"a\": [1, null], \"b\": 1}"), ("1.0e2", "100"), ("null", "null")],
        ),
        same("jsonpath", ["$.\"a\"[*]?(@ > 1)"]),
        of("bytea", [("\\x00ff10", is("00ff10")), ("", is(""))]),
        printed("uuid", [("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
        printed("tsvector", [("a:1A b:2", "'a':1A 'b':2")]),
        printed("tsquery", [("fat & !rat", "'fat' & !'rat'")]),
    ]
}

fn names_and_ids() -> Vec<Entry> {
    vec![
        of("oid", [("4294967295", is(4_294_967_295_u32)), ("0", is(0))]),
        of("xid", [("4294967295", is(4_294_967_295_u32))]),
        same("xid8", ["18446744073709551615"]),
        same("cid", ["4294967295"]),
        same("tid", ["(4294967295,65535)"]),
        same("pg_lsn", ["16/B374D848", "FFFFFFFF/FFFFFFFF"]),
        same("regproc", ["pi", "4294967295"]),
        same("regprocedure", ["pi()"]),
        printed("regoper", [("||/", "||/")]),
        same("regoperator", ["+(integer,integer)"]),
        same("regclass", ["pg_class"]),
        same("regcollation", ["\"C\""]),
        printed("regtype", [("int4[]", "integer[]")]),
        same("regconfig", ["english"]),
        same("regdictionary", ["simple"]),
        same("regnamespace", ["kit"]),
        same("regrole", ["postgres"]),
        same("refcursor", ["portal 1"]),
        same("aclitem", ["postgres=r*w/postgres"]),
        same("int2vector", ["1 -2"]),
        same("oidvector", ["1 4294967295"]),
        same("pg_snapshot", ["10:20:10,14"]),
        same("txid_snapshot", ["10:20:10,14"]),
    ]
}

fn networks_and_bits() -> Vec<Entry> {
    vec![
        // As the cast to text prints it: always with its mask.
        Entry {
            array_text: "{}::text[]::text",
            ..printed("inet", [("::1/64", "::1/64"), ("10.1.2.3", "10.1.2.3/32")])
        },
        same("cidr", ["10.0.0.0/8", "::/0"]),
        same("macaddr", ["08:00:2b:01:02:03"]),
        same("macaddr8", ["08:00:2b:01:02:03:04:05"]),
        same("bit(4)", ["0010"]),
        same("bit", ["1"]),
        same("varbit", ["0000101", ""]),
        same("varbit(5)", ["101"]),
    ]
}

fn ranges() -> Vec<Entry> {
    vec![
        printed("int4range", [("[1,5]", "[1,6)"), ("empty", "empty"), ("(,)", "(,)")]),
        same("int8range", ["[-9223372036854775808,9223372036854775807)"]),
        same("numrange", ["[1.10,2.200]", "(,NaN]"]),
        same("daterange", ["[2024-01-01,2024-01-03)", "[\"0044-03-15 BC\",infinity)"]),
        same("tsrange", ["[\"2024-01-01 00:00:00\",\"2024-01-02 00:00:00.000001\")"]),
        printed("tstzrange", [("[2024-01-01 00:00+02,)", "[\"2023-12-31 22:00:00+00\",)")]),
        printed("int4multirange", [("{[1,2),[7,9),[2,3)}", "{[1,3),[7,9)}"), ("{}", "{}")]),
        same("int8multirange", ["{[1,2),[9223372036854775806,9223372036854775807)}"]),
        same("nummultirange", ["{[1.10,2.200],(5,)}"]),
        same("datemultirange", ["{[2024-01-01,2024-01-03)}"]),
        same("tsmultirange", ["{[\"2024-01-01 00:00:00\",\"2024-01-02 00:00:00\")}"]),
        same("tstzmultirange", ["{[\"2024-01-01 00:00:00+00\",infinity)}"]),
    ]
}

fn shapes() -> Vec<Entry> {
    vec![
        same("point", ["(1,2)", "(0.1,-Infinity)"]),
        same("line", ["{1,-1,0.5}"]),
        same("lseg", ["[(0,0),(1,1)]"]),
        // Their own arrays stand between semicolons, these between commas as all others.
        Entry { array_text: "{}::text[]::text", ..printed("box", [("(1,2),(3,4)", "(3,4),(1,2)")]) },
        same("path", ["((0,0),(1,1))", "[(0,0),(1,1e+300)]"]),
        same("polygon", ["((0,0),(1,1),(2,0))"]),
        same("circle", ["<(1,2),3>"]),
    ]
}

/// What the server writes for itself. A table may have columns of these types; of some no value can be made.
fn internals() -> Vec<Entry> {
    vec![
        made("pg_node_tree", "(SELECT adbin FROM pg_catalog.pg_attrdef LIMIT 1)"),
        made("pg_ndistinct", "(SELECT stxdndistinct FROM pg_catalog.pg_statistic_ext_data)"),
        made("pg_dependencies", "(SELECT stxddependencies FROM pg_catalog.pg_statistic_ext_data)"),
        made("pg_mcv_list", "(SELECT stxdmcv FROM pg_catalog.pg_statistic_ext_data)"),
        of("gtsvector", []),
        of("pg_brin_bloom_summary", []),
        of("pg_brin_minmax_multi_summary", []),
    ]
}

fn made_by_users() -> Vec<Entry> {
    let pair = "{\"a\":1,\"b\":\"x\\\"y\",\"c\":[[1,2]]}";
    let bent = "(1,,\"[0:1]={1,2}\")";
    let json = "{\"n\": 1.0,  \"n\": \"\\u0000\"}";
    let doc = format!("{{\"j\":{json},\"f\":-0,\"s\":[null,\" \"]}}");
    vec![
        same("kit.mood", ["ok", "Not \"ok\""]),
        of("kit.price", [("9.99", is("9.99")), ("NaN", Twin("NaN"))]),
        Entry { is_row: true, ..of("kit.pair", [("(1,\"x\"\"y\",\"{{1,2}}\")", is(pair)), (bent, Twin(bent))]) },
        Entry {
            is_row: true,
            ..of(
                "kit.doc",
                [
                    (r#"("{""n"": 1.0,  ""n"": ""\\u0000""}",-0,"{NULL,"" ""}")"#, is(doc)),
                    (r#"(" null ",0,)"#, Twin(r#"(" null ",0,)"#)),
                ],
            )
        },
        same("kit.span", ["[1.5,2]"]),
        same("kit.multispan", ["{[1.5,2]}"]),
    ]
}

/// Extensions that come with every server, and the one type of pgvector that is text.
fn extensions() -> Vec<Entry> {
    vec![
        same("kit.hstore", ["\"k\"=>\"v\", \"n\"=>NULL"]),
        of("kit.ghstore", []),
        same("kit.citext", ["MiXed"]),
        same("kit.ltree", ["Top.Sub_1"]),
        same("kit.lquery", ["Top.*{1,2}.!a"]),
        same("kit.ltxtquery", ["Top & !a"]),
        of("kit.ltree_gist", []),
        same("kit.cube", ["(1, 2),(3, 4)"]),
        same("kit.seg", ["1.50 .. 2"]),
        same("kit.sparsevec", ["{1:1.5,3:-2}/5"]),
    ]
}

/// What Debian's server has beside its own.
fn postgis() -> Vec<Entry> {
    let point = "0101000020e6100000000000000000f03f0000000000000040";
    let place = |sql| Entry { array_text: "{}::bytea[]::text", ..of(sql, [("SRID=4326;POINT(1 2)", is(point))]) };
    vec![
        place("kit.geometry"),
        place("kit.geometry(Point,4326)"),
        place("kit.geography"),
        same("kit.box2d", ["BOX(0 0,4 4)"]),
        same("kit.box3d", ["BOX3D(0 0 1,4 4 2)"]),
        same("kit.spheroid", ["SPHEROID(\"WGS 84\",6378137,298.257223563)"]),
        of("kit.box2df", []),
        of("kit.gidx", []),
    ]
}

/// pgvector's types where Debian has none for 15: types stand in for its own which send the bytes that its layout says, through a
/// real server.
fn recorded_vectors() -> Vec<Entry> {
    const SHAPE: &str = "CASE id WHEN 2 THEN '{{\"[1,2.5,-3]\",NULL},{\"[1,2.5,-3]\",\"[1,2.5,-3]\"}}' \
                         WHEN 3 THEN '[0:1]={\"[1,2.5,-3]\",NULL}' END";
    const HALF: &str = "CASE id WHEN 2 THEN '{{\"[1,-2]\",NULL},{\"[1,-2]\",\"[1,-2]\"}}' \
                        WHEN 3 THEN '[0:1]={\"[1,-2]\",NULL}' END";
    vec![
        Entry {
            array_text: SHAPE,
            ..of("kit.vector", [("\\x000300003f80000040200000c0400000", is(vec![1.0, 2.5, -3.0]))])
        },
        Entry { array_text: HALF, ..of("kit.halfvec", [("\\x000200003c00c000", is(vec![1.0, -2.0]))]) },
    ]
}
