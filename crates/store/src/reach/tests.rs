//! The wall itself, tried from inside of it: statements that name no organization, through the connections that all others
//! go through, on a real PostgreSQL 15 and as a user without rights of its own.

use std::task::Poll;
use std::time::Duration;

use sqlx::{Executor as _, Row as _};
use waybill_model::id::SessionId;
use waybill_model::{DataPlaneId, ProjectId, UserId};
use waybill_tests::services::postgres::Postgres;

use super::*;
use crate::{AuditEntry, StoreOptions, User};

/// Tables that hold nothing of any organization.
const COMMON: [&str; 3] = ["_sqlx_migrations", "loop_lease", "setup_token"];

struct World {
    store: Store,
    server: Postgres,
    mine: OrgId,
    theirs: OrgId,
}

impl World {
    /// A store with one connection, which every statement of a test goes through in turn.
    async fn new() -> Self {
        let server = Postgres::start();
        let options = StoreOptions { connections: 1, ..StoreOptions::default() };
        let store = Store::open_with(&server.owner_url(), &options).await.expect("a store");
        let (mine, theirs) = (tenant(&store, "mine").await, tenant(&store, "theirs").await);
        Self { store, server, mine, theirs }
    }

    /// How many rows of `organization`, and of all others, a connection finds in every table of tenants.
    async fn seen(&self, connection: &mut sqlx::AnyConnection, organization: OrgId) -> (i64, i64) {
        let (mut own, mut others) = (0, 0);
        for (table, column) in self.tables().await {
            let text = format!(
                "select cast(coalesce(sum(case when {column} = '{organization}' then 1 else 0 end), 0) as bigint) as own,
                        cast(count(*) as bigint) as n from {table}"
            );
            let row = connection.fetch_one(AssertSqlSafe(text)).await.expect("a count");
            let (of_own, all) = (row.get::<i64, _>("own"), row.get::<i64, _>("n"));
            own += of_own;
            others += all - of_own;
        }
        (own, others)
    }

    /// Whom a connection names.
    async fn named(&self, connection: &mut sqlx::AnyConnection) -> String {
        let text = "select coalesce(current_setting('waybill.organization', true), '') as name";
        connection.fetch_one(text).await.expect("a setting").get("name")
    }

    /// Every table of tenants, with the column that tells whose a row is.
    async fn tables(&self) -> Vec<(String, &'static str)> {
        let text = "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'public' and c.relkind in ('r', 'p') order by c.relname";
        let rows = self.server.client().await.query(text, &[]).await.expect("the tables");
        let names = rows.iter().map(|row| row.get::<_, String>(0)).filter(|name| !COMMON.contains(&name.as_str()));
        names.map(|name| if name == "organization" { (name, "id") } else { (name, "organization_id") }).collect()
    }
}

/// An organization with a row in some tables of every kind.
async fn tenant(store: &Store, name: &str) -> OrgId {
    let (org, user) = (OrgId::generate(), UserId::generate());
    let mut tx = store.write_tx(org).await.expect("a transaction");
    Store::organization_insert_in_txn(&mut tx, org, name).await.expect("an organization");
    Store::project_insert_in_txn(&mut tx, org, ProjectId::generate(), "default", 0).await.expect("a project");
    Store::data_plane_insert_in_txn(&mut tx, org, DataPlaneId::generate(), "local", ("process", "{}"))
        .await
        .expect("a data plane");
    let person = User {
        org,
        id: user,
        email: format!("{name}@example.com"),
        name: name.into(),
        password_hash: "-".into(),
        role: "administrator".into(),
        disabled: false,
        failed_logins: 0,
        locked_until: waybill_model::Micros(0),
        version: 1,
        created_at: waybill_model::Micros(0),
        updated_at: waybill_model::Micros(0),
    };
    Store::user_insert_in_txn(&mut tx, &person).await.expect("a person");
    Store::session_insert_in_txn(&mut tx, org, SessionId::generate(), user, (Duration::from_secs(60), None))
        .await
        .expect("a session");
    Store::audit_append_in_txn(&mut tx, &AuditEntry::done(org, "test", "test", &user)).await.expect("an entry");
    tx.commit().await.expect("committed");
    org
}

#[tokio::test]
async fn t08_a_statement_that_forgets_its_organization_reads_nothing_of_another_one() {
    let world = World::new().await;
    let mut all = world.store.reader_of_all().await.expect("a reader");
    let (own, others) = world.seen(all.connection(), world.mine).await;
    assert!(own >= 7 && own == others, "{own} {others}");
    drop(all);
    let mut reader = world.store.reader(world.mine).await.expect("a reader");
    assert_eq!(world.seen(reader.connection(), world.mine).await, (own, 0));
    drop(reader);
    let mut tx = world.store.write_tx(world.mine).await.expect("a transaction");
    assert_eq!(world.seen(tx.connection(), world.mine).await, (own, 0));
}

#[tokio::test]
async fn t08_a_statement_that_forgets_its_organization_writes_nothing_of_another_one() {
    let world = World::new().await;
    let mut tx = world.store.write_tx(world.mine).await.expect("a transaction");
    for (text, rows) in [
        ("update project set name = 'x'".to_owned(), 1),
        (format!("update project set name = 'x' where organization_id = '{}'", world.theirs), 0),
        (format!("delete from audit where organization_id = '{}'", world.theirs), 0),
    ] {
        let done = tx.connection().execute(AssertSqlSafe(text.clone())).await.expect("done");
        assert_eq!(done.rows_affected(), rows, "{text}");
    }
    tx.commit().await.expect("committed");
    for text in [
        format!(
            "insert into denial (organization_id, subject, created_at, until) values ('{}', 'x', 0, 0)",
            world.theirs
        ),
        format!("update data_plane set organization_id = '{}'", world.theirs),
    ] {
        let mut tx = world.store.write_tx(world.mine).await.expect("a transaction");
        let error = tx.connection().execute(AssertSqlSafe(text.clone())).await.expect_err("refused").to_string();
        assert!(error.contains("row-level security"), "{text}: {error}");
    }
    let mut all = world.store.reader_of_all().await.expect("a reader");
    let text = "select cast(count(*) as bigint) as n from project where name = 'x'";
    assert_eq!(all.connection().fetch_one(text).await.expect("a count").get::<i64, _>("n"), 1);
}

/// One connection is the whole pool here: whoever comes next gets the one that was used before.
#[tokio::test]
async fn t08_a_connection_carries_nobodys_name_to_its_next_user() {
    let world = World::new().await;
    for ended in ["read", "committed", "dropped", "failed"] {
        match ended {
            "read" => {
                let mut reader = world.store.reader(world.mine).await.expect("a reader");
                assert!(world.seen(reader.connection(), world.mine).await.0 > 0);
            }
            "committed" => {
                world.store.write_tx(world.mine).await.expect("a transaction").commit().await.expect("committed");
            }
            "dropped" => drop(world.store.write_tx_of_all().await.expect("a transaction")),
            _ => {
                let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
                assert!(tx.connection().execute("select 1 / 0").await.is_err());
            }
        }
        let mut bare = world.store.pool.acquire().await.expect("the connection");
        assert_eq!(world.seen(&mut bare, world.mine).await, (0, 0), "after one that {ended}");
        let text = format!(
            "insert into denial (organization_id, subject, created_at, until) values ('{}', 'x', 0, 0)",
            world.mine
        );
        assert!(bare.execute(AssertSqlSafe(text)).await.is_err(), "after one that {ended}");
    }
}

/// Polls a future so many times, whenever it asks for it, and drops it then; whether that cut it off.
async fn cut<T>(future: impl Future<Output = T>, mut polls: u32) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(true);
        }
        polls -= 1;
        future.as_mut().poll(context).map(|_| false)
    })
    .await
}

/// A caller that goes away, as one whose connection ends, may do so at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_leaves_no_transaction_behind() {
    let world = World::new().await;
    let mut midst = 0;
    for polls in (0..8).cycle().take(80) {
        let off = cut(world.store.reader(world.theirs), polls).await;
        midst += u32::from(off && polls > 0);
        let mut bare = world.store.pool.acquire().await.expect("the connection");
        assert_eq!(world.named(&mut bare).await, "", "cut off after {polls} polls");
        drop(bare);
        let mut tx = world.store.write_tx(world.mine).await.expect("a transaction");
        let done = tx.connection().execute("update project set name = name").await;
        assert_eq!(done.expect("a write in a transaction of its own").rows_affected(), 1);
    }
    assert!(midst > 0, "none was cut off in the midst");
}

/// Tables of tenants without the whole of the wall.
async fn open_tables(world: &World) -> Vec<String> {
    let text = "select c.relname from pg_class c left join pg_policy p on p.polrelid = c.oid
                where c.oid = to_regclass($1::text) and c.relrowsecurity and c.relforcerowsecurity
                group by c.relname
                having count(*) = 1 and bool_and(p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
                    and p.polwithcheck is null
                    and pg_get_expr(p.polqual, p.polrelid) like '(('|| $2::text || ' = ( SELECT current_setting(''waybill.organization''%')";
    let client = world.server.client().await;
    let mut open = Vec::new();
    for (table, column) in world.tables().await {
        if client.query(text, &[&table, &column]).await.expect("an answer").is_empty() {
            open.push(table);
        }
    }
    open
}

#[tokio::test]
async fn t08_every_table_of_tenants_has_the_policy_and_one_that_has_none_is_found() {
    let world = World::new().await;
    assert!(world.tables().await.len() > 20);
    assert_eq!(open_tables(&world).await, [""; 0]);
    world
        .server
        .run(
            "create table later (organization_id text not null);
             create table half (organization_id text not null);
             alter table half enable row level security;
             create policy tenant on half using (true);
             alter table run no force row level security;
             create policy other on audit using (true);",
        )
        .await;
    assert_eq!(open_tables(&world).await, ["audit", "half", "later", "run"]);
}

#[tokio::test]
async fn a_user_who_passes_the_wall_is_told_from_one_who_does_not() {
    let world = World::new().await;
    assert_eq!(world.store.row_security().await.expect("an answer"), RowSecurity::Enforced);
    world.server.run("create role passes login bypassrls").await;
    let passing = world.server.url().replace("//postgres@", "//passes@");
    for url in [world.server.url(), passing] {
        let store = Store::connect(&url, &StoreOptions::default()).await.expect("a store");
        assert_eq!(store.row_security().await.expect("an answer"), RowSecurity::Bypassed, "{url}");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let sqlite =
        Store::open(&format!("sqlite://{}", folder.path().join("waybill.db").display())).await.expect("SQLite");
    assert_eq!(sqlite.row_security().await.expect("an answer"), RowSecurity::Absent);
}
