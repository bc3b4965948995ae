//! Reads what CloudTrail delivers: JSON files with `Records`, packed by gzip or not, and directories of them.
//!
//! Shapes: docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html; where another
//! account assumes a role, docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html. A file is not trusted: it is
//! read record by record within bounds, and only calls by the roles that are looked for are kept.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use waybill_api::Timestamp;
use waybill_model::Micros;

use crate::exit::{Exit, Failure, Result};
use crate::output::clean;

mod record;

pub(crate) use record::Event;
use record::Records;

/// Most bytes of one file, as it is read: unpacked.
const MOST_BYTES: u64 = 256 << 20;
/// Most bytes of one record; CloudTrail's own bound is lower.
const MOST_RECORD: usize = 1 << 20;
/// Most calls that are kept of all files, and most files of a directory.
const MOST_EVENTS: usize = 1_000_000;
const MOST_FILES: usize = 200_000;
/// How deep directories are gone into: the path that CloudTrail makes has nine parts.
const DEEPEST: usize = 20;

/// A role as both sides name it: its account and its own name, which is unique there whatever its path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Role {
    account: String,
    name: String,
}

impl Role {
    /// Of `arn:aws:iam::ACCOUNT:role/PATH/NAME`, or of a session of it.
    pub(crate) fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let account = parts.nth(4)?.to_owned();
        let rest = parts.next()?;
        let name = match rest.strip_prefix("assumed-role/") {
            Some(session) => session.split_once('/')?.0,
            None => rest.strip_prefix("role/")?.rsplit('/').next()?,
        };
        Some(Self { account, name: name.to_owned() })
    }
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Export {
    /// Names of the files.
    pub(crate) files: Vec<String>,
    /// How many records they hold, by whomever.
    pub(crate) records: u64,
    /// When the first and the last of them happened.
    pub(crate) span: Option<(Micros, Micros)>,
    /// Those that are looked for; each once, however often it was delivered.
    pub(crate) events: Vec<Event>,
    seen: HashSet<String>,
    /// Most bytes of one file.
    most: u64,
}

impl Export {
    /// Reads files and directories, and keeps the calls by these roles, or for them.
    pub(crate) fn read(paths: &[PathBuf], roles: &HashSet<Role>) -> Result<Self> {
        Self::within(paths, roles, MOST_BYTES)
    }

    fn within(paths: &[PathBuf], roles: &HashSet<Role>, most: u64) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            collect(path, 0, &mut files)?;
        }
        if files.is_empty() {
            return Err(refused("no_records", "no file in it ends with .json or .json.gz".to_owned())
                .next("name a file that CloudTrail delivered, or a directory of such files"));
        }
        let (files_read, events, seen) = (Vec::new(), Vec::new(), HashSet::new());
        let mut export = Self { files: files_read, records: 0, span: None, events, seen, most };
        for file in files {
            export.file(&file, roles)?;
        }
        Ok(export)
    }

    fn file(&mut self, path: &Path, roles: &HashSet<Role>) -> Result<()> {
        let name = clean(&path.display().to_string());
        let unreadable = |error: &io::Error| {
            refused("file_unreadable", format!("{name}: {}", error.kind()))
                .next("look whether it is there and readable")
        };
        let mut packed = BufReader::new(File::open(path).map_err(|error| unreadable(&error))?);
        let magic = packed.fill_buf().map_err(|error| unreadable(&error))?;
        let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(packed)) } else { Box::new(packed) };
        let reader = BufReader::new(Bounded { reader, left: self.most });
        let place = self.files.len();
        self.files.push(name.clone());
        let mut records = Records::new(self, place, roles);
        match records.read(reader) {
            Ok(()) => Ok(()),
            Err(why) => {
                let at = records.at();
                let record = if at == 0 { String::new() } else { format!("record {at}: ") };
                let next = "take the file as CloudTrail delivered it: {\"Records\": […]}, .json or .json.gz";
                Err(refused("cloudtrail_file_invalid", format!("{name}: {record}{why}")).next(next))
            }
        }
    }

    fn count(&mut self, at: Micros) {
        self.records += 1;
        self.span = Some(self.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    /// Keeps an event; CloudTrail may deliver one twice.
    fn keep(&mut self, event: Event) -> std::result::Result<(), String> {
        if event.id.as_ref().is_some_and(|id| !self.seen.insert(id.clone())) {
            return Ok(());
        }
        if self.events.len() == MOST_EVENTS {
            return Err(format!("more than {MOST_EVENTS} calls by Waybill's roles; give fewer files at once"));
        }
        self.events.push(event);
        Ok(())
    }
}

fn refused(code: &str, message: String) -> Failure {
    Failure::new(Exit::Invalid, code, message)
}

/// The files of a path: itself, or what a directory holds, in the order of their names. Links are not followed.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let name = || clean(&path.display().to_string());
    let unreadable = |error: io::Error| {
        refused("file_unreadable", format!("{}: {}", name(), error.kind()))
            .next("look whether it is there and readable")
    };
    let metadata = if depth == 0 { path.metadata() } else { path.symlink_metadata() }.map_err(unreadable)?;
    if metadata.is_file() {
        // The name that was given counts as it is; in a directory, only what CloudTrail calls its log files.
        if depth == 0 || is_log(path) {
            if files.len() == MOST_FILES {
                return Err(
                    refused("too_many_files", format!("more than {MOST_FILES} files")).next("give fewer at once")
                );
            }
            files.push(path.to_owned());
        }
        return Ok(());
    }
    if !metadata.is_dir() {
        let special = refused("file_unreadable", format!("{}: neither a file nor a directory", name()));
        return if depth == 0 { Err(special.next("name a file")) } else { Ok(()) };
    }
    if depth > DEEPEST {
        return Err(refused("too_deep", format!("{}: too many directories in one another", name())).next("name one"));
    }
    let entries = path.read_dir().and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(unreadable)?;
    entries.sort();
    entries.iter().try_for_each(|entry| collect(entry, depth + 1, files))
}

/// Beside log files CloudTrail delivers digests, which prove that log files are whole, and insights into how many calls are
/// usual. Neither tells of calls.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let others = ["CloudTrail-Digest", "CloudTrail-Insight"];
    (name.ends_with(".json") || name.ends_with(".json.gz")) && !others.iter().any(|other| name.contains(other))
}

/// A reader that fails where a file goes on for too long, such as one that was packed to unpack without end.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(read)
    }
}

/// A time as CloudTrail writes it.
fn time(text: &str) -> Option<Micros> {
    text.parse::<Timestamp>().ok().map(|at| at.0)
}

#[cfg(test)]
mod tests;
