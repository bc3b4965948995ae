//! Values become SQL in one place only: whatever they hold, they come back as they were.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use waybill_connectors::source::postgres::literal::{TableName, identifier, literal};
use waybill_tests::proof::cases;
use waybill_tests::services::postgres::Postgres;

#[test]
fn every_literal_and_name_comes_back_from_the_server() {
    let server = Postgres::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(server.client());
    let hostile = prop_oneof![
        "[\\x01-\\x7f]{0,40}",
        "\\PC{0,30}",
        "['\"\\\\;$:\\-/*E\n ]{0,20}",
        Just("'; DROP TABLE pg_class; --".to_owned()),
        Just("\\'".to_owned()),
    ];
    let mut runner = TestRunner::new(ProptestConfig { cases: cases(300), ..ProptestConfig::default() });
    let strategy = (hostile, any::<bool>());
    runner
        .run(&strategy, |(text, conforming)| {
            let word = if conforming { "on" } else { "off" };
            let typed = literal(&text, "pg_catalog.text").expect("no NUL");
            let name: String = if text.is_empty() { "x".into() } else { text.chars().take(15).collect() };
            let sql = format!("SELECT {typed} AS {}", identifier(&name));
            runtime.block_on(client.batch_execute(&format!("SET standard_conforming_strings = {word}"))).expect("set");
            let rows =
                runtime.block_on(client.query(&sql, &[])).map_err(|e| TestCaseError::fail(format!("{sql}: {e}")))?;
            prop_assert_eq!(rows[0].get::<_, String>(0), text);
            prop_assert_eq!(rows[0].columns()[0].name(), name.as_str());
            let shown = TableName::show(&name, &name);
            let back = TableName::parse(&shown).expect("a name");
            prop_assert_eq!((back.schema.as_deref(), back.table.as_str()), (Some(name.as_str()), name.as_str()));
            Ok(())
        })
        .expect("every case");
}
