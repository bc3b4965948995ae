//! A pipeline in words: made by the server from the plan that its runs get.

use anyhow::Result;
use serde_json::{Value, json};
use waybill_tests::sandbox::{Options, Sandbox};

fn document(sandbox: &Sandbox, stream: &str) -> String {
    format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  p:\n    \
         from: shop\n    to: lake\n    streams:\n      c: {{ {stream} }}\n",
        sandbox.path("shop.db").display(),
        sandbox.path("lake").display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_described_by_its_present_version() -> Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let shown = |more: &[&str]| -> Result<String> {
        let arguments = [&["pipeline", "describe", "p"], more].concat();
        Ok(String::from_utf8(sandbox.cli(&arguments)?.stdout)?)
    };
    sandbox.apply(&document(&sandbox, "load: full")).await?;
    let first = shown(&[])?;
    assert!(
        first.starts_with("# Pipeline `p`\n") && first.contains("- `load`: `full`: every row, in each run"),
        "{first}"
    );
    assert_eq!(first, shown(&[])?, "the same plan, the same page");
    sandbox.apply(&document(&sandbox, "load: changed, cursor: seen, columns: { drop: [ssn] }")).await?;
    let read: Value = serde_json::from_str(&shown(&["-o", "json"])?)?;
    let facts = read["streams"][0]["facts"].as_array().expect("facts");
    let of = |key: &str| facts.iter().find(|fact| fact["key"] == key).expect("a fact").clone();
    assert_eq!((&read["version"], &read["streams"][0]["name"]), (&json!(2), &json!("c")));
    assert_eq!((&of("columns.drop")["is_set"], &of("columns.drop")["part"]), (&json!(true), &json!("read")));
    assert_eq!(of("deletes")["is_set"], json!(false));
    assert_eq!(read["markdown"].as_str(), Some(shown(&[])?.as_str()));
    Ok(())
}
