//! Who may come in: every route stands behind this gate, whatever its handler does.
//!
//! Token, live session, present role, the one `authorize`; then [`Permit`] loads the object that the path names, from the
//! caller's own organization only. What is not there and what is another's give the same 404.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use waybill_api::ProblemCode;

use super::App;
use super::action::{Action, Load};
use super::door::CameFrom;
use super::operation::Declared;
use crate::auth::quota::{Holder, Left, WINDOW};
use crate::auth::{Caller, authorize};
use crate::service::{Refused, ServiceResult};

/// That the gate let this caller in, for this operation.
#[derive(Clone)]
struct Granted {
    caller: Caller,
    operation: &'static str,
}

/// Checks a request against what its operation declares.
pub(super) async fn check(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(declared) = request.extensions().get::<Declared>().copied() else {
        tracing::error!("a route without a declaration");
        return Refused::from(ProblemCode::Internal).into_response();
    };
    let from = remote(request.extensions());
    let Some(permission) = declared.permission else {
        let left = from.map(|from| app.quotas.take(&[Holder::Address(from)], Instant::now())).unwrap_or_default();
        return within(&left, next.run(request)).await;
    };
    let caller = match authenticate(&app, request.headers(), from).await {
        Ok(caller) => caller,
        Err(refused) => return refused.into_response(),
    };
    let left = app.quotas.take(&[Holder::Caller(caller.user), Holder::Organization(caller.org)], Instant::now());
    within(&left, async {
        if !authorize(&caller.role, permission) {
            let detail = format!("the role {} lacks {}", caller.role, permission.as_str());
            return Refused::new(ProblemCode::Forbidden, detail).into_response();
        }
        request.extensions_mut().insert(Granted { caller, operation: declared.id });
        next.run(request).await
    })
    .await
}

/// Answers where no quota is used up, and says in any case what is left.
async fn within(left: &[Left], answer: impl Future<Output = Response>) -> Response {
    let used_up = left.iter().find(|left| left.remaining.is_none());
    let mut response = match used_up {
        None => answer.await,
        Some(left) => {
            let detail = format!("more than {} requests in a minute for this {}", left.quota, left.name);
            Refused::new(ProblemCode::TooManyRequests, detail).after(left.reset).into_response()
        }
    };
    let policies = left.iter().map(|left| format!("\"{}\";q={};w={}", left.name, left.quota, WINDOW.as_secs()));
    let rest = left.iter().map(|left| {
        let seconds = left.reset.as_secs() + u64::from(left.reset.subsec_nanos() > 0);
        format!("\"{}\";r={};t={seconds}", left.name, left.remaining.unwrap_or(0))
    });
    for (name, items) in [(RATE_POLICY, policies.collect::<Vec<_>>()), (RATE, rest.collect())] {
        if let Ok(value) = HeaderValue::from_str(&items.join(", "))
            && !items.is_empty()
        {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The header fields of draft-ietf-httpapi-ratelimit-headers.
const RATE: &str = "ratelimit";
const RATE_POLICY: &str = "ratelimit-policy";

fn remote(extensions: &axum::http::Extensions) -> Option<IpAddr> {
    extensions.get::<CameFrom>().and_then(|from| from.0)
}

fn login_first() -> Refused {
    Refused::new(ProblemCode::TokenInvalid, "the access token is missing, too old or not valid").next("waybill login")
}

async fn authenticate(app: &App, headers: &HeaderMap, ip: Option<IpAddr>) -> ServiceResult<Caller> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (given.next(), given.next()) else { return Err(login_first()) };
    let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(login_first)?;
    let claims = app.tokens.verify(token).map_err(|refused| {
        tracing::debug!(reason = refused.0, "access token refused");
        login_first()
    })?;
    let session = app.store.session_get_live(claims.org, claims.sid).await?.ok_or_else(login_first)?;
    let user = app.store.user_get(claims.org, claims.sub).await?.ok_or_else(login_first)?;
    if user.disabled || session.user != user.id {
        return Err(login_first());
    }
    Ok(Caller { org: claims.org, user: user.id, session: session.id, role: user.role, ip })
}

/// The caller, and the object that the action is about.
pub struct Permit<A: Action> {
    /// Who calls.
    pub caller: Caller,
    /// The object, loaded from the caller's organization.
    pub object: A::Object,
    action: PhantomData<A>,
}

impl<A: Action> FromRequestParts<App> for Permit<A> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let granted = parts.extensions.get::<Granted>().cloned();
        let granted = granted.filter(|granted| granted.operation == A::ID).ok_or_else(|| {
            tracing::error!(action = A::ID, "a handler asks for a permit that its route does not give");
            Refused::from(ProblemCode::Internal)
        })?;
        let path = RawPathParams::from_request_parts(parts, app).await;
        let path = path.map_err(|_| Refused::from(ProblemCode::NotFound))?;
        let named = path.iter().next().map_or("", |(_, value)| value);
        let object = A::Object::load(&app.store, granted.caller.org, named).await?;
        Ok(Self { caller: granted.caller, object: object.ok_or(ProblemCode::NotFound)?, action: PhantomData })
    }
}

/// The address that a request came from, for routes without a login.
pub(super) struct Remote(pub(super) Option<IpAddr>);

impl FromRequestParts<App> for Remote {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        Ok(Self(remote(&parts.extensions)))
    }
}
