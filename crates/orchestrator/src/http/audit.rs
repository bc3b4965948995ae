//! The audit chain.

use axum::extract::State;
use axum::http::Method;
use axum::routing::get;
use waybill_api::Page;
use waybill_api::audit::AuditEntry;

use super::App;
use super::action::{self, Action};
use super::body::Query;
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::page::Paging;
use super::reply::{Answer, Reply};
use crate::service::audit;

pub(super) fn mount(all: &mut Operations) {
    let of = Operation::of::<action::AuditList>(Method::GET, "/v1/audit", "Audit entries, newest first");
    all.add(of.pages::<AuditEntry>(), get(list));
}

async fn list(
    State(app): State<App>,
    permit: Permit<action::AuditList>,
    Query(paging): Query<Paging>,
) -> Answer<Page<AuditEntry>> {
    let turn = app.pager.turn(&permit.caller, action::AuditList::ID, paging, &())?;
    let rows = audit::list(&app, permit.caller.org, turn.key()?, turn.fetch()).await?;
    Ok(Reply::ok(turn.page(rows, |row| row.seq.to_string(), audit::show)))
}
