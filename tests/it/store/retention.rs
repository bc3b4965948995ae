//! What goes when its time has come, on both databases, and above all what stays.

use std::collections::BTreeMap;

use waybill_model::id::KeyId;
use waybill_model::run::RunKind;
use waybill_model::{AgentId, AttemptId, RunId};
use waybill_store::{Kept, NewApiKey, NewEvent, Pipeline};

use super::lists::{furnished, run};
use super::members::person;
use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Both {
    /// Statements of a test's own, such as those that let time pass.
    pub(super) async fn raw(&self, database: usize, sql: &str) {
        if database == 0 {
            let file = rusqlite::Connection::open(self.directory.path().join("waybill.db")).expect("the file");
            file.busy_timeout(Duration::from_secs(5)).expect("patience");
            file.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        } else {
            self._server.run(sql).await;
        }
    }

    /// Says that an agent held this attempt's task.
    async fn held_by_an_agent(&self, database: usize, (org, plane): (OrgId, DataPlaneId), attempt: AttemptId) {
        let agent = AgentId::generate();
        let sql = format!(
            "insert into agent (organization_id, id, data_plane_id, name, state, invitation, invited_until,
                needs_approval, generation, draining, slots, version, created_at, updated_at)
             values ('{org}', '{agent}', '{plane}', 'office-1', 'active', 1, 1, 0, 1, 0, 4, 1, 1, 1);
             insert into agent_task (organization_id, attempt_id, agent_id, state, stop_wanted, created_at, updated_at)
             values ('{org}', '{attempt}', '{agent}', 'stopped', 0, 1, 1)"
        );
        self.raw(database, &sql).await;
    }

    /// An attempt of a run that ended long ago; `over`: its task is known to be gone.
    pub(super) async fn attempt(
        &self,
        database: usize,
        (org, plane, run): (OrgId, DataPlaneId, RunId),
        over: bool,
    ) -> AttemptId {
        let (id, over) = (AttemptId::generate(), i32::from(over));
        let bytes = if database == 0 { "X'6162'" } else { "'\\x6162'" };
        let sql = format!(
            "insert into attempt (organization_id, id, run_id, number, epoch, state, data_plane_id, launch_request,
                launch_holder, launch_until, task_over, task_misses, lease_until, report_seq, event_count, created_at,
                finished_at)
             values ('{org}', '{id}', '{run}', 1, 1, 'succeeded', '{plane}', {bytes}, 'h', 0, {over}, 0, 0, 0, 0, 1, 2)"
        );
        self.raw(database, &sql).await;
        id
    }
}

async fn remove(store: &Store, kept: Kept, age: Duration) -> BTreeMap<OrgId, u64> {
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    let gone = Store::kept_remove_in_txn(&mut tx, kept, age, 100).await.expect("removed");
    tx.commit().await.expect("committed");
    gone
}

#[tokio::test]
async fn a_run_goes_with_all_of_it_and_never_while_it_is_live_or_its_task_may_be() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let (org, project, plane, [shop, _]) = furnished(store).await;
        let [old, haunted, young, live] = std::array::from_fn(|_| RunId::generate());
        let event = NewEvent { attempt: None, origin: "control", code: "queued", at: None, body: "{}".into() };
        for id in [old, haunted, young, live] {
            run(store, (org, project), plane, (id, shop, RunKind::Check)).await;
            let mut tx = store.write_tx_of_all().await.expect("a transaction");
            Store::run_event_append_in_txn(&mut tx, org, id, std::slice::from_ref(&event)).await.expect("added");
            Store::audit_append_in_txn(&mut tx, &AuditEntry::done(org, "user:test", "run_start", &id))
                .await
                .expect("added");
            tx.commit().await.expect("committed");
        }
        let attempt = both.attempt(database, (org, plane, old), true).await;
        both.held_by_an_agent(database, (org, plane), attempt).await;
        both.attempt(database, (org, plane, haunted), false).await;
        let now = store.clock().await.expect("the clock").0;
        // The live one is as old as they come: only its state keeps it.
        let ended = format!(
            "update run set state = 'failed', finished_at = 1000 where id in ('{old}', '{haunted}');
             update run set state = 'succeeded', finished_at = {now} where id = '{young}';
             update run set state = 'running', finished_at = 1000, created_at = 1 where id = '{live}'"
        );
        both.raw(database, &ended).await;

        let one = BTreeMap::from([(org, 1)]);
        assert_eq!(remove(store, Kept::RunEvents, DAY * 30).await, one);
        assert!(remove(store, Kept::RunEvents, DAY * 30).await.is_empty(), "once");
        let seen = store.run_get(org, old).await.expect("a read").expect("the run itself stays");
        assert!(seen.events_removed_at.is_some());
        assert!(store.run_event_list(org, old, 0, 10).await.expect("a read").is_empty());
        assert_eq!(remove(store, Kept::LaunchRequests, DAY).await, one);
        assert!(remove(store, Kept::LaunchRequests, DAY).await.is_empty(), "once");
        assert_eq!(remove(store, Kept::Runs, DAY * 400).await, one);
        assert!(remove(store, Kept::Runs, DAY * 400).await.is_empty(), "nothing else is old and over");
        assert_eq!(store.run_get(org, old).await.expect("a read"), None);
        for id in [haunted, young, live] {
            assert!(store.run_get(org, id).await.expect("a read").is_some());
            assert_eq!(store.run_event_list(org, id, 0, 10).await.expect("a read").len(), 1);
        }
        let chain = store.audit_verify(org).await.expect("a walk").expect("a whole chain");
        assert_eq!(chain.seq, 4, "no audit entry goes");
    }
}

#[tokio::test]
async fn sessions_and_keys_go_when_their_time_has_come_and_live_ones_stay() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let (org, _) = tenant(store).await;
        let user = UserId::generate();
        let account = User {
            org,
            id: user,
            email: format!("{user}@example.com"),
            name: "A person".into(),
            password_hash: "x".into(),
            role: "owner".into(),
            disabled: false,
            failed_logins: 0,
            locked_until: waybill_model::Micros(0),
            version: 1,
            created_at: waybill_model::Micros(0),
            updated_at: waybill_model::Micros(0),
        };
        let [live, expired, revoked] = std::array::from_fn(|_| SessionId::generate());
        let key = |key: &str| IdempotencyKey { org, actor: "user:test".into(), key: key.into() };
        let answer = KeptAnswer { request_digest: "d".into(), status: 201, response: "{}".into() };
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::user_insert_in_txn(&mut tx, &account).await.expect("added");
        for session in [live, expired, revoked] {
            Store::session_insert_in_txn(&mut tx, org, session, user, (DAY, None)).await.expect("added");
            let hash = format!("h{session}");
            Store::refresh_token_insert_in_txn(&mut tx, org, session, &hash, DAY).await.expect("added");
        }
        for name in ["old", "new"] {
            Store::idempotency_key_insert_in_txn(&mut tx, &key(name), &answer).await.expect("kept");
        }
        tx.commit().await.expect("committed");
        let aged = format!(
            "update session set expires_at = 1000 where id = '{expired}';
             update session set revoked_at = 1000 where id = '{revoked}';
             update idempotency_key set created_at = 1000 where key = 'old' and organization_id = '{org}'"
        );
        both.raw(database, &aged).await;
        assert_eq!(remove(store, Kept::Sessions, DAY * 90).await, BTreeMap::from([(org, 2)]));
        let left = store.session_list(org, user, None, 10).await.expect("a read");
        assert!(left.len() == 1 && left[0].id == live, "{left:?}");
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let used = Store::refresh_token_use_in_txn(&mut tx, &format!("h{live}")).await.expect("used");
        assert!(matches!(used, RefreshOutcome::Fresh(_)), "{used:?}");
        drop(tx);
        assert_eq!(remove(store, Kept::IdempotencyKeys, DAY).await, BTreeMap::from([(org, 1)]));
        assert_eq!(store.idempotency_key_get(&key("old")).await.expect("a read"), None);
        assert_eq!(store.idempotency_key_get(&key("new")).await.expect("a read"), Some(answer));
    }
}

#[tokio::test]
async fn what_was_deleted_goes_with_the_last_run_that_tells_of_it() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let (org, project, plane, [shop, lake]) = furnished(store).await;
        let (told, pipeline) = (RunId::generate(), PipelineId::generate());
        run(store, (org, project), plane, (told, shop, RunKind::Check)).await;
        let created_by = person(store, org, "owner").await.id;
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::pipeline_insert_in_txn(&mut tx, &new_pipeline(org, project, pipeline, plane)).await.expect("added");
        let key = NewApiKey {
            org,
            id: KeyId::generate(),
            project,
            name: "ci".into(),
            role: "api",
            digest: "x".into(),
            networks: String::new(),
            created_by,
            life: DAY,
        };
        Store::key_insert_in_txn(&mut tx, &key, &[pipeline]).await.expect("a key that names it");
        assert!(Store::pipeline_delete_in_txn(&mut tx, org, pipeline, 1).await.expect("deleted"));
        for id in [shop, lake] {
            assert!(Store::connection_delete_in_txn(&mut tx, org, id, 1).await.expect("deleted"));
        }
        tx.commit().await.expect("committed");
        assert_eq!(remove(store, Kept::Deleted, Duration::ZERO).await, BTreeMap::from([(org, 2)]), "lake and pipeline");
        assert!(remove(store, Kept::Deleted, Duration::ZERO).await.is_empty(), "a run tells of shop");
        both.raw(database, &format!("update run set state = 'failed', finished_at = 1000 where id = '{told}'")).await;
        assert_eq!(remove(store, Kept::Runs, DAY).await, BTreeMap::from([(org, 1)]));
        assert_eq!(remove(store, Kept::Deleted, Duration::ZERO).await, BTreeMap::from([(org, 1)]));
    }
}

#[tokio::test]
async fn f25_what_one_process_revokes_every_other_one_reads() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let (org, _) = tenant(store).await;
        let (now, past) = (AttemptId::generate(), AttemptId::generate());
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        for attempt in [now, past, now] {
            Store::denial_insert_in_txn(&mut tx, org, attempt, DAY).await.expect("denied");
        }
        tx.commit().await.expect("committed");
        both.raw(database, &format!("update denial set until = 1000 where subject = '{past}'")).await;
        assert_eq!(store.denial_list().await.expect("a read"), [now]);
        assert_eq!(remove(store, Kept::Denials, Duration::ZERO).await, BTreeMap::from([(org, 1)]));
        assert_eq!(store.denial_list().await.expect("a read"), [now]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_pause_what_they_saw_one_does() {
    for store in &both().await.stores {
        let (org, project, plane, _) = furnished(store).await;
        let id = PipelineId::generate();
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::pipeline_insert_in_txn(&mut tx, &new_pipeline(org, project, id, plane)).await.expect("added");
        tx.commit().await.expect("committed");
        let read = async || store.pipeline_get(org, id).await.expect("a read").expect("a pipeline");
        let mut seen: Pipeline = read().await;
        for round in 0..5 {
            let why = (round % 2 == 0).then_some(("user", "a hint"));
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let (store, seen) = (store.clone(), seen.clone());
                all.spawn(async move {
                    let mut tx = store.write_tx_of_all().await.expect("a transaction");
                    let won = Store::pipeline_pause_seen_in_txn(&mut tx, &seen, why).await.expect("asked");
                    tx.commit().await.expect("committed");
                    won
                });
            }
            let won = all.join_all().await.into_iter().filter(|won| *won).count();
            assert_eq!(won, 1, "round {round}");
            let after = read().await;
            assert!(after.updated_at > seen.updated_at, "two changes are told apart, however quick");
            assert_eq!(after.paused.is_some(), why.is_some());
            seen = after;
        }
    }
}
