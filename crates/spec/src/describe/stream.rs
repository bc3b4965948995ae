//! The facts of one stream, key by key.

use serde_json::Value;
use waybill_model::plan::{
    ArrayPolicy, BAD_ROWS_SHARE, BadRows, ChangedFiles, Check, Checksums, Condition, Cursor, Deletes, EdgePolicy,
    Expectation, FileFormat, Load, NewColumns, NullCursor, OnFailure, Op, Plan, StreamPlan, System, TextPolicy,
};
use waybill_model::size::{show_number, write_duration};

use super::{Fact, Part, all, fact, of_files, ticked};

/// The keys of a stream's plan that have words here, as the plan spells them.
pub(super) const TOLD: &[&str] = &[
    "name",
    "load",
    "cursor",
    "key",
    "deletes",
    "columns",
    "new-columns",
    "filter",
    "edge-values",
    "arrays",
    "invalid-text",
    "verify-count",
    "checksums",
    "changed-files",
    "bad-rows",
    "bad-rows-share",
    "expect",
    "shrink-guard",
    "take-over",
    "table",
    "format",
];

/// Everything that holds of a stream, in the order in which it happens to a row.
pub(super) fn facts(stream: &StreamPlan, plan: &Plan) -> Vec<Fact> {
    let mut facts = read(stream, plan);
    facts.extend(values(stream));
    facts.extend(expected(stream));
    facts.extend(table(stream, plan));
    facts.extend(others(stream, TOLD));
    facts
}

fn read(stream: &StreamPlan, plan: &Plan) -> Vec<Fact> {
    let mut facts = vec![load(stream)];
    facts.extend(cursor(stream, &plan.from.system));
    facts.push(filter(stream));
    facts.extend(columns(stream));
    facts.extend(format(stream));
    facts.extend(changed_files(stream));
    let text = if stream.verify_count {
        "the source counts its rows in the same snapshot, and the run fails where the numbers differ"
    } else {
        "the source is not asked to count its rows besides"
    };
    facts.push(fact(Part::Read, "verify-count", stream.verify_count, text));
    let text = match &stream.checksums {
        Checksums::Off => "the source does not sum its values besides".to_owned(),
        Checksums::All => {
            "the source and the worker each sum the values of every column, and the run fails where they differ"
                .to_owned()
        }
        Checksums::Of(columns) => {
            format!(
                "the source and the worker each sum the values of {}, and the run fails where they differ",
                all(columns)
            )
        }
    };
    facts.push(fact(Part::Read, "checksums", !stream.checksums.is_off(), text));
    facts
}

/// Of files alone there are some that a run has taken.
fn changed_files(stream: &StreamPlan) -> Option<Fact> {
    if stream.load != Load::New || stream.cursor.is_some() {
        return None;
    }
    let text = match stream.changed_files {
        ChangedFiles::Fail => "a file that was rewritten after a run took it ends the stream",
        ChangedFiles::Append => {
            "a file that was rewritten after a run took it comes again, beside the rows that it had"
        }
        ChangedFiles::Ignore => "a file that was rewritten after a run took it is left as it was taken",
    };
    Some(fact(Part::Read, "changed-files", !stream.changed_files.is_fail(), text))
}

fn load(stream: &StreamPlan) -> Fact {
    let text = match stream.load {
        Load::Full => "every row, in each run",
        Load::New if stream.cursor.is_none() => "files that no run has taken yet",
        Load::New => "rows that came since the last run, by the cursor",
        Load::Changed => "rows that came or changed since the last run, by the cursor",
    };
    fact(Part::Read, "load", stream.load != Load::Full, format!("`{}`: {text}", stream.load))
}

fn cursor(stream: &StreamPlan, from: &System) -> Vec<Fact> {
    let Some(cursor) = &stream.cursor else { return Vec::new() };
    let Cursor { column, zone, nulls, margin_ms } = cursor;
    let part = Part::Read;
    let zone = match zone {
        Some(zone) => {
            fact(part, "cursor-zone", true, format!("times of the cursor without a zone are those of {zone}"))
        }
        None => fact(part, "cursor-zone", false, "the cursor's times have a zone of their own, or it has none"),
    };
    let nulls = match nulls {
        NullCursor::Fail => (false, "a row whose cursor is NULL ends the run"),
        NullCursor::IncludeAlways => (true, "rows whose cursor is NULL come with every run"),
        NullCursor::Ignore => (true, "rows whose cursor is NULL never come"),
    };
    let margin = match from {
        System::Sqlite { .. } => format!(
            "a window of times ends {} before now: what is committed later with an earlier time is missed",
            write_duration(*margin_ms)
        ),
        _ => format!(
            "a window of times ends {} before the oldest open transaction",
            write_duration(cursor.server_margin_ms())
        ),
    };
    vec![
        fact(part, "cursor", true, format!("the cursor is {}", ticked(column))),
        zone,
        fact(part, "cursor-nulls", nulls.0, nulls.1),
        fact(part, "cursor-margin", *margin_ms != 2_000, margin),
    ]
}

fn filter(stream: &StreamPlan) -> Fact {
    let one = |condition: &Condition| {
        let (column, value) = (ticked(&condition.column), condition.value.as_deref().map(ticked).unwrap_or_default());
        match condition.op {
            Op::Eq => format!("{column} is {value}"),
            Op::Ne => format!("{column} is not {value}"),
            Op::Lt => format!("{column} is below {value}"),
            Op::Le => format!("{column} is at most {value}"),
            Op::Gt => format!("{column} is above {value}"),
            Op::Ge => format!("{column} is at least {value}"),
            Op::IsNull => format!("{column} is NULL"),
            Op::NotNull => format!("{column} is not NULL"),
        }
    };
    let text = match stream.filter.as_slice() {
        [] => "no row is left out".to_owned(),
        conditions => format!("only rows where {}", conditions.iter().map(one).collect::<Vec<_>>().join(" and ")),
    };
    fact(Part::Read, "filter", !stream.filter.is_empty(), text)
}

fn columns(stream: &StreamPlan) -> Vec<Fact> {
    let (columns, part) = (&stream.columns, Part::Read);
    let select = match columns.select.as_slice() {
        [] => "every column of the source".to_owned(),
        names => format!("only the columns {}, in this order", all(names)),
    };
    let drop = match columns.drop.as_slice() {
        [] => "no column is left out by name".to_owned(),
        names => format!("without the columns {}", all(names)),
    };
    let renamed = columns.rename.iter().map(|(from, to)| format!("{} becomes {}", ticked(from), ticked(to)));
    let rename = match columns.rename.is_empty() {
        true => "columns keep their names".to_owned(),
        false => renamed.collect::<Vec<_>>().join(", "),
    };
    vec![
        fact(part, "columns.select", !columns.select.is_empty(), select),
        fact(part, "columns.drop", !columns.drop.is_empty(), drop),
        fact(part, "columns.rename", !columns.rename.is_empty(), rename),
    ]
}

fn format(stream: &StreamPlan) -> Option<Fact> {
    let text = match stream.format.as_ref()? {
        FileFormat::Csv(csv) => {
            let quoted = |c: char| ticked(&c.to_string());
            let header =
                if csv.header { "the first record names the columns" } else { "the columns are `column_1` and so on" };
            let null = match &csv.null {
                Some(text) => format!("an unquoted {} is NULL", ticked(text)),
                None => "no text is NULL".to_owned(),
            };
            let types = csv.types.iter().map(|(column, kind)| format!("{} is {kind}", ticked(column)));
            let types = types.chain(["columns without a type are text".to_owned()]).collect::<Vec<_>>().join(", ");
            let (between, around) = (quoted(csv.delimiter), quoted(csv.quote));
            format!("files are CSV: {between} between fields, {around} around them; {header}; {null}; {types}")
        }
        FileFormat::Jsonl(_) => "files are JSON Lines".to_owned(),
        FileFormat::Json(_) => "files are JSON arrays of objects".to_owned(),
        FileFormat::Parquet => "files are Parquet".to_owned(),
    };
    let encoding = stream.format.as_ref().and_then(FileFormat::encoding).filter(|encoding| !encoding.is_utf8());
    let text = match encoding {
        Some(encoding) => format!("{text}; their text is in {encoding}"),
        None => text,
    };
    Some(fact(Part::Read, "format", true, text))
}

const fn bad_rows(stream: &StreamPlan) -> &'static str {
    match stream.bad_rows {
        BadRows::Fail => "a line of a file that is no row ends the run",
        BadRows::Quarantine => {
            "a line of a file that is no row is set aside as it stands, below `_waybill/quarantine/` of the table, and is counted"
        }
    }
}

fn bad_rows_share(stream: &StreamPlan) -> String {
    match (stream.bad_rows, stream.bad_rows_share) {
        (BadRows::Fail, _) => "no line is set aside".to_owned(),
        (BadRows::Quarantine, 0) => "any number of lines may be set aside".to_owned(),
        (BadRows::Quarantine, share) => {
            format!("where more than {share} % of the rows read are set aside, nothing is committed")
        }
    }
}

fn values(stream: &StreamPlan) -> Vec<Fact> {
    let part = Part::Values;
    let cast = stream.columns.cast.iter().map(|(column, kind)| format!("{} becomes {kind}", ticked(column)));
    let cast = match stream.columns.cast.is_empty() {
        true => "columns keep the source's types".to_owned(),
        false => format!(
            "{}; what the type does not hold exactly {}",
            cast.collect::<Vec<_>>().join(", "),
            match stream.edge_values {
                EdgePolicy::Twin | EdgePolicy::Sentinel => "stands as text in `<name>__text` beside a NULL",
                EdgePolicy::Fail => "ends the run",
                EdgePolicy::Null => "becomes NULL: it is lost, and counted",
            }
        ),
    };
    let edges = match stream.edge_values {
        EdgePolicy::Twin => {
            "what a type can't hold stands as exact text in `<name>__text` beside a NULL, and is counted"
        }
        EdgePolicy::Fail => "what a type can't hold ends the run",
        EdgePolicy::Null => "what a type can't hold becomes NULL: it is lost, and counted",
        EdgePolicy::Sentinel => {
            "a date or time that its type can't hold becomes the nearest end of the calendar: it is lost, and counted"
        }
    };
    let arrays = match stream.arrays {
        ArrayPolicy::Twin => {
            "arrays that are no plain list stand as exact text in `<name>__text` beside a NULL, and are counted"
        }
        ArrayPolicy::Fail => "an array that is no plain list ends the run",
        ArrayPolicy::Json => "arrays become JSON text",
    };
    let text = match stream.invalid_text {
        TextPolicy::Replace => {
            "text that is not UTF-8 has U+FFFD in place of each bad sequence and its bytes as hex in `<name>__text`, and is counted"
        }
        TextPolicy::Fail => "text that is not UTF-8 ends the run",
    };
    vec![
        fact(part, "columns.cast", !stream.columns.cast.is_empty(), cast),
        fact(part, "edge-values", stream.edge_values != EdgePolicy::Twin, edges),
        fact(part, "bad-rows", !stream.bad_rows.is_fail(), bad_rows(stream)),
        fact(part, "bad-rows-share", stream.bad_rows_share != BAD_ROWS_SHARE, bad_rows_share(stream)),
        fact(part, "arrays", stream.arrays != ArrayPolicy::Twin, arrays),
        fact(part, "invalid-text", stream.invalid_text != TextPolicy::Replace, text),
    ]
}

fn expected(stream: &StreamPlan) -> Vec<Fact> {
    if stream.expect.is_empty() {
        return vec![fact(Part::Expected, "expect", false, "nothing is expected of the rows")];
    }
    stream.expect.iter().map(|one| fact(Part::Expected, "expect", true, expectation(one))).collect()
}

fn expectation(one: &Expectation) -> String {
    let what = match &one.check {
        Check::NotNull(columns) => format!("none of {} is NULL", all(columns)),
        Check::Unique(columns) => format!("no two rows of a run have the same {}", all(columns)),
        Check::Range(range) => {
            let min = range.min.as_deref().map(|min| format!("at least {}", ticked(min)));
            let max = range.max.as_deref().map(|max| format!("at most {}", ticked(max)));
            let bounds = min.into_iter().chain(max).collect::<Vec<_>>().join(" and ");
            format!("{} is {bounds}", ticked(&range.column))
        }
        Check::Rows(count) => {
            let min = count.min.map(|min| format!("at least {}", show_number(min)));
            let max = count.max.map(|max| format!("at most {}", show_number(max)));
            let change = count.change.map(|change| format!("no more than {change} % other than the last time"));
            let bounds = min.into_iter().chain(max).chain(change).collect::<Vec<_>>().join(", ");
            format!("a run brings so many rows: {bounds}")
        }
    };
    let then = match one.on_failure {
        OnFailure::Fail => "or nothing is committed",
        OnFailure::Warn => "or the run tells how many rows",
    };
    format!("{what}, {then}")
}

fn table(stream: &StreamPlan, plan: &Plan) -> Vec<Fact> {
    let (part, to) = (Part::Table, &plan.to.system);
    let name = stream.table.as_ref().unwrap_or(&stream.name);
    let land = match stream.load {
        Load::Full => "the rows replace the table in one commit",
        Load::New => "the rows are appended in one commit",
        Load::Changed => "each row takes the place of the one with its key, in one commit",
    };
    let mut facts = vec![fact(part, "table", stream.table.is_some(), format!("the table is {}; {land}", ticked(name)))];
    facts.extend(key(stream));
    facts.push(new_columns(stream));
    let guard = match stream.shrink_guard {
        0 => "a replace may keep any number of rows".to_owned(),
        share => format!("a replace that would keep less than {share} % of the rows is not committed"),
    };
    facts.push(fact(part, "shrink-guard", stream.shrink_guard != 50, guard));
    let take = if stream.take_over {
        "a table that something else made is taken over"
    } else {
        "a table that something else made is left alone, and the run fails"
    };
    facts.push(fact(part, "take-over", stream.take_over, take));
    facts.extend(of_files(&plan.files, to));
    facts
}

fn key(stream: &StreamPlan) -> Vec<Fact> {
    if stream.load != Load::Changed {
        return Vec::new();
    }
    let key = match stream.key.as_slice() {
        [] => "a row is told from all others by the source's primary key".to_owned(),
        columns => format!("a row is told from all others by {}", all(columns)),
    };
    let deletes = match stream.deletes {
        Deletes::Keep => "rows that the source has no more stay, unmarked",
        Deletes::Mark => "rows that the source has no more are marked with the time in `_waybill_deleted_at`",
        Deletes::Remove => "rows that the source has no more are taken out",
    };
    vec![
        fact(Part::Table, "key", !stream.key.is_empty(), key),
        fact(Part::Table, "deletes", stream.deletes != Deletes::Keep, deletes),
    ]
}

fn new_columns(stream: &StreamPlan) -> Fact {
    let text = match (stream.new_columns, stream.load) {
        (Some(NewColumns::Ask), _) | (None, Load::New | Load::Changed) => {
            "a column that the source has and the table has not ends the stream until somebody has decided"
        }
        (Some(NewColumns::Add), _) => "a column that the source has and the table has not is added to the table",
        (Some(NewColumns::Ignore), _) => "a column that the source has and the table has not is left out",
        (None, Load::Full) => "the table takes the source's columns",
    };
    fact(Part::Table, "new-columns", stream.new_columns.is_some(), text)
}

/// What a plan says and has no words here stands as the plan has it: nothing that is done to rows is passed over.
pub(super) fn others(stream: &StreamPlan, told: &[&str]) -> Vec<Fact> {
    let Ok(Value::Object(plan)) = serde_json::to_value(stream) else { return Vec::new() };
    let untold = plan.into_iter().filter(|(key, _)| !told.contains(&key.as_str()));
    untold.map(|(key, value)| fact(Part::Table, &key, true, ticked(&value.to_string()))).collect()
}
