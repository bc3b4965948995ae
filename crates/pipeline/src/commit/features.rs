//! Which Delta tables this product writes to: the list of features that it knows, and no other.

use serde_json::{Map, Value, json};
use waybill_model::FailureCode;

use crate::commit::action::Protocol;
use crate::fault::{Fault, FaultResult};

const READ: &[&str] = &["timestampNtz"];
const WRITE: &[&str] = &["timestampNtz", "appendOnly", "invariants"];

fn refuse(what: &str) -> Fault {
    Fault::new(
        FailureCode::TableFeatureUnsupported,
        format!("the table uses {what}, which this version can't write to"),
    )
}

impl Protocol {
    /// Refuses versions and features outside the list.
    pub(crate) fn check(&self) -> FaultResult<()> {
        match (self.min_reader_version, self.min_writer_version) {
            (1, 1 | 2) => return Ok(()),
            (1, 7) if self.reader_features.is_none() => {}
            (3, 7) => {}
            (reader, writer) => return Err(refuse(&format!("protocol {reader}/{writer}"))),
        }
        let lists = [(&self.reader_features, READ), (&self.writer_features, WRITE)];
        for (list, known) in lists {
            if let Some(other) = list.iter().flatten().find(|feature| !known.contains(&feature.as_str())) {
                return Err(refuse(&format!("the feature {other}")));
            }
        }
        Ok(())
    }

    /// The protocol that a table with zone-less timestamps needs, where this one does not do. Lists only grow.
    pub(crate) fn with_ntz(found: Option<&Self>) -> Option<Value> {
        let has = |list: &Option<Vec<String>>| list.iter().flatten().any(|feature| feature == "timestampNtz");
        if found.is_some_and(|p| has(&p.reader_features) && has(&p.writer_features)) {
            return None;
        }
        let grown = |list: Option<&Vec<String>>, wanted: &[&str]| {
            let mut list = list.cloned().unwrap_or_default();
            for feature in wanted {
                if !list.iter().any(|have| have == feature) {
                    list.push((*feature).to_owned());
                }
            }
            list
        };
        let writer = grown(found.and_then(|p| p.writer_features.as_ref()), WRITE);
        let reader = grown(found.and_then(|p| p.reader_features.as_ref()), READ);
        Some(json!({"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": writer
        }}))
    }

    /// The least protocol, for a new table without zone-less timestamps.
    pub(crate) fn least() -> Value {
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
    }
}

/// Refuses what the table's settings ask of writers and this one does not do.
pub(crate) fn check_settings(metadata: &Map<String, Value>) -> FaultResult<()> {
    let provider = metadata.get("format").and_then(|format| format.get("provider")).and_then(Value::as_str);
    if provider.is_some_and(|provider| provider != "parquet") {
        return Err(refuse("data files that are not Parquet"));
    }
    for (name, value) in settings(metadata) {
        let off = matches!(value, "" | "none" | "false");
        let asks = name.starts_with("delta.constraints.")
            || matches!(
                name,
                "delta.columnMapping.mode" | "delta.enableChangeDataFeed" | "delta.enableDeletionVectors"
            )
            || matches!(name, "delta.enableInCommitTimestamps" | "delta.enableRowTracking");
        if asks && !off {
            return Err(refuse(&format!("the setting {name}")));
        }
    }
    let columns = metadata.get("schemaString").and_then(Value::as_str).unwrap_or_default();
    for demand in ["delta.invariants", "delta.generationExpression", "delta.identity.start"] {
        if columns.contains(&format!("\"{demand}\"")) {
            return Err(refuse(&format!("columns with {demand}")));
        }
    }
    Ok(())
}

/// The table's settings by name.
pub(crate) fn settings(metadata: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let entries = metadata.get("configuration").and_then(Value::as_object).into_iter().flatten();
    entries.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
}

/// The setting of this name.
pub(crate) fn setting<'m>(metadata: &'m Map<String, Value>, wanted: &str) -> Option<&'m str> {
    settings(metadata).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Milliseconds of a length of time as Delta's settings spell it (`interval 1 week`); none where it is spelled otherwise.
pub(crate) fn interval_ms(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let words: Vec<&str> = text.strip_prefix("interval").unwrap_or(&text).split_whitespace().collect();
    if words.is_empty() {
        return None;
    }
    words.chunks(2).try_fold(0_i64, |sum, pair| {
        let [number, unit] = pair else { return None };
        let each = match unit.trim_end_matches('s') {
            "week" => 7 * 86_400_000,
            "day" => 86_400_000,
            "hour" => 3_600_000,
            "minute" => 60_000,
            "second" => 1000,
            "millisecond" => 1,
            _ => return None,
        };
        let number: u32 = number.parse().ok()?;
        sum.checked_add(i64::from(number).checked_mul(each)?)
    })
}

/// Whether files may only be added.
pub(crate) fn append_only(metadata: &Map<String, Value>) -> bool {
    setting(metadata, "delta.appendOnly").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(reader: i64, writer: i64, read: Option<&[&str]>, write: Option<&[&str]>) -> Protocol {
        let list = |names: Option<&[&str]>| names.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        Protocol {
            min_reader_version: reader,
            min_writer_version: writer,
            reader_features: list(read),
            writer_features: list(write),
        }
    }

    #[test]
    fn only_listed_versions_and_features_pass() {
        assert!(protocol(1, 2, None, None).check().is_ok());
        assert!(protocol(3, 7, Some(READ), Some(WRITE)).check().is_ok());
        for (reader, writer) in [(1, 3), (1, 4), (2, 5), (2, 6), (4, 8), (0, 0)] {
            assert!(protocol(reader, writer, None, None).check().is_err(), "{reader}/{writer}");
        }
        assert!(protocol(3, 7, Some(&["deletionVectors"]), Some(&["deletionVectors"])).check().is_err());
        assert!(protocol(3, 7, Some(&[]), Some(&["domainMetadata"])).check().is_err());
    }

    #[test]
    fn feature_lists_only_grow() {
        let found = protocol(3, 7, Some(&[]), Some(&["appendOnly"]));
        let grown = Protocol::with_ntz(Some(&found)).expect("a new protocol");
        assert_eq!(grown["protocol"]["writerFeatures"], json!(["appendOnly", "timestampNtz", "invariants"]));
        assert_eq!(grown["protocol"]["readerFeatures"], json!(["timestampNtz"]));
        let full = protocol(3, 7, Some(READ), Some(WRITE));
        assert!(Protocol::with_ntz(Some(&full)).is_none());
    }

    #[test]
    fn lengths_of_time_are_read_as_delta_spells_them_and_no_others() {
        let week = 7 * 24 * 3_600_000;
        for (text, wanted) in [
            ("interval 1 week", Some(week)),
            ("INTERVAL 7 days", Some(week)),
            ("168 hours", Some(week)),
            ("interval 6 days 24 hours", Some(week)),
            ("interval 0 seconds", Some(0)),
            ("interval", None),
            ("", None),
            ("interval 1 month", None),
            ("interval -1 day", None),
            ("interval 1", None),
        ] {
            assert_eq!(interval_ms(text), wanted, "{text}");
        }
    }

    #[test]
    fn settings_that_ask_something_of_writers_are_refused_unless_off() {
        let with = |name: &str, value: &str| {
            let metadata = json!({"configuration": {name: value}, "schemaString": "{}"});
            check_settings(metadata.as_object().expect("an object"))
        };
        assert!(with("delta.constraints.c", "id > 0").is_err());
        assert!(with("delta.enableChangeDataFeed", "true").is_err());
        assert!(with("delta.enableChangeDataFeed", "false").is_ok());
        assert!(with("delta.columnMapping.mode", "name").is_err());
        assert!(with("delta.logRetentionDuration", "interval 1 days").is_ok());
    }
}
