//! The REST door: what each operation is, who may come in, strict bodies, and one shape for every refusal.
//!
//! Handlers read the request, call one service verb and answer. They never see SQL.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

mod access;
mod account;
pub mod action;
mod agent;
mod audit;
pub mod body;
mod compress;
mod conditions;
mod connection;
mod console;
mod data_plane;
mod door;
mod gate;
mod invitation;
mod key;
mod live;
mod member;
pub mod operation;
mod organization;
mod page;
mod password;
mod pipeline;
pub mod private;
mod reply;
mod run;
mod sentence;
mod session;
mod spec;
mod trail;

pub use gate::Permit;
pub use operation::Operations;
pub use page::Pager;

use crate::app::Shared;

/// What handlers share.
pub type App = Arc<Shared>;

/// Every operation: the one list that routes and the API description are made from.
#[must_use]
pub fn operations() -> Operations {
    let mut all = Operations::default();
    account::mount(&mut all);
    access::mount(&mut all);
    session::mount(&mut all);
    organization::mount(&mut all);
    member::mount(&mut all);
    invitation::mount(&mut all);
    password::mount(&mut all);
    key::mount(&mut all);
    data_plane::mount(&mut all);
    agent::mount(&mut all);
    connection::mount(&mut all);
    spec::mount(&mut all);
    pipeline::mount(&mut all);
    run::mount(&mut all);
    trail::mount(&mut all);
    live::mount(&mut all);
    audit::mount(&mut all);
    all
}

/// The router of the API.
pub fn router(app: App) -> Router {
    let gate = from_fn_with_state(Arc::clone(&app), gate::check);
    let routes = operations().into_router(&gate);
    let door = from_fn_with_state(Arc::clone(&app), door::answer);
    routes
        .fallback(console::page_or_nothing)
        .method_not_allowed_fallback(door::other_method)
        .layer(DefaultBodyLimit::disable())
        .layer(door)
        .with_state(app)
}

#[cfg(test)]
mod tests;
