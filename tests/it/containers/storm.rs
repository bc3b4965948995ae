//! Launches of the worker's image while the orchestrator's process is killed and started again at random moments. Rows move and
//! are counted after each run, which the storm on the scripted cloud leaves out. `SEED` chooses the moments; it is printed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use waybill_tests::readers;

use super::world::{PIPELINE, PLANE, ROWS, World, story};

const LAUNCHES: i64 = 12;
/// How often the orchestrator dies under each of them.
const KILLS: usize = 2;
/// Rows that each run finds more than the one before.
const MORE: i64 = 100;

#[test]
fn storm_of_kills_each_run_ends_with_its_rows_and_no_attempt_has_two_containers() -> Result<()> {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_123);
    story(async |world: &mut World| {
        world.cli().json(0, &["data-plane", "check", PLANE]);
        let (mut random, mut attempts, mut met) = (StdRng::seed_from_u64(seed), 0, 0);
        for launch in 0..LAUNCHES {
            let (from, to) = (ROWS + launch * MORE + 1, ROWS + (launch + 1) * MORE);
            let more = format!("INSERT INTO orders SELECT g, 'order ' || g FROM generate_series({from}::int8, {to}) g");
            world.database.run(&more).await;
            let run = world.sandbox.trigger(PIPELINE).await?;
            for _ in 0..KILLS {
                let life = Duration::from_millis(random.random_range(10..300));
                tokio::time::sleep(life).await; // the moment of a death is what is drawn
                let state = world.sandbox.client.run_get(run).await?.run.state;
                met += usize::from(state.known().is_some_and(|state| !state.is_final()));
                world.dies_and_comes_back().await?;
            }
            let ended = world.sandbox.ended(run).await?;
            ensure!(ended.run.state.to_string() == "succeeded", "seed {seed}: {:?}", ended.run);
            attempts += ended.attempt_list.len();
            let found =
                readers::query(&world.table()?, "select count(*), count(distinct id), min(id), max(id) from t")?;
            let found = found.agreed();
            ensure!(found == json!([[to, to, 1, to]]), "seed {seed}, launch {launch}: {found}");
        }
        let arns: Vec<String> = world.emulator.started().iter().map(World::arn_of).collect();
        let tasks = world.stopped(&arns).await?;
        let of: BTreeSet<&str> = tasks.iter().filter_map(|task| task["startedBy"].as_str()).collect();
        ensure!(of.len() == arns.len() && arns.len() <= attempts, "seed {seed}: {attempts} attempts, {tasks:#?}");
        let launches = usize::try_from(LAUNCHES)?;
        ensure!(arns.len() >= launches, "seed {seed}: only {} containers", arns.len());
        ensure!(met >= launches, "seed {seed}: only {met} kills met a run that was not over");
        let containers = arns.len();
        writeln!(
            std::io::stderr(),
            "storm of kills: seed={seed} attempts={attempts} containers={containers} met={met}"
        )?;
        Ok(())
    })
}
