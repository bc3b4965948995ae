//! Pipelines: ends, streams with the defaults merged in, schedule, files and limits.

use std::collections::BTreeMap;

use waybill_model::plan::{Compression, Files, Format, Limits, Load, RUN_DAY, StreamPlan, System};
use waybill_model::schedule::{Every, Schedule, When};
use waybill_model::size::{parse_bytes, parse_duration};

use super::bad_rows::check_bad_rows;
use super::checksums::check_checksums;
use super::effect::check_shared;
use super::stream::{End, of, read_stream};
use super::{Settings, child, twice};
use crate::check::read_cpu;
use crate::diagnostic::{Code, Findings, show};
use crate::document::Pipeline;
use crate::glob::check_overlaps;
use crate::keys::nearest;
use crate::tree::{Entry, Node};

/// What a pipeline may refer to.
pub(super) struct Known<'a> {
    /// Connections that could be read.
    pub(super) connections: &'a BTreeMap<String, System>,
    /// Names of all connections, also of broken ones.
    pub(super) declared: &'a [&'a str],
}

/// A pipeline, or none where an end is missing.
pub(super) fn read_pipeline(entry: &Entry, known: &Known<'_>, found: &mut Findings) -> Option<Pipeline> {
    let keys = Settings::of(&entry.value);
    let from = connection(entry, "from", known, found);
    let to = connection(entry, "to", known, found);
    check_kind(entry, ("from", from, is_source), "a source: postgres, mysql, sqlite or files", found);
    check_kind(entry, ("to", to, is_destination), "a bucket (local, s3, azure or gcs) or postgres", found);
    let end = End::of(from);
    let streams = child(&entry.value, "streams");
    if entry.value.get("streams").is_some_and(|e| matches!(e.value.value, crate::tree::Value::Map(_)))
        && streams.is_empty()
    {
        let message = format!("pipeline {} has no streams", show(&entry.key));
        let at = keys.own_place("streams").unwrap_or(entry.at);
        found.suggest(Code::MissingField, at, message, "name at least one: `streams: { public.orders: {} }`");
    }
    if end == Some(End::Files) {
        let places: Vec<_> = streams.iter().map(|stream| (stream.key.as_str(), stream.at)).collect();
        check_overlaps(&places, found);
    }
    let defaults = keys.node("every-stream");
    check_shared(defaults, streams, end, found);
    let files = keys.node("files").map(|node| files(node, found)).unwrap_or_default();
    let plans: Vec<StreamPlan> = streams.iter().map(|stream| read_stream(stream, defaults, end, found)).collect();
    if let Some(to) = to {
        check_destination(entry, (to, end), defaults, found);
        for (stream, plan) in streams.iter().zip(&plans).filter(|_| to.is_database()) {
            check_new_files(stream, (end, plan.load), found);
        }
    }
    for (stream, plan) in streams.iter().zip(&plans) {
        check_load(stream, plan.load, &files, found);
        check_checksums(stream, plan, (to, &files), found);
        check_bad_rows(stream, plan, (to, defaults), found);
    }
    Some(Pipeline {
        streams: plans,
        from: keys.owned("from")?,
        to: keys.owned("to")?,
        data_plane: keys.owned("data-plane"),
        schedule: keys.node("schedule").and_then(|node| schedule(node, entry, found)),
        files,
        limits: keys.node("limits").map(limits).unwrap_or_default(),
    })
}

/// The system that an end names; tells where there is none of that name.
fn connection<'k>(entry: &Entry, end: &str, known: &Known<'k>, found: &mut Findings) -> Option<&'k System> {
    let node = &entry.value.get(end)?.value;
    let name = node.scalar()?;
    if !known.declared.contains(&name) {
        let message =
            format!("`{end}` of pipeline {} names no connection of this file: {}", show(&entry.key), show(name));
        let suggestion = match nearest(name, known.declared.iter().copied()) {
            Some(meant) => format!("did you mean {}?", show(meant)),
            None => "add it under `connections`".to_owned(),
        };
        found.suggest(Code::UnknownConnection, node.span, message, suggestion);
    }
    known.connections.get(name)
}

/// What a database and a bucket do not have in common: `table` is for one, `files` for the other.
fn check_destination(entry: &Entry, (to, end): (&System, Option<End>), defaults: Option<&Node>, found: &mut Findings) {
    let of = show(&entry.key);
    let keys = Settings::of(&entry.value);
    if to.is_database() && keys.text("from") == keys.text("to") {
        let at = keys.own_place("to").unwrap_or(entry.at);
        let message = format!("pipeline {of} reads and writes one connection");
        found.suggest(
            Code::WrongEnd,
            at,
            message,
            "write a connection of its own for each end, with a role of its own",
        );
    }
    if let Some(at) = keys.own_place("files").filter(|_| to.is_database()) {
        let message = format!("`files` of pipeline {of} does nothing here");
        found.suggest(Code::WrongEnd, at, message, "remove it: a database has no data files");
    }
    let shared = defaults.and_then(|node| Settings::of(node).own_place("table"));
    if let Some(at) = shared {
        let message = format!("`table` can't be one for every stream of pipeline {of}");
        found.suggest(Code::WrongEnd, at, message, "write it at the stream that it is for");
    }
    for stream in child(&entry.value, "streams") {
        let own = Settings::of(&stream.value).own_place("table");
        match own {
            Some(at) if !to.is_database() => {
                let message = format!("`table` of stream {} does nothing here", show(&stream.key));
                found.suggest(Code::WrongEnd, at, message, "remove it: it names a table of a database");
            }
            None if to.is_database() && end == Some(End::Files) => {
                let message = format!("`table` is missing in stream {}: a path is no table's name", show(&stream.key));
                found.suggest(Code::MissingField, stream.at, message, "name the table: `table: raw.orders`");
            }
            _ => {}
        }
    }
}

type EndOf<'s> = (&'s str, Option<&'s System>, fn(&System) -> bool);

fn check_kind(entry: &Entry, end: EndOf<'_>, wanted: &str, found: &mut Findings) {
    let (key, system, fits) = end;
    let (Some(system), Some(place)) = (system, entry.value.get(key)) else { return };
    if !fits(system) {
        let message = format!("`{key}` of pipeline {} can't be of type {}", show(&entry.key), system.kind());
        found.suggest(Code::WrongEnd, place.value.span, message, format!("it takes {wanted}"));
    }
}

const fn is_source(system: &System) -> bool {
    matches!(system, System::Postgres(_) | System::MySql(_) | System::Sqlite { .. } | System::Files(_))
}

const fn is_destination(system: &System) -> bool {
    system.is_database() || matches!(system, System::Local { .. } | System::S3(_) | System::Azure(_) | System::Gcs(_))
}

fn schedule(node: &Node, entry: &Entry, found: &mut Findings) -> Option<Schedule> {
    let keys = Settings::of(node);
    let of = show(&entry.key);
    if let (Some(at), Some(_)) = (keys.own_place("every"), keys.own_place("cron")) {
        let message = format!("the schedule of pipeline {of} has both `cron` and `every`");
        found.suggest(Code::BadValue, at, message, "keep one of them");
        return None;
    }
    if let (Some(_), Some(at)) = (keys.own_place("every"), keys.own_place("zone")) {
        let message = format!("`zone` in the schedule of pipeline {of} has no meaning with `every`");
        found.suggest(Code::BadValue, at, message, "remove it: `every` counts in UTC");
    }
    let when = match (keys.text("cron"), keys.text("every")) {
        (Some(line), _) => When::Cron {
            line: line.split_whitespace().collect::<Vec<_>>().join(" "),
            zone: keys.owned("zone").unwrap_or_else(|| "UTC".to_owned()),
        },
        (None, Some(distance)) => When::Every(Every::new(parse_duration(distance).ok()?)?),
        (None, None) => {
            if keys.own_place("cron").is_none() && keys.own_place("every").is_none() {
                let at = entry.value.get("schedule").map_or(entry.at, |schedule| schedule.at);
                let message = format!("`cron` or `every` is missing in the schedule of pipeline {of}");
                found.suggest(Code::MissingField, at, message, "write `cron: \"0 2 * * *\"` or `every: 1h`");
            }
            return None;
        }
    };
    Some(Schedule {
        when,
        overlap: keys.parsed("overlap").unwrap_or_default(),
        catch_up: keys.parsed("catch-up").unwrap_or_default(),
    })
}

fn files(node: &Node, found: &mut Findings) -> Files {
    let keys = Settings::of(node);
    let default = Files::of(keys.parsed("format").unwrap_or_default());
    let format = default.format;
    let compression = keys.parsed("compression").unwrap_or(default.compression);
    if let (false, Some(at)) = (format.takes(compression), keys.own_place("compression")) {
        let fits = Compression::ALL.iter().filter(|other| format.takes(**other));
        let fits: Vec<&str> = fits.map(|other| other.as_str()).collect();
        let message = format!("`format: {format}` can't have `compression: {compression}`");
        found.suggest(Code::BadValue, at, message, format!("it takes {}", fits.join(", ")));
    }
    Files {
        size: keys.text("size").and_then(|text| parse_bytes(text).ok()).unwrap_or(default.size),
        partition_by: partition_by(keys, format, found),
        compression,
        format,
    }
}

/// Which files were taken is kept beside a table of files.
fn check_new_files(stream: &Entry, (end, load): (Option<End>, Load), found: &mut Findings) {
    if end != Some(End::Files) || load != Load::New {
        return;
    }
    let at = Settings::of(&stream.value).own_place("load").unwrap_or(stream.at);
    let message = format!("`load: new` of files into a database is not built yet ({})", of(stream));
    found.suggest(Code::NotBuiltYet, at, message, "write `load: full`, or write into a bucket");
}

/// The columns that a table is partitioned by, each once.
fn partition_by(keys: Settings<'_>, format: Format, found: &mut Findings) -> Vec<String> {
    let names = keys.texts("partition-by");
    if let (Some(at), false) = (keys.own_place("partition-by").filter(|_| !names.is_empty()), format == Format::Delta) {
        let message = format!("`partition-by` with `format: {format}` is not built yet");
        found.suggest(Code::NotBuiltYet, at, message, "remove it, or write `format: parquet`");
    }
    for (name, at) in twice(&names) {
        found.add(Code::BadValue, *at, format!("`partition-by` names {} twice", show(name)));
    }
    names.into_iter().map(|(name, _)| name).collect()
}

/// Rows can take the place of others only in files that are read by column, and of a day that is not that of their first run.
fn check_load(stream: &Entry, load: Load, files: &Files, found: &mut Findings) {
    let of_day = files.partition_by.iter().any(|name| name == RUN_DAY);
    if load != Load::Changed || (files.format.is_parquet() && !of_day) {
        return;
    }
    let at = Settings::of(&stream.value).own_place("load").unwrap_or(stream.at);
    let what = if of_day { "`partition-by: [run.day]`".to_owned() } else { format!("`format: {}`", files.format) };
    let message = format!("`load: changed` with {what} is not built yet ({})", of(stream));
    let help = if of_day {
        "partition by columns of the source"
    } else {
        "write `format: parquet` or `parquet-files`, or `load: new`"
    };
    found.suggest(Code::NotBuiltYet, at, message, help);
}

fn limits(node: &Node) -> Limits {
    let keys = Settings::of(node);
    let default = Limits::default();
    Limits {
        parallel: keys.parsed("parallel").unwrap_or(default.parallel),
        memory: keys.text("memory").and_then(|text| parse_bytes(text).ok()).unwrap_or(default.memory),
        time_ms: keys.text("time").and_then(millis).unwrap_or(default.time_ms),
        cpu: keys.text("cpu").and_then(read_cpu).unwrap_or(default.cpu),
        disk: keys.text("disk").and_then(|text| parse_bytes(text).ok()).unwrap_or(default.disk),
        architecture: keys.parsed("architecture"),
    }
}

/// A duration in milliseconds.
pub(super) fn millis(text: &str) -> Option<u64> {
    parse_duration(text).ok().and_then(|duration| u64::try_from(duration.as_millis()).ok())
}
