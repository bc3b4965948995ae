//! Agents on both databases: room is taken once, a right that was taken away is gone, and only the key that a person
//! compared is approved.

use waybill_model::run::RunKind;
use waybill_model::{AgentId, AttemptId, FailureCode, Micros, RunId};
use waybill_store::{Agent, AgentCertificate, AgentSaid, AgentTask, Attempt, StoreResult, Tx};

use super::lists::{furnished, run};
use super::*;

const LIFE: Duration = Duration::from_secs(600);
const KEY: &str = "aa";
const SAYS: AgentSaid<'_> =
    AgentSaid { draining: false, slots: 4, version: None, worker_role: None, cloud_caller: None };
const DRAINS: AgentSaid<'_> = AgentSaid { draining: true, ..SAYS };

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
        let mut tx = self.store().write_tx_of_all().await.expect("a transaction");
        Store::agent_insert_in_txn(&mut tx, self.org, (id, self.plane), (name, state == "pending"), LIFE)
            .await
            .expect("added");
        let invited = Store::agent_get_in_txn(&mut tx, self.org, id).await.expect("a read").expect("an agent");
        assert!(Store::agent_use_invitation_in_txn(&mut tx, &invited, KEY, state).await.expect("used"));
        tx.commit().await.expect("committed");
        self.both.raw(self.database, &format!("update agent set slots = {slots} where id = '{id}'")).await;
        self.read(id).await
    }

    /// What one call changed, in a transaction of its own.
    async fn done<T>(&self, call: impl AsyncFnOnce(&mut Tx) -> StoreResult<T>) -> T {
        let mut tx = self.store().write_tx_of_all().await.expect("a transaction");
        let done = call(&mut tx).await.expect("asked");
        tx.commit().await.expect("committed");
        done
    }

    /// An agent that nobody has enrolled.
    async fn invited(&self, name: &str) -> StoreResult<AgentId> {
        let id = AgentId::generate();
        let mut tx = self.store().write_tx_of_all().await?;
        Store::agent_insert_in_txn(&mut tx, self.org, (id, self.plane), (name, false), LIFE).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Uses the invitation of this state of the agent's.
    async fn enrols(&self, seen: &Agent, key: &str) -> bool {
        self.done(async |tx: &mut Tx| Store::agent_use_invitation_in_txn(tx, seen, key, "active").await).await
    }

    /// Certifies the agent where its generation is this one.
    async fn certifies(&self, id: AgentId, generation: i64, serial: &str) -> bool {
        let next = AgentCertificate { spki: KEY, serial, not_after: Micros(9) };
        self.done(async |tx: &mut Tx| Store::agent_certify_in_txn(tx, (self.org, id), generation, next).await).await
    }

    async fn moves(&self, seen: &Agent, from: &[&str], to: &str) -> bool {
        self.done(async |tx: &mut Tx| Store::agent_move_in_txn(tx, seen, from, to).await).await
    }

    async fn takes_session(&self, seen: &Agent, session: &str, said: AgentSaid<'_>) -> bool {
        self.done(async |tx: &mut Tx| Store::agent_session_take_in_txn(tx, seen, session, said).await).await
    }

    async fn heard(&self, id: AgentId, session: &str, said: AgentSaid<'_>) -> bool {
        self.done(async |tx: &mut Tx| Store::agent_heard_in_txn(tx, (self.org, id), session, said).await).await
    }

    async fn task(&self, attempt: &Attempt) -> AgentTask {
        self.store().agent_task_get(self.org, attempt.id).await.expect("a read").expect("a task")
    }

    async fn sends(&self, task: &AgentTask) -> bool {
        self.done(async |tx: &mut Tx| Store::agent_task_sent_in_txn(tx, task).await).await
    }

    /// Moves a task as the launcher does.
    async fn hands_over(&self, task: &AgentTask, to: AgentId) -> bool {
        self.done(async |tx: &mut Tx| {
            Ok(Store::agent_lock_in_txn(tx, self.org, to).await? && Store::agent_task_move_in_txn(tx, task, to).await?)
        })
        .await
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
        let mut tx = self.store().write_tx_of_all().await.expect("a transaction");
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
        let mut tx = place.store().write_tx_of_all().await.expect("a transaction");
        let whose = (place.org, agent.id, lost.id);
        assert!(Store::agent_task_told_in_txn(&mut tx, whose, "unknown", (None, None)).await.expect("told"));
        tx.commit().await.expect("committed");
        assert!(!place.give(&next, agent.id).await, "it may live");
        let mut tx = place.store().write_tx_of_all().await.expect("a transaction");
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
        let mut tx = place.store().write_tx_of_all().await.expect("a transaction");
        assert!(Store::agent_move_in_txn(&mut tx, &agent, &["active"], "disabled").await.expect("moved"));
        let live = Store::agent_task_live_in_txn(&mut tx, place.org, agent.id).await.expect("a read");
        assert_eq!(live.iter().map(|task| task.attempt).collect::<Vec<_>>(), [held.id]);
        tx.commit().await.expect("committed");
        assert!(!place.give(&late, agent.id).await);
        let task = place.store().agent_task_get(place.org, held.id).await.expect("a read").expect("a task");
        let mut tx = place.store().write_tx_of_all().await.expect("a transaction");
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
            let mut tx = place.store().write_tx_of_all().await.expect("a transaction");
            let done = Store::agent_approve_in_txn(&mut tx, agent).await.expect("asked");
            tx.commit().await.expect("committed");
            done
        };
        let other = Agent { spki: Some("bb".into()), ..seen.clone() };
        assert!(!approve(&other).await, "another key was approved");
        // Invited anew meanwhile, and the same key came again.
        let mut tx = place.store().write_tx_of_all().await.expect("a transaction");
        assert!(Store::agent_invite_in_txn(&mut tx, &seen, true, LIFE).await.expect("invited"));
        let invited = Store::agent_get_in_txn(&mut tx, place.org, seen.id).await.expect("a read").expect("an agent");
        assert!(Store::agent_use_invitation_in_txn(&mut tx, &invited, KEY, "pending").await.expect("used"));
        tx.commit().await.expect("committed");
        assert!(!approve(&seen).await, "what was seen before the new invitation was approved");
        assert!(approve(&place.read(seen.id).await).await);
        assert_eq!(place.read(seen.id).await.state, "active");
    }
}

#[tokio::test]
async fn an_invitation_is_used_once_in_its_time_and_for_the_state_that_was_seen() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let first = place.read(place.invited("office-1").await.expect("invited")).await;
        let twice = place.invited("office-1").await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
        assert!(place.enrols(&first, KEY).await);
        assert!(!place.enrols(&first, "bb").await, "a token was good for two keys");
        assert_eq!(place.read(first.id).await.spki.as_deref(), Some(KEY));

        let late = place.read(place.invited("office-2").await.expect("invited")).await;
        both.raw(database, &format!("update agent set invited_until = 1000 where id = '{}'", late.id)).await;
        assert!(!place.enrols(&late, KEY).await, "a token was good past its time");

        let seen = place.read(place.invited("office-3").await.expect("invited")).await;
        assert!(place.done(async |tx: &mut Tx| Store::agent_invite_in_txn(tx, &seen, false, LIFE).await).await);
        assert!(!place.enrols(&seen, KEY).await, "an earlier token was good");
        assert!(!place.done(async |tx: &mut Tx| Store::agent_invite_in_txn(tx, &seen, false, LIFE).await).await);

        let seen = place.read(seen.id).await;
        assert!(place.done(async |tx: &mut Tx| Store::agent_remove_in_txn(tx, &seen).await).await);
        assert!(!place.enrols(&seen, KEY).await, "an agent that was removed enrolled");
        place.invited("office-3").await.expect("the name is free again");
    }
}

#[tokio::test]
async fn a_certificate_is_given_once_for_each_generation_and_to_no_copy() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let agent = place.agent("office-1", "active", 4).await;
        let (one, other) = tokio::join!(place.certifies(agent.id, 0, "01"), place.certifies(agent.id, 0, "02"));
        assert!(one ^ other, "two hosts got the next certificate: {one} {other}");
        assert!(!place.certifies(agent.id, 0, "03").await, "an old generation was renewed");
        assert!(place.certifies(agent.id, 1, "04").await);
        // An answer that was lost: the same key and generation, and no other key.
        let now = place.read(agent.id).await;
        assert_eq!((now.generation, now.serial.as_deref()), (2, Some("04")));
        let again = |spki, serial| AgentCertificate { spki, serial, not_after: Micros(10) };
        let repeats = async |seen: &Agent, given: AgentCertificate<'_>| {
            place.done(async |tx: &mut Tx| Store::agent_certify_again_in_txn(tx, seen, given).await).await
        };
        assert!(repeats(&now, again(KEY, "05")).await);
        assert!(!repeats(&now, again("bb", "06")).await, "another key got the certificate");
        assert!(!repeats(&Agent { generation: 1, ..now.clone() }, again(KEY, "07")).await);
        assert_eq!(place.read(agent.id).await.serial.as_deref(), Some("05"));
        // Locked, for both who hold the identity.
        assert!(place.moves(&now, &["active"], "locked").await);
        assert!(!place.moves(&now, &["active"], "disabled").await, "moved from a state that it has left");
        assert!(!place.certifies(agent.id, 2, "08").await, "a locked agent was certified");
        let locked = place.read(agent.id).await;
        assert!(!place.takes_session(&locked, "s", SAYS).await, "a locked agent was heard");
        assert!(!place.moves(&locked, &["disabled"], "active").await, "a lock was undone like a pause");
    }
}

#[tokio::test]
async fn only_the_last_session_of_an_agent_that_may_speak_is_heard() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let agent = place.agent("office-1", "active", 1).await;
        assert!(
            place
                .takes_session(&agent, "one", AgentSaid { version: Some("1.2.3"), worker_role: Some("role"), ..SAYS })
                .await
        );
        assert_eq!(place.read(agent.id).await.worker_role.as_deref(), Some("role"));
        assert!(place.takes_session(&agent, "two", SAYS).await);
        assert!(!place.heard(agent.id, "one", DRAINS).await, "a session that another one ended was heard");
        let seen = place.read(agent.id).await;
        assert_eq!((seen.program_version.as_deref(), seen.draining, seen.slots), (Some("1.2.3"), false, 4));
        assert_eq!(seen.worker_role, None, "workers of a later session prove what an earlier one told");
        let now = place.store().clock().await.expect("the clock");
        assert!(seen.is_heard(now, LIFE) && !seen.is_heard(now.plus(LIFE), LIFE));
        assert!(place.heard(agent.id, "two", AgentSaid { slots: 2, ..DRAINS }).await);
        let seen = place.read(agent.id).await;
        assert!(seen.draining && seen.slots == 2, "{seen:?}");
        place.done(async |tx: &mut Tx| Store::agent_session_end_in_txn(tx, (place.org, agent.id), "one").await).await;
        assert!(place.read(agent.id).await.session.is_some(), "an old session's end silenced the new one");
        assert!(place.moves(&seen, &["active"], "disabled").await);
        assert!(!place.heard(agent.id, "two", SAYS).await, "a disabled agent was heard");
        let stale = Agent { generation: 7, ..place.read(agent.id).await };
        assert!(place.moves(&place.read(agent.id).await, &["disabled"], "active").await);
        assert!(!place.takes_session(&stale, "three", SAYS).await, "a certificate of another generation was heard");
        place.done(async |tx: &mut Tx| Store::agent_session_end_in_txn(tx, (place.org, agent.id), "two").await).await;
        assert!(!place.read(agent.id).await.is_heard(now, LIFE));
    }
}

#[tokio::test]
async fn a_task_moves_to_another_agent_with_room_only_while_its_ticket_is_unused() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let (first, second) = (place.agent("office-1", "active", 4).await, place.agent("office-2", "active", 1).await);
        let (held, used, asked) = (place.attempt().await, place.attempt().await, place.attempt().await);
        for attempt in [&held, &used] {
            assert!(place.give(attempt, first.id).await);
        }
        let silent = place.task(&held).await;
        assert!(place.sends(&silent).await);
        assert!(place.hands_over(&silent, second.id).await);
        assert!(!place.hands_over(&silent, second.id).await, "moved from an agent that holds it no more");
        let moved = place.task(&held).await;
        assert_eq!((moved.agent, moved.sent_at, moved.state.as_str()), (second.id, None, "asked"));
        let late = place.task(&used).await;
        assert!(!place.hands_over(&late, second.id).await, "an agent without room was given a task");
        both.raw(database, &format!("update agent set slots = 4 where id = '{}'", second.id)).await;
        both.raw(database, &format!("update attempt set ticket_used_at = 1 where id = '{}'", used.id)).await;
        assert!(!place.hands_over(&late, second.id).await, "a task whose worker enrolled was moved");
        // What goes back is nobody's, and only its own agent gives it back.
        assert!(place.give(&asked, first.id).await);
        let back = async |agent| {
            let whose = (place.org, agent, asked.id);
            place.done(async |tx: &mut Tx| Store::agent_task_return_in_txn(tx, whose).await).await
        };
        assert!(!back(second.id).await && back(first.id).await && !back(first.id).await);
        assert_eq!(place.store().agent_task_get(place.org, asked.id).await.expect("a read"), None);
        assert!(place.give(&asked, second.id).await);
    }
}

#[tokio::test]
async fn an_agent_that_is_about_to_end_is_given_and_sent_nothing_and_an_order_that_is_not_wanted_never_goes_out() {
    let both = both().await;
    for database in 0..2 {
        let place = Place::new(&both, database).await;
        let agent = place.agent("office-1", "active", 4).await;
        let [drained, fenced, canceled, stopped] =
            [place.attempt().await, place.attempt().await, place.attempt().await, place.attempt().await];
        for attempt in [&drained, &fenced, &canceled, &stopped] {
            assert!(place.give(attempt, agent.id).await);
        }
        assert!(place.takes_session(&place.read(agent.id).await, "one", DRAINS).await);
        assert!(!place.sends(&place.task(&drained).await).await, "an agent that drains was sent an order");
        let late = place.attempt().await;
        assert!(!place.give(&late, agent.id).await, "an agent that drains was given a task");
        assert!(place.heard(agent.id, "one", SAYS).await);

        both.raw(database, &format!("update attempt set fenced_at = 1 where id = '{}'", fenced.id)).await;
        assert!(!place.sends(&place.task(&fenced).await).await, "the order of a fenced attempt went out");
        let stop = async |attempt: &Attempt| {
            place.done(async |tx: &mut Tx| Store::agent_task_stop_in_txn(tx, place.org, attempt.id).await).await
        };
        // Its order never went out: nobody has to end anything.
        assert!(stop(&canceled).await && !stop(&canceled).await);
        let over = place.task(&canceled).await;
        assert_eq!((over.state.as_str(), over.stop_wanted), ("stopped", true));
        assert!(!place.sends(&over).await);
        // This one may run: it is over when its agent, and no other, says so.
        assert!(place.sends(&place.task(&stopped).await).await && stop(&stopped).await);
        let other = place.agent("office-2", "active", 4).await;
        let tells = async |agent, state: &str, how| {
            let whose = (place.org, agent, stopped.id);
            place.done(async |tx: &mut Tx| Store::agent_task_told_in_txn(tx, whose, state, how).await).await
        };
        let how = (Some(137), Some(FailureCode::OutOfMemory));
        assert!(!tells(other.id, "stopped", how).await, "another agent ended its task");
        assert!(tells(agent.id, "stopped", how).await && !tells(agent.id, "running", (None, None)).await);
        let seen = place.task(&stopped).await;
        assert_eq!((seen.exit_code, seen.failure, seen.state.as_str()), (how.0, how.1, "stopped"));
        assert_eq!(place.holds(agent.id).await.len(), 2);
    }
}
