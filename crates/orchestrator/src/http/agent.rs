//! Agents: invite, approve, disable, enable, remove.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{delete, get, post};
use waybill_api::account::Confidential;
use waybill_api::agent::{Agent, AgentApprove, AgentCreate, AgentInvite, AgentInvited};
use waybill_api::{Page, ProblemCode};
use waybill_model::Micros;
use waybill_store::{Agent as Row, Listed};

use super::App;
use super::action::{self, Action};
use super::body::{Query, Strict};
use super::conditions::{Conditions, Idempotency, stale, tag};
use super::gate::{Permit, may};
use super::operation::{Operation, Operations};
use super::organization::Named;
use super::page::{BY_NAME, SORTS};
use super::reply::{Answer, Reply, nothing};
use crate::auth::{Caller, Place};
use crate::service::agent::calls::Caller as CloudCaller;
use crate::service::agent::session::silence;
use crate::service::{Refused, ServiceResult, agent};

const PATHS: &str = "/v1/agents";
const PATH: &str = "/v1/agents/{agent}";

pub(super) fn mount(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::AgentList>(Method::GET, PATHS, "Agents")
            .pages::<Agent>()
            .sorts(SORTS)
            .query("name", "Only the one of this name."),
        get(list),
    );
    all.add(
        Operation::of::<action::AgentCreate>(Method::POST, PATHS, "Invite an agent: makes its one-time token")
            .takes::<AgentCreate>()
            .answers::<AgentInvited>(201)
            .creates()
            .codes(&[C::NotFound, C::NameTaken, C::NameInvalid, C::Unusable]),
        post(create),
    );
    all.add(Operation::of::<action::AgentGet>(Method::GET, PATH, "One agent").answers::<Agent>(200), get(one));
    all.add(
        Operation::of::<action::AgentDelete>(
            Method::DELETE,
            PATH,
            "Remove an agent; attempts that it holds are fenced",
        )
        .changes(),
        delete(remove),
    );
    mount_changes(all);
}

fn mount_changes(all: &mut Operations) {
    use ProblemCode as C;
    all.add(
        Operation::of::<action::AgentInvite>(
            Method::POST,
            "/v1/agents/{agent}/invite",
            "Invite an agent anew; what it had before is void",
        )
        .takes::<AgentInvite>()
        .answers::<AgentInvited>(200)
        .codes(&[C::StateConflict]),
        post(invite),
    );
    all.add(
        Operation::of::<action::AgentApprove>(
            Method::POST,
            "/v1/agents/{agent}/approve",
            "Approve the key that an agent presented, named by its fingerprint",
        )
        .takes::<AgentApprove>()
        .answers::<Agent>(200)
        .codes(&[C::StateConflict, C::Unusable]),
        post(approve),
    );
    all.add(
        Operation::of::<action::AgentDisable>(
            Method::POST,
            "/v1/agents/{agent}/disable",
            "Disable an agent at once: its stream is closed, attempts that it holds are fenced",
        )
        .answers::<Agent>(200)
        .codes(&[C::StateConflict]),
        post(disable),
    );
    all.add(
        Operation::of::<action::AgentEnable>(Method::POST, "/v1/agents/{agent}/enable", "Enable a disabled agent")
            .answers::<Agent>(200)
            .codes(&[C::StateConflict]),
        post(enable),
    );
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::AgentList>,
    Query(query): Query<Named>,
) -> Answer<Page<Agent>> {
    let org = permit.caller.org;
    let (paging, name) = query.split();
    let turn = app.pager.sorted(&permit.caller, (action::AgentList::ID, BY_NAME), paging, &name)?;
    let rows = match &name {
        Some(name) => app.store.agent_find(org, name).await?.into_iter().collect(),
        None => app.store.agent_part(org, &turn.part()).await?,
    };
    let found = name.as_ref().map(|_| rows.len());
    let count = turn.count_of(found, async |most| app.store.listed_count(org, Listed::Agents, most).await).await?;
    let (now, held) = (app.store.clock().await?, app.store.agent_task_count(org).await?);
    let page = turn.page(
        rows,
        |row| turn.place(&row.id, &row.name),
        |row| {
            let workers = held.get(&row.id).copied().unwrap_or(0);
            shown(&app, &permit.caller, row, (now, workers))
        },
    );
    Ok(Reply::ok(Page { count, ..page }))
}

async fn create(
    State(app): State<App>,
    permit: Permit<action::AgentCreate>,
    idempotency: Idempotency,
    body: Strict<AgentCreate>,
) -> Answer<AgentInvited> {
    let key = idempotency.once(&permit.caller, action::AgentCreate::ID, &body.bytes);
    let row = agent::create(&app, &permit.caller, &body.value, key.as_ref()).await?;
    Ok(Reply::created(invited(&app, &permit.caller, row).await?))
}

async fn one(State(app): State<App>, permit: Permit<action::AgentGet>) -> Answer<Agent> {
    let tag = tag(permit.object.version, permit.object.created_at);
    Ok(Reply::ok(show(&app, &permit.caller, permit.object).await?).tagged(tag))
}

async fn remove(
    State(app): State<App>,
    permit: Permit<action::AgentDelete>,
    conditions: Conditions,
) -> Result<Response, Refused> {
    // A session moves the row's time without changing what a person sees, so the tag holds the version alone.
    let (row, made) = (&permit.object, permit.object.created_at);
    let old = tag(row.version, made);
    conditions.must_match(&old, made)?;
    if agent::remove(&app, &permit.caller, row).await? { Ok(nothing()) } else { Err(stale(&old, made)) }
}

async fn invite(
    State(app): State<App>,
    permit: Permit<action::AgentInvite>,
    body: Strict<AgentInvite>,
) -> Answer<AgentInvited> {
    let row = agent::invite(&app, &permit.caller, &permit.object, body.value.needs_approval).await?;
    Ok(Reply::ok(invited(&app, &permit.caller, row).await?))
}

async fn approve(
    State(app): State<App>,
    permit: Permit<action::AgentApprove>,
    body: Strict<AgentApprove>,
) -> Answer<Agent> {
    let row = agent::approve(&app, &permit.caller, &permit.object, &body.value.fingerprint).await?;
    Ok(Reply::ok(show(&app, &permit.caller, row).await?))
}

async fn disable(State(app): State<App>, permit: Permit<action::AgentDisable>) -> Answer<Agent> {
    let row = agent::disable(&app, &permit.caller, &permit.object).await?;
    Ok(Reply::ok(show(&app, &permit.caller, row).await?))
}

async fn enable(State(app): State<App>, permit: Permit<action::AgentEnable>) -> Answer<Agent> {
    let row = agent::enable(&app, &permit.caller, &permit.object).await?;
    Ok(Reply::ok(show(&app, &permit.caller, row).await?))
}

async fn invited(app: &App, caller: &Caller, row: Row) -> ServiceResult<AgentInvited> {
    let token = agent::token(app, &row).map(|token| Confidential::new(token.to_string()));
    let reach = app.reach.get();
    Ok(AgentInvited {
        agent: show(app, caller, row).await?,
        token,
        orchestrator: reach.map(|reach| reach.endpoint.clone()),
        ca_pin: reach.map(|reach| reach.pin.clone()),
    })
}

async fn show(app: &App, caller: &Caller, row: Row) -> ServiceResult<Agent> {
    let now = app.store.clock().await?;
    let workers = app.store.agent_task_live(row.org, row.id).await?.len() as u64;
    Ok(shown(app, caller, row, (now, workers)))
}

fn shown(app: &App, caller: &Caller, row: Row, (now, workers): (Micros, u64)) -> Agent {
    let time = |at: Option<Micros>| at.map(Into::into);
    let is = |states: &[&str]| states.contains(&row.state.as_str());
    let (place, state) = (Place::Organization, format!("the agent is {}", row.state));
    let unless = |allowed: bool| (!allowed).then_some(state.as_str());
    Agent {
        connected: row.is_heard(now, silence(&app.bounds)),
        seen_at: time(row.seen_at),
        draining: row.draining,
        slots: row.slots.unsigned_abs(),
        workers,
        fingerprint: row.spki.as_ref().map(|spki| format!("sha256:{spki}")),
        generation: row.generation.unsigned_abs(),
        certificate_until: time(row.not_after),
        role_arn: row.cloud_caller.as_deref().and_then(CloudCaller::read).map(|caller| caller.role_arn),
        invited_until: is(&["invited"]).then(|| row.invited_until.into()),
        created_at: row.created_at.into(),
        allowed_actions: vec![
            may::<action::AgentInvite>(caller, place, None),
            may::<action::AgentApprove>(caller, place, unless(is(&["pending"]))),
            may::<action::AgentDisable>(caller, place, unless(is(&["invited", "pending", "active"]))),
            may::<action::AgentEnable>(caller, place, unless(is(&["disabled"]) && row.generation > 0)),
            may::<action::AgentDelete>(caller, place, None),
        ],
        id: row.id,
        name: row.name,
        data_plane_id: row.data_plane,
        state: row.state,
        program_version: row.program_version,
    }
}
