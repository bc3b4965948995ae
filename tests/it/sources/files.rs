//! Files of each format, in a directory and in S3, as subjects of the suite.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use waybill_connectors::bucket::local::LocalBucket;
use waybill_connectors::bucket::remote::{Parts, Patience};
use waybill_connectors::bucket::s3::{S3Bucket, StaticKeys, Way};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_connectors::source::files::{Files, of_source};
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, FileFormat, S3Access, StreamPlan};
use waybill_pipeline::conformance::source::{self, Broken, COLUMNS, Holds, Refused, Row, Subject, items, large};
use waybill_pipeline::{Bucket, FaultResult, Fixed, Source};
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

/// Files of `large`.
const FILES: usize = 3;

/// A format by the end of its files' names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Csv,
    Jsonl,
    Parquet,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Csv, Self::Jsonl, Self::Parquet];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    fn body(self, rows: &[Row]) -> Vec<u8> {
        match self {
            Self::Csv => csv(rows),
            Self::Jsonl => rows.iter().flat_map(|row| json_line(row).into_bytes()).collect(),
            Self::Parquet => parquet(rows),
        }
    }

    /// Every file of the subject: its name and its bytes.
    fn files(self) -> Vec<(String, Vec<u8>)> {
        let end = self.as_str();
        let mut files =
            vec![(format!("items/a.{end}"), self.body(&items())), (format!("empty/a.{end}"), self.body(&[]))];
        let rows: Vec<Row> = large().collect();
        for (at, part) in rows.chunks(source::LARGE.div_ceil(FILES)).enumerate() {
            files.push((format!("large/{at}.{end}"), self.body(part)));
        }
        files
    }

    fn stream(self, holds: Holds) -> StreamPlan {
        let end = self.as_str();
        let mut stream = super::stream(&match holds {
            Holds::Items => format!("items/a.{end}"),
            Holds::Empty => format!("empty/a.{end}"),
            Holds::Large => format!("large/*.{end}"),
            Holds::Missing => format!("missing/*.{end}"),
        });
        if self == Self::Csv {
            stream.format = Some(FileFormat::Csv(Csv { null: Some("\\N".into()), ..Csv::default() }));
        }
        stream
    }
}

fn csv(rows: &[Row]) -> Vec<u8> {
    let field = |value: &Option<String>| match value {
        None => "\\N".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('"', "\"\"")),
    };
    let mut out = COLUMNS.join(",") + "\n";
    for row in rows {
        out += &(row.iter().map(field).collect::<Vec<_>>().join(",") + "\n");
    }
    out.into_bytes()
}

fn json_line(row: &Row) -> String {
    let id: u64 = row[0].as_ref().and_then(|id| id.parse().ok()).expect("a number");
    serde_json::json!({"id": id, "note": row[1], "region": row[2]}).to_string() + "\n"
}

fn parquet(rows: &[Row]) -> Vec<u8> {
    let ids = rows.iter().map(|row| row[0].as_ref().and_then(|id| id.parse::<i64>().ok()));
    let texts = |at: usize| Arc::new(rows.iter().map(|row| row[at].clone()).collect::<StringArray>());
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(ids.collect::<Int64Array>()) as _, false),
        ("note", texts(1) as _, true),
        ("region", texts(2) as _, false),
    ])
    .expect("columns");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("write");
    writer.into_inner().expect("a file")
}

/// Files in a directory.
struct Directory {
    dir: tempfile::TempDir,
    ending: Ending,
}

impl Directory {
    fn new(ending: Ending) -> Self {
        let subject = Self { dir: tempfile::tempdir().expect("a directory"), ending };
        for (name, body) in ending.files() {
            for place in ["in", "broken"] {
                let path = subject.dir.path().join(place).join(&name);
                std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
                std::fs::write(path, &body).expect("write");
            }
        }
        subject
    }

    fn at(&self, place: &str) -> FaultResult<Box<dyn Source>> {
        let bucket = LocalBucket::existing(&self.dir.path().join(place)).map_err(|error| of_source(error.into()))?;
        Ok(Box::new(Files::new(Arc::new(bucket))))
    }
}

/// Files below the directory that this process has open.
fn open_files(dir: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").expect("own files").flatten();
    all.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(dir))).count()
}

#[async_trait]
impl Subject for Directory {
    fn source(&self) -> Box<dyn Source> {
        self.at("in").unwrap_or_else(|fault| panic!("{}", fault.text.for_customer()))
    }

    fn stream(&self, holds: Holds) -> StreamPlan {
        self.ending.stream(holds)
    }

    fn has_columns_without_rows(&self) -> bool {
        self.ending != Ending::Jsonl
    }

    async fn refused(&self) -> Vec<Refused> {
        vec![Refused { what: "no directory", source: self.at("missing"), code: FailureCode::SourceUnreachable }]
    }

    /// The last file loses its second half below the reader.
    async fn broken(&self) -> Broken {
        let path: PathBuf = self.dir.path().join(format!("broken/large/{}.{}", FILES - 1, self.ending.as_str()));
        let whole = std::fs::metadata(&path).expect("the file").len();
        let cut = path.clone();
        let arm = move || {
            let file = std::fs::File::options().write(true).open(&cut).expect("open");
            file.set_len(whole / 2).expect("a shorter file");
        };
        Broken {
            source: self.at("broken").unwrap_or_else(|fault| panic!("{}", fault.text.for_customer())),
            code: FailureCode::SourceChanged,
            arm: Box::new(arm),
            fired: Box::new(move || std::fs::metadata(&path).expect("the file").len() == whole / 2),
        }
    }

    async fn is_idle(&self) -> bool {
        open_files(self.dir.path()) == 0
    }
}

/// Files in S3.
struct Objects {
    server: Roto,
    ending: Ending,
    bucket: Arc<S3Bucket>,
    /// Those before sources that were handed out.
    proxies: Mutex<Vec<S3Proxy>>,
}

async fn bucket(endpoint: String) -> S3Bucket {
    let access = S3Access { region: Some("us-east-1".into()), endpoint: Some(endpoint), ..S3Access::default() };
    let keys = Some(StaticKeys::new(Arc::new(Fixed::new("AKIDEXAMPLE")), Arc::new(Fixed::new("very-secret-key"))));
    let way = Way { access: &access, keys, dialer: Dialer::new(Rules::local()) };
    let patience = Patience {
        tries: 4,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(20),
        throttled_for: Duration::from_secs(1),
    };
    let bucket = S3Bucket::connect(BUCKET, "in", way, 256 << 20).await.expect("a bucket");
    bucket.with(patience, Parts { bytes: 5 << 20, in_flight: 2 })
}

impl Objects {
    async fn new(ending: Ending) -> Self {
        let server = Roto::start().await;
        let bucket = Arc::new(bucket(server.endpoint()).await);
        for (name, body) in ending.files() {
            bucket.put_if_absent(&name, Bytes::from(body)).await.expect("a put");
        }
        Self { server, ending, bucket, proxies: Mutex::default() }
    }

    /// The same behind a proxy that breaks what the rules say.
    async fn behind(&self, rules: &[Rule]) -> (Box<dyn Source>, S3Proxy) {
        let proxy = S3Proxy::before(self.server.port()).await;
        for rule in rules {
            proxy.inject(rule.clone());
        }
        (Box::new(Files::new(Arc::new(bucket(proxy.endpoint()).await))), proxy)
    }
}

const fn always(method: &'static str, breaks: Break) -> Rule {
    Rule { method, holds: "in/", times: usize::MAX, breaks }
}

#[async_trait]
impl Subject for Objects {
    fn source(&self) -> Box<dyn Source> {
        Box::new(Files::new(Arc::clone(&self.bucket) as Arc<dyn Bucket>))
    }

    fn stream(&self, holds: Holds) -> StreamPlan {
        self.ending.stream(holds)
    }

    fn has_columns_without_rows(&self) -> bool {
        self.ending != Ending::Jsonl
    }

    async fn refused(&self) -> Vec<Refused> {
        let denied = || Break::Answer(403, "AccessDenied");
        let (denied, proxy) = self.behind(&[always("HEAD", denied()), always("GET", denied())]).await;
        self.proxies.lock().expect("the proxies").push(proxy);
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let gone: Box<dyn Source> = Box::new(Files::new(Arc::new(bucket(format!("http://{nobody}")).await)));
        vec![
            Refused { what: "no grant", source: Ok(denied), code: FailureCode::SourceDenied },
            Refused { what: "nobody there", source: Ok(gone), code: FailureCode::SourceUnreachable },
        ]
    }

    /// After its first rows an answer is cut short, and the store does not answer again.
    async fn broken(&self) -> Broken {
        let (source, proxy) = self.behind(&[]).await;
        let proxy = Arc::new(proxy);
        let armed = Arc::clone(&proxy);
        let rule = |times, breaks| Rule { method: "GET", holds: "large/2.", times, breaks };
        let rules = [rule(1, Break::CutAnswer(100)), rule(usize::MAX, Break::Answer(500, "InternalError"))];
        Broken {
            source,
            code: FailureCode::SourceFailed,
            arm: Box::new(move || rules.iter().for_each(|rule| armed.inject(rule.clone()))),
            fired: Box::new(move || proxy.fired().first() == Some(&1) && proxy.fired().last() > Some(&1)),
        }
    }

    /// Connections to a store are pooled, so those that are left tell nothing: only the drop itself is bounded.
    async fn is_idle(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_a_directory_pass_the_source_suite() {
    for ending in Ending::ALL {
        source::run(&Directory::new(ending)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_files_in_s3_pass_the_source_suite() {
    source::run(&Objects::new(Ending::Csv).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_files_in_s3_pass_the_source_suite() {
    source::run(&Objects::new(Ending::Jsonl).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_in_s3_pass_the_source_suite() {
    source::run(&Objects::new(Ending::Parquet).await).await;
}
