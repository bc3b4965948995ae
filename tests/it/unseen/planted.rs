//! The product with unique texts, numbers and moments in every place that a source has, and the search for them in
//! everything on the orchestrator's side and in every frame that a worker sent.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tokio_postgres::SimpleQueryMessage;
use waybill_tests::canary::{Canary, Search, files};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;
use waybill_tests::tapped::{Call, calls_in};

/// What a call may carry beside its message: the names of all headers that were ever needed.
const HEADERS: &[&str] = &[":uri", "te", "content-type", "user-agent", "grpc-timeout"];

pub(super) struct Planted {
    pub(super) sandbox: Sandbox,
    tap: tempfile::TempDir,
    /// The orchestrator's own database, where it is a server.
    store: Option<Postgres>,
    landing: Vec<Canary>,
    unlanded: Vec<Canary>,
}

impl Planted {
    /// The fault builds, with these variables for both, on SQLite.
    pub(super) async fn start(extra: &[(&str, &str)]) -> Result<Self> {
        Self::with(extra, None).await
    }

    /// With the orchestrator's database on a Postgres that logs every statement.
    pub(super) async fn on_postgres() -> Result<Self> {
        let store = Postgres::with(waybill_tests::services::postgres::Setup {
            settings: &["log_statement = 'all'", "log_parameter_max_length = -1"],
            ..Default::default()
        });
        Self::with(&[], Some(store)).await
    }

    async fn with(extra: &[(&str, &str)], store: Option<Postgres>) -> Result<Self> {
        let tap = tempfile::tempdir()?;
        let mut options = Options { faults: true, ..Options::default() };
        options.orchestrator.push(("WAYBILL_TAP".into(), tap.path().display().to_string()));
        options.passed.push("WAYBILL_TAP".into());
        for (name, value) in extra {
            options.orchestrator.push(((*name).to_owned(), (*value).to_owned()));
            options.passed.push((*name).to_owned());
        }
        if let Some(store) = &store {
            options.orchestrator.push(("WAYBILL__DATABASE__URL".into(), store.url()));
        }
        let sandbox = Sandbox::start(options).await?;
        Ok(Self { sandbox, tap, store, landing: Vec::new(), unlanded: Vec::new() })
    }

    /// A text that will be in the bucket.
    pub(super) fn plant(&mut self, place: &str) -> String {
        self.land(Canary::new(place))
    }

    /// A text that stays at the source: a file's name, or what fails before it lands.
    pub(super) fn plant_unlanded(&mut self, place: &str) -> String {
        let canary = Canary::new(place);
        let text = canary.text().to_owned();
        self.unlanded.push(canary);
        text
    }

    /// Something that will be in the bucket.
    pub(super) fn land(&mut self, canary: Canary) -> String {
        let text = canary.text().to_owned();
        self.landing.push(canary);
        text
    }

    /// What is looked for beside what this planted.
    pub(super) fn look_for(&mut self, canary: Canary) {
        self.unlanded.push(canary);
    }

    /// Where anything planted is on the orchestrator's side: its database, its logs, and what was tapped. The workers' own
    /// log files and the bucket stay with the customer.
    pub(super) async fn found(&self) -> Result<Vec<String>> {
        let (mut found, search) = (Vec::new(), Search::of(self.landing.iter().chain(&self.unlanded)));
        for (place, bytes) in self.places().await? {
            found.extend(search.found_in(&bytes).iter().map(|canary| format!("{} in {place}", canary.text())));
        }
        Ok(found)
    }

    async fn places(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut paths = files(&self.sandbox.path("state"), &["attempts"]);
        paths.push(self.sandbox.path("orchestrator.log"));
        paths.extend(files(self.tap.path(), &[]));
        let mut places = Vec::new();
        for path in paths {
            places.push((path.display().to_string(), std::fs::read(&path)?));
        }
        ensure!(places.len() > 5, "only {} files to look into", places.len());
        if let Some(store) = &self.store {
            places.extend(rows_of(store).await?);
            places.push(("the log of the orchestrator's database".into(), store.log().into_bytes()));
        }
        for call in self.calls().await? {
            let headers = call.headers.iter().flat_map(|(name, value)| [name.as_bytes(), b": ", value, b"\n"].concat());
            places.push((format!("the headers of {}", call.path), headers.collect()));
            places.push((format!("the messages of {}", call.path), call.body));
        }
        Ok(places)
    }

    /// Every call of every worker, each message in it a whole one and none packed.
    pub(super) async fn calls(&self) -> Result<Vec<Call>> {
        let calls = calls_in(self.tap.path()).await?;
        for call in &calls {
            call.messages()?;
            let odd = call.headers.iter().find(|(name, _)| !HEADERS.contains(&name.as_str()));
            ensure!(odd.is_none(), "{} has a header {:?}", call.path, odd.map(|(name, _)| name));
        }
        Ok(calls)
    }

    /// Asserts that all that was planted to land did so, in the tables or in the log, receipts and state beside them: what
    /// was never moved would not be found either.
    pub(super) fn arrived(&self) -> Result<()> {
        let (mut lake, mut tables) = (Vec::new(), BTreeSet::new());
        for file in files(&self.sandbox.path("lake"), &[]) {
            lake.extend(std::fs::read(&file)?);
            let table = file.ancestors().find(|folder| folder.join("_delta_log").is_dir());
            tables.extend(table.map(Path::to_path_buf));
        }
        for table in tables {
            lake.extend(readers::query(&table, "select * from t")?.agreed().to_string().into_bytes());
        }
        let arrived: BTreeSet<&str> = Search::of(&self.landing).found_in(&lake).into_iter().map(Canary::text).collect();
        let missing: Vec<&str> = self.landing.iter().map(Canary::text).filter(|text| !arrived.contains(text)).collect();
        ensure!(missing.is_empty(), "never reached the bucket: {missing:?}");
        Ok(())
    }
}

/// All rows of all tables, as the server prints them.
async fn rows_of(store: &Postgres) -> Result<Vec<(String, Vec<u8>)>> {
    let client = store.client().await;
    let names = client.query("select tablename::text from pg_tables where schemaname = 'public'", &[]).await?;
    let mut tables = Vec::new();
    for name in names.iter().map(|row| row.get::<_, String>(0)) {
        let mut rows = String::new();
        for message in client.simple_query(&format!("select t::text from {name} t")).await? {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push_str(row.get(0).context("a row")?);
                rows.push('\n');
            }
        }
        tables.push((format!("table {name}"), rows.into_bytes()));
    }
    ensure!(tables.len() > 20, "only {} tables to look into", tables.len());
    Ok(tables)
}
