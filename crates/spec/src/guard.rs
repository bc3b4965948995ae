//! The guard: what a customer lets a worker do, whatever the orchestrator asks for. A TOML file that a security officer signs.
//!
//! It is read as strictly as a pipeline file: an unknown key, a key that stands twice or a value that can't be read
//! refuses the whole guard. What a list does not name is refused. Nothing here opens a file or looks a name up.

mod draft;
mod evaluate;
mod file;
mod keys;
mod lint;
mod pattern;
mod read;
mod refusal;
mod tables;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use waybill_model::Micros;
use waybill_model::net::{HostPattern, Range};

pub use draft::draft;
pub use evaluate::evaluate;
pub use file::MOST_BYTES;
pub use lint::lint;
pub use pattern::{PathPattern, TextPattern};
pub use refusal::{Reason, Refusal};

use crate::check::{Place, check};
use crate::diagnostic::{Diagnostic, Findings};
use crate::keys::Shape;
use crate::sign::PublicKey;
use crate::tree::Span;

/// A guard that was found right.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The kill switch: while it is true everything is refused.
    pub stop: bool,
    /// From then on everything is refused.
    pub expires: Option<Micros>,
    /// Whether names of tables and columns may leave when a source is listed.
    pub names: Names,
    /// References to secrets that may be resolved.
    pub secrets: Vec<TextPattern>,
    /// Digests of the worker images that may run, as `sha256:…`; any where none is listed.
    pub images: Vec<String>,
    /// Whether only plans that one of the signers signed are run.
    pub require_signed_specs: bool,
    /// Whether a stream may be read whole in place of its table; where nothing is said, only where plans need no signature.
    pub reload: Option<bool>,
    /// Whether a run may forget a stream's cursor or read a range of it once more; where nothing is said, only where plans need no
    /// signature.
    pub backfill: Option<bool>,
    /// Whose signatures count.
    pub signers: Vec<Signer>,
    /// What may be read.
    pub read: Read,
    /// What may be written.
    pub write: Write,
    /// Where connections may go.
    pub network: Network,
    /// How much one run may take.
    pub limits: Ceilings,
    digest: String,
    places: BTreeMap<&'static str, Span>,
}

/// Whether names may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// They stay.
    #[default]
    None,
    /// They leave when a source is listed.
    Discovery,
}

/// Whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The guard's name for it.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
    /// From then on its signatures do not count.
    pub expires: Option<Micros>,
}

/// What may be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// Kinds of connections.
    pub connectors: Vec<String>,
    /// Hosts and ports of databases.
    pub hosts: Vec<HostPattern>,
    /// Streams by name; any where the list is absent.
    pub tables: Option<Vec<TextPattern>>,
    /// Buckets and prefixes.
    pub buckets: Vec<PathPattern>,
    /// Files and directories of the worker.
    pub paths: Vec<PathPattern>,
}

/// What may be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Write {
    /// Kinds of connections.
    pub connectors: Vec<String>,
    /// Hosts and ports of databases.
    pub hosts: Vec<HostPattern>,
    /// Tables of databases, as `database/schema.table`.
    pub tables: Vec<TextPattern>,
    /// Buckets and prefixes.
    pub buckets: Vec<PathPattern>,
    /// Directories of the worker.
    pub paths: Vec<PathPattern>,
}

/// Where connections may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Hosts and ports of stores that a plan may name in place of AWS's, Azure's and Google's own.
    pub endpoints: Vec<HostPattern>,
    /// Addresses that names may resolve to; any ordinary one where the list is absent.
    pub egress: Option<Vec<Range>>,
    /// Addresses of classes that are refused otherwise: loopback, link-local, metadata and so on.
    pub special: Vec<Range>,
    /// Whether every connection must be TLS.
    pub require_tls: bool,
}

/// How much one run may take; no ceiling where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Bytes of data files.
    pub bytes: Option<u64>,
    /// Rows.
    pub rows: Option<u64>,
    /// Rows in a second, over all streams.
    pub rows_per_second: Option<u64>,
    /// Milliseconds.
    pub time_ms: Option<u64>,
    /// Connections to the source at once.
    pub parallel: Option<u32>,
}

impl Guard {
    /// Reads a guard, or says all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut found = Findings::default();
        let guard = file::read(text, &mut found).map(|root| {
            let place = Place { field: "the file", of: "this guard", at: Span::START };
            check(&root, &Shape::Table(&keys::GUARD), place, &mut found);
            Self { digest: hex::encode(Sha256::digest(text)), ..read::read_guard(&root, &mut found) }
        });
        crate::finish(guard, found)
    }

    /// Why everything is refused at this time; none where the guard stands.
    #[must_use]
    pub fn refuses_all(&self, now: Micros) -> Option<Refusal> {
        if self.stop {
            return Some(self.refusal(
                Reason::Stopped,
                "stop",
                "the kill switch is on: `stop = true`".to_owned(),
                None,
            ));
        }
        let expires = self.expires.filter(|expires| *expires <= now)?;
        let message = format!("the guard expired at {}", expires.to_rfc3339());
        Some(self.refusal(Reason::Expired, "expires", message, None))
    }

    /// SHA-256 of the guard's text, in hex: what a log names it by.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Refuses a worker whose image is not listed, or is not known while some are.
    #[must_use]
    pub fn refuses_image(&self, digests: &[String]) -> Option<Refusal> {
        if self.images.is_empty() || digests.iter().any(|digest| self.images.contains(digest)) {
            return None;
        }
        let message = match digests {
            [] => "images are listed, and this worker's own is not known".to_owned(),
            known => format!("this worker's image {} is not listed", known.join(" or ")),
        };
        Some(self.refusal(Reason::Image, "images", message, None))
    }

    /// Refuses a run that reads streams whole in place of their tables, which no plan and so no signature says.
    #[must_use]
    pub fn refuses_reload(&self) -> Option<Refusal> {
        let what = "the run reloads streams, so that their tables are replaced";
        self.unsigned(("reload", self.reload), Reason::Reload, what)
    }

    /// Refuses a run that forgets a stream's cursor or reads a range of it: no plan says so, and how many rows lie in a range tells
    /// something of their cursors.
    #[must_use]
    pub fn refuses_backfill(&self) -> Option<Refusal> {
        let what = "the run reads rows below a stream's cursor once more";
        self.unsigned(("backfill", self.backfill), Reason::Backfill, what)
    }

    /// Refuses what no signature covers, unless the guard's key allows it.
    fn unsigned(&self, (key, said): (&'static str, Option<bool>), reason: Reason, what: &str) -> Option<Refusal> {
        if said.unwrap_or(!self.require_signed_specs) {
            return None;
        }
        let (place, why) = match said {
            Some(_) => (key, format!("`{key}` is false")),
            None => ("require_signed_specs", format!("no signature covers it, and `{key}` is not there")),
        };
        let fix = format!("if it is meant, write `{key} = true` above the first section");
        Some(self.refusal(reason, place, format!("{what}: {why}"), Some(fix)))
    }

    /// Where a key stands, or the section that it would stand in.
    fn place(&self, key: &str) -> Span {
        let section = key.split('.').next().unwrap_or(key);
        *self.places.get(key).or_else(|| self.places.get(section)).unwrap_or(&Span::START)
    }

    pub(crate) fn refusal(&self, reason: Reason, key: &'static str, message: String, fix: Option<String>) -> Refusal {
        let at = self.place(key);
        Refusal { reason, key, line: at.line, column: at.column, end_column: at.end_column, message, fix }
    }
}
