//! Sources with something planted in every cell, key, cursor, column, file name and error path.

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use waybill_api::run::RunStart;
use waybill_model::run::RunKind;
use waybill_tests::canary::{Canary, files};
use waybill_tests::services::postgres::Postgres;

use super::planted::Planted;

fn sqlite(story: &mut Planted) -> Result<()> {
    let (key, cell, wrong, column) =
        (story.plant("key"), story.plant("cell"), story.plant("wrong"), story.plant("column"));
    let cursor = story.land(Canary::number());
    let doubted = story.plant_unlanded("doubted");
    let database = rusqlite::Connection::open(story.sandbox.path("shop.db"))?;
    database.execute_batch(&format!(
        "create table people (id text primary key, note text, age integer, {column} text);
         insert into people values ('{key}', '{cell}', '{wrong}', '{cell}');
         create table orders (id integer primary key);
         insert into orders values (7), ({cursor});
         create table doubted (id text);
         insert into doubted values ('{doubted}'), ('{doubted}'), (null);"
    ))?;
    Ok(())
}

fn folder(story: &mut Planted) -> Result<()> {
    let (name, header, cell, ragged) =
        (story.plant_unlanded("file"), story.plant("header"), story.plant("csv"), story.plant_unlanded("ragged"));
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
    let (cell, cast, unique) = (story.plant("pg"), story.plant_unlanded("cast"), story.plant_unlanded("raised"));
    // Fifty times the same text, of which the receipt has the sum.
    let digest = hex::encode(Sha256::digest(&cell));
    let sum = 50 * u128::from(u64::from_str_radix(&digest[..15], 16)?);
    story.land(Canary::known(&sum.to_string()));
    let (key, cursor) = (story.land(Canary::number()), story.land(Canary::moment()));
    server
        .run(&format!(
            "create table public.notes (id bigint primary key, note text);
             insert into public.notes select n, '{cell}' from generate_series(1, 50) n;
             create table public.visits (id bigint primary key, at timestamptz not null);
             insert into public.visits values (1, timestamptz '{cursor}+00' - interval '1 day'), ({key}, '{cursor}+00');
             create view public.broken as select id, (note || '{cast}')::int as n from public.notes;
             create function public.complain(t text) returns int language plpgsql as
               $$ begin raise exception '%', t using errcode = 'SSN42', detail = t, hint = t; end $$;
             create view public.raising as select id, public.complain('{unique}' || note) as n from public.notes;"
        ))
        .await;
    Ok(server)
}

/// The same again, larger: what a second run reads above the first one's cursor.
async fn more(story: &mut Planted, server: &Postgres) -> Result<()> {
    let database = rusqlite::Connection::open(story.sandbox.path("shop.db"))?;
    database.execute_batch("insert into orders select max(id) + 1 from orders")?;
    server.run("insert into public.visits select max(id) + 1, max(at) + interval '1 hour' from public.visits").await;
    Ok(())
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
  people:
    from: people
    to: lake
    streams:
      people: {{ load: full, expect: [{{ range: {{ column: age, max: 3 }}, on-failure: warn }}] }}
      orders:
        load: new
        cursor: id
        expect: [{{ range: {{ column: id, max: 8 }}, on-failure: warn }}]
      doubted: {{ expect: [{{ unique: [id] }}, {{ not-null: [id] }}] }}
  inbox: {{ from: inbox, to: lake, streams: {{ \"good/*.csv\": {{ load: full }}, \"bad/*.csv\": {{ load: full }} }} }}
  notes:
    from: notes
    to: lake
    streams:
      public.notes: {{ load: full, checksums: all }}
      public.visits: {{ load: new, cursor: at, checksums: [id, at] }}
      public.broken: {{ load: full }}
      public.raising: {{ load: full }}
",
        server.port()
    )
}

/// Plants everything and runs every pipeline so many times with more rows between; the streams' states of each round.
pub(super) async fn move_everything(story: &mut Planted, times: usize) -> Result<Vec<Vec<String>>> {
    sqlite(story)?;
    folder(story)?;
    let server = postgres(story).await?;
    story.sandbox.apply(&document(story, &server)).await?;
    let mut rounds = vec![Vec::new(); times];
    for states in &mut rounds {
        for pipeline in ["people", "inbox", "notes"] {
            let run = story.sandbox.trigger(pipeline).await?;
            let ended = story.sandbox.ended(run).await?;
            states.extend(ended.streams.iter().map(|s| format!("{} {}", s.name, s.state)));
        }
        more(story, &server).await?;
    }
    if times > 1 {
        preview_everything(story).await?;
    }
    Ok(rounds)
}

/// Previews of the same, whose rows reach the bucket too.
async fn preview_everything(story: &Planted) -> Result<()> {
    for pipeline in ["people", "inbox", "notes"] {
        let pipeline_id = Some(story.sandbox.pipeline(pipeline).await?);
        let start = RunStart { pipeline_id, kind: Some(RunKind::Preview), ..RunStart::default() };
        let run = story.sandbox.client.run_start(&start).await?.run.id;
        story.sandbox.ended(run).await?;
        let written = files(&story.sandbox.path("lake/_waybill/preview").join(run.to_string()), &[]);
        ensure!(!written.is_empty(), "the preview of {pipeline} wrote nothing");
    }
    Ok(())
}

/// Asserts that all landed that can, and that all failed that has to.
pub(super) fn as_planned(rounds: &[Vec<String>]) -> Result<()> {
    for states in rounds {
        for wanted in [
            "people committed",
            "orders committed",
            "good/*.csv committed",
            "doubted failed",
            "bad/*.csv failed",
            "public.notes committed",
            "public.visits committed",
            "public.broken failed",
            "public.raising failed",
        ] {
            ensure!(states.iter().any(|state| state == wanted), "not {wanted}: {states:?}");
        }
    }
    Ok(())
}
