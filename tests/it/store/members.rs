//! Who may do what, as the store keeps it: roles of this moment in one read, the last owner, and what a new role model found.

use waybill_model::Micros;
use waybill_store::{Member, RoleChange, Sight, Standing};
use waybill_tests::binaries::repository;

use super::*;

pub(super) async fn person(store: &Store, org: OrgId, role: &str) -> User {
    let id = UserId::generate();
    let row = User {
        org,
        id,
        email: format!("{id}@example.com"),
        name: "A person".into(),
        password_hash: "x".into(),
        role: role.into(),
        disabled: false,
        failed_logins: 0,
        locked_until: Micros(0),
        version: 1,
        created_at: Micros(0),
        updated_at: Micros(0),
    };
    let mut tx = store.write_tx(org).await.expect("a transaction");
    Store::user_insert_in_txn(&mut tx, &row).await.expect("added");
    tx.commit().await.expect("committed");
    row
}

async fn join(store: &Store, (org, project): (OrgId, ProjectId), user: UserId, role: &str) -> Member {
    let mut tx = store.write_tx(org).await.expect("a transaction");
    Store::member_insert_in_txn(&mut tx, (org, project), user, role).await.expect("added");
    tx.commit().await.expect("committed");
    store.member_get(org, project, user).await.expect("a read").expect("a member")
}

/// Takes a person's ownership away behind the lock, as two do at once.
async fn demote(store: &Store, user: &User) -> RoleChange {
    let mut tx = store.write_tx(user.org).await.expect("a transaction");
    Store::authority_lock_in_txn(&mut tx, user.org).await.expect("the lock");
    let done = Store::user_update_in_txn(&mut tx, user, "member", false).await.expect("an outcome");
    tx.commit().await.expect("committed");
    done
}

async fn leave(store: &Store, member: &Member) -> RoleChange {
    let mut tx = store.write_tx(member.org).await.expect("a transaction");
    Store::authority_lock_in_txn(&mut tx, member.org).await.expect("the lock");
    let done = Store::member_delete_in_txn(&mut tx, member).await.expect("an outcome");
    tx.commit().await.expect("committed");
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn t19_of_two_last_owners_who_are_taken_away_at_once_one_stays() {
    for store in &both().await.stores {
        for _ in 0..10 {
            let (org, project) = tenant(store).await;
            let (one, two) = (person(store, org, "owner").await, person(store, org, "owner").await);
            person(store, org, "administrator").await;
            let members = (
                join(store, (org, project), one.id, "owner").await,
                join(store, (org, project), two.id, "owner").await,
            );
            let (first, second) = tokio::join!(leave(store, &members.0), leave(store, &members.1));
            assert!(
                matches!(
                    (first, second),
                    (RoleChange::Done, RoleChange::LastOwner) | (RoleChange::LastOwner, RoleChange::Done)
                ),
                "{first:?} {second:?}"
            );
            let (first, second) = tokio::join!(demote(store, &one), demote(store, &two));
            assert!(
                matches!(
                    (first, second),
                    (RoleChange::Done, RoleChange::LastOwner) | (RoleChange::LastOwner, RoleChange::Done)
                ),
                "{first:?} {second:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_of_a_role_is_made_from_what_was_read_and_a_disabled_owner_is_none() {
    for store in &both().await.stores {
        let (org, project) = tenant(store).await;
        let (one, two) = (person(store, org, "owner").await, person(store, org, "owner").await);
        let change = async |user: &User, role: &str, disabled: bool| {
            let mut tx = store.write_tx(org).await.expect("a transaction");
            let done = Store::user_update_in_txn(&mut tx, user, role, disabled).await.expect("an outcome");
            tx.commit().await.expect("committed");
            done
        };
        assert_eq!(change(&two, "owner", true).await, RoleChange::Done);
        assert_eq!(change(&two, "owner", false).await, RoleChange::Stale, "it was read before the change");
        assert_eq!(change(&one, "administrator", false).await, RoleChange::LastOwner, "the other one may not log in");
        assert_eq!(change(&one, "owner", true).await, RoleChange::LastOwner);
        let (mine, theirs) =
            (join(store, (org, project), one.id, "owner").await, join(store, (org, project), two.id, "owner").await);
        assert_eq!(leave(store, &mine).await, RoleChange::LastOwner, "a disabled owner looks after nothing");
        assert_eq!(leave(store, &theirs).await, RoleChange::Done);
        assert_eq!(leave(store, &theirs).await, RoleChange::Stale, "who is gone");
        assert!(store.member_get(org, project, two.id).await.expect("a read").is_none());
        // One who is disabled owns nothing that counts, and can be taken out.
        let third = person(store, org, "member").await;
        let owner = join(store, (org, project), third.id, "owner").await;
        assert_eq!(leave(store, &mine).await, RoleChange::Done);
        let is_last =
            async || store.member_get(org, project, third.id).await.expect("a read").is_some_and(|m| m.is_last_owner);
        assert!(is_last().await);
        assert_eq!(leave(store, &owner).await, RoleChange::LastOwner);
        assert_eq!(change(&third, "member", true).await, RoleChange::Done);
        assert!(!is_last().await);
        assert_eq!(leave(store, &owner).await, RoleChange::Done);
    }
}

#[tokio::test]
async fn one_read_tells_every_role_of_a_live_session_and_nothing_of_an_ended_one() {
    for store in &both().await.stores {
        let (org, first) = tenant(store).await;
        let (other, theirs) = tenant(store).await;
        let second = ProjectId::generate();
        let user = person(store, org, "member").await;
        let session = SessionId::generate();
        let mut tx = store.write_tx(org).await.expect("a transaction");
        Store::project_insert_in_txn(&mut tx, org, second, "second", 1_000).await.expect("added");
        let hour = Duration::from_secs(3_600);
        Store::session_insert_in_txn(&mut tx, org, session, user.id, (hour, None)).await.expect("added");
        tx.commit().await.expect("committed");
        let read = async || store.standing_get(org, session, user.id).await.expect("a read");
        assert_eq!(read().await, Some(Standing { role: "member".into(), projects: Vec::new() }));
        join(store, (org, first), user.id, "viewer").await;
        join(store, (org, second), user.id, "editor").await;
        let mut found = read().await.expect("a standing").projects;
        found.sort();
        let mut meant = vec![(first, "viewer".to_owned()), (second, "editor".to_owned())];
        meant.sort();
        assert_eq!(found, meant);
        assert_eq!(store.standing_get(other, session, user.id).await.expect("a read"), None);
        let somebody = person(store, org, "owner").await;
        assert_eq!(store.standing_get(org, session, somebody.id).await.expect("a read"), None, "another's session");
        let part = waybill_store::ListPart::by_id(None::<ProjectId>, 10);
        assert_eq!(store.project_part(org, Sight::Of(user.id), &part).await.expect("a list").len(), 2);
        assert_eq!(store.project_part(org, Sight::Of(somebody.id), &part).await.expect("a list").len(), 0);
        // A row of one tenant can't take another's person in.
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let stray = Store::member_insert_in_txn(&mut tx, (other, theirs), user.id, "owner").await;
        assert!(matches!(stray, Err(StoreError::Dangling(_))), "{stray:?}");
        drop(tx);
        let mut tx = store.write_tx(org).await.expect("a transaction");
        Store::user_update_in_txn(&mut tx, &user, "member", true).await.expect("disabled");
        tx.commit().await.expect("committed");
        assert_eq!(read().await, None, "who is disabled is nothing, whatever session they have");
    }
}

/// Every migration of a database before the one of roles, and that one.
fn migrations(dialect: &str) -> (String, String) {
    let folder = repository().join("crates/store/migrations").join(dialect);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("migrations").map(|entry| entry.expect("one").path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).expect("a migration");
    let at = files.iter().position(|path| path.to_string_lossy().ends_with("_roles.sql")).expect("the roles");
    (files[..at].iter().map(read).collect(), read(&files[at]))
}

const PEOPLE: &str = "
    insert into organization (id, name, created_at) values ('a', 'a', 0), ('b', 'b', 0);
    insert into app_user (organization_id, id, email, name, password_hash, role, disabled, failed_logins, locked_until, created_at, updated_at)
    values ('a', 'u1', '1@x', '', '', 'administrator', 1, 0, 0, 0, 0), ('a', 'u2', '2@x', '', '', 'administrator', 0, 0, 0, 0, 0),
           ('a', 'u3', '3@x', '', '', 'administrator', 0, 0, 0, 0, 0), ('b', 'u4', '4@x', '', '', 'administrator', 0, 0, 0, 0, 0);";
const ROLES: &str = "select id, role from app_user order by id";

#[tokio::test]
async fn the_first_administrator_of_each_organization_comes_to_own_it() {
    let meant = [("u1", "administrator"), ("u2", "owner"), ("u3", "administrator"), ("u4", "owner")];
    let (before, roles) = migrations("sqlite");
    let sqlite = rusqlite::Connection::open_in_memory().expect("SQLite");
    sqlite.execute_batch(&format!("{before}{PEOPLE}{roles}")).expect("migrated");
    let mut statement = sqlite.prepare(ROLES).expect("a statement");
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).expect("rows");
    let found: Vec<(String, String)> = rows.collect::<Result<_, _>>().expect("rows");
    assert_eq!(found.iter().map(|(id, role)| (id.as_str(), role.as_str())).collect::<Vec<_>>(), meant);

    let server = Postgres::start();
    let (before, roles) = migrations("postgres");
    server.run(&format!("{before}{PEOPLE}{roles}")).await;
    let rows = server.client().await.query(ROLES, &[]).await.expect("rows");
    let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found.iter().map(|(id, role)| (id.as_str(), role.as_str())).collect::<Vec<_>>(), meant);
}
