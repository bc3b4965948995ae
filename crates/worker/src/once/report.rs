//! The outcome of `once --json`: what each stream delivered, with its receipt as it stands in the bucket.

use std::io::Write;

use serde_json::{Map, Value, json};
use waybill_model::plan::Plan;
use waybill_pipeline::commit::key;
use waybill_pipeline::engine::{Context, StreamEnd};

/// The largest receipt that is printed.
const CAP: u64 = 64 << 20;

/// Prints one JSON object on standard output.
pub(super) async fn print(plan: &Plan, context: &Context, ends: &[StreamEnd]) {
    let mut streams = Vec::with_capacity(ends.len());
    for end in ends {
        streams.push(stream(plan, context, end).await);
    }
    let report = json!({
        "format": "waybill/v1",
        "pipeline": plan.pipeline,
        "run": context.run,
        "attempt": context.attempt,
        "table_root": context.destination.url(),
        "streams": streams,
    });
    let _ = writeln!(std::io::stdout(), "{report}");
}

async fn stream(plan: &Plan, context: &Context, end: &StreamEnd) -> Value {
    let outcome = &end.outcome;
    let mut shown = match serde_json::to_value(outcome) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let name = usize::try_from(outcome.stream).ok().and_then(|at| plan.streams.get(at)).map(|stream| &stream.name);
    shown.insert("name".to_owned(), json!(name));
    if let (Some(receipt), Some(epoch), Some(name)) = (shown.remove("receipt"), outcome.epoch, name) {
        shown.insert("receipt_digest".to_owned(), receipt);
        if let (Some(_), Some(bucket)) = (outcome.version, context.destination.bucket()) {
            let key = key::receipt(&key::table_dir(name), epoch);
            let bytes = bucket.get(&key, CAP).await.ok().flatten();
            let receipt: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            shown.insert("receipt".to_owned(), json!(receipt));
        }
    }
    if !end.expected.is_empty() {
        shown.insert("expected".to_owned(), json!(end.expected));
    }
    if outcome.failure.is_some() {
        shown.insert("text".to_owned(), json!(end.text.for_customer()));
    }
    Value::Object(shown)
}
