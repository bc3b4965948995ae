//! Files of every format, from a directory and from S3, through the whole product: what the steered worker wrote, two readers
//! find.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::s3::{BUCKET, Roto};

use crate::story::succeeded;

const CSV: &str = "id,note\n007,\"x, \"\"y\"\"\nline\"\n008,\n";
const JSONL: &str = "{\"id\":9223372036854775807,\"f\":0.5,\"ok\":true,\"n\":{\"d\":1.10},\"big\":18446744073709551616}\n\
                     {\"id\":-1,\"late\":\"ünï 🦀\"}\n";

/// The columns of the Parquet file that pyarrow writes, and how its one row of values arrives.
fn parquet() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!(1)),
        ("yes", json!(true)),
        ("i8", json!(-128)),
        ("i16", json!(-32_768)),
        ("i32", json!(i32::MIN)),
        ("i64", json!(i64::MIN)),
        ("u8", json!(255)),
        ("u16", json!(65_535)),
        ("u32", json!(u32::MAX)),
        ("u64", json!("18446744073709551615")),
        ("f16", json!(1.5)),
        ("f32", json!(0.5)),
        ("f64", json!("NaN")),
        ("d9", json!("-1234567.89")),
        ("d18", json!("12345678901234.5678")),
        ("d38", json!("1234567890123456789012345678.0123456789")),
        ("d76", json!(format!("{}.99", "9".repeat(74)))),
        ("text", json!("ünï 🦀")),
        ("large", json!("xxx")),
        ("word", json!("again")),
        ("doc", json!("{\"n\": 1.10}")),
        ("bin", json!("00ff")),
        ("three", json!("010203")),
        ("uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("day", json!("1969-12-31")),
        ("t_ms", json!("23:59:59.999")),
        ("t_us", json!("23:59:59.999999")),
        ("t_ns", json!("23:59:59.999999999")),
        ("ts_ms", json!("2024-02-29T12:00:00.123000")),
        ("ts_us", json!("2024-02-29T12:00:00.123000")),
        ("ts_ns", json!("2024-02-29T12:00:00.123000")),
        ("fine", Value::Null),
        ("fine__text", json!("2024-02-29T12:00:00.123456789")),
        ("tz_ms", json!("2024-02-29T12:00:00.123000Z")),
        ("tz_us", json!("2024-02-29T12:00:00.123456Z")),
        ("tz_fine", Value::Null),
        ("tz_fine__text", json!("2024-02-29T12:00:00.123456789Z")),
        ("list", json!([1, null, 3])),
        ("pair", json!({"a": 1, "b": null})),
        ("none", Value::Null),
    ]
}

fn document(sandbox: &Sandbox, server: &Roto) -> String {
    let root = sandbox.dir.path().display();
    let pipeline = |name: &str| {
        format!(
            "  {name}:\n    from: {name}\n    to: {name}-lake\n    streams:\n      in/rows.csv: {{ verify-count: true }}\n      \
             in/rows.jsonl: {{}}\n      in/rows.parquet: {{}}\n"
        )
    };
    format!(
        "waybill: 1\nconnections:\n  local: {{ type: files, url: \"file://{root}\" }}\n  \
         s3: {{ type: files, url: \"s3://{BUCKET}/raw\", region: us-east-1, endpoint: \"{}\", access-key: env://LAKE_KEY, \
         secret-key: env://LAKE_SECRET }}\n  \
         local-lake: {{ type: local, path: \"{root}/lake/local\" }}\n  s3-lake: {{ type: local, path: \"{root}/lake/s3\" }}\n\
         pipelines:\n{}{}",
        server.endpoint(),
        pipeline("local"),
        pipeline("s3")
    )
}

/// Lays the three files in the directory and in the store.
async fn lay(sandbox: &Sandbox, server: &Roto) -> Result<()> {
    std::fs::create_dir(sandbox.path("in"))?;
    std::fs::write(sandbox.path("in/rows.csv"), CSV)?;
    std::fs::write(sandbox.path("in/rows.jsonl"), JSONL)?;
    readers::every_parquet_type(&sandbox.path("in/rows.parquet"))?;
    for name in ["in/rows.csv", "in/rows.jsonl", "in/rows.parquet"] {
        server.put(&format!("raw/{name}"), &std::fs::read(sandbox.path(name))?).await;
    }
    Ok(())
}

/// The table of the stream whose name ends so.
fn table(sandbox: &Sandbox, place: &str, ending: &str) -> Result<std::path::PathBuf> {
    let tables = std::fs::read_dir(sandbox.path("lake").join(place))?.flatten().map(|entry| entry.path());
    tables.into_iter().find(|path| path.to_string_lossy().ends_with(ending)).context("no table")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_format_from_a_directory_and_s3_read_back_exact_through_a_steered_worker() -> Result<()> {
    let server = Roto::start().await;
    let keys = [("LAKE_KEY", "waybill"), ("LAKE_SECRET", "very-secret-key")];
    let options = Options {
        orchestrator: keys.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        passed: keys.map(|(name, _)| name.to_owned()).into(),
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).await?;
    lay(&sandbox, &server).await?;
    sandbox.apply(&document(&sandbox, &server)).await?;
    for place in ["local", "s3"] {
        let run = sandbox.ended(sandbox.trigger(place).await?).await?;
        succeeded(&run).with_context(|| sandbox.log())?;
        assert_eq!(run.streams.iter().map(|stream| stream.coerced).collect::<Vec<_>>(), [Some(0), Some(0), Some(2)]);

        let seen = readers::query(&table(&sandbox, place, "csv")?, "SELECT id, note FROM t ORDER BY id")?.agreed();
        assert_eq!(seen, json!([["007", "x, \"y\"\nline"], ["008", ""]]), "{place}");
        let sql = "SELECT id, f, ok, n, big, late FROM t ORDER BY id DESC";
        let seen = readers::query(&table(&sandbox, place, "jsonl")?, sql)?.agreed();
        let first = json!([i64::MAX, 0.5, true, "{\"d\":1.10}", "18446744073709551616", null]);
        assert_eq!(seen, json!([first, [-1, null, null, null, null, "ünï 🦀"]]), "{place}");

        let wanted = parquet();
        let names: Vec<_> = wanted.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let sql = format!("SELECT {} FROM t ORDER BY id", names.join(", "));
        let seen = readers::query(&table(&sandbox, place, "parquet")?, &sql)?.agreed();
        for (at, (name, value)) in wanted.iter().enumerate() {
            assert_eq!(&seen[0][at], value, "{name} from {place}");
            assert!(*name == "id" || seen[1][at].is_null(), "{name} of the row of NULLs from {place}: {}", seen[1][at]);
        }
    }
    Ok(())
}
