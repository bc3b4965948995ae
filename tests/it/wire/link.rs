//! The worker's link against the real services, through a proxy that is cut and mended (F18, F19, F21, F23).

use std::time::Duration;

use waybill_model::FailureCode;
use waybill_model::egress::EgressClass;
use waybill_model::event::{Event, EventCode};
use waybill_model::report::{Completion, Directive as Told, Outcome};
use waybill_model::run::{AttemptState, StreamState};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_pipeline::{Directive, Halt, Progress, StopSignal, stop_pair};
use waybill_store::Store;
use waybill_worker::link::{Address, Link, LinkError};

use super::rig::{Made, Options, Rig, eventually};

const START: Duration = Duration::from_secs(10);

async fn join(rig: &Rig, made: &Made) -> Result<(Link, StopSignal), LinkError> {
    let address = Address { endpoint: format!("localhost:{}", rig.public.port()), pin: rig.authority.pin() };
    let (switch, stop) = stop_pair();
    Ok((Link::join(&address, &made.ticket, switch, START).await?, stop))
}

fn failed() -> Completion {
    Completion {
        outcome: Outcome::Failed,
        streams: Vec::new(),
        failure: Some(FailureCode::SourceDenied),
        tables: Vec::new(),
        tables_withheld: 0,
    }
}

fn reading(rows: u64) -> Progress {
    Progress { stream: 0, state: StreamState::Reading, rows, bytes: rows * 10, files: 0, rows_estimate: Some(100) }
}

fn with_grace(grace: Duration) -> Options {
    let options = Options::default();
    Options { bounds: Bounds { offline_grace: grace, ..options.bounds }, ..options }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_enrols_reports_and_tells_its_outcome() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    assert_eq!((link.assignment().run, link.assignment().epoch), (made.run, made.epoch));
    assert_eq!(link.assignment().streams, [0, 1]);
    link.observer().progress(reading(50));
    link.observer().event(Event::of_stream(EventCode::PartUploaded, 0));
    eventually("the event arrives", async || rig.events(&made).await.len() == 2).await;
    assert_eq!(rig.events(&made).await, ["worker_started", "part_uploaded"]);
    eventually("the numbers arrive", async || {
        let streams = rig.store.run_stream_list(made.org, made.run).await.expect("readable");
        streams[0].state == StreamState::Reading
    })
    .await;
    assert_eq!(link.complete(failed()).await.expect("taken"), Told::Continue);
    assert_eq!(link.complete(failed()).await.expect("taken again"), Told::Continue);
    assert_eq!(rig.row(&made).await.state, AttemptState::Failed);
    assert_eq!(stop.current(), Directive::Continue);
    let ledger = link.ledger();
    assert_eq!(ledger.bytes(EgressClass::Name), 0);
    assert!(ledger.bytes(EgressClass::Proof) > 0 && ledger.bytes(EgressClass::Count) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_worker_whose_attempt_was_fenced_before_it_started_learns_it_at_once() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    rig.fence(&made).await;
    assert!(matches!(join(&rig, &made).await, Err(LinkError::Fenced)));
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_partition_within_the_grace_delays_the_commit_and_loses_no_event() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    eventually("the first report arrives", async || rig.events(&made).await.len() == 1).await;
    rig.proxy.cut();
    let gate = link.gate();
    let asking = tokio::spawn(async move { gate.prepare(0, [5; 32]).await });
    for n in 0..150 {
        link.observer().progress(reading(n));
        link.observer().event(Event { count: Some(n), ..Event::of_stream(EventCode::PartUploaded, 0) });
    }
    eventually("the link is cut and turned away", async || rig.proxy.cuts() >= 3).await;
    assert!(!asking.is_finished(), "a commit waits while the orchestrator is away");
    assert_eq!(stop.halt(), None, "the copy goes on");
    rig.proxy.mend();
    assert_eq!(asking.await.expect("joined"), Ok(()));
    let parts = async || rig.events(&made).await.iter().filter(|code| *code == "part_uploaded").count();
    eventually("every event arrives", async || parts().await >= 150).await;
    assert_eq!(parts().await, 150, "none is lost and none comes twice");
    assert_eq!(link.complete(failed()).await.expect("taken"), Told::Continue);
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_a_partition_beyond_the_grace_stops_the_worker_and_no_commit_is_made() {
    let rig = Rig::start_with(with_grace(Duration::from_secs(2))).await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    eventually("the first report arrives", async || rig.events(&made).await.len() == 1).await;
    rig.proxy.cut();
    assert_eq!(link.gate().prepare(0, [5; 32]).await, Err(Halt::Offline));
    assert_eq!(stop.halted().await, Halt::Cancel);
    assert!(rig.proxy.cuts() >= 1, "the fault fired");
    assert!(matches!(link.complete(failed()).await, Err(LinkError::Unreachable(_))));
    let streams = rig.store.run_stream_list(made.org, made.run).await.expect("readable");
    assert!(streams.iter().all(|stream| stream.state == StreamState::Waiting), "leave was never given");
}

/// A worker that wakes from a long sleep finds its own grace over before it has heard anything.
#[tokio::test(flavor = "multi_thread")]
async fn f17_a_worker_whose_grace_is_over_still_learns_that_it_was_fenced() {
    let rig = Rig::start_with(with_grace(Duration::from_secs(2))).await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    eventually("the first report arrives", async || rig.events(&made).await.len() == 1).await;
    rig.proxy.cut();
    assert_eq!(stop.halted().await, Halt::Cancel, "its grace is over");
    assert!(rig.proxy.cuts() >= 1, "the fault fired");
    rig.fence(&made).await;
    // Its first word meets the cut as well.
    let cuts = rig.proxy.cuts();
    let mends = async {
        eventually("it is turned away", async || rig.proxy.cuts() > cuts + 1).await;
        rig.proxy.mend();
    };
    let (told, ()) = tokio::join!(link.complete(failed()), mends);
    // A fence is told as an answer or as a refusal.
    assert!(matches!(told, Ok(Told::Fenced) | Err(LinkError::Fenced)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_a_stream_cut_again_and_again_delivers_every_event_once_and_in_order() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let (link, _stop) = join(&rig, &made).await.expect("joined");
    for round in 0..4_u64 {
        for n in 0..50 {
            link.observer().event(Event { count: Some(round * 50 + n), ..Event::new(EventCode::PartUploaded) });
        }
        tokio::task::yield_now().await;
        let before = rig.proxy.cuts();
        rig.proxy.cut();
        eventually("a connection is cut", async || rig.proxy.cuts() > before).await;
        rig.proxy.mend();
    }
    eventually("all events arrive", async || rig.events(&made).await.len() >= 201).await;
    let rows = rig.store.run_event_list(made.org, made.run, 0, 10_000).await.expect("readable");
    let told: Vec<u64> = rows
        .iter()
        .filter(|row| row.code == "part_uploaded")
        .filter_map(|row| serde_json::from_str::<serde_json::Value>(&row.body).ok()?.get("count")?.as_u64())
        .collect();
    assert_eq!(told, (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_a_certificate_is_renewed_at_half_its_life_and_the_link_outlives_the_first() {
    let rig = Rig::start_with(Options { worker_life: Duration::from_secs(4), ..Options::default() }).await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    let issued = async || rig.store.certificate_list(made.org, made.attempt).await.expect("readable");
    let first = issued().await[0].clone();
    eventually("a second certificate is issued", async || issued().await.len() >= 2).await;
    let second = issued().await[1].clone();
    assert_ne!((&first.serial, &first.spki), (&second.serial, &second.spki), "with a key of its own");
    eventually("the first certificate is over", async || waybill_model::Micros::now() > first.not_after).await;
    assert_eq!(link.gate().prepare(1, [6; 32]).await, Ok(()));
    assert_eq!(stop.halt(), None);
    assert_eq!(link.complete(failed()).await.expect("taken"), Told::Continue);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_reaches_a_working_worker_with_its_next_report() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    rig.fence(&made).await;
    let halted = tokio::time::timeout(Duration::from_secs(5), stop.halted()).await.expect("within five seconds");
    assert_eq!(halted, Halt::Fenced);
    assert_eq!(link.gate().prepare(0, [5; 32]).await, Err(Halt::Fenced));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_the_worker_and_takes_leave_to_commit_away() {
    let rig = Rig::start().await;
    let made = rig.attempt().await;
    let (link, stop) = join(&rig, &made).await.expect("joined");
    let mut tx = rig.store.write_tx_of_all().await.expect("a transaction");
    assert!(Store::run_cancel_in_txn(&mut tx, made.org, made.run).await.expect("canceled"));
    tx.commit().await.expect("committed");
    let halted = tokio::time::timeout(Duration::from_secs(5), stop.halted()).await.expect("within five seconds");
    assert_eq!(halted, Halt::Cancel);
    assert_eq!(link.gate().prepare(0, [5; 32]).await, Err(Halt::Cancel));
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_to_commit_is_asked_for_again_when_it_is_too_old() {
    let options = Options::default();
    let grant = Duration::from_millis(600);
    let rig = Rig::start_with(Options { bounds: Bounds { grant, ..options.bounds }, ..options }).await;
    let made = rig.attempt().await;
    let (link, _stop) = join(&rig, &made).await.expect("joined");
    let gate = link.gate();
    let sent = || link.ledger().bytes(EgressClass::Digest);
    gate.prepare(0, [5; 32]).await.expect("granted");
    let once = sent();
    gate.prepare(0, [5; 32]).await.expect("still good");
    assert_eq!(sent(), once, "young leave for the same commit is used again");
    gate.prepare(0, [6; 32]).await.expect("granted");
    assert_eq!(sent(), once * 2, "another commit needs leave of its own");
    eventually("old leave is asked for again", async || {
        gate.prepare(0, [6; 32]).await.expect("granted");
        sent() > once * 2
    })
    .await;
}
