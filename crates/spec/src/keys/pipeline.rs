//! The keys of a pipeline and of its streams.

use waybill_model::plan::{
    Architecture, ArrayPolicy, BadRows, ChangedFiles, Compression, Deletes, EdgePolicy, Encoding, Format, Load,
    NewColumns, NullCursor, OnFailure, Op, TextPolicy,
};
use waybill_model::schedule::{CatchUp, Every, Overlap};

use super::rule::{ANY, CHARACTER, CRON, CSV_TYPE, FOREIGN, NAME, ZONE};
use super::{Key, Shape, Table, Tagged};

const DAY_MS: u64 = 86_400_000;

/// One pipeline.
pub(crate) static PIPELINE: Table = Table {
    doc: "What is moved from where to where",
    keys: &[
        Key::must("from", Shape::Text(NAME), "Name of the source connection."),
        Key::must(
            "to",
            Shape::Text(NAME),
            "Name of the connection to the bucket, or to the database of type postgres, that is written to.",
        ),
        Key::new("data-plane", Shape::Text(NAME), "Where its workers run; the project's only data plane where absent."),
        Key::new("schedule", Shape::Table(&SCHEDULE), "When it runs by itself."),
        Key::new("every-stream", Shape::Table(&STREAM), "Settings of every stream that does not say otherwise itself."),
        Key::must(
            "streams",
            Shape::Named("stream", FOREIGN, &Shape::Table(&STREAM)),
            "What is moved: `schema.table` or `table`; for files a path or glob below the connection's URL.",
        ),
        Key::new("files", Shape::Table(&FILES), "How files are written."),
        Key::new("limits", Shape::Table(&LIMITS), "Bounds of one run."),
        Key::later("retry"),
        Key::later("expect"),
        Key::later("alert"),
        Key::later("alerts"),
    ],
};

/// One stream.
pub(crate) static STREAM: Table = Table {
    doc: "One table, object or file set",
    keys: &[
        Key::new(
            "load",
            Shape::Choice(names!(Load), &["log"]),
            "full: all rows, which replace the table in one commit; new: rows of the next cursor window, or of the files that no run has taken yet, appended; changed: rows of the next cursor window, each in place of the row with its key. The first run of new after a full one, and of changed after either of the others, reads all rows anew, in place of what is there. full where absent.",
        ),
        Key::new(
            "cursor",
            Shape::Text(FOREIGN),
            "The column that tells new or changed rows; `load: new` and `load: changed` of tables need it. `xmin` on Postgres is the transaction that wrote a row: for tables without such a column, at the price of a look through the whole table. A number at or below the last one read does not come: one out of a sequence with a cache, one that the application makes, or on SQLite, without AUTOINCREMENT, that of the newest row when it is handed out again. On a Postgres replica neither does one that was committed after a higher one.",
        ),
        Key::new("cursor-zone", Shape::Text(ZONE), "IANA zone of a cursor column without one."),
        Key::new(
            "cursor-nulls",
            Shape::Choice(names!(NullCursor), &[]),
            "What happens to rows whose cursor is NULL: fail, which is taken where absent; ignore leaves them out; include_always brings them with every run, so that `new` appends them again each time.",
        ),
        Key::new(
            "cursor-margin",
            Shape::Duration(1_000, DAY_MS),
            "How far the window's end stays behind the oldest open transaction; 2s where absent, at least 1s.",
        ),
        Key::new(
            "key",
            Shape::List(&Shape::Text(FOREIGN)),
            "Source columns that tell a row from all others, for `load: changed`: those of the primary key, which is taken where absent, or of a unique index without a condition over NOT NULL columns.",
        ),
        Key::new(
            "deletes",
            Shape::Choice(names!(Deletes), &[]),
            "What becomes of the table's rows whose key the source has no more, or whose row its filter lets pass no more, for `load: changed`: keep, which is taken where absent, does not look; mark writes the time into the column _waybill_deleted_at, and takes it away when the key is back; remove takes the rows out. Either reads the keys of the whole table in each run.",
        ),
        Key::new("columns", Shape::Table(&COLUMNS), "Which columns, under which names."),
        Key::new(
            "new-columns",
            Shape::Choice(names!(NewColumns), &[]),
            "What becomes of a column that the source has and the table, which is there already, has not, and that `columns` does not name: ask ends the stream until somebody has decided; add gives it to the table, where rows that are there have NULL; ignore leaves it out. Where absent, `full` takes the source's columns and `new` and `changed` ask.",
        ),
        Key::new(
            "changed-files",
            Shape::Choice(names!(ChangedFiles), &[]),
            "What becomes of a file that was rewritten after a run took it, for `load: new` of files: fail, which is taken where absent, ends the stream before a row is read; append takes all its rows again, beside those that it had; ignore leaves it as it was taken.",
        ),
        Key::new(
            "bad-rows",
            Shape::Choice(names!(BadRows), &[]),
            "What becomes of a line of CSV or JSON that can't be read as a row: fail, which is taken where absent, ends the stream; quarantine sets its text aside in the bucket, below `_waybill/quarantine/` of the table, and the others land. For streams that leave nothing out: without `filter`, `columns.select`, `columns.drop`, `columns.cast` and `new-columns: ignore`.",
        ),
        Key::new(
            "bad-rows-share",
            Shape::Share,
            "Of the rows that are read no more than this share may be set aside, or nothing is committed; 1% where absent, or off.",
        ),
        Key::new("filter", Shape::List(&Shape::Table(&CONDITION)), "Which rows; all conditions must hold."),
        Key::new(
            "edge-values",
            Shape::Choice(names!(EdgePolicy), &[]),
            "Values that the target type can't hold; twin, where absent, keeps them as text in a column beside.",
        ),
        Key::new(
            "arrays",
            Shape::Choice(names!(ArrayPolicy), &[]),
            "Arrays that are not one-dimensional from 1; twin, where absent, keeps them as text in a column beside.",
        ),
        Key::new(
            "invalid-text",
            Shape::Choice(names!(TextPolicy), &[]),
            "Text that is not valid UTF-8; replace where absent.",
        ),
        Key::new("verify-count", Shape::Flag, "Count the source in the same snapshot and compare."),
        Key::new(
            "checksums",
            Shape::WordOrList("all", &Shape::Text(FOREIGN)),
            "Source columns whose values are summed by the source, in the snapshot that the rows are of, and by the worker over the files that it wrote, read back; `all` for all that are delivered. Where the sums differ nothing is committed. From PostgreSQL, MariaDB and MySQL into Parquet; it costs a second pass at the source.",
        ),
        Key::new(
            "expect",
            Shape::List(&Shape::Table(&EXPECTATION)),
            "What its rows are expected to be, held against the rows of each run before its commit. A stream's own list takes the place of that of `every-stream`.",
        ),
        Key::new("shrink-guard", Shape::Share, "Share of the rows that a replace must keep; 50% where absent, or off."),
        Key::new(
            "take-over",
            Shape::Flag,
            "Accept a table that something else made, that belongs to another pipeline, or whose cursor is of another source, filter or `cursor-zone`: `new` goes on from it, and rows below it never come.",
        ),
        Key::new(
            "table",
            Shape::Text(FOREIGN),
            "The table that is written, as `schema.table`, for a destination of type postgres; the stream's own name where absent. Streams of files need it there.",
        ),
        Key::new("format", Shape::Tagged(&FILE_FORMAT), "How files are read; by their ending where absent."),
        Key::later("get"),
        Key::later("rows"),
        Key::later("next"),
    ],
};

static COLUMNS: Table = Table {
    doc: "Which columns, under which names",
    keys: &[
        Key::new("select", Shape::List(&Shape::Text(FOREIGN)), "Only these, in this order."),
        Key::new("drop", Shape::List(&Shape::Text(FOREIGN)), "Not these."),
        Key::new("rename", Shape::Named("column", FOREIGN, &Shape::Text(FOREIGN)), "Source name to table name."),
        Key::new(
            "cast",
            Shape::Named("column", FOREIGN, &Shape::Text(CSV_TYPE)),
            "Types of columns by their source names, in place of the source's: text, boolean, bigint, double, decimal(10, 2), date, timestamp or timestamptz. A value that the type does not hold exactly goes by `edge-values`.",
        ),
        Key::later("hash"),
        Key::later("mask"),
    ],
};

static EXPECTATION: Table = Table {
    doc: "One expectation: not-null, unique, range or rows, one of them",
    keys: &[
        Key::new(
            "not-null",
            Shape::List(&Shape::Text(FOREIGN)),
            "Source columns of which none is NULL. A value that is kept as text in a column beside is there.",
        ),
        Key::new(
            "unique",
            Shape::List(&Shape::Text(FOREIGN)),
            "Source columns whose values, taken together, come once among the rows of a run; rows with a NULL among them do not count. It takes up to an eighth of the worker's memory, of which each row needs about 18 bytes; more rows end in expectation_too_large.",
        ),
        Key::new("range", Shape::Table(&RANGE), "Between which bounds the values of a column lie; NULLs do not count."),
        Key::new("rows", Shape::Table(&ROW_COUNT), "How many rows a run brings."),
        Key::new(
            "on-failure",
            Shape::Choice(names!(OnFailure), &[]),
            "fail, which is taken where absent: the stream fails, nothing of it is committed, and it is not tried again by itself; warn: it is committed, and the run tells how many rows.",
        ),
    ],
};

static RANGE: Table = Table {
    doc: "Bounds of a column's values",
    keys: &[
        Key::must("column", Shape::Text(FOREIGN), "Source column of numbers, dates or times."),
        Key::new(
            "min",
            Shape::Scalar,
            "The least value: a number, a date, or a time, with Z or an offset where the column has a zone.",
        ),
        Key::new("max", Shape::Scalar, "The greatest value, likewise."),
    ],
};

/// What JSON's readers hold exactly.
const MOST_ROWS: u64 = 1 << 53;

static ROW_COUNT: Table = Table {
    doc: "Bounds of a run's number of rows",
    keys: &[
        Key::new("min", Shape::Count(0, MOST_ROWS), "At least so many."),
        Key::new("max", Shape::Count(0, MOST_ROWS), "At most so many."),
        Key::new(
            "change",
            Shape::Percent,
            "How far from the last commit's number at most, such as 50%: of the table's rows where a run replaces them, of the last window's otherwise.",
        ),
    ],
};

static CONDITION: Table = Table {
    doc: "One condition of a row filter; never SQL",
    keys: &[
        Key::must("column", Shape::Text(FOREIGN), "Source column."),
        Key::must("op", Shape::Choice(names!(Op), &["in", "like", "between"]), "How it is compared."),
        Key::new(
            "value",
            Shape::Scalar,
            "What with; none for is_null and not_null. In a column that takes values of any type, a number in quotes is text.",
        ),
    ],
};

const TYPE: Key = Key::must("type", Shape::Scalar, "The format.");

const ENCODING: Key = Key::new(
    "encoding",
    Shape::Choice(names!(Encoding), &["auto"]),
    "The encoding of the text; utf-8 where absent. A byte-order mark of UTF-8 or UTF-16 outweighs it. Bytes that are no text in it end the stream.",
);

/// How files are read.
pub(crate) static FILE_FORMAT: Tagged = Tagged {
    doc: "How files are read",
    types: &[
        (
            "csv",
            Table {
                doc: "Comma separated values: columns are text where `types` says no other",
                keys: &[
                    TYPE,
                    ENCODING,
                    Key::new("delimiter", Shape::Text(CHARACTER), "Between fields; a comma where absent."),
                    Key::new("quote", Shape::Text(CHARACTER), "Around fields; a double quote where absent."),
                    Key::new("header", Shape::Flag, "Whether the first record names the columns; true where absent."),
                    Key::new("null", Shape::Text(ANY), "An unquoted field of this text is NULL."),
                    Key::new(
                        "types",
                        Shape::Named("column", FOREIGN, &Shape::Text(CSV_TYPE)),
                        "Types of columns by their names in the file: text, boolean, bigint, double, decimal(10, 2), date, timestamp or timestamptz. There an unquoted empty field is NULL, and what is not exactly of the type goes by `edge-values`.",
                    ),
                ],
            },
        ),
        ("jsonl", Table { doc: "One JSON object per line", keys: &[TYPE, ENCODING] }),
        ("json", Table { doc: "One JSON array of objects", keys: &[TYPE, ENCODING] }),
        ("parquet", Table { doc: "Apache Parquet", keys: &[TYPE] }),
    ],
    later: &["avro", "orc", "excel", "xlsx", "xml"],
    short: true,
};

static FILES: Table = Table {
    doc: "How files are written",
    keys: &[
        Key::new(
            "format",
            Shape::Choice(names!(Format), &["avro", "iceberg"]),
            "parquet: a Delta table, which is taken where absent; parquet-files, csv, jsonl: files of that kind with Waybill's own commit log, `_waybill/commits`, in place of Delta's.",
        ),
        Key::new(
            "size",
            Shape::Size(1 << 20, 16 << 30),
            "A file is closed when it has grown to this; 256MiB where absent.",
        ),
        Key::new(
            "compression",
            Shape::Choice(names!(Compression), &["lz4"]),
            "Parquet takes zstd, which it has where absent, and snappy; csv and jsonl take gzip, which they have where absent, zstd and none.",
        ),
        Key::new(
            "partition-by",
            Shape::List(&Shape::Text(FOREIGN)),
            "Columns of every stream's table by whose values rows are kept in files apart, or run.day: the day of the run in UTC, which becomes a column run_day. Delta tables only.",
        ),
    ],
};

static LIMITS: Table = Table {
    doc: "Bounds of one run",
    keys: &[
        Key::new(
            "parallel",
            Shape::Count(1, 64),
            "Connections to the source at once, over all streams; 2 where absent.",
        ),
        Key::new(
            "memory",
            Shape::Size(64 << 20, 1 << 40),
            "The worker's memory budget; its control group's where absent.",
        ),
        Key::new("time", Shape::Duration(1_000, 7 * DAY_MS), "Longest run; 24h where absent."),
        Key::new(
            "cpu",
            Shape::Cpu,
            "CPUs of the worker's task in a cloud: 1 to 16, 0.25 or 0.5, or 256 to 16384 units of which 1024 are one CPU; the data plane's where absent. Data planes of kind aws-ecs only.",
        ),
        Key::new(
            "disk",
            Shape::Size(1 << 30, 200 << 30),
            "Ephemeral storage of the worker's task in a cloud; the data plane's where absent. Data planes of kind aws-ecs only.",
        ),
        Key::new(
            "architecture",
            Shape::Choice(names!(Architecture), &[]),
            "Processor of the worker's task in a cloud; the data plane's where absent. Data planes of kind aws-ecs only, and only what they have a task family for.",
        ),
    ],
};

static SCHEDULE: Table = Table {
    doc: "When it runs by itself",
    keys: &[
        Key::new("cron", Shape::Text(CRON), "Minute, hour, day of month, month, day of week; or `every`."),
        Key::new("zone", Shape::Text(ZONE), "IANA zone in which the fields of `cron` are read; UTC where absent."),
        Key::new(
            "every",
            Shape::Duration(Every::LEAST_MS, Every::MOST_MS),
            "A fixed distance in place of `cron`: slots are its multiples since 1970 in UTC, so 1h is each full hour.",
        ),
        Key::new(
            "overlap",
            Shape::Choice(names!(Overlap), &[]),
            "A run is due while the one before still works; skip where absent.",
        ),
        Key::new(
            "catch-up",
            Shape::Choice(names!(CatchUp), &["all"]),
            "Runs were missed; last, one for all of them, where absent.",
        ),
    ],
};
