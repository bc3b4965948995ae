//! The keys of a guard: the one list from which checking and suggestions are made.

use waybill_model::net::{HostPattern, PatternError, Range};

use super::pattern::{PathPattern, TextPattern, is_plain};
use crate::diagnostic::Code;
use crate::keys::{ACCOUNT, BUCKET, CONTAINER, GCS_BUCKET, Key, NAME, Rule, Shape, Table};
use crate::sign::PublicKey;

/// The version of the format that this program reads.
const VERSION: u64 = 1;
/// Connections that plans may read from.
const SOURCES: &[&str] = &["files", "mysql", "postgres", "sqlite"];
/// Connections that plans may write to.
const DESTINATIONS: &[&str] = &["azure", "gcs", "local", "postgres", "s3"];

const fn text(check: fn(&str) -> Result<(), &'static str>) -> Shape {
    Shape::Text(Rule { code: Code::BadValue, check, pattern: None })
}

/// A point in time: an RFC 3339 time with its offset, or a day, which begins at midnight UTC.
const TIME: Shape = text(|time| {
    let why = "write a day (2027-06-30) or a time with its offset (2027-06-30T12:00:00Z)";
    super::read::read_time(time).map(drop).ok_or(why)
});
const HOST: Shape = text(|host| host.parse::<HostPattern>().map(drop).map_err(pattern_words));
const RANGE: Shape = text(|range| range.parse::<Range>().map(drop).map_err(pattern_words));
const TABLE: Shape = text(|name| TextPattern::read(name).map(drop).ok_or("a name, with a `*` at its end only"));
const WRITTEN_TABLE: Shape = text(|name| {
    let pattern = TextPattern::read(name).ok_or("a `*` stands at the end only")?;
    if pattern.is_open() || pattern.start().split_once('/').is_some_and(|(database, _)| !database.is_empty()) {
        return Ok(());
    }
    Err("write database/schema.table, such as warehouse/public.orders or warehouse/shop.*")
});
const PATH: Shape = text(|path| {
    if path.starts_with('/') { path.parse::<PathPattern>().map(drop) } else { Err("write an absolute path: /data/in") }
});
const BUCKETS: Shape = text(|url| {
    let forms =
        "write s3://bucket/prefix, azure://account/container/prefix or gs://bucket/prefix; the prefix may be left out";
    let (scheme, rest) = url.split_once("://").ok_or(forms)?;
    let mut names = rest.split('/').map(Some).chain(std::iter::repeat(None));
    match scheme {
        "s3" => (BUCKET.check)(names.next().flatten().unwrap_or(rest))?,
        "gs" => (GCS_BUCKET.check)(names.next().flatten().unwrap_or(rest))?,
        "azure" => {
            (ACCOUNT.check)(names.next().flatten().unwrap_or_default())?;
            (CONTAINER.check)(names.next().flatten().unwrap_or_default())?;
        }
        _ => return Err(forms),
    }
    url.parse::<PathPattern>().map(drop)
});
const SECRET: Shape = text(|reference| {
    let pattern = TextPattern::read(reference).ok_or("a `*` stands at the end only")?;
    let start = pattern.start();
    let scheme = start.split_once("://").map(|(scheme, _)| scheme);
    let known = scheme.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    if !known {
        return Err("write the beginning of a reference with its scheme: env://SHOP_*");
    }
    // What a `*` stands behind may end with a slash, or with the scheme.
    let plain = start.strip_suffix('/').filter(|rest| !rest.ends_with('/')).unwrap_or(start);
    if is_plain(plain) { Ok(()) } else { Err("no part of a reference may be empty, `.` or `..`") }
});
const IMAGE: Shape = text(|digest| {
    let hex = digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    if hex { Ok(()) } else { Err("write sha256: and 64 hexadecimal digits") }
});
const PUBLIC_KEY: Shape = text(|key| {
    let why = "write the line that `waybill sign keygen` prints: ed25519:…";
    key.parse::<PublicKey>().map(drop).map_err(|_| why)
});

const fn pattern_words(error: PatternError) -> &'static str {
    match error {
        PatternError::Range => "write a range as 10.0.0.0/8, or one address",
        PatternError::HostBits => "the address has bits behind its prefix: write the range's first address",
        PatternError::Port => "write a port behind a colon: 5432, 5432-5439, or * for any",
        PatternError::Host => "write a name, *.domain, an address or a range, then a colon and the port",
    }
}

/// A whole guard.
pub(super) static GUARD: Table = Table {
    doc: "A guard",
    keys: &[
        Key::must("guard", Shape::Count(VERSION, VERSION), "version of this format, 1"),
        Key::new("stop", Shape::Flag, "The kill switch: true refuses everything."),
        Key::new("expires", TIME, "From then on everything is refused."),
        Key::new(
            "names",
            Shape::Choice(&["none", "discovery"], &[]),
            "Whether names of tables and columns may leave when a source is listed.",
        ),
        Key::new("secrets", Shape::List(&SECRET), "References to secrets that may be resolved."),
        Key::new("images", Shape::List(&IMAGE), "Digests of the worker images that may run."),
        Key::new("require_signed_specs", Shape::Flag, "Whether only signed plans are run."),
        Key::new("reload", Shape::Flag, "Whether streams may be read whole in place of their tables."),
        Key::new("backfill", Shape::Flag, "Whether runs may forget a stream's cursor or read a range of it once more."),
        Key::new(
            "signers",
            Shape::Named("signer", NAME, &Shape::Table(&SIGNER)),
            "Whose signatures count, by a name of your own.",
        ),
        Key::new("read", Shape::Table(&READ), "What may be read."),
        Key::new("write", Shape::Table(&WRITE), "What may be written."),
        Key::new("network", Shape::Table(&NETWORK), "Where connections may go."),
        Key::new("limits", Shape::Table(&LIMITS), "How much one run may take."),
    ],
};

static SIGNER: Table = Table {
    doc: "A signer",
    keys: &[
        Key::must("key", PUBLIC_KEY, "Public key, as `waybill sign keygen` prints it."),
        Key::new("expires", TIME, "From then on its signatures do not count."),
    ],
};

static READ: Table = Table {
    doc: "What may be read",
    keys: &[
        Key::new("connectors", Shape::List(&Shape::Choice(SOURCES, &[])), "Kinds of source connections."),
        Key::new("hosts", Shape::List(&HOST), "Hosts and ports of databases."),
        Key::new("tables", Shape::List(&TABLE), "Streams by name; any where the list is absent."),
        Key::new("buckets", Shape::List(&BUCKETS), "Buckets and prefixes that files are read from."),
        Key::new("paths", Shape::List(&PATH), "Files and directories of the worker."),
    ],
};

static WRITE: Table = Table {
    doc: "What may be written",
    keys: &[
        Key::new("connectors", Shape::List(&Shape::Choice(DESTINATIONS, &[])), "Kinds of destination connections."),
        Key::new("hosts", Shape::List(&HOST), "Hosts and ports of databases that are written to."),
        Key::new("tables", Shape::List(&WRITTEN_TABLE), "Tables that are written, as database/schema.table."),
        Key::new("buckets", Shape::List(&BUCKETS), "Buckets and prefixes that tables are written below."),
        Key::new("paths", Shape::List(&PATH), "Directories of the worker."),
    ],
};

static NETWORK: Table = Table {
    doc: "Where connections may go",
    keys: &[
        Key::new(
            "endpoints",
            Shape::List(&HOST),
            "Stores that a plan may name in place of AWS's, Azure's and Google's own.",
        ),
        Key::new("egress", Shape::List(&RANGE), "Addresses that names may resolve to; any ordinary one where absent."),
        Key::new("special", Shape::List(&RANGE), "Loopback, link-local or metadata addresses that are wanted."),
        Key::new("require_tls", Shape::Flag, "Whether every connection must be TLS; true where absent."),
        Key::later("unix_sockets"),
    ],
};

static LIMITS: Table = Table {
    doc: "How much one run may take",
    keys: &[
        Key::new("bytes_per_run", Shape::Size(1, u64::MAX), "Bytes of data files."),
        Key::new("rows_per_run", Shape::Count(1, u64::MAX), "Rows."),
        Key::new("rows_per_second", Shape::Count(1, 1_000_000_000), "Rows in a second, over all streams."),
        Key::new("time_per_run", Shape::Duration(1_000, 366 * 86_400_000), "Longest run that a plan may ask for."),
        Key::new("parallel", Shape::Count(1, 1_024), "Connections to the source at once."),
    ],
};
