//! Rows of a history: how each source is told of them, and what any reader must find of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a reader shows of a row: its columns but for those that are NULL.
pub(super) type Shown = BTreeMap<String, Value>;

/// In whose words a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MariaDb,
    Csv,
    Json,
}

impl Dialect {
    /// Whether a source of it is told statements, and not files.
    pub(super) const fn is_sql(self) -> bool {
        matches!(self, Self::Sqlite | Self::Postgres | Self::MariaDb)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Price,
    Day,
    Bytes,
}

impl Kind {
    /// The type of such a column, in the source's words.
    pub(super) const fn declared(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Number, _) => "BIGINT",
            (Self::Text, _) => "TEXT",
            (Self::Price, _) => "DECIMAL(8,2)",
            (Self::Day, _) => "DATE",
            (Self::Bytes, Dialect::Postgres) => "BYTEA",
            (Self::Bytes, _) => "BLOB",
        }
    }
}

/// A value: as the source is told of it, as it is found, and what its twin has where its column could not hold it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) written: String,
    pub(super) shown: Value,
    pub(super) twin: Option<String>,
}

impl Cell {
    pub(super) fn null(dialect: Dialect) -> Self {
        let written = if dialect == Dialect::Json { "null" } else { "NULL" };
        Self { written: written.to_owned(), shown: Value::Null, twin: None }
    }

    pub(super) fn number(number: i64) -> Self {
        Self { written: number.to_string(), shown: json!(number), twin: None }
    }

    pub(super) fn text(text: &str, dialect: Dialect) -> Self {
        let written = match dialect {
            Dialect::Sqlite | Dialect::Postgres => format!("'{}'", text.replace('\'', "''")),
            // Its quotes know escapes.
            Dialect::MariaDb => format!("x'{}'", hex::encode(text)),
            Dialect::Csv => format!("\"{}\"", text.replace('"', "\"\"")),
            Dialect::Json => json!(text).to_string(),
        };
        Self { written, shown: json!(text), twin: None }
    }

    fn bytes(bytes: &[u8], dialect: Dialect) -> Self {
        let hex = hex::encode(bytes);
        let written = if dialect == Dialect::Postgres { format!("'\\x{hex}'") } else { format!("x'{hex}'") };
        Self { written, shown: shown_bytes(bytes), twin: None }
    }

    /// What the column can't hold.
    fn odd(written: &str, twin: &str) -> Self {
        Self { written: written.to_owned(), shown: Value::Null, twin: Some(twin.to_owned()) }
    }

    /// The same where the target has the source's own types: nothing is odd there.
    pub(super) fn held(self) -> Self {
        let shown = self.twin.map_or(self.shown, |twin| json!(twin));
        Self { shown, twin: None, ..self }
    }
}

/// Long ones by their digest, as `readers.py` shows them.
pub(super) fn shown_bytes(bytes: &[u8]) -> Value {
    match bytes.len() {
        0..=64 => json!(hex::encode(bytes)),
        _ => json!(format!("sha256:{}", hex::encode(Sha256::digest(bytes)))),
    }
}

/// A value of a kind, an odd one among ten.
pub(super) fn cell(kind: Kind, dialect: Dialect, chance: &mut StdRng) -> Cell {
    if chance.random_ratio(1, 10) {
        return Cell::null(dialect);
    }
    let odd = chance.random_ratio(1, 8);
    match kind {
        Kind::Number if odd => Cell::number([i64::MAX, -i64::MAX, 0, -1][chance.random_range(0..4)]),
        Kind::Number => Cell::number(chance.random_range(-1_000_000..1_000_000)),
        Kind::Text => {
            let long = "x".repeat(chance.random_range(1..300));
            let texts = ["", "NULL", "it's; \"x\",", "ü 🦀", "a\nb\\c", " ", "0", &long];
            Cell::text(texts[chance.random_range(0..texts.len())], dialect)
        }
        Kind::Price if odd => match dialect {
            Dialect::Sqlite => Cell::odd("'a lot'", "'a lot'"),
            Dialect::Postgres => Cell::odd("'NaN'", "NaN"),
            Dialect::Csv => Cell::odd("a lot", "a lot"),
            _ => price(0, dialect),
        },
        Kind::Price => price(chance.random_range(-99_999_999..99_999_999), dialect),
        Kind::Day if odd => match dialect {
            Dialect::Sqlite => Cell::odd("'soon'", "'soon'"),
            Dialect::Postgres => Cell::odd("'infinity'", "infinity"),
            Dialect::MariaDb => Cell::odd("'0000-00-00'", "0000-00-00"),
            Dialect::Csv => Cell::odd("31/12/2026", "31/12/2026"),
            Dialect::Json => day(0, dialect),
        },
        Kind::Day => day(chance.random_range(0..9000), dialect),
        Kind::Bytes => {
            let mut bytes = vec![0; chance.random_range(0..6000)];
            chance.fill(&mut bytes[..]);
            Cell::bytes(&bytes, dialect)
        }
    }
}

fn price(hundredths: i64, dialect: Dialect) -> Cell {
    let (sign, much) = (if hundredths < 0 { "-" } else { "" }, hundredths.abs() % 100_000_000);
    plain(&format!("{sign}{}.{:02}", much / 100, much % 100), dialect)
}

fn day(number: u64, dialect: Dialect) -> Cell {
    let first = chrono::NaiveDate::from_ymd_opt(2001, 1, 1).expect("a day");
    plain(&(first + chrono::Days::new(number)).to_string(), dialect)
}

/// What looks the same in a file and in a reader.
fn plain(text: &str, dialect: Dialect) -> Cell {
    let written = if dialect == Dialect::Csv { text.to_owned() } else { Cell::text(text, dialect).written };
    let written = if dialect == Dialect::MariaDb { format!("'{text}'") } else { written };
    Cell { written, shown: json!(text), twin: None }
}

/// A row, by the number that stands for its key.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) rev: i64,
    pub(super) cells: BTreeMap<String, Cell>,
}

impl Row {
    /// The columns of its key.
    pub(super) const fn key(id: i64) -> (i64, i64) {
        (id % 20, id / 20)
    }

    /// The number of the row that a reader found.
    pub(super) fn id_of(shown: &Shown) -> Option<i64> {
        let b: i64 = shown.get("b")?.as_str()?.strip_prefix('k')?.parse().ok()?;
        Some(b * 20 + shown.get("a")?.as_i64()?)
    }

    pub(super) fn shown(&self) -> Shown {
        let (a, b) = Self::key(self.id);
        let mut shown = Shown::from([
            ("a".to_owned(), json!(a)),
            ("b".to_owned(), json!(format!("k{b}"))),
            ("rev".to_owned(), json!(self.rev)),
        ]);
        for (name, cell) in &self.cells {
            if !cell.shown.is_null() {
                shown.insert(name.clone(), cell.shown.clone());
            }
            if let Some(twin) = &cell.twin {
                shown.insert(format!("{name}__text"), json!(twin));
            }
        }
        shown
    }

    pub(super) fn insert(&self) -> String {
        let ((a, b), mut names, mut values) = (Self::key(self.id), "a, b, rev".to_owned(), String::new());
        for (name, cell) in &self.cells {
            let _ = write!(names, ", {name}");
            let _ = write!(values, ", {}", cell.written);
        }
        format!("INSERT INTO t ({names}) VALUES ({a}, 'k{b}', {}{values});", self.rev)
    }

    /// `also` sets what shows that the row changed.
    pub(super) fn update(&self, also: &str) -> String {
        let mut sets = format!("rev = {}{also}", self.rev);
        for (name, cell) in &self.cells {
            let _ = write!(sets, ", {name} = {}", cell.written);
        }
        format!("UPDATE t SET {sets}{};", Self::place(self.id))
    }

    pub(super) fn delete(id: i64) -> String {
        format!("DELETE FROM t{};", Self::place(id))
    }

    fn place(id: i64) -> String {
        let (a, b) = Self::key(id);
        format!(" WHERE a = {a} AND b = 'k{b}'")
    }
}
