//! What the data plane of an attempt asks a worker to prove, and what is kept of the proof.

use serde_json::json;
use waybill_identity::AwsRole;
use waybill_identity::attest::aws::Caller;
use waybill_launcher::ecs::EcsPlace;
use waybill_store::{Agent, AuditEntry, DataPlane, Store};

use super::enrol::DENIED;
use super::{AttemptService, EnrolError, TicketClaim};
use crate::grpc::Expected;
use crate::loops::launchers::{AWS_ECS, PROCESS};
use crate::service::agent::role;
use crate::service::note::Note;

impl AttemptService {
    /// Where the attempt's worker must run.
    pub async fn expected(&self, claim: &TicketClaim) -> Result<Expected, EnrolError> {
        if let Some(task) = self.store.agent_task_get(claim.org, claim.attempt).await? {
            // An agent whose right was taken away vouches for nobody.
            let agent = self.store.agent_get(claim.org, task.agent).await?;
            let active = agent.filter(|agent| agent.state == "active");
            return Ok(active.map_or(Expected::Nowhere, |agent| by_agent(&agent)));
        }
        let attempt = self.store.attempt_get(claim.org, claim.attempt).await?.ok_or(EnrolError::NotFound)?;
        let plane = self.store.data_plane_get(attempt.org, attempt.data_plane).await?.ok_or(EnrolError::NotFound)?;
        Ok(match plane.kind.as_str() {
            PROCESS => Expected::Process,
            AWS_ECS => role_of(&plane).map_or(Expected::Nowhere, Expected::Aws),
            _ => Expected::Nowhere,
        })
    }

    /// Fences an attempt whose ticket came without the proof that its data plane asks for.
    pub async fn unproven(&self, claim: &TicketClaim, reason: &'static str) -> Result<(), EnrolError> {
        let (org, attempt) = (claim.org, claim.attempt);
        let Some((mut tx, held)) = self.hold(org, attempt).await? else { return Err(EnrolError::NotFound) };
        if held.attempt.epoch != claim.epoch || held.attempt.state.is_final() {
            return Err(EnrolError::Fenced);
        }
        let refused = Note::ProofRefused.with(Some(attempt), json!({ "reason": reason }));
        Store::attempt_fence_in_txn(&mut tx, &held.attempt).await?;
        Store::certificate_revoke_in_txn(&mut tx, org, attempt).await?;
        Store::denial_insert_in_txn(&mut tx, org, attempt, DENIED).await?;
        let notes = [refused, Note::Fenced.event(Some(attempt))];
        Store::run_event_append_in_txn(&mut tx, org, held.run.id, &notes).await?;
        let entry = AuditEntry::refused(org, format!("worker:{attempt}"), "attempt.attest", &attempt);
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        self.nudges.task_changed();
        Ok(())
    }

    /// Records which role was proven, and whether its session is the attempt's task: a task's session is named so.
    pub async fn proven(&self, claim: &TicketClaim, caller: &Caller) -> Result<(), EnrolError> {
        let Some((mut tx, held)) = self.hold(claim.org, claim.attempt).await? else {
            return Err(EnrolError::NotFound);
        };
        // An agent's task has a reference of ours, which says nothing of the cloud's.
        let task = held.attempt.task.as_deref().filter(|task| task.starts_with("arn:"));
        let task = task.and_then(|task| task.rsplit('/').next());
        let same = task.zip(caller.session.as_deref()).map(|(task, session)| task == session);
        let role = format!("{} of account {}", caller.role, caller.account);
        if same == Some(false) {
            tracing::warn!(attempt.id = %claim.attempt, "the role was proven by another session than the attempt's task");
        }
        let note = Note::RoleProven.with(
            Some(claim.attempt),
            json!({ "same_task": same, "role": role, "by_token": caller.session.is_none() }),
        );
        Store::run_event_append_in_txn(&mut tx, claim.org, held.run.id, &[note]).await?;
        Ok(tx.commit().await?)
    }
}

fn by_agent(agent: &Agent) -> Expected {
    match agent.worker_role.as_deref().map(role::read) {
        None => Expected::Agent(agent.id),
        Some(Some(role)) => Expected::AgentTask(agent.id, role),
        Some(None) => Expected::Nowhere,
    }
}

fn role_of(plane: &DataPlane) -> Option<AwsRole> {
    let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref()?).ok()?;
    let settings = place.settings();
    let role = role::of(place.task_role(), place.region(), settings.fips);
    Some(AwsRole { token_issuer: settings.token_issuer.clone(), ..role })
}
