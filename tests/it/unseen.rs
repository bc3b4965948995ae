//! What leaves the customer's side: unique texts in every cell, key, column, file name and error path, and a search for
//! them in everything that the orchestrator holds and in every frame that a worker sent, before TLS.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use waybill_api::client::{EventQuery, RunQuery};
use waybill_tests::canary::{Canary, files};
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;

struct Planted {
    sandbox: Sandbox,
    tap: PathBuf,
    canaries: Vec<Canary>,
}

impl Planted {
    fn plant(&mut self, place: &str) -> String {
        let canary = Canary::new(place);
        let text = canary.text().to_owned();
        self.canaries.push(canary);
        text
    }

    async fn start(extra: &[(&str, &str)]) -> Result<Self> {
        let scratch = tempfile::tempdir()?.keep();
        let tap = scratch.join("tap");
        let mut options = Options { faults: true, ..Options::default() };
        options.orchestrator.push(("WAYBILL_TAP".into(), tap.display().to_string()));
        options.passed.push("WAYBILL_TAP".into());
        for (name, value) in extra {
            options.orchestrator.push(((*name).to_owned(), (*value).to_owned()));
            options.passed.push((*name).to_owned());
        }
        Ok(Self { sandbox: Sandbox::start(options).await?, tap, canaries: Vec::new() })
    }

    /// Everything on the orchestrator's side: its database, its logs, and what was tapped. The workers' own log files and the
    /// bucket stay with the customer.
    fn found(&self) -> Result<Vec<String>> {
        let mut places = files(&self.sandbox.path("state"), &["attempts"]);
        places.push(self.sandbox.path("orchestrator.log"));
        places.push(self.tap.clone());
        let tapped = std::fs::metadata(&self.tap).context("nothing was tapped")?.len();
        ensure!(tapped > 1_000, "only {tapped} bytes were tapped");
        ensure!(places.len() > 5, "only {} files to look into", places.len());
        let mut found = Vec::new();
        for place in places {
            let bytes = std::fs::read(&place)?;
            for canary in self.canaries.iter().filter(|canary| canary.is_in(&bytes)) {
                found.push(format!("{} in {}", canary.text(), place.display()));
            }
        }
        Ok(found)
    }

    /// Asserts that the canaries did arrive where they belong: a test that planted nothing would find nothing.
    fn arrived(&self) -> Result<()> {
        let lake = files(&self.sandbox.path("lake"), &[]);
        let all: Vec<u8> =
            lake.iter().filter(|p| p.is_file()).flat_map(|p| std::fs::read(p).unwrap_or_default()).collect();
        let arrived = self.canaries.iter().filter(|canary| canary.is_in(&all)).count();
        ensure!(arrived > 0, "no canary reached the bucket: nothing was moved");
        Ok(())
    }
}

fn sqlite(story: &mut Planted) -> Result<()> {
    let (key, cell, wrong, column) =
        (story.plant("key"), story.plant("cell"), story.plant("wrong"), story.plant("column"));
    let database = rusqlite::Connection::open(story.sandbox.path("shop.db"))?;
    database.execute_batch(&format!(
        "create table people (id text primary key, note text, age integer, {column} text);
         insert into people values ('{key}', '{cell}', '{wrong}', '{cell}');"
    ))?;
    Ok(())
}

fn folder(story: &mut Planted) -> Result<()> {
    let (name, header, cell, ragged) =
        (story.plant("file"), story.plant("header"), story.plant("csv"), story.plant("ragged"));
    for folder in ["good", "bad"] {
        std::fs::create_dir_all(story.sandbox.path("in").join(folder))?;
    }
    std::fs::write(story.sandbox.path("in/good").join(format!("{name}.csv")), format!("id,{header}\n1,{cell}\n"))?;
    let bad = format!("id,{header}\n1,{cell}\n2,{ragged},{ragged},{ragged}\n");
    std::fs::write(story.sandbox.path("in/bad").join(format!("{name}.csv")), bad)?;
    Ok(())
}

async fn postgres(story: &mut Planted) -> Result<Postgres> {
    let server = Postgres::start();
    let (cell, cast, unique) = (story.plant("pg"), story.plant("cast"), story.plant("raised"));
    let client = server.client().await;
    client
        .batch_execute(&format!(
            "create table public.notes (id bigint primary key, note text);
             insert into public.notes select n, '{cell}' from generate_series(1, 50) n;
             create view public.broken as select id, (note || '{cast}')::int as n from public.notes;
             create function public.complain(t text) returns int language plpgsql as
               $$ begin raise exception '%', t using errcode = 'SSN42', detail = t, hint = t; end $$;
             create view public.raising as select id, public.complain('{unique}' || note) as n from public.notes;"
        ))
        .await?;
    Ok(server)
}

fn document(story: &Planted, server: &Postgres) -> String {
    let dir = story.sandbox.dir.path().display().to_string();
    format!(
        "waybill: 1
connections:
  people: {{ type: sqlite, path: \"{dir}/shop.db\" }}
  inbox: {{ type: files, url: \"file://{dir}/in\" }}
  notes: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, tls: disable }}
  lake: {{ type: local, path: \"{dir}/lake\" }}
pipelines:
  people: {{ from: people, to: lake, streams: {{ people: {{ load: full }} }} }}
  inbox: {{ from: inbox, to: lake, streams: {{ \"good/*.csv\": {{ load: full }}, \"bad/*.csv\": {{ load: full }} }} }}
  notes:
    from: notes
    to: lake
    streams:
      public.notes: {{ load: full }}
      public.broken: {{ load: full }}
      public.raising: {{ load: full }}
",
        server.port()
    )
}

async fn run_everything(story: &mut Planted) -> Result<Vec<String>> {
    sqlite(story)?;
    folder(story)?;
    let server = postgres(story).await?;
    story.sandbox.apply(&document(story, &server)).await?;
    let mut states = Vec::new();
    for pipeline in ["people", "inbox", "notes"] {
        let run = story.sandbox.trigger(pipeline).await?;
        let ended = story.sandbox.ended(run).await?;
        states.extend(ended.streams.iter().map(|s| format!("{} {}", s.name, s.state)));
    }
    Ok(states)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_key_name_or_error_text_reaches_the_orchestrator() -> Result<()> {
    let mut story = Planted::start(&[]).await?;
    let states = run_everything(&mut story).await?;
    for wanted in [
        "people committed",
        "good/*.csv committed",
        "bad/*.csv failed",
        "public.broken failed",
        "public.raising failed",
    ] {
        ensure!(states.iter().any(|state| state == wanted), "not {wanted}: {states:?}");
    }
    story.arrived()?;
    let found = story.found()?;
    ensure!(found.is_empty(), "left the customer's side:\n{}", found.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_leaves_as_a_hash_of_its_place() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let order = format!("files_closed=panic;{}", scratch.path().join("fired").display());
    let mut story = Planted::start(&[("WAYBILL_FAULT", &order)]).await?;
    run_everything(&mut story).await?;
    ensure!(scratch.path().join("fired").exists(), "the panic did not happen");
    let mut told = String::new();
    for run in story.sandbox.client.run_list(&RunQuery::default()).await?.items {
        let events = story.sandbox.client.run_events(run.id, &EventQuery::default()).await?.items;
        told.push_str(&serde_json::to_string(&events)?);
    }
    ensure!(told.contains("a defect in the worker at location "), "nobody was told: {told}");
    let found = story.found()?;
    ensure!(found.is_empty(), "left the customer's side:\n{}", found.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_planted_in_a_test_build_is_found() -> Result<()> {
    let leak = Canary::new("leak");
    let mut story = Planted::start(&[("WAYBILL_LEAK", leak.text())]).await?;
    story.canaries.push(leak);
    sqlite(&mut story)?;
    let dir = story.sandbox.dir.path().display().to_string();
    story
        .sandbox
        .apply(&format!(
            "waybill: 1\nconnections:\n  people: {{ type: sqlite, path: \"{dir}/shop.db\" }}\n  lake: {{ type: local, path: \
             \"{dir}/lake\" }}\npipelines:\n  people: {{ from: people, to: lake, streams: {{ people: {{ load: full }} }} }}\n"
        ))
        .await?;
    let run = story.sandbox.trigger("people").await?;
    story.sandbox.ended(run).await?;
    let found = story.found()?;
    ensure!(found.iter().any(|line| line.contains("canaryleak")), "a planted leak was not found: {found:?}");
    Ok(())
}
