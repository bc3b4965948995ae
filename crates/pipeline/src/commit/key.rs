//! Keys below a connection's prefix, and paths as the Delta log spells them.
//!
//! Every key is made of a closed set of characters that no store, file system or URL reader changes. A stream's name
//! can't leave its directory, and two names never share one.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use waybill_model::plan::{Compression, Files, Format};
use waybill_model::{AttemptId, Epoch, RunId};

use crate::commit::kind::LogKind;
use crate::taken::PARTS;

/// Bytes of a directory name at most; file systems stop at 255.
const DIR_BYTES: usize = 160;
/// What a name in a path may hold unescaped: RFC 3986 "unreserved".
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What a path segment in the log may hold besides: writers of Delta leave it, and delta-rs finds a file by comparing texts.
const LOG_SEGMENT: &AsciiSet = &SEGMENT.remove(b'=');
/// Where the digest key of a connection lies.
pub const DIGEST_KEY: &str = "_waybill/digest-key";

/// The directory of a stream's table. Lower-case letters, digits, `_` and inner `.` stand for themselves; every other
/// byte, upper-case letters included, is `-` and two hex digits, so that `Orders` and `orders` stay apart even where
/// the file system folds case. A long name is cut and ends in its hash.
#[must_use]
pub fn table_dir(stream: &str) -> String {
    let mut dir = String::with_capacity(stream.len());
    for (at, byte) in stream.bytes().enumerate() {
        let leading = at == 0 && matches!(byte, b'.' | b'_');
        if !leading && matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.') {
            dir.push(char::from(byte));
        } else {
            dir.push('-');
            dir.push_str(&hex::encode([byte]));
        }
    }
    if dir.is_empty() || dir.len() > DIR_BYTES {
        let hash = hex::encode(Sha256::digest(stream.as_bytes()));
        let mut cut = dir.len().min(DIR_BYTES - 36);
        // An escape stays whole: `-` may not be among the last two bytes.
        while cut > 0 && dir.as_bytes()[..cut].iter().rev().take(2).any(|byte| *byte == b'-') {
            cut -= 1;
        }
        dir.truncate(cut);
        // No escape begins with `-x`, so a cut name equals no whole one.
        dir.push_str("-x");
        dir.push_str(&hash[..32]);
    }
    dir
}

/// A new data file's path below its table.
#[must_use]
pub fn data_path(run: RunId, attempt: AttemptId, n: u32, (partition, files): (&str, &Files)) -> String {
    format!("data/{run}/{partition}{attempt}-{n}-{}{}", uuid::Uuid::new_v4(), ending(files))
}

/// What the names of such files end in: readers tell format and compression by it.
const fn ending(files: &Files) -> &'static str {
    match (files.format, files.compression) {
        (Format::Delta | Format::ParquetFiles, _) => ".parquet",
        (Format::Csv, Compression::Gzip) => ".csv.gz",
        (Format::Csv, Compression::Zstd) => ".csv.zst",
        (Format::Csv, Compression::None | Compression::Snappy) => ".csv",
        (Format::Jsonl, Compression::Gzip) => ".jsonl.gz",
        (Format::Jsonl, Compression::Zstd) => ".jsonl.zst",
        (Format::Jsonl, Compression::None | Compression::Snappy) => ".jsonl",
    }
}

/// What the name of a data file may end in.
const ENDINGS: [&str; 7] = [".parquet", ".csv", ".csv.gz", ".csv.zst", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// The directory of a table's log, with its last slash.
#[must_use]
pub fn log_dir(table: &str, log: LogKind) -> String {
    match log {
        LogKind::Delta => format!("{table}/_delta_log/"),
        LogKind::Plain => format!("{table}/_waybill/commits/"),
    }
}

/// A version of the log.
#[must_use]
pub fn version(table: &str, log: LogKind, version: u64) -> String {
    format!("{}{version:020}.json", log_dir(table, log))
}

/// The checkpoint of a version in one file, in a log's directory.
#[must_use]
pub fn checkpoint(log_dir: &str, version: u64) -> String {
    format!("{log_dir}{version:020}.checkpoint.parquet")
}

/// What names the newest checkpoint, in a log's directory.
#[must_use]
pub fn last_checkpoint(log_dir: &str) -> String {
    format!("{log_dir}_last_checkpoint")
}

/// What says which log a table has.
#[must_use]
pub fn claim(table: &str) -> String {
    format!("{table}/_waybill/log.json")
}

/// The state of an epoch.
#[must_use]
pub fn state(table: &str, epoch: Epoch) -> String {
    format!("{table}/_waybill/state/{:020}.json", epoch.0)
}

/// The directory of all states, with its last slash.
#[must_use]
pub fn states(table: &str) -> String {
    format!("{table}/_waybill/state/")
}

/// Below this, what previews wrote.
pub const PREVIEWS: &str = "_waybill/preview/";

/// The directory of everything that one preview wrote, with its last slash.
#[must_use]
pub fn previews(run: RunId) -> String {
    format!("{PREVIEWS}{run}/")
}

/// The directory of one stream's rows in it, with its last slash: its place in the plan, and its name for people.
#[must_use]
pub fn preview(run: RunId, index: u32, stream: &str) -> String {
    format!("{}{index}-{}/", previews(run), table_dir(stream))
}

/// The receipt of an epoch.
#[must_use]
pub fn receipt(table: &str, epoch: Epoch) -> String {
    format!("{table}/_waybill/receipts/{:020}.json", epoch.0)
}

/// Where rows are set aside that were read for an epoch, with its last slash.
#[must_use]
pub fn quarantine(table: &str, epoch: Epoch) -> String {
    format!("{table}/_waybill/quarantine/{:020}/", epoch.0)
}

/// The epoch that an object was set aside for, where it is a file of ours with such rows.
#[must_use]
pub(crate) fn quarantined(table: &str, key: &str) -> Option<Epoch> {
    let below = key.strip_prefix(table)?.strip_prefix("/_waybill/quarantine/")?;
    let (epoch, name) = below.split_once('/')?;
    let epoch = Epoch(epoch.parse().ok()?);
    let (attempt, n) = name.strip_suffix(ASIDE_ENDING)?.split_once('-')?;
    let is_ours = attempt.parse::<AttemptId>().is_ok() && n.parse::<u32>().is_ok_and(|number| number.to_string() == n);
    (is_ours && quarantine(table, epoch) + name == key).then_some(epoch)
}

/// What the names of files with rows that were set aside end in.
pub(crate) const ASIDE_ENDING: &str = ".jsonl.zst";

/// Where statements for other engines lie, with its last slash.
#[must_use]
pub fn statements(table: &str) -> String {
    format!("{table}/_waybill/ddl/")
}

/// Epochs ahead of the clock that somebody accepted, with its last slash.
#[must_use]
pub fn accepted_epochs(table: &str) -> String {
    format!("{table}/_waybill/accepted-epochs/")
}

/// The table that an object belongs to by being part of its log, or a state or receipt of ours.
#[must_use]
pub fn table_of_record(key: &str) -> Option<&str> {
    let records = ["/_delta_log/", "/_waybill/commits/", "/_waybill/state/", "/_waybill/receipts/"];
    records.iter().find_map(|dir| key.split_once(dir)).map(|(table, _)| table)
}

/// A path below the table as the log spells it: percent-encoded once, slashes kept.
#[must_use]
pub fn to_log(path: &str) -> String {
    let segments: Vec<String> =
        path.split('/').map(|part| utf8_percent_encode(part, LOG_SEGMENT).to_string()).collect();
    segments.join("/")
}

/// The key of a file that the log names; none where it lies outside the table.
#[must_use]
pub fn of_log(table: &str, path: &str) -> Option<String> {
    let plain = percent_decode_str(path).decode_utf8().ok()?;
    let inside = !plain.starts_with('/')
        && !plain.contains("://")
        && plain.split('/').all(|part| !matches!(part, "" | "." | ".."));
    inside.then(|| format!("{table}/{plain}"))
}

/// Whether an object is a data file as [`data_path`] names them: what others put beside them is theirs.
#[must_use]
pub fn is_data(table: &str, key: &str) -> bool {
    let below = key.strip_prefix(table).and_then(|rest| rest.strip_prefix("/data/"));
    let Some((run, below)) = below.and_then(|below| below.split_once('/')) else { return false };
    let (partition, name) = below.rsplit_once('/').unwrap_or(("", below));
    let mut parts = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or_default().splitn(3, '-');
    let (attempt, n, uuid) = (parts.next(), parts.next(), parts.next());
    run.parse::<RunId>().is_ok()
        && (partition.is_empty() || partition.split('/').all(is_partition))
        && attempt.is_some_and(|attempt| attempt.parse::<AttemptId>().is_ok())
        && n.is_some_and(|n| n.parse::<u32>().is_ok_and(|number| number.to_string() == n))
        && uuid.is_some_and(|uuid| uuid.parse::<uuid::Uuid>().is_ok_and(|read| read.to_string() == uuid))
}

/// Whether a directory is named `<column>=<value>`, each as a key spells it.
fn is_partition(dir: &str) -> bool {
    let spelled = |text: &str| {
        let plain = percent_decode_str(text).decode_utf8();
        !text.is_empty() && plain.is_ok_and(|plain| utf8_percent_encode(&plain, SEGMENT).to_string() == text)
    };
    dir.split_once('=').is_some_and(|(column, value)| spelled(column) && spelled(value))
}

/// Whether an object is a list of taken files.
#[must_use]
pub(crate) fn is_taken_list(table: &str, key: &str) -> bool {
    let below = key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    below.and_then(|below| below.strip_prefix(PARTS)).is_some_and(|name| name.ends_with(".jsonl.zst"))
}

/// Whether an object below a table may be a data file of anybody's: logs, records and hidden files are none, whatever a log says.
#[must_use]
pub fn may_be_data(table: &str, key: &str) -> bool {
    let below = key.strip_prefix(table).and_then(|rest| rest.strip_prefix('/'));
    below.is_some_and(|below| below.split('/').all(|part| !part.starts_with(['_', '.'])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_plain_name_names_its_directory() {
        assert_eq!(table_dir("public.order_items"), "public.order_items");
    }

    #[test]
    fn h31_hostile_stream_names_stay_inside_one_directory_of_a_closed_set() {
        let long = "ä".repeat(3000);
        let hostile = [
            "",
            ".",
            "..",
            "../../etc",
            "/etc/passwd",
            "a//b",
            "a\\b",
            "a\0b",
            "a\nb",
            "_waybill",
            "_delta_log",
            ".hid",
            "%2e%2e",
            "a b",
            "ü",
            "*",
            "-x",
            "a-2f",
            &long,
            &long[..1500],
        ];
        let mut seen = BTreeMap::new();
        for name in hostile {
            let dir = table_dir(name);
            assert!(!dir.is_empty() && dir.len() <= DIR_BYTES, "{dir}");
            assert!(dir.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')), "{dir}");
            assert!(!dir.starts_with(['.', '_']), "{dir}");
            assert_eq!(seen.insert(dir, name), None);
        }
    }

    #[test]
    fn names_that_differ_only_in_case_get_directories_that_differ_in_more() {
        assert_eq!(table_dir("Orders"), "-4frders");
        assert_ne!(table_dir("ORDERS").to_lowercase(), table_dir("orders").to_lowercase());
    }

    #[test]
    fn a_cut_name_ends_with_a_whole_escape_before_its_hash() {
        for extra in 0..6 {
            let dir = table_dir(&format!("{}{}", "a".repeat(extra), "Ü".repeat(200)));
            let body = dir.rsplit_once("-x").expect("a hash").0;
            for escape in body.split('-').skip(1) {
                assert_eq!(escape.len(), 2, "{dir}");
            }
        }
    }

    #[test]
    fn a_data_file_is_told_by_the_whole_form_of_its_name() {
        let path = data_path(RunId::generate(), AttemptId::generate(), 12, ("", &Files::default()));
        assert!(is_data("t", &format!("t/{path}")));
        let (dir, name) = path.rsplit_once('/').expect("a directory");
        for partition in ["country=SE", "a%20b=%2F/day=__HIVE_DEFAULT_PARTITION__", "c=%C3%BC", "c=.."] {
            assert!(is_data("t", &format!("t/{dir}/{partition}/{name}")), "{partition}");
        }
        for partition in ["country", "country=", "=SE", "c=a b", "c=ü", "c=%2f", "c=%ff", "c=a/", "c=a=b", "c=a//d=b"]
        {
            assert!(!is_data("t", &format!("t/{dir}/{partition}/{name}")), "{partition}");
        }
        let other = RunId::generate();
        for path in [
            format!("t/{name}"),
            "t/data/2024/part-0.parquet".to_owned(),
            format!("t/data/{name}"),
            format!("t/{dir}/more/{name}"),
            format!("t/{dir}/part-0-c000.snappy.parquet"),
            format!("t/{dir}/{}", name.replace(".parquet", ".orc")),
            format!("t/{dir}/{}", name.replace("-12-", "-012-")),
            format!("t/{dir}/{}", name.to_uppercase()),
            format!("t/{dir}/{}", name.replacen("att_", "run_", 1)),
            format!("t/data/{}x/{name}", other),
            format!("u/{path}"),
        ] {
            assert!(!is_data("t", &path), "{path}");
        }
    }

    #[test]
    fn a_path_is_encoded_once_and_comes_back() {
        let path = "p=a b/50%/ü#?.parquet";
        assert_eq!(to_log(path), "p=a%20b/50%25/%C3%BC%23%3F.parquet");
        assert_eq!(of_log("t", &to_log(path)).as_deref(), Some("t/p=a b/50%/ü#?.parquet"));
        for outside in ["../x", "s3://b/x", "/x", "a//b", "%2e%2e/x", "a/%2E/b"] {
            assert_eq!(of_log("t", outside), None, "{outside}");
        }
    }
}
