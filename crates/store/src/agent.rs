//! Agents: who they are, how far their enrolment is, and which of their sessions counts.
//!
//! Each change names the state, generation or session that it expects; zero changed rows mean that somebody else was
//! first. Liveness is this database's view of the last message, never what an agent says of itself.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::{AgentId, DataPlaneId, Micros, OrgId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, flag, int, one, opt_text, opt_time, parsed, text, time};
use crate::{Store, Tx};

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: AgentId,
    /// Where it starts workers.
    pub data_plane: DataPlaneId,
    /// Its name, unique among those that are not removed.
    pub name: String,
    /// `invited`, `pending`, `active`, `disabled` or `locked`.
    pub state: String,
    /// Which invitation counts.
    pub invitation: i64,
    /// Until when it can be used.
    pub invited_until: Micros,
    /// When it was used.
    pub invitation_used_at: Option<Micros>,
    /// Whether an administrator must approve the key.
    pub needs_approval: bool,
    /// SHA-256 of its public key, in hex.
    pub spki: Option<String>,
    /// Its certificate's serial number, in hex.
    pub serial: Option<String>,
    /// Its certificate's generation.
    pub generation: i64,
    /// End of its certificate's life.
    pub not_after: Option<Micros>,
    /// The session that counts.
    pub session: Option<String>,
    /// When it last said something of use.
    pub seen_at: Option<Micros>,
    /// It starts nothing any more.
    pub draining: bool,
    /// Most workers at once.
    pub slots: i64,
    /// Its program's version.
    pub program_version: Option<String>,
    /// What its workers prove besides its voucher, as it told in the session that counts.
    pub worker_role: Option<String>,
    /// As whom it calls its own cloud, as it told last.
    pub cloud_caller: Option<String>,
    /// Rises with every change that a person makes.
    pub version: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

/// A certificate as an agent's row keeps it.
#[derive(Clone, Copy, Debug)]
pub struct AgentCertificate<'a> {
    /// SHA-256 of the public key, in hex.
    pub spki: &'a str,
    /// Serial number, in hex.
    pub serial: &'a str,
    /// End of its life.
    pub not_after: Micros,
}

/// What an agent says of itself in a session.
#[derive(Clone, Copy, Debug)]
pub struct AgentSaid<'a> {
    /// It starts nothing any more.
    pub draining: bool,
    /// Most workers at once.
    pub slots: u32,
    /// Its program's version, where it was told.
    pub version: Option<&'a str>,
    /// What its workers prove besides its voucher; heard at the beginning of a session only.
    pub worker_role: Option<&'a str>,
    /// As whom it calls its own cloud; heard at the beginning of a session only.
    pub cloud_caller: Option<&'a str>,
}

impl FromRow for Agent {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            data_plane: parsed(row, "data_plane_id")?,
            name: text(row, "name")?,
            state: text(row, "state")?,
            invitation: int(row, "invitation")?,
            invited_until: time(row, "invited_until")?,
            invitation_used_at: opt_time(row, "invitation_used_at")?,
            needs_approval: flag(row, "needs_approval")?,
            spki: opt_text(row, "spki")?,
            serial: opt_text(row, "serial")?,
            generation: int(row, "generation")?,
            not_after: opt_time(row, "not_after")?,
            session: opt_text(row, "session")?,
            seen_at: opt_time(row, "seen_at")?,
            draining: flag(row, "draining")?,
            slots: int(row, "slots")?,
            program_version: opt_text(row, "program_version")?,
            worker_role: opt_text(row, "worker_role")?,
            cloud_caller: opt_text(row, "cloud_caller")?,
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Agent {
    /// Whether its last message is younger than `silence`.
    #[must_use]
    pub fn is_heard(&self, now: Micros, silence: Duration) -> bool {
        self.state == "active" && self.session.is_some() && self.seen_at.is_some_and(|at| now.since(at) < silence)
    }
}

impl Store {
    /// Adds an invited agent. `Conflict`: the name is taken.
    pub async fn agent_insert_in_txn(
        tx: &mut Tx,
        org: OrgId,
        (id, plane): (AgentId, DataPlaneId),
        (name, needs_approval): (&str, bool),
        life: Duration,
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into agent (organization_id, id, data_plane_id, name, state, invitation, invited_until,
                                needs_approval, generation, draining, slots, version, created_at, updated_at)
             values ($1, $2, $3, $4, 'invited', 1, {now} + $6, $5, 0, 0, 0, 1, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(plane.to_string())
            .bind(name)
            .bind(i64::from(needs_approval))
            .bind(Micros(0).plus(life).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One agent that is not removed.
    pub async fn agent_get(&self, org: OrgId, id: AgentId) -> StoreResult<Option<Agent>> {
        let mut reader = self.reader(org).await?;
        one(sqlx::query(GET).bind(org.to_string()).bind(id.to_string()).fetch_optional(reader.connection()).await?)
    }

    /// One agent that is not removed, as the transaction sees it.
    pub async fn agent_get_in_txn(tx: &mut Tx, org: OrgId, id: AgentId) -> StoreResult<Option<Agent>> {
        one(sqlx::query(GET).bind(org.to_string()).bind(id.to_string()).fetch_optional(tx.connection()).await?)
    }

    /// The agent of this name.
    pub async fn agent_find(&self, org: OrgId, name: &str) -> StoreResult<Option<Agent>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from agent where organization_id = $1 and name = $2 and removed_at is null")
            .bind(org.to_string())
            .bind(name)
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Every agent of a data plane.
    pub async fn agent_list_of_plane(&self, org: OrgId, plane: DataPlaneId) -> StoreResult<Vec<Agent>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(
            "select * from agent where organization_id = $1 and data_plane_id = $2 and removed_at is null order by id",
        )
        .bind(org.to_string())
        .bind(plane.to_string())
        .fetch_all(reader.connection())
        .await?;
        all(&rows)
    }

    /// Voids what was and invites the agent anew: its key, certificate and session count no more.
    pub async fn agent_invite_in_txn(
        tx: &mut Tx,
        agent: &Agent,
        needs_approval: bool,
        life: Duration,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set state = 'invited', invitation = invitation + 1, invited_until = {now} + $5,
                    invitation_used_at = null, needs_approval = $4, spki = null, serial = null, generation = 0,
                    not_after = null, session = null, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3 and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(agent.version)
            .bind(i64::from(needs_approval))
            .bind(Micros(0).plus(life).0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Uses an invitation for a public key: once, in its time. `to` is `pending` or `active`.
    pub async fn agent_use_invitation_in_txn(tx: &mut Tx, agent: &Agent, spki: &str, to: &str) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set invitation_used_at = {now}, spki = $4, state = $5, updated_at = {now}
             where organization_id = $1 and id = $2 and invitation = $3 and state = 'invited'
               and invitation_used_at is null and invited_until > {now} and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(agent.invitation)
            .bind(spki)
            .bind(to)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Approves the key that a person compared, and no other: neither one of a later invitation nor one that came since.
    /// False: another key or state stands there.
    pub async fn agent_approve_in_txn(tx: &mut Tx, agent: &Agent) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set state = 'active', version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3 and spki = $4 and state = 'pending'
               and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(agent.version)
            .bind(agent.spki.clone())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Locks an agent that may be given work: until the transaction ends, nobody else gives it a task and nobody takes its
    /// right away. False: it may not be given any.
    pub async fn agent_lock_in_txn(tx: &mut Tx, org: OrgId, id: AgentId) -> StoreResult<bool> {
        let done = sqlx::query(
            "update agent set slots = slots where organization_id = $1 and id = $2 and state = 'active' and draining = 0
                and removed_at is null",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Moves an agent from one state to another; what a person does. False: it stood elsewhere.
    pub async fn agent_move_in_txn(tx: &mut Tx, agent: &Agent, from: &[&str], to: &str) -> StoreResult<bool> {
        if !from.contains(&agent.state.as_str()) {
            return Ok(false);
        }
        let sql = tx.sql(
            "update agent set state = $4, session = null, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and state = $3 and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(&agent.state)
            .bind(to)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes an agent; its name is free again.
    pub async fn agent_remove_in_txn(tx: &mut Tx, agent: &Agent) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set removed_at = {now}, state = 'disabled', session = null, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3 and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(agent.version)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives an active agent its next certificate. False: the generation is another, or the agent is not active.
    pub async fn agent_certify_in_txn(
        tx: &mut Tx,
        (org, id): (OrgId, AgentId),
        generation: i64,
        next: AgentCertificate<'_>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set generation = generation + 1, spki = $4, serial = $5, not_after = $6, updated_at = {now}
             where organization_id = $1 and id = $2 and generation = $3 and state = 'active' and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(generation)
            .bind(next.spki)
            .bind(next.serial)
            .bind(next.not_after.0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts a certificate for the same key and generation in the place of one whose answer was lost.
    pub async fn agent_certify_again_in_txn(
        tx: &mut Tx,
        agent: &Agent,
        again: AgentCertificate<'_>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set serial = $5, not_after = $6, updated_at = {now}
             where organization_id = $1 and id = $2 and generation = $3 and spki = $4 and state = 'active'
               and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(agent.generation)
            .bind(again.spki)
            .bind(again.serial)
            .bind(again.not_after.0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes a session the one that counts. False: the agent is not active, or its generation is another.
    pub async fn agent_session_take_in_txn(
        tx: &mut Tx,
        agent: &Agent,
        session: &str,
        said: AgentSaid<'_>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set session = $4, seen_at = {now}, draining = $5, slots = $6,
                    program_version = coalesce($7, program_version), worker_role = $8,
                    cloud_caller = coalesce($9, cloud_caller)
             where organization_id = $1 and id = $2 and generation = $3 and state = 'active' and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(agent.org.to_string())
            .bind(agent.id.to_string())
            .bind(agent.generation)
            .bind(session)
            .bind(i64::from(said.draining))
            .bind(i64::from(said.slots))
            .bind(said.version.map(str::to_owned))
            .bind(said.worker_role.map(str::to_owned))
            .bind(said.cloud_caller.map(str::to_owned))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes a message of use in a session. False: another session counts, or the agent may not speak any more.
    pub async fn agent_heard_in_txn(
        tx: &mut Tx,
        (org, id): (OrgId, AgentId),
        session: &str,
        said: AgentSaid<'_>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update agent set seen_at = {now}, draining = $4, slots = $5
             where organization_id = $1 and id = $2 and session = $3 and state = 'active' and removed_at is null",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(session)
            .bind(i64::from(said.draining))
            .bind(i64::from(said.slots))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a session that counts: the agent is silent from now on.
    pub async fn agent_session_end_in_txn(tx: &mut Tx, (org, id): (OrgId, AgentId), session: &str) -> StoreResult<()> {
        sqlx::query("update agent set session = null where organization_id = $1 and id = $2 and session = $3")
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(session)
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

const GET: &str = "select * from agent where organization_id = $1 and id = $2 and removed_at is null";
