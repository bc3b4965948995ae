//! Enrolment: a one-time token and a key that is born here become a certificate. Where an administrator must approve the
//! key, its fingerprint is printed and the answer is waited for.

use std::io::Read as _;
use std::time::Duration;

use tonic::{Code, Status};
use waybill_identity::channel::{self, Backoff};
use waybill_identity::{WorkerKey, client};
use waybill_protocol::Version;
use waybill_protocol::pb::agent as pb;
use waybill_protocol::pb::agent::agent_enrolment_client::AgentEnrolmentClient;
use zeroize::Zeroizing;

use crate::cli::EnrolArguments;
use crate::identity::{Certificate, Enrolled, Identity};
use crate::state::{State, StateError};
use crate::{AgentError, egress, say};

/// How long an orchestrator that does not answer is tried.
const TRIES: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(15);
const LONGEST_TOKEN: u64 = 4096;

/// Runs the command.
pub(crate) async fn enrol(arguments: &EnrolArguments) -> Result<(), AgentError> {
    let state = State::open(&arguments.state.state)?;
    if let Ok(identity) = state.identity() {
        say(&format!("this directory holds the identity of {}; a good token replaces it", identity.agent));
    }
    let token = token(arguments)?;
    let key = WorkerKey::generate()?;
    say(&format!("key: sha256:{}", hex::encode(key.spki_sha256())));
    let answer = ask(arguments, &token, &key).await?;
    let certificate = Certificate {
        chain: answer.certificate_chain,
        life: Duration::from_millis(answer.life_ms),
        generation: answer.generation,
    };
    let enrolled = Enrolled {
        agent: answer.agent_id,
        orchestrator: arguments.orchestrator.clone(),
        ca_pin: arguments.ca_pin,
        endpoint: answer.endpoint,
        server_name: answer.server_name,
        roots: answer.roots,
    };
    let identity = Identity::new(enrolled, &key, &certificate);
    state.keep_identity(&identity)?;
    say(&format!(
        "enrolled as {}; start it with: waybill-agent run --guard FILE, or --cluster NAME for tasks",
        identity.agent
    ));
    Ok(())
}

/// The token's line, from its file or from standard input.
fn token(arguments: &EnrolArguments) -> Result<Zeroizing<String>, AgentError> {
    let mut text = Zeroizing::new(String::new());
    let read = match &arguments.token_file {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(LONGEST_TOKEN).read_to_string(&mut text)),
        None => {
            say("token:");
            std::io::stdin().read_line(&mut text)
        }
    };
    match (read, text.trim()) {
        (Ok(_), token) if !token.is_empty() => Ok(Zeroizing::new(token.to_owned())),
        (Ok(_), _) => Err(AgentError::Usage("no token: `waybill agent enrol NAME` makes one".into())),
        (Err(source), _) => {
            let path = arguments.token_file.clone().unwrap_or_else(|| "standard input".into());
            Err(StateError::Io { path, source }.into())
        }
    }
}

/// Asks until there is an answer that ends it: a certificate or a refusal.
async fn ask(arguments: &EnrolArguments, token: &str, key: &WorkerKey) -> Result<pb::EnrolResponse, AgentError> {
    let host = arguments.orchestrator.rsplit_once(':').map(|(host, _)| host);
    let host = host.ok_or_else(|| AgentError::Usage("--orchestrator: host:port".into()))?;
    let tls = client::pinned(arguments.ca_pin)?;
    let channel = channel::open(&arguments.orchestrator, channel::server_name(host)?, tls, egress::meter())?;
    let mut enrolment = AgentEnrolmentClient::new(channel);
    let (mut pause, mut answered, mut told) = (Backoff::default(), tokio::time::Instant::now(), false);
    loop {
        let version = Some(Version::current().into());
        let request = egress::clear(pb::EnrolRequest { token: token.to_owned(), csr: key.request()?, version })?;
        let call = tokio::time::timeout(ANSWER, enrolment.enrol(request)).await;
        match call.unwrap_or_else(|_| Err(Status::deadline_exceeded("silent"))).map(tonic::Response::into_inner) {
            Ok(answer) if answer.state() == pb::EnrolState::Enrolled => return Ok(answer),
            Ok(answer) => {
                if !std::mem::replace(&mut told, true) {
                    say(&waiting(&answer.agent_id, key));
                }
                answered = tokio::time::Instant::now();
                tokio::time::sleep(Duration::from_millis(answer.again_ms.clamp(200, 60_000))).await;
            }
            Err(status) if is_final(status.code()) => return Err(AgentError::Refused(status.message().to_owned())),
            Err(status) if answered.elapsed() >= TRIES => {
                let message = format!("{} did not answer: {}", arguments.orchestrator, status.message());
                return Err(AgentError::Usage(message));
            }
            Err(_) => pause.wait().await,
        }
    }
}

fn waiting(agent: &str, key: &WorkerKey) -> String {
    let fingerprint = hex::encode(key.spki_sha256());
    format!(
        "waiting until an administrator approves this key:\n  waybill agent approve {agent} --fingerprint sha256:{fingerprint}"
    )
}

fn is_final(code: Code) -> bool {
    matches!(code, Code::PermissionDenied | Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented)
}
