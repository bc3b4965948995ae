//! The store's own promises, on both databases: tenants apart, one winner, a chain that shows every tampering.

use std::time::Duration;

use tempfile::TempDir;
use waybill_model::id::SessionId;
use waybill_model::{ConnectionId, DataPlaneId, Epoch, OrgId, PipelineId, ProjectId, UserId};
use waybill_store::{
    AuditBreak, AuditEntry, IdempotencyKey, KeptAnswer, NewConnection, NewPipeline, RefreshOutcome, Store, StoreError,
    User,
};
use waybill_tests::services::postgres::Postgres;

mod agents;
mod attempts;
mod full_disk;
mod lists;
mod members;
mod retention;
mod trail;

struct Both {
    directory: TempDir,
    _server: Postgres,
    stores: [Store; 2],
}

async fn both() -> Both {
    let directory = TempDir::new().expect("a directory");
    let server = Postgres::start();
    let sqlite = format!("sqlite://{}", directory.path().join("waybill.db").display());
    let stores =
        [Store::open(&sqlite).await.expect("SQLite"), Store::open(&server.owner_url()).await.expect("Postgres")];
    Both { directory, _server: server, stores }
}

impl Both {
    fn url(&self, database: usize) -> String {
        if database == 0 {
            return format!("sqlite://{}", self.directory.path().join("waybill.db").display());
        }
        self._server.owner_url()
    }
}

async fn tenant(store: &Store) -> (OrgId, ProjectId) {
    let (org, project) = (OrgId::generate(), ProjectId::generate());
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    Store::organization_insert_in_txn(&mut tx, org, "a tenant").await.expect("an organization");
    Store::project_insert_in_txn(&mut tx, org, project, "default", 1_000).await.expect("a project");
    tx.commit().await.expect("committed");
    (org, project)
}

#[tokio::test]
async fn migrations_may_run_twice_and_at_once() {
    let both = both().await;
    for store in &both.stores {
        let (first, second) = tokio::join!(store.migrate(), store.migrate());
        first.expect("migrated");
        second.expect("migrated");
        store.ready().await.expect("ready");
    }
}

#[tokio::test]
async fn both_clocks_are_this_machines_in_microseconds() {
    for store in &both().await.stores {
        let before = waybill_model::Micros::now();
        let now = store.clock().await.expect("the clock");
        assert!(now.since(before) < Duration::from_secs(60) && before.since(now) < Duration::from_secs(60));
    }
}

#[tokio::test]
async fn t08_nothing_of_one_organization_is_read_by_another() {
    for store in &both().await.stores {
        let (org, project) = tenant(store).await;
        let (other, _) = tenant(store).await;
        let (plane, connection, pipeline) = (DataPlaneId::generate(), ConnectionId::generate(), PipelineId::generate());
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::data_plane_insert_in_txn(&mut tx, org, plane, "local", ("process", "{}")).await.expect("added");
        let system = "{\"type\":\"sqlite\"}".to_owned();
        let new = NewConnection { org, project, id: connection, name: "shop".into(), kind: "sqlite".into(), system };
        Store::connection_insert_in_txn(&mut tx, &new).await.expect("added");
        Store::pipeline_insert_in_txn(&mut tx, &new_pipeline(org, project, pipeline, plane)).await.expect("added");
        tx.commit().await.expect("committed");
        for (asks, found) in [(org, true), (other, false)] {
            assert_eq!(store.project_get(asks, project).await.expect("a read").is_some(), found);
            assert_eq!(store.data_plane_get(asks, plane).await.expect("a read").is_some(), found);
            assert_eq!(store.connection_get(asks, connection).await.expect("a read").is_some(), found);
            assert_eq!(store.connection_list(asks, project, None, 10).await.expect("a read").len(), usize::from(found));
            assert_eq!(store.pipeline_get(asks, pipeline).await.expect("a read").is_some(), found);
            assert_eq!(store.pipeline_version_get(asks, pipeline, 1).await.expect("a read").is_some(), found);
            assert_eq!(store.pipeline_list(asks, project, None, 10).await.expect("a read").len(), usize::from(found));
        }
        // A row of one tenant can't even point at another's.
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let stray = new_pipeline(other, project, PipelineId::generate(), plane);
        let refused = Store::pipeline_insert_in_txn(&mut tx, &stray).await;
        assert!(matches!(refused, Err(StoreError::Dangling(_))), "{refused:?}");
    }
}

fn new_pipeline(org: OrgId, project: ProjectId, id: PipelineId, data_plane: DataPlaneId) -> NewPipeline {
    NewPipeline {
        org,
        project,
        id,
        name: "nightly".into(),
        data_plane,
        plan: "{}".into(),
        source: None,
        digest: "d".into(),
        created_by: "user:test".into(),
    }
}

#[tokio::test]
async fn a_version_is_made_by_who_saw_the_last_one_and_names_are_free_after_a_delete() {
    for store in &both().await.stores {
        let (org, project) = tenant(store).await;
        let (plane, id) = (DataPlaneId::generate(), PipelineId::generate());
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::data_plane_insert_in_txn(&mut tx, org, plane, "local", ("process", "{}")).await.expect("added");
        let new = new_pipeline(org, project, id, plane);
        Store::pipeline_insert_in_txn(&mut tx, &new).await.expect("added");
        assert!(Store::pipeline_version_add_in_txn(&mut tx, &new, 1).await.expect("asked"));
        assert!(!Store::pipeline_version_add_in_txn(&mut tx, &new, 1).await.expect("asked"), "seen an old one");
        assert!(Store::pipeline_epoch_raise_in_txn(&mut tx, org, id, Epoch(9)).await.expect("asked"));
        assert!(!Store::pipeline_epoch_raise_in_txn(&mut tx, org, id, Epoch(9)).await.expect("asked"));
        assert!(Store::pipeline_delete_in_txn(&mut tx, org, id, 2).await.expect("asked"));
        Store::pipeline_insert_in_txn(&mut tx, &NewPipeline { id: PipelineId::generate(), ..new.clone() })
            .await
            .expect("the name is free again");
        tx.commit().await.expect("committed");
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let twice = Store::pipeline_insert_in_txn(&mut tx, &NewPipeline { id: PipelineId::generate(), ..new }).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    }
}

#[tokio::test]
async fn what_is_not_committed_leaves_no_trace() {
    for store in &both().await.stores {
        let org = OrgId::generate();
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::organization_insert_in_txn(&mut tx, org, "gone").await.expect("added");
        Store::audit_append_in_txn(&mut tx, &AuditEntry::done(org, "user:test", "test", &org)).await.expect("added");
        drop(tx);
        assert_eq!(store.organization_get(org).await.expect("a read"), None);
        assert!(store.audit_list(org, None, 10).await.expect("a read").is_empty());
    }
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_session() {
    for store in &both().await.stores {
        let (org, _) = tenant(store).await;
        let (user, session) = (UserId::generate(), SessionId::generate());
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let account = User {
            org,
            id: user,
            email: format!("{user}@example.com"),
            name: "A".into(),
            password_hash: "h".into(),
            role: "owner".into(),
            disabled: false,
            failed_logins: 0,
            locked_until: waybill_model::Micros(0),
            version: 1,
            created_at: waybill_model::Micros(0),
            updated_at: waybill_model::Micros(0),
        };
        Store::user_insert_in_txn(&mut tx, &account).await.expect("added");
        let hour = Duration::from_secs(3_600);
        Store::session_insert_in_txn(&mut tx, org, session, user, (hour, None)).await.expect("added");
        Store::refresh_token_insert_in_txn(&mut tx, org, session, &format!("1{user}"), hour).await.expect("added");
        let first = Store::refresh_token_use_in_txn(&mut tx, &format!("1{user}")).await.expect("used");
        assert!(matches!(first, RefreshOutcome::Fresh(_)), "{first:?}");
        let again = Store::refresh_token_use_in_txn(&mut tx, &format!("1{user}")).await.expect("used");
        assert!(matches!(again, RefreshOutcome::Reused(_)), "{again:?}");
        let third = Store::refresh_token_use_in_txn(&mut tx, &format!("1{user}")).await.expect("used");
        assert_eq!(third, RefreshOutcome::Refused);
        tx.commit().await.expect("committed");
        assert_eq!(store.session_list(org, user, None, 10).await.expect("a read"), []);
    }
}

#[tokio::test]
async fn an_idempotency_key_keeps_the_first_answer() {
    for store in &both().await.stores {
        let (org, _) = tenant(store).await;
        let key = IdempotencyKey { org, actor: "user:test".into(), key: "k".into() };
        let answer = KeptAnswer { request_digest: "d".into(), status: 201, response: "{}".into() };
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::idempotency_key_insert_in_txn(&mut tx, &key, &answer).await.expect("kept");
        tx.commit().await.expect("committed");
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let second = Store::idempotency_key_insert_in_txn(&mut tx, &key, &answer).await;
        assert!(second.is_err_and(|error| error.is_conflict()));
        drop(tx);
        assert_eq!(store.idempotency_key_get(&key).await.expect("a read"), Some(answer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_make_one_chain_per_organization() {
    for store in &both().await.stores {
        let tenants = [tenant(store).await.0, tenant(store).await.0];
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (store, org) = (store.clone(), tenants[n % 2]);
            writers.spawn(async move {
                for _ in 0..10 {
                    let mut tx = store.write_tx_of_all().await.expect("a transaction");
                    let entry = AuditEntry::done(org, format!("user:{n}"), "test", &org);
                    Store::audit_append_in_txn(&mut tx, &entry).await.expect("added");
                    tx.commit().await.expect("committed");
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.expect("a writer");
        }
        for org in tenants {
            assert_eq!(store.audit_verify(org).await.expect("a walk").expect("a whole chain").seq, 40);
        }
    }
}

#[tokio::test]
async fn t20_every_tampering_with_the_chain_shows_where() {
    let both = both().await;
    let store = &both.stores[0];
    let file = rusqlite::Connection::open(both.directory.path().join("waybill.db")).expect("the file");
    let tamperings = [
        ("update audit set actor = 'nobody' where seq = 3", 3),
        ("update audit set at = at + 1 where seq = 5", 5),
        ("update audit set ip = '' where seq = 4", 4),
        ("delete from audit where seq = 2", 2),
        ("delete from audit where seq = 6", 6),
        ("update audit set seq = -seq where seq in (3, 4)", 3),
    ];
    for (tampering, first) in tamperings {
        let (org, _) = tenant(store).await;
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        for _ in 0..6 {
            let entry = AuditEntry::done(org, "user:test", "test", &org);
            Store::audit_append_in_txn(&mut tx, &entry).await.expect("added");
        }
        tx.commit().await.expect("committed");
        assert!(store.audit_verify(org).await.expect("a walk").is_ok());
        let of_org = format!("{tampering} and organization_id = '{org}'");
        assert!(file.execute(&of_org, []).expect("tampered") > 0);
        assert_eq!(store.audit_verify(org).await.expect("a walk"), Err(AuditBreak { seq: first }), "{tampering}");
    }
}
