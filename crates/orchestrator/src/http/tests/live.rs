//! Live streams and events.

use futures::StreamExt;

use super::*;
use crate::service::run::Caller as Who;

async fn stream(world: &World, last: &str) -> String {
    let path = format!("/v1/events?topics=run:{}", world.ours.run);
    let sent = request(Method::GET, &path, Some(&world.ours.token), &[("last-event-id", last)], None);
    let answer = crate::http::router(Arc::clone(&world.app)).oneshot(sent).await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("event: end") {
        match tokio::time::timeout(std::time::Duration::from_secs(20), body.next()).await.expect("in time") {
            Some(chunk) => text.push_str(&String::from_utf8_lossy(&chunk.expect("a chunk"))),
            None => break,
        }
    }
    text
}

/// Ends the queued run as the dispatcher does.
async fn end(world: &World) {
    let who = Who { org: world.ours.caller.org, actor: "test".into(), ip: None };
    world.app.runs.cancel(&who, world.ours.run).await.expect("a cancel");
    let mut tx = world.app.store.write_tx_of_all().await.expect("a transaction");
    let run = Store::run_lock_in_txn(&mut tx, who.org, world.ours.run).await.expect("a read").expect("a run");
    let to = run.state.next(waybill_model::run::RunEvent::Canceled).expect("a legal move");
    assert!(Store::run_move_in_txn(&mut tx, &run, to, None).await.expect("a move"));
    tx.commit().await.expect("a commit");
    world.app.nudges.run_changed(run.id);
}

#[tokio::test]
async fn a_stream_tells_the_run_and_its_events_until_its_end() {
    let world = World::new().await;
    let (text, ()) = tokio::join!(stream(&world, ""), end(&world));
    assert!(
        text.contains("event: run\n") && text.contains("event: event\n") && text.contains("event: end\n"),
        "{text}"
    );
    assert!(text.contains("\"code\":\"cancel_asked\"") && text.contains("\"state\":\"canceled\""), "{text}");
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_nothing_twice() {
    let world = World::new().await;
    end(&world).await;
    let text = stream(&world, "").await;
    let last = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    let again = stream(&world, &last).await;
    assert!(!again.contains("event: event\n") && again.contains("event: run\n"), "{again}");
}

#[tokio::test]
async fn events_are_filtered_searched_and_shown_as_text() {
    let world = World::new().await;
    end(&world).await;
    let path = format!("/v1/runs/{}/events", world.ours.run);
    let all = world.get(&path).await;
    assert_eq!(all.body["items"].as_array().map(Vec::len), Some(2), "{}", all.body);
    let warned = world.get(&format!("{path}?level=warn")).await;
    assert_eq!(warned.body["items"][0]["code"], "cancel_asked");
    assert_eq!(world.get(&format!("{path}?find=ITS%20TURN")).await.body["items"][0]["code"], "queued");
    let next = all.body["next_after"].as_u64().expect("a number");
    let rest = world.get(&format!("{path}?after={next}")).await;
    assert_eq!((&rest.body["items"], &rest.body["ended"]), (&json!([]), &json!(true)));
    assert_eq!(world.get(&format!("{path}?level=loud")).await.code(), "parameter_invalid");
}
