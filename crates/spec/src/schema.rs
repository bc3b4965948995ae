//! The JSON Schema of the pipeline file, for editors; made from the key list that checking uses.
//!
//! Keys and values without behaviour are not in it, as they are refused.

use serde_json::{Map, Value, json};
use waybill_model::secret::SecretRef;

use crate::check::{LEAST_UNITS, MOST_CPUS, MOST_UNITS};
use crate::keys::{DOCUMENT, Shape, Table, Tagged};

/// The schema as text, with a newline at its end: byte for byte what the repository holds.
#[must_use]
pub fn schema() -> String {
    let mut root = Map::new();
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), "Waybill pipeline file".into());
    root.extend(table(&DOCUMENT));
    let mut text = serde_json::to_string_pretty(&Value::Object(root)).unwrap_or_default();
    text.push('\n');
    text
}

fn table(table: &Table) -> Map<String, Value> {
    let built = || table.keys.iter().filter(|key| key.built);
    let properties: Map<String, Value> = built()
        .map(|key| {
            let mut value = shape(&key.shape);
            value.insert("description".into(), key.doc.into());
            (key.name.to_owned(), Value::Object(value))
        })
        .collect();
    let required: Vec<&str> = built().filter(|key| key.required).map(|key| key.name).collect();
    let mut out = object(json!({ "description": table.doc, "additionalProperties": false }));
    let kind = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    out.insert("type".into(), kind);
    out.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        out.insert("required".into(), required.into());
    }
    out
}

fn shape(shape: &Shape) -> Map<String, Value> {
    match shape {
        Shape::Text(rule) => {
            let mut out = object(json!({ "type": "string" }));
            if let Some(pattern) = rule.pattern {
                out.insert("pattern".into(), pattern.into());
            }
            out
        }
        Shape::Scalar => object(json!({ "type": ["string", "number", "boolean"] })),
        Shape::Flag => object(json!({ "type": "boolean" })),
        Shape::Count(least, most) if least == most => object(json!({ "const": least })),
        Shape::Count(least, most) => object(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Shape::Size(..) => object(json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)$" })),
        Shape::Duration(..) => object(json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" })),
        Shape::Cpu => object(json!({ "anyOf": [
            { "enum": [0.25, 0.5] },
            { "type": "integer", "minimum": 1, "maximum": MOST_CPUS },
            { "type": "integer", "minimum": LEAST_UNITS, "maximum": MOST_UNITS },
        ] })),
        Shape::Share => object(json!({ "type": "string", "pattern": "^(off|([1-9][0-9]?|100)%)$" })),
        Shape::Percent => object(json!({ "type": "string", "pattern": "^[1-9][0-9]{0,5}%$" })),
        Shape::Choice(built, _) => {
            // What an editor reads as nothing is a word here too.
            let nothing = built.iter().filter(|word| **word == "null").map(|_| Value::Null);
            object(json!({ "enum": built.iter().map(|word| json!(word)).chain(nothing).collect::<Vec<_>>() }))
        }
        Shape::Secret => object(json!({ "type": "string", "pattern": SecretRef::PATTERN })),
        Shape::TextOrSecret(_) => object(json!({ "type": "string", "anyOf": [
            { "pattern": SecretRef::PATTERN },
            { "not": { "pattern": "://" } },
        ] })),
        Shape::List(inner) => object(json!({ "type": "array", "items": self::shape(inner) })),
        Shape::WordOrList(word, inner) => object(json!({ "anyOf": [
            { "const": word },
            { "type": "array", "items": self::shape(inner) },
        ] })),
        Shape::Named(_, rule, inner) => {
            let mut out = object(json!({ "type": "object", "additionalProperties": self::shape(inner) }));
            if let Some(pattern) = rule.pattern {
                out.insert("propertyNames".into(), json!({ "pattern": pattern }));
            }
            out
        }
        Shape::Table(inner) => table(inner),
        Shape::Tagged(inner) => tagged(inner),
    }
}

fn tagged(tagged: &Tagged) -> Map<String, Value> {
    let mut choices: Vec<Value> = tagged
        .types
        .iter()
        .map(|(name, keys)| {
            let mut choice = table(keys);
            if let Some(Value::Object(properties)) = choice.get_mut("properties") {
                properties.insert("type".into(), json!({ "const": name, "description": keys.doc }));
            }
            Value::Object(choice)
        })
        .collect();
    if tagged.short {
        let names: Vec<&str> = tagged.types.iter().map(|(name, _)| *name).collect();
        choices.insert(0, json!({ "enum": names }));
    }
    object(json!({ "description": tagged.doc, "oneOf": choices }))
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}
