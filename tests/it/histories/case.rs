//! What a history runs: a source, a way to load it and a target, and the faults that can befall such a run.

use waybill_tests::readers::Foreign;
use waybill_tests::services::{commit_proxy, mysql_proxy, postgres_proxy};

use super::rows::{Dialect, Kind};
use super::source::Source;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Sqlite,
    Postgres,
    MariaDb,
    Csv,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Delta,
    /// A table of this format with the plain commit log.
    Plain(&'static str),
    S3,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Full,
    New,
    /// With what becomes of rows that are gone.
    Changed(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// An integer that each writer raises: what a run takes is known beforehand.
    Number,
    /// The time of the change: a window ends before what is open, and a margin before now.
    Time,
    /// The transaction that wrote the row.
    Transaction,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) from: From,
    pub(super) mode: Mode,
    pub(super) cursor: Cursor,
    pub(super) to: To,
}

/// What is done to a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// At this step: `kill`, `panic` or `exit`.
    At(&'static str, &'static str),
    /// While the commit's file is written beside its name.
    MidPut,
    /// It waits at this step until another writer was there.
    Overtaken(&'static str, Foreign),
    /// What the source sends is cut or forged.
    Rows(postgres_proxy::Forge),
    Packets(mysql_proxy::Forge),
    /// A request of this kind is broken: method, what its address holds, how.
    Store(&'static str, &'static str, &'static str),
    Commit(commit_proxy::Cut),
}

impl Fault {
    /// Under this name they are counted.
    pub(super) fn name(self) -> String {
        match self {
            Self::At(point, action) => format!("{action} at {point}"),
            Self::MidPut => "kill at put_under_way".into(),
            Self::Overtaken(point, other) => format!("{other:?} at {point}"),
            Self::Rows(forge) => format!("rows {forge:?}"),
            Self::Packets(forge) => format!("packets {forge:?}"),
            Self::Store(method, holds, how) => format!("{how} {method} {holds}"),
            Self::Commit(commit_proxy::Cut::Answer) => "commit answer lost".into(),
            Self::Commit(commit_proxy::Cut::Commit) => "commit cut".into(),
        }
    }
}

impl Case {
    pub(super) const fn dialect(&self) -> Dialect {
        match self.from {
            From::Sqlite => Dialect::Sqlite,
            From::Postgres => Dialect::Postgres,
            From::MariaDb => Dialect::MariaDb,
            From::Csv => Dialect::Csv,
            From::Json => Dialect::Json,
        }
    }

    /// What a run takes hangs on a clock or on who has a transaction open.
    pub(super) fn is_loose(&self) -> bool {
        self.mode != Mode::Full && self.cursor != Cursor::Number
    }

    /// A key that came again would be a second row of the table, at a moment that nobody can say.
    pub(super) fn keys_come_once(&self) -> bool {
        self.is_loose() && self.mode == Mode::New
    }

    /// Whether somebody may have a transaction open while a run is under way: an integer cursor would wait for its end.
    pub(super) fn others_stay_open(&self) -> bool {
        match self.from {
            From::Sqlite => true,
            From::Postgres | From::MariaDb => self.mode == Mode::Full || self.is_loose(),
            From::Csv | From::Json => false,
        }
    }

    /// Whether all rows may go at once.
    pub(super) fn may_be_cleared(&self) -> bool {
        !self.is_loose() && !matches!(self.mode, Mode::New | Mode::Changed("keep"))
    }

    pub(super) const fn stream(&self) -> &'static str {
        match self.from {
            From::Sqlite | From::MariaDb => "t",
            From::Postgres => "public.t",
            From::Csv => "\"in/*.csv\"",
            From::Json => "\"in/*.jsonl\"",
        }
    }

    /// The keys of the stream.
    pub(super) fn keys(&self, source: &Source) -> String {
        let cursor = match self.cursor {
            Cursor::Number => "cursor: rev",
            Cursor::Time => "cursor: at, cursor-margin: 1s",
            Cursor::Transaction => "cursor: xmin",
        };
        match self.mode {
            Mode::Full => format!("load: full, shrink-guard: off{}", self.types(source)),
            Mode::New => format!("load: new, {cursor}, new-columns: add"),
            Mode::Changed("keep") => format!("load: changed, {cursor}, new-columns: add"),
            Mode::Changed(deletes) => {
                format!("load: changed, {cursor}, new-columns: add, deletes: {deletes}, shrink-guard: off")
            }
        }
    }

    fn types(&self, source: &Source) -> String {
        if self.from != From::Csv {
            return String::new();
        }
        let of = |(name, kind): &(String, Kind)| match kind {
            Kind::Number => format!(", {name}: bigint"),
            Kind::Price => format!(", {name}: 'decimal(8,2)'"),
            Kind::Day => format!(", {name}: date"),
            Kind::Text | Kind::Bytes => String::new(),
        };
        let typed: String = source.columns.iter().map(of).collect();
        format!(", format: {{ type: csv, 'null': 'NULL', types: {{ a: bigint, rev: bigint{typed} }} }}")
    }

    /// All that can befall it.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let kill = |points: &[&'static str]| points.iter().map(|point| Fault::At(point, "kill")).collect::<Vec<_>>();
        let mut all = kill(&["snapshot_open", "last_part", "prepared", "before_commit_put", "commit_applied"]);
        all.extend([Fault::At("last_part", "panic"), Fault::At("snapshot_open", "exit")]);
        let merges = matches!(self.mode, Mode::Changed(_));
        match self.to {
            To::Postgres => {
                all.extend(kill(&["rows_sent", "locked"]));
                all.extend([commit_proxy::Cut::Answer, commit_proxy::Cut::Commit].map(Fault::Commit));
            }
            To::S3 => {
                all.extend(kill(&["first_part", "files_closed"]));
                for (holds, how) in [
                    ("_delta_log", "lost"),
                    ("_delta_log", "refused"),
                    ("/data/", "lost"),
                    ("/data/", "cut"),
                    ("/data/", "garbled"),
                    ("_waybill/state", "lost"),
                ] {
                    all.push(Fault::Store("PUT", holds, how));
                }
            }
            To::Delta | To::Plain(_) => {
                all.extend(kill(&["first_part", "files_closed"]));
                all.push(Fault::MidPut);
            }
        }
        if self.to == To::Delta {
            let point = if merges { "merged" } else { "files_closed" };
            all.extend([Fault::Overtaken(point, Foreign::Compact), Fault::Overtaken("prepared", Foreign::Checkpoint)]);
        }
        if merges && self.to != To::Postgres {
            all.extend(kill(&["merged"]));
        }
        match self.from {
            From::Postgres => {
                use postgres_proxy::Forge;
                all.extend([Forge::Fin, Forge::MidMessage, Forge::Done { trailer: false }].map(Fault::Rows));
            }
            From::MariaDb => {
                use mysql_proxy::Forge;
                all.extend([Forge::Fin, Forge::MidPacket].map(Fault::Packets));
            }
            From::Sqlite | From::Csv | From::Json => {}
        }
        all
    }
}
