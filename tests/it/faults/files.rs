//! Whole runs from files in S3 behind a proxy that breaks answers off, or ends them early with a length that fits.
//! What DuckDB and delta-rs find in the table is every line of every file.

use anyhow::{Result, ensure};
use waybill_api::run::RunDetail;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

/// Lines of each of the two files: more than is read to learn their columns.
const LINES: i64 = 60_000;

/// A product that moves two files of a store.
struct Inbox {
    server: Roto,
    proxy: S3Proxy,
    sandbox: Sandbox,
}

/// Lines with the ids of file `n`, after this one.
fn file(n: i64, after: i64) -> Vec<u8> {
    let line = |id: i64| format!("{id},note {id} of some length so that a file has several pieces\n");
    let lines = (1..=LINES).map(|at| line(after + n * LINES + at));
    ["id,note\n".to_owned()].into_iter().chain(lines).collect::<String>().into_bytes()
}

impl Inbox {
    async fn start() -> Result<Self> {
        let server = Roto::start().await;
        let proxy = S3Proxy::before(server.port()).await;
        let mut options = Options::default();
        for (name, value) in [("IN_KEY", "waybill"), ("IN_SECRET", "very-secret-key")] {
            options.orchestrator.push((name.into(), value.into()));
            options.passed.push(name.into());
        }
        let inbox = Self { server, proxy, sandbox: Sandbox::start(options).await? };
        for n in 0..2 {
            inbox.server.put(&format!("in/{n}.csv"), &file(n, 0)).await;
        }
        let document = format!(
            "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"s3://{BUCKET}/in\", region: us-east-1, \
             endpoint: \"{}\", access-key: env://IN_KEY, secret-key: env://IN_SECRET }}\n  \
             lake: {{ type: local, path: \"{}\" }}\npipelines:\n  items: {{ from: inbox, to: lake, streams: {{ \"*.csv\": \
             {{ load: full }} }} }}\n",
            inbox.proxy.endpoint(),
            inbox.sandbox.path("lake").display()
        );
        inbox.sandbox.apply(&document).await?;
        Ok(inbox)
    }

    /// Something happens so often to the reading of the second file's bytes.
    fn breaks(&self, times: usize, breaks: Break) {
        self.proxy.inject(Rule { method: "GET", holds: "in/1.csv", times, breaks });
    }

    async fn delivers(&self, attempts: usize) -> Result<RunDetail> {
        let ended = self.sandbox.ended(self.sandbox.trigger("items").await?).await?;
        ensure!(ended.run.state.to_string() == "succeeded", "{:?}\n{}", ended.run.failure, self.sandbox.log());
        ensure!(ended.attempt_list.len() == attempts, "{:?}", ended.attempt_list);
        Ok(ended)
    }

    /// Two readers find every line of both files once.
    fn table_is_the_files(&self) -> Result<()> {
        let table = std::fs::read_dir(self.sandbox.path("lake"))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.join("_delta_log").is_dir());
        let sums = "select count(*), count(distinct id), min(cast(id as bigint)), max(cast(id as bigint)), count(case when note = \
                    'note ' || id || ' of some length so that a file has several pieces' then 1 end) from t";
        let rows = readers::query(&table.expect("a table"), sums)?.agreed();
        let all = 2 * LINES;
        ensure!(rows == serde_json::json!([[all, all, 1, all, all]]), "rows, ids, least, most, right notes: {rows}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_file_whose_answers_break_off_is_read_on_and_its_lines_land_once() -> Result<()> {
    let inbox = Inbox::start().await?;
    inbox.breaks(4, Break::CutAnswer(1 << 20));
    inbox.delivers(1).await?;
    ensure!(inbox.proxy.fired() == [4], "{:?}", inbox.proxy.fired());
    inbox.table_is_the_files()
}

#[tokio::test(flavor = "multi_thread")]
async fn f27_a_file_that_seems_to_end_early_is_no_success_and_its_lines_land_once() -> Result<()> {
    let inbox = Inbox::start().await?;
    inbox.breaks(1, Break::ShortAnswer(1 << 20));
    let ended = inbox.delivers(2).await?;
    let why = ended.attempt_list[0].failure.as_ref().map(|failure| failure.code.to_string());
    ensure!(why.as_deref() == Some("source_incomplete"), "{:?}", ended.attempt_list[0]);
    ensure!(inbox.proxy.fired() == [1], "{:?}", inbox.proxy.fired());
    inbox.table_is_the_files()
}
