//! Slots: each one once, only the last of the missed ones, and what happens while a run is live.

use std::time::Duration;

use waybill_model::run::RunState;
use waybill_model::{FailureCode, Micros, ScheduleId};
use waybill_orchestrator::loops::schedule::Scheduler;
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::cron::CronSlots;
use waybill_orchestrator::service::run::{RunError, Trigger};
use waybill_store::{NewSchedule, RunFilter, Schedule, Store};

use super::fixture::{Database, World, bounds, failed, succeeded};

async fn set(world: &World, overlap: &str, catch_up: &str, due: Micros) -> Schedule {
    put(world, hourly(world, (overlap, catch_up), due)).await
}

/// Each full hour by the clock of a zone.
fn hourly(world: &World, (overlap, catch_up): (&str, &str), due: Micros) -> NewSchedule {
    NewSchedule {
        org: world.org,
        id: ScheduleId::generate(),
        pipeline: world.pipeline,
        cron: Some("0 * * * *".into()),
        every: None,
        zone: "Europe/Stockholm".into(),
        overlap: overlap.into(),
        catch_up: catch_up.into(),
        enabled: true,
        next_slot: Some(due),
    }
}

async fn put(world: &World, new: NewSchedule) -> Schedule {
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    Store::schedule_set_in_txn(&mut tx, &new).await.expect("set");
    tx.commit().await.expect("committed");
    world.store.schedule_get(world.org, world.pipeline).await.expect("a read").expect("a schedule")
}

async fn round(world: &World) {
    let lease = world.store.loop_lease_take("schedule", "test", Duration::from_secs(60)).await.expect("a lease");
    let round = Scheduler::new(world.context.clone()).round(&lease.expect("ours")).await.expect("a round");
    assert_eq!(round.failed, 0);
}

async fn runs(world: &World) -> Vec<waybill_store::Run> {
    world.store.run_list(world.org, &RunFilter::default(), 100).await.expect("runs")
}

fn hours_ago(hours: i64) -> Micros {
    let hour = 3_600_000_000;
    Micros((Micros::now().0 / hour - hours) * hour)
}

#[tokio::test]
async fn only_the_last_of_the_missed_slots_runs_and_the_next_one_is_set() {
    let world = World::new(Database::sqlite(), bounds()).await;
    set(&world, "queue", "last", hours_ago(30)).await;
    round(&world).await;
    round(&world).await;
    let begun = runs(&world).await;
    assert_eq!((begun.len(), begun[0].slot), (1, Some(hours_ago(0))));
    assert_eq!((begun[0].trigger.as_str(), begun[0].state), ("schedule", RunState::Queued));
    let next = world.store.schedule_get(world.org, world.pipeline).await.expect("a read").expect("it").next_slot;
    let slots = CronSlots::read("0 * * * *", "Europe/Stockholm").expect("a schedule");
    assert_eq!(next, slots.next(Micros::now()).ok());
}

/// Nine hours between slots do not divide a day: only multiples of a fixed point stay where they are.
#[tokio::test]
async fn slots_of_a_distance_stay_in_place_however_late_they_are_seen() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let step = Duration::from_secs(9 * 3_600);
    let step_us = 9 * 3_600 * 1_000_000;
    let last = Micros(Micros::now().0 / step_us * step_us);
    // A scheduler that was away for four slots and a bit sees the oldest as due.
    let due = Micros(last.0 - 4 * step_us);
    let new =
        NewSchedule { cron: None, every: Some(step), next_slot: Some(due), ..hourly(&world, ("queue", "last"), due) };
    put(&world, new).await;
    round(&world).await;
    round(&world).await;
    let begun = runs(&world).await;
    assert_eq!((begun.len(), begun[0].slot), (1, Some(last)));
    let next = world.store.schedule_get(world.org, world.pipeline).await.expect("a read").expect("it").next_slot;
    assert_eq!(next, Some(Micros(last.0 + step_us)));
}

#[tokio::test]
async fn without_catching_up_a_missed_slot_passes() {
    let world = World::new(Database::sqlite(), bounds()).await;
    set(&world, "queue", "none", hours_ago(30)).await;
    round(&world).await;
    assert!(runs(&world).await.is_empty());
    let next = world.store.schedule_get(world.org, world.pipeline).await.expect("a read").expect("it").next_slot;
    assert!(next > Some(Micros::now()));
}

/// Two schedulers look at one slot at the same time; how many runs they left out together.
async fn both(world: &World, new: &NewSchedule, slot: Micros) -> u64 {
    put(world, NewSchedule { next_slot: Some(slot), ..new.clone() }).await;
    let lease = world.store.loop_lease_take("schedule", "test", Duration::from_secs(60)).await.expect("a lease");
    let lease = lease.expect("ours");
    let (first, second) = (Scheduler::new(world.context.clone()), Scheduler::new(world.context.clone()));
    let (first, second) = tokio::join!(first.round(&lease), second.round(&lease));
    let (first, second) = (first.expect("a round"), second.expect("a round"));
    assert_eq!((first.failed + second.failed, first.acted + second.acted), (0, 1), "{first:?} {second:?}");
    first.skipped + second.skipped
}

async fn states(world: &World) -> Vec<RunState> {
    let mut runs = runs(world).await;
    runs.reverse();
    runs.iter().map(|run| run.state).collect()
}

#[tokio::test]
async fn slots_that_meet_a_live_run_are_skipped_or_one_of_them_is_queued() {
    use RunState::{Queued, Running, Succeeded};
    for database in [Database::sqlite, Database::postgres] {
        for (overlap, waiting, skipped) in [("skip", 0, 3), ("queue", 1, 2)] {
            // Each slot counts by itself, as if the scheduler had looked at its time.
            let bounds = Bounds { schedule_floor: Duration::from_secs(86_400), ..bounds() };
            let world = World::new(database(), bounds).await;
            let (_, attempt) = world.running().await;
            let new = hourly(&world, (overlap, "none"), hours_ago(4));
            let mut left_out = 0;
            for hours in [4, 3, 2] {
                left_out += both(&world, &new, hours_ago(hours)).await;
            }
            assert_eq!(left_out, skipped, "{overlap}");
            assert_eq!(states(&world).await, [vec![Running], vec![Queued; waiting]].concat(), "{overlap}");
            // The queued one waits for the live one, and goes when that has ended.
            world.dispatch().await;
            assert_eq!(states(&world).await, [vec![Running], vec![Queued; waiting]].concat(), "{overlap}");
            world.complete(&attempt, succeeded()).await;
            world.dispatch().await;
            let [Succeeded, rest @ ..] = &states(&world).await[..] else { panic!("{overlap}") };
            assert!(rest.len() == waiting && rest.iter().all(|state| *state == RunState::Launching), "{rest:?}");
            // Whoever does not wait any more is in nobody's way.
            assert_eq!(both(&world, &new, hours_ago(1)).await, 0, "{overlap}");
            assert_eq!(states(&world).await.last(), Some(&Queued), "{overlap}");
        }
    }
}

#[tokio::test]
async fn a_run_between_two_attempts_is_at_work_and_leaves_the_waiting_place_free() {
    let bounds = Bounds { schedule_floor: Duration::from_secs(86_400), ..bounds() };
    let world = World::new(Database::sqlite(), bounds).await;
    let (run, attempt) = world.running().await;
    world.complete(&attempt, failed(FailureCode::SourceUnreachable)).await;
    let again = world.run(run.id).await;
    assert_eq!((again.state, again.attempts), (RunState::Queued, 1));
    let new = hourly(&world, ("queue", "none"), hours_ago(3));
    assert_eq!(both(&world, &new, hours_ago(3)).await, 0);
    assert_eq!(both(&world, &new, hours_ago(2)).await, 1);
    // One that was asked to stop will not begin, so it keeps nobody out.
    let waiting = runs(&world).await[0].id;
    world.runs.cancel(&world.caller(), waiting).await.expect("canceled");
    assert_eq!(both(&world, &new, hours_ago(1)).await, 0);
}

#[tokio::test]
async fn f13_a_slot_has_one_run_whoever_begins_it() {
    for database in [Database::sqlite(), Database::postgres()] {
        let world = World::new(database, bounds()).await;
        let schedule = set(&world, "queue", "last", hours_ago(1)).await;
        let slot = || Trigger::Schedule { schedule: schedule.id, slot: hours_ago(0) };
        let caller = world.caller();
        let (first, second) = tokio::join!(
            world.runs.trigger(&caller, world.pipeline, slot()),
            world.runs.trigger(&caller, world.pipeline, slot())
        );
        let lost = [&first, &second].into_iter().filter(|r| matches!(r, Err(RunError::SlotTaken))).count();
        assert_eq!((lost, runs(&world).await.len()), (1, 1), "{first:?} {second:?}");
        assert_eq!(RunError::SlotTaken.to_string(), "slot_taken");
    }
}

#[tokio::test]
async fn a_paused_pipeline_lets_its_slots_pass() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    Store::pipeline_pause_in_txn(&mut tx, world.org, world.pipeline, Some(("user", "later"))).await.expect("paused");
    tx.commit().await.expect("committed");
    set(&world, "queue", "last", hours_ago(1)).await;
    round(&world).await;
    assert!(runs(&world).await.is_empty());
    let next = world.store.schedule_get(world.org, world.pipeline).await.expect("a read").expect("it").next_slot;
    assert!(next > Some(Micros::now()), "it is not due for ever");
}
