//! Tasks that agents started: the voucher of the agent that holds the task, and the role that this agent told of. Each alone
//! is worth nothing.

use std::time::Duration;

use tonic::{Code, Status};
use waybill_identity::{AgentAttestation, WorkerKey};
use waybill_model::{AgentId, Micros};
use waybill_orchestrator::service::attempt::TicketClaim;
use waybill_protocol::pb::enrolment as pb;
use waybill_store::{AgentCertificate, AgentSaid, Store};
use waybill_tests::aws::{Aws, CUSTOMER, REGION};

use super::attest::{is_burnt, proof_of, request, rig};
use super::rig::{Made, Rig, enrol_request};

const LIFE: Duration = Duration::from_secs(600);

/// An attempt whose task an agent holds, which told of this role of its tasks.
pub(super) async fn held(rig: &Rig, role: Option<&str>) -> (Made, AgentId) {
    let made = rig.attempt_on(("agent", "{}")).await;
    let (row, agent) = (rig.row(&made).await, AgentId::generate());
    let mut tx = rig.store.write_tx_of_all().await.expect("a transaction");
    Store::agent_insert_in_txn(&mut tx, made.org, (agent, row.data_plane), ("office-1", false), LIFE)
        .await
        .expect("added");
    let seen = Store::agent_get_in_txn(&mut tx, made.org, agent).await.expect("a read").expect("an agent");
    assert!(Store::agent_use_invitation_in_txn(&mut tx, &seen, "aa", "active").await.expect("used"));
    let certificate = AgentCertificate { spki: "aa", serial: "01", not_after: Micros::now().plus(LIFE) };
    assert!(Store::agent_certify_in_txn(&mut tx, (made.org, agent), 0, certificate).await.expect("certified"));
    let seen = Store::agent_get_in_txn(&mut tx, made.org, agent).await.expect("a read").expect("an agent");
    let said = AgentSaid { draining: false, slots: 4, version: None, worker_role: role, cloud_caller: None };
    assert!(Store::agent_session_take_in_txn(&mut tx, &seen, "s", said).await.expect("heard"));
    assert!(Store::agent_task_insert_in_txn(&mut tx, &row, agent).await.expect("given"));
    tx.commit().await.expect("committed");
    (made, agent)
}

fn role() -> String {
    serde_json::json!({ "role_arn": Aws::task_role(), "region": REGION, "fips": false }).to_string()
}

/// Tries to enrol with the voucher of this agent and, where one is named, the signature of a role.
async fn enrol(rig: &Rig, aws: &Aws, made: &Made, (agent, role): (AgentId, Option<&str>)) -> Result<(), Status> {
    let key = WorkerKey::generate().expect("a key");
    let nonce = rig.hello(made.attempt).await?;
    let claim = TicketClaim { org: made.org, attempt: made.attempt, epoch: made.epoch };
    let voucher = rig.tickets.voucher(&claim, agent);
    let asked = match role {
        Some(role) => request(made, &key, &nonce, &proof_of(rig, &aws.keys_of(role, "task"), &nonce, &key)),
        None => enrol_request(made, &key, &nonce),
    };
    let attestation = AgentAttestation::proof(&voucher, &nonce, &key.spki_sha256()).to_vec();
    let attestation_kind = pb::AttestationKind::Agent.into();
    rig.enrolment().enrol(pb::EnrolRequest { attestation_kind, attestation, ..asked }).await.map(drop)
}

fn is_refused(answer: Result<(), Status>, what: &str) {
    let status = answer.expect_err(what);
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "enrolment_refused"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_a_task_of_an_agent_needs_its_voucher_and_its_role_and_the_late_worker_of_another_agent_raises_no_alarm() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let (good, other) = (Aws::task_role(), format!("arn:aws:iam::{CUSTOMER}:role/somebody-else"));
    for (what, presented) in [("another role", Some(other.as_str())), ("no role", None)] {
        let (made, agent) = held(&rig, Some(&role())).await;
        is_refused(enrol(&rig, &aws, &made, (agent, presented)).await, what);
        is_burnt(&rig, &made, what).await;
    }
    let (made, agent) = held(&rig, Some(&role())).await;
    is_refused(enrol(&rig, &aws, &made, (AgentId::generate(), Some(&good))).await, "another agent's voucher");
    assert!(rig.row(&made).await.fenced_at.is_none(), "an honest race ended the attempt");
    enrol(&rig, &aws, &made, (agent, Some(&good))).await.expect("let in with both");
    let events = rig.store.run_event_list(made.org, made.run, 0, 100).await.expect("readable");
    assert!(events.iter().any(|event| event.code == "role_proven"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_can_not_be_read_lets_nobody_in_and_without_one_the_voucher_counts() {
    let aws = Aws::start().await;
    let rig = rig(aws.url()).await;
    let (made, agent) = held(&rig, Some("{}")).await;
    is_refused(enrol(&rig, &aws, &made, (agent, Some(&Aws::task_role()))).await, "a role that can't be read");
    let (made, agent) = held(&rig, None).await;
    enrol(&rig, &aws, &made, (agent, None)).await.expect("a process of the agent");
    assert!(aws.calls("GetCallerIdentity").is_empty(), "nobody's role was asked for");
}
