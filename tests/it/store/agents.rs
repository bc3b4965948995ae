//! Agents on both databases: room is taken once, a right that was taken away is gone, and only the key that a person
//! compared is approved.

use waybill_model::run::RunKind;
use waybill_model::{AgentId, AttemptId, RunId};
use waybill_store::{Agent, Attempt};

use super::lists::{furnished, run};
use super::*;

const LIFE: Duration = Duration::from_secs(600);
const KEY: &str = "aa";

/// An organization with agents and attempts that wait for one.
struct Place<'a> {
    both: &'a Both,
    database: usize,
    org: OrgId,
    project: ProjectId,
    plane: DataPlaneId,
    shop: ConnectionId,
}

impl<'a> Place<'a> {
    async fn new(both: &'a Both, database: usize) -> Self {
        let (org, project, plane, [shop, _]) = furnished(&both.stores[database]).await;
        Self { both, database, org, project, plane, shop }
    }

    const fn store(&self) -> &'a Store {
        &self.both.stores[self.database]
    }

    /// An agent in this state with room for so many workers.
    async fn agent(&self, name: &str, state: &str, slots: u32) -> Agent {
        let id = AgentId::generate();
        let mut tx = self.store().write_tx().await.expect("a transaction");
        Store::agent_insert_in_txn(&mut tx, self.org, (id, self.plane), (name, state == "pending"), LIFE)
            .await
            .expect("added");
        let invited = Store::agent_get_in_txn(&mut tx, self.org, id).await.expect("a read").expect("an agent");
        assert!(Store::agent_use_invitation_in_txn(&mut tx, &invited, KEY, state).await.expect("used"));
        tx.commit().await.expect("committed");
        self.both.raw(self.database, &format!("update agent set slots = {slots} where id = '{id}'")).await;
        self.read(id).await
    }

    async fn read(&self, id: AgentId) -> Agent {
        self.store().agent_get(self.org, id).await.expect("a read").expect("an agent")
    }

    async fn attempt(&self) -> Attempt {
        let run_id = RunId::generate();
        run(self.store(), (self.org, self.project), self.plane, (run_id, self.shop, RunKind::Check)).await;
        let id = self.both.attempt(self.database, (self.org, self.plane, run_id), false).await;
        self.both.raw(self.database, &format!("update attempt set state = 'launching' where id = '{id}'")).await;
        self.store().attempt_get(self.org, id).await.expect("a read").expect("an attempt")
    }

    /// Gives a task as the launcher does.
    async fn give(&self, attempt: &Attempt, agent: AgentId) -> bool {
        let mut tx = self.store().write_tx().await.expect("a transaction");
        let given = Store::agent_lock_in_txn(&mut tx, self.org, agent).await.expect("asked")
            && Store::agent_task_insert_in_txn(&mut tx, attempt, agent).await.expect("asked");
        tx.commit().await.expect("committed");
        given
    }

    async fn holds(&self, agent: AgentId) -> Vec<AttemptId> {
        let tasks = self.store().agent_task_live(self.org, agent).await.expect("a read");
        let counted = self.store().agent_task_count(self.org).await.expect("a read");
        assert_eq!(counted.get(&agent).copied().unwrap_or(0), tasks.len() as u64);
        tasks.iter().map(|task| task.attempt).collect()
    }
}

#[tokio::test]
async fn starts_at_one_moment_never_give_an_agent_more_than_it_has_room_for() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let agent = place.agent("office-1", "active", 2).await;
        let mut attempts = Vec::new();
        for _ in 0..6 {
            attempts.push(place.attempt().await);
        }
        let given = futures::future::join_all(attempts.iter().map(|attempt| place.give(attempt, agent.id))).await;
        assert_eq!(given.iter().filter(|given| **given).count(), 2, "{given:?}");
        assert_eq!(place.holds(agent.id).await.len(), 2);
        let first = attempts.iter().zip(&given).find(|(_, given)| **given).expect("one").0;
        let second = place.agent("office-2", "active", 4).await;
        assert!(!place.give(first, second.id).await, "a task was given twice");
    }
}

#[tokio::test]
async fn a_task_that_is_over_holds_no_slot_whatever_its_agent_says_of_it() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let agent = place.agent("office-1", "active", 1).await;
        let (lost, next) = (place.attempt().await, place.attempt().await);
        assert!(place.give(&lost, agent.id).await);
        let mut tx = place.store().write_tx().await.expect("a transaction");
        let whose = (place.org, agent.id, lost.id);
        assert!(Store::agent_task_told_in_txn(&mut tx, whose, "unknown", (None, None)).await.expect("told"));
        tx.commit().await.expect("committed");
        assert!(!place.give(&next, agent.id).await, "it may live");
        let mut tx = place.store().write_tx().await.expect("a transaction");
        Store::attempt_task_over_in_txn(&mut tx, &lost).await.expect("noted");
        assert!(!Store::agent_task_told_in_txn(&mut tx, whose, "running", (None, None)).await.expect("told"));
        tx.commit().await.expect("committed");
        assert!(place.give(&next, agent.id).await, "the slot is lost");
        assert_eq!(place.holds(agent.id).await, [next.id]);
    }
}

#[tokio::test]
async fn an_agent_whose_right_was_taken_away_is_given_nothing_and_what_it_holds_is_seen_in_that_transaction() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let agent = place.agent("office-1", "active", 4).await;
        let (held, late) = (place.attempt().await, place.attempt().await);
        assert!(place.give(&held, agent.id).await);
        let mut tx = place.store().write_tx().await.expect("a transaction");
        assert!(Store::agent_move_in_txn(&mut tx, &agent, &["active"], "disabled").await.expect("moved"));
        let live = Store::agent_task_live_in_txn(&mut tx, place.org, agent.id).await.expect("a read");
        assert_eq!(live.iter().map(|task| task.attempt).collect::<Vec<_>>(), [held.id]);
        tx.commit().await.expect("committed");
        assert!(!place.give(&late, agent.id).await);
        let task = place.store().agent_task_get(place.org, held.id).await.expect("a read").expect("a task");
        let mut tx = place.store().write_tx().await.expect("a transaction");
        assert!(
            !Store::agent_task_sent_in_txn(&mut tx, &task).await.expect("asked"),
            "its order went out all the same"
        );
    }
}

#[tokio::test]
async fn only_the_key_and_the_version_that_a_person_compared_are_approved() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let seen = place.agent("office-1", "pending", 4).await;
        let approve = async |agent: &Agent| {
            let mut tx = place.store().write_tx().await.expect("a transaction");
            let done = Store::agent_approve_in_txn(&mut tx, agent).await.expect("asked");
            tx.commit().await.expect("committed");
            done
        };
        let other = Agent { spki: Some("bb".into()), ..seen.clone() };
        assert!(!approve(&other).await, "another key was approved");
        // Invited anew meanwhile, and the same key came again.
        let mut tx = place.store().write_tx().await.expect("a transaction");
        assert!(Store::agent_invite_in_txn(&mut tx, &seen, true, LIFE).await.expect("invited"));
        let invited = Store::agent_get_in_txn(&mut tx, place.org, seen.id).await.expect("a read").expect("an agent");
        assert!(Store::agent_use_invitation_in_txn(&mut tx, &invited, KEY, "pending").await.expect("used"));
        tx.commit().await.expect("committed");
        assert!(!approve(&seen).await, "what was seen before the new invitation was approved");
        assert!(approve(&place.read(seen.id).await).await);
        assert_eq!(place.read(seen.id).await.state, "active");
    }
}
