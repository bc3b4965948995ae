//! Every type that a table of this server can have a column of, through the real steered worker under default settings, as
//! DuckDB and delta-rs read it: itself, in a domain, in arrays of every shape, and in arrays of domains.

mod restored;
mod table;

use std::path::Path;

use serde_json::{Value, json};
use tokio_postgres::Client;
use waybill_tests::binaries::repository;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::{Postgres, Release, Setup};

use self::table::{Arrives, Entry, entries};
use crate::story::succeeded;

/// What stands in for pgvector: types of its names in an extension of its name, of which binary output sends recorded bytes.
const VECTORS: &str = "
CREATE FUNCTION kit.%_in(cstring) RETURNS kit.% LANGUAGE internal STRICT IMMUTABLE AS '!in';
CREATE FUNCTION kit.%_out(kit.%) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS '!out';
CREATE FUNCTION kit.%_send(kit.%) RETURNS bytea LANGUAGE internal STRICT IMMUTABLE AS '!send';
CREATE TYPE kit.% (INPUT = kit.%_in, OUTPUT = kit.%_out, SEND = kit.%_send, STORAGE = extended);
INSERT INTO pg_depend SELECT 'pg_type'::regclass, 'kit.%'::regtype, 0, 'pg_extension'::regclass, oid, 0, 'e'
  FROM pg_extension WHERE extname = 'vector';
";

const KIT: &str = "
CREATE SCHEMA kit; CREATE EXTENSION hstore SCHEMA kit; CREATE EXTENSION citext SCHEMA kit; CREATE EXTENSION ltree SCHEMA kit;
CREATE EXTENSION cube SCHEMA kit; CREATE EXTENSION seg SCHEMA kit;
CREATE TYPE kit.mood AS ENUM ('ok', 'Not \"ok\"'); CREATE TYPE kit.pair AS (a int, b text, c int[]); CREATE TYPE kit.doc AS (j json, f float8, s text[]);
CREATE DOMAIN kit.price AS numeric(6,2) CHECK (VALUE > 0);
CREATE TYPE kit.span AS RANGE (subtype = float8, multirange_type_name = kit.multispan);
CREATE TABLE kit.seen (a int, b int, c int DEFAULT 7);
INSERT INTO kit.seen SELECT g % 3, g % 6 FROM generate_series(1, 100) g;
CREATE STATISTICS kit.seen_together (ndistinct, dependencies, mcv) ON a, b FROM kit.seen; ANALYZE kit.seen;
";

/// An extension of pgvector's name.
const VECTOR: &str = "
INSERT INTO pg_extension SELECT pg_nextoid('pg_extension', 'oid', 'pg_extension_oid_index'), 'vector', extowner, extnamespace, false, '0.8.0' FROM pg_extension
  WHERE extname = 'hstore';
";

/// A session that prints values as a worker's does.
const SESSION: &str =
    "SET search_path = ''; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'";

/// What a column holds, row by row: the value and its twin's text.
struct Column {
    name: String,
    cells: Vec<(Value, Value)>,
    /// Values that the run counts: moved to a twin, or kept although some readers can't show them.
    counted: u64,
}

impl Column {
    fn of(name: String, cells: Vec<(Value, Value)>) -> Self {
        let is_far =
            |value: &Value| value.as_str().is_some_and(|text| text.ends_with(" days") || text.ends_with(" us"));
        let counted = cells.iter().filter(|(value, twin)| !twin.is_null() || is_far(value)).count() as u64;
        Self { name, cells, counted }
    }

    fn has_twin(&self) -> bool {
        self.cells.iter().any(|(_, twin)| !twin.is_null())
    }
}

/// Gives a server the types that its catalogue does not bring.
async fn install(client: &Client, release: Release) {
    let vectors: String = [("vector", "bytea"), ("halfvec", "bytea"), ("sparsevec", "text")]
        .map(|(name, base)| VECTORS.replace('%', name).replace('!', base))
        .concat();
    let others = match release {
        Release::Installed => format!("CREATE EXTENSION postgis SCHEMA kit; {VECTOR} {vectors}"),
        Release::Newest => "CREATE EXTENSION vector SCHEMA kit".to_owned(),
    };
    client.batch_execute("SET allow_system_table_mods = on; SET client_min_messages = error").await.expect("a setting");
    for script in [KIT, &others, SESSION] {
        client.batch_execute(script).await.unwrap_or_else(|error| panic!("{error:?} in {script}"));
    }
}

/// The source: a server, its session, and the entries.
struct Source {
    server: Postgres,
    client: Client,
    entries: Vec<Entry>,
}

/// Columns are named after their place.
fn column(place: usize) -> String {
    format!("c{place}")
}

impl Source {
    async fn start(release: Release) -> Self {
        let server = Postgres::with(Setup { release, ..Setup::default() });
        let client = server.client().await;
        install(&client, release).await;
        let source = Self { server, client, entries: entries(release) };
        source.fill().await;
        source
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?} in {sql}"));
    }

    async fn text(&self, sql: &str) -> Option<String> {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{error:?} in {sql}")).get(0)
    }

    /// Places of the entries whose type has arrays.
    async fn with_arrays(&self) -> Vec<usize> {
        let mut places = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            let plain = entry.sql.split('(').next().expect("a name");
            let sql = format!("SELECT (typarray <> 0)::text FROM pg_type WHERE oid = '{plain}'::regtype");
            if self.text(&sql).await.as_deref() == Some("true") {
                places.push(place);
            }
        }
        places
    }

    /// The four tables: `scalars`, `domains`, `arrays`, `domain_arrays`.
    async fn fill(&self) {
        let places: Vec<usize> = (0..self.entries.len()).collect();
        for (place, entry) in self.entries.iter().enumerate() {
            self.run(&format!("CREATE DOMAIN kit.d{place} AS {}", entry.sql)).await;
        }
        let plain = |place: usize| self.entries[place].sql.to_owned();
        let domain = |place: usize| format!("kit.d{place}");
        let of_one = |place: usize, row: usize| self.entries[place].values.get(row).map(|(sql, _)| sql.clone());
        self.table("scalars", &places, plain, of_one).await;
        self.table("domains", &places, domain, of_one).await;
        let places = self.with_arrays().await;
        let of_many = |place: usize, row: usize| self.array(place, row);
        self.table("arrays", &places, |place| plain(place) + "[]", of_many).await;
        self.table("domain_arrays", &places, |place| domain(place) + "[]", of_many).await;
    }

    /// A table of these entries' columns with a row for every value.
    async fn table(
        &self,
        name: &str,
        places: &[usize],
        sql: impl Fn(usize) -> String,
        value: impl Fn(usize, usize) -> Option<String>,
    ) {
        let columns: Vec<_> = places.iter().map(|place| format!("{} {}", column(*place), sql(*place))).collect();
        self.run(&format!("CREATE TABLE public.{name} (id int8, {})", columns.join(", "))).await;
        for row in 0.. {
            let values: Vec<_> = places.iter().map(|place| value(*place, row)).collect();
            let values = places.iter().zip(values).filter_map(|(place, value)| Some((*place, value?)));
            let (names, values): (Vec<_>, Vec<_>) =
                values.map(|(place, value)| (column(place), format!("({value})::{}", sql(place)))).unzip();
            // The last row holds NULLs only.
            let head = if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
            let tail = if values.is_empty() { String::new() } else { format!(", {}", values.join(", ")) };
            self.run(&format!("INSERT INTO public.{name} (id{head}) VALUES ({row}{tail})")).await;
            if names.is_empty() {
                break;
            }
        }
    }

    /// An array of an entry's values: a list, none, and the two shapes that no list can hold. Through text, so that its
    /// element's own input makes each.
    fn array(&self, place: usize, row: usize) -> Option<String> {
        let values = self.entries[place].values.iter().map(|(sql, _)| format!("format('%s', {sql})"));
        let texts: Vec<String> = values.collect();
        let (first, last) = (texts.first()?, texts.last()?);
        let text = match row {
            0 => format!("ARRAY[{}, NULL]::text[]", texts.join(", ")),
            1 => "'{}'::text[]".to_owned(),
            2 => format!("ARRAY[[{first}, NULL], [{last}, {first}]]::text[]"),
            3 => format!("('[0:1]=' || ARRAY[{last}, NULL]::text[]::text)::text[]"),
            _ => return None,
        };
        Some(format!("{text}::{}[]", self.entries[place].sql))
    }

    /// What the readers must find of a column of single values.
    async fn single(&self, place: usize, rows: usize) -> Column {
        let mut cells = vec![(Value::Null, Value::Null); rows];
        for (row, (sql, arrives)) in self.entries[place].values.iter().enumerate() {
            cells[row] = match arrives {
                Arrives::As(value) => (value.clone(), Value::Null),
                Arrives::Twin(text) => (Value::Null, json!(text)),
                Arrives::Printed => {
                    (json!(self.text(&format!("SELECT ({sql})::text")).await.expect("a value")), Value::Null)
                }
            };
        }
        Column::of(column(place), cells)
    }

    /// What the readers must find of a column of arrays.
    async fn many(&self, place: usize) -> Column {
        let entry = &self.entries[place];
        let mut cells = vec![(Value::Null, Value::Null); 5];
        if entry.values.is_empty() {
            return Column::of(column(place), cells);
        }
        let name = column(place);
        let text = async |what: &str, row: usize| {
            let shown = what.replace("{}", &name);
            json!(self.text(&format!("SELECT {shown} FROM public.arrays WHERE id = {row}")).await)
        };
        cells[2] = (Value::Null, text(entry.array_text, 2).await);
        cells[3] = (Value::Null, text(entry.array_text, 3).await);
        if entry.is_row {
            // JSON can't say all of the last value, which rows 0 and 2 hold too.
            cells[0] = (Value::Null, text(entry.array_text, 0).await);
            cells[1] = (json!("[]"), Value::Null);
            return Column::of(name, cells);
        }
        let single = self.single(place, entry.values.len()).await;
        let elements = single.cells.iter().map(|(value, _)| value.clone()).chain([Value::Null]);
        let twin = if single.has_twin() { text(entry.array_text, 0).await } else { Value::Null };
        cells[0] = (elements.collect(), twin);
        cells[1] = (json!([]), Value::Null);
        // Each element counts, and each array that is no list.
        Column { name, cells, counted: single.counted + 2 }
    }
}

/// Columns of the table by its log.
fn fields(table: &Path) -> usize {
    let log = std::fs::read_to_string(table.join("_delta_log/00000000000000000000.json")).expect("the first commit");
    let actions = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an action"));
    let schema = actions.filter_map(|action| Some(action["metaData"]["schemaString"].as_str()?.to_owned())).next();
    let schema: Value = serde_json::from_str(&schema.expect("a schema")).expect("a schema");
    schema["fields"].as_array().expect("fields").len()
}

/// Compares a table with what it must hold and returns what differs.
fn differences(table: &Path, columns: &[Column], what: impl Fn(&str) -> String) -> Vec<String> {
    let mut names = vec!["id".to_owned()];
    for column in columns {
        names.push(column.name.clone());
        names.extend(column.has_twin().then(|| format!("{}__text", column.name)));
    }
    let answer =
        readers::query(table, &format!("SELECT {} FROM t ORDER BY id", names.join(", "))).expect("both readers");
    let mut found = Vec::new();
    if fields(table) != names.len() {
        found.push(format!("{}: another number of columns than {}", table.display(), names.len()));
    }
    for (reader, rows) in [("DuckDB", &answer.duckdb), ("delta-rs", &answer.delta_rs)] {
        let count = columns.iter().map(|column| column.cells.len()).max();
        assert_eq!(rows.as_array().map(Vec::len), count, "rows of {} by {reader}", table.display());
        for row in 0..count.unwrap_or(0) {
            let mut place = 1;
            for column in columns {
                let (value, twin) = &column.cells[row];
                let mut cell = |name: &str, wanted: &Value| {
                    let seen = &rows[row][place];
                    place += 1;
                    if seen != wanted {
                        found.push(format!(
                            "{name} ({}), row {row}, by {reader}: {seen}, wanted {wanted}",
                            what(&column.name)
                        ));
                    }
                };
                cell(&column.name, value);
                if column.has_twin() {
                    cell(&format!("{}__text", column.name), twin);
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_every_type_of_the_server_and_its_arrays_and_domains_read_back_exact() {
    read_back_exact(Release::Installed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_every_type_of_the_newest_server_and_its_arrays_and_domains_read_back_exact() {
    read_back_exact(Release::Newest).await;
}

async fn read_back_exact(release: Release) {
    let source = Source::start(release).await;
    let sandbox = Sandbox::start(Options::default()).await.expect("the product");
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, \
         tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all:\n    from: db\n    to: lake\n    streams:\n      \
         public.scalars: {{}}\n      public.domains: {{}}\n      public.arrays: {{}}\n      public.domain_arrays: {{}}\n",
        source.server.port(),
        sandbox.path("lake").display()
    );
    sandbox.apply(&document).await.expect("applied");
    let run = sandbox.trigger("all").await.expect("a run");
    let ended = sandbox.ended(run).await.expect("an end");
    succeeded(&ended).unwrap_or_else(|error| panic!("{error}\n{}", sandbox.log()));

    let all: Vec<usize> = (0..source.entries.len()).collect();
    let rows = 1 + source.entries.iter().map(|entry| entry.values.len()).max().expect("entries");
    let mut single = Vec::new();
    for place in &all {
        single.push(source.single(*place, rows).await);
    }
    let mut many = Vec::new();
    for place in source.with_arrays().await {
        many.push(source.many(place).await);
    }
    let what = |name: &str| source.entries[name[1..].parse::<usize>().expect("a place")].sql.to_owned();
    let mut found = Vec::new();
    for (table, columns) in [("scalars", &single), ("domains", &single), ("arrays", &many), ("domain_arrays", &many)] {
        found.extend(differences(&sandbox.path("lake").join(format!("public.{table}")), columns, what));
        let wanted: u64 = columns.iter().map(|column| column.counted).sum();
        let told = ended.streams.iter().find(|stream| stream.name == format!("public.{table}")).and_then(|s| s.coerced);
        assert!(wanted > 10);
        if told != Some(wanted) {
            found.push(format!("{table}: {told:?} values counted, {wanted} were met"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Names in code marks in the first column of the page's PostgreSQL table.
fn documented() -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/reference/types.md")).expect("the page");
    let section = page.split("## ").find(|section| section.starts_with("PostgreSQL")).expect("a section");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn d1_every_type_that_a_table_can_hold_has_an_entry() {
    has_every_type(&Source::start(Release::Newest).await).await;
    let source = Source::start(Release::Installed).await;
    has_every_type(&source).await;

    let names = documented();
    assert!(names.len() > 30, "{names:?}");
    source.run("SET search_path = kit").await;
    for name in names {
        let plain = name.split('(').next().expect("a name");
        let sql = format!(
            "SELECT count(*)::text FROM pg_attribute WHERE attrelid = 'public.scalars'::regclass
             AND atttypid IN (to_regtype('{plain}'))"
        );
        assert_ne!(source.text(&sql).await.as_deref(), Some("0"), "the page names {name}, which has no entry");
    }
}

async fn has_every_type(source: &Source) {
    // An array type is no entry of its own: every entry is tried in arrays too.
    let sql = "SELECT coalesce(string_agg(t.oid::regtype::text, ', '), '') FROM pg_type t
               JOIN pg_namespace n ON n.oid = t.typnamespace AND n.nspname IN ('pg_catalog', 'kit')
               WHERE (t.typtype IN ('b', 'r', 'm') OR t.typtype = 'e')
                 AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
                 AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'public.scalars'::regclass AND a.atttypid = t.oid)";
    assert_eq!(source.text(sql).await.as_deref(), Some(""), "types of the server without an entry");

    // What is shown without a value is what no value can be made of: its input refuses everything.
    for entry in source.entries.iter().filter(|entry| entry.values.is_empty()) {
        let made = source.client.batch_execute(&format!("SELECT '1'::{}", entry.sql)).await;
        let state = made.expect_err(entry.sql).code().map(|code| code.code().to_owned());
        // Not a wrong literal (class 22): the type's input says that it takes none, or fails in itself.
        assert!(matches!(state.as_deref(), Some("0A000" | "XX000")), "{} takes values: {state:?}", entry.sql);
    }
}
