//! A filter means what the source's own comparison means: for every type, also those of extensions in other schemas.

use serde_json::json;
use waybill_model::FailureCode;
use waybill_tests::services::postgres::Postgres;

use super::{read, source, stream};

/// A type `kit.plain` that can be cast to text but compares nothing itself.
const PLAIN: &str = "CREATE TYPE kit.plain;
    CREATE FUNCTION kit.plain_in(cstring) RETURNS kit.plain AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
    CREATE FUNCTION kit.plain_out(kit.plain) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
    CREATE TYPE kit.plain (INPUT = kit.plain_in, OUTPUT = kit.plain_out, LIKE = text);
    CREATE CAST (kit.plain AS text) WITHOUT FUNCTION AS IMPLICIT;";

async fn seeded() -> Postgres {
    let server = Postgres::start();
    server
        .run(&format!(
            "CREATE SCHEMA kit; CREATE EXTENSION citext SCHEMA kit; CREATE EXTENSION hstore SCHEMA kit;
             CREATE EXTENSION ltree SCHEMA kit; {PLAIN} CREATE TYPE kit.mood AS ENUM ('low', 'ok', 'high');
             CREATE TYPE kit.pair AS (a int, b kit.citext); CREATE DOMAIN kit.handle AS kit.citext;
             CREATE DOMAIN kit.price AS numeric(6,2); CREATE TYPE kit.span AS RANGE (subtype = kit.citext);
             CREATE TABLE t (id int8, ci kit.citext, handle kit.handle, vc varchar(9), bp char(5), n numeric(6,2), price kit.price,
               mood kit.mood, h kit.hstore, lt kit.ltree, many kit.citext[], pair kit.pair, span kit.span, r int4range, u uuid,
               net cidr, d date, plain kit.plain);
             INSERT INTO t SELECT g, w, w, w, w, g, g, (ARRAY['low', 'ok', 'high'])[g % 3 + 1]::kit.mood,
               ('k=>' || w)::kit.hstore, ('Top.' || w)::kit.ltree, ARRAY[w]::kit.citext[], ROW(1, w)::kit.pair,
               kit.span(w::kit.citext, 'zz'), int4range(g, 9), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1' || g)::uuid,
               ('10.0.0.' || g || '/32')::cidr, '2024-05-01'::date + g, w::kit.plain
             FROM (SELECT w, n::int4 AS g FROM unnest(ARRAY['abc', 'ABC', 'Abd', 'b', 'B', NULL]) WITH ORDINALITY x(w, n)) y"
        ))
        .await;
    server
}

#[tokio::test]
async fn a_filter_takes_the_rows_that_the_types_own_operator_takes() {
    let server = seeded().await;
    let asked = server.client().await;
    // As a session of the source's own has it: with the extensions' schema on its path.
    asked.batch_execute("SET search_path = kit, public").await.expect("a path");
    let ordered = [("eq", "="), ("ne", "<>"), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")];
    let cases = [
        ("ci", "aBC", 6),
        ("handle", "aBC", 6),
        ("vc", "abc", 6),
        ("bp", "abc", 6),
        ("n", "3", 6),
        ("price", "3.00", 6),
        // The domain itself would round it to a price that a row has.
        ("price", "3.005", 6),
        ("mood", "ok", 6),
        ("h", "\"k\"=>\"abc\"", 2),
        ("lt", "Top.abc", 6),
        ("many", "{aBC}", 6),
        ("pair", "(1,aBC)", 6),
        ("span", "[aBC,ZZ)", 6),
        ("r", "[3,9)", 6),
        ("u", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13", 6),
        ("net", "10.0.0.3", 6),
        ("d", "2024-05-04", 6),
    ];
    let (mut compared, mut found_some) = (0, 0);
    for (column, value, signs) in cases {
        for (op, sign) in &ordered[..signs] {
            // Only a row's literal needs its type named.
            let named = if column == "pair" { "::kit.pair" } else { "" };
            let sql = format!("SELECT id FROM public.t WHERE {column} {sign} '{value}'{named} ORDER BY id");
            let rows = asked.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            let wanted: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            let filter = json!([{"column": column, "op": op, "value": value}]);
            let plan = stream("t", json!({"columns": {"select": ["id"]}, "filter": filter}));
            let found = read(&source(&server), &plan, 2).await;
            let found = found.unwrap_or_else(|fault| panic!("{column} {sign}: {}", fault.text.for_customer()));
            assert_eq!(found.sorted("id"), wanted, "{column} {sign} {value}");
            compared += 1;
            found_some += usize::from(!wanted.is_empty());
        }
    }
    assert!(compared == 98 && found_some > 80, "{found_some} of {compared} comparisons took rows");
}

#[tokio::test]
async fn a_comparison_that_a_type_does_not_have_is_refused_and_not_done_on_its_text() {
    let server = seeded().await;
    for (column, op, value) in [("plain", "eq", "abc"), ("plain", "lt", "abc"), ("h", "lt", "k=>abc")] {
        let filter = |keys: serde_json::Value| stream("t", json!({"columns": {"select": ["id"]}, "filter": [keys]}));
        let compared = filter(json!({"column": column, "op": op, "value": value}));
        let fault = read(&source(&server), &compared, 1).await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::SpecRefused, "{column} {op}");
        let text = fault.text.for_customer();
        assert!(text.contains(&format!("the column {column}")) && text.contains("kit."), "{text}");
        let tested =
            read(&source(&server), &filter(json!({"column": column, "op": "not_null"})), 1).await.expect("read");
        assert_eq!(tested.sorted("id"), [1, 2, 3, 4, 5], "{column}");
    }
}
