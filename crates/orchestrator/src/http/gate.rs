//! Who may come in: every route stands behind this gate, whatever its handler does.
//!
//! Token, live session, present role, the one `authorize`; then [`Permit`] loads the object that the path names, from the
//! caller's own organization only. What is not there and what is another's give the same 404.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use waybill_api::ProblemCode;

use super::App;
use super::action::{Action, Load};
use super::operation::Declared;
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
    if let Some(permission) = declared.permission {
        let caller = match authenticate(&app, request.headers(), remote(request.extensions())).await {
            Ok(caller) => caller,
            Err(refused) => return refused.into_response(),
        };
        if !authorize(&caller.role, permission) {
            let detail = format!("the role {} lacks {}", caller.role, permission.as_str());
            return Refused::new(ProblemCode::Forbidden, detail).into_response();
        }
        request.extensions_mut().insert(Granted { caller, operation: declared.id });
    }
    next.run(request).await
}

fn remote(extensions: &axum::http::Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
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
