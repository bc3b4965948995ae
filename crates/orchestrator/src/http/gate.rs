//! Who may come in: every route stands behind this gate, whatever its handler does.
//!
//! Token and live session, or a key; present roles; then the object that the path names is loaded from the caller's own organization, and the
//! one function decides on the role that counts there. What is not there, what is another's and what the caller may not see give
//! the same 404; what they see but may not do is a 403 that names role and permission. Only then comes the handler.

use std::any::Any;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use waybill_api::ProblemCode;
use waybill_api::action::AllowedAction;

use super::App;
use super::action::{Action, Load};
use super::door::CameFrom;
use super::operation::Declared;
use crate::auth::address::network;
use crate::auth::key::PREFIX;
use crate::auth::quota::{Holder, Left, WINDOW};
use crate::auth::{Caller, Permission, Place, Who};
use crate::service::{Refused, ServiceResult, access, key};

/// That the gate let this caller in: the [`Permit`] of one operation, for its handler to take.
#[derive(Clone)]
pub(super) struct Granted(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

/// How an operation lets a caller in: with what the path names.
pub(super) type Admit = fn(App, Caller, String) -> BoxFuture<'static, ServiceResult<Granted>>;

/// Loads what an action is about, and decides.
pub(super) fn admit<A: Action>(app: App, caller: Caller, named: String) -> BoxFuture<'static, ServiceResult<Granted>> {
    Box::pin(async move {
        let found = A::Object::load(&app.store, caller.org, &named).await?;
        let (object, place) = found.ok_or(ProblemCode::NotFound)?;
        if A::Object::SEEN.is_some_and(|seen| !caller.authority.decide(seen, place).allowed) {
            return Err(ProblemCode::NotFound.into());
        }
        if !access::reaches(&app, &caller, object.part()).await? {
            return Err(ProblemCode::NotFound.into());
        }
        access::allowed(&caller, A::PERMISSION, place)?;
        let permit: Permit<A> = Permit { caller, object, place, action: PhantomData };
        Ok(Granted(Arc::new(Mutex::new(Some(Box::new(permit))))))
    })
}

/// Checks a request against what its operation declares.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(declared) = request.extensions().get::<Declared>().copied() else {
        tracing::error!("a route without a declaration");
        return Refused::from(ProblemCode::Internal).into_response();
    };
    let from = remote(request.extensions());
    let Some(admit) = declared.admit else {
        let left =
            from.map(|from| app.quotas.take(&[Holder::Address(network(from))], Instant::now())).unwrap_or_default();
        return within(&left, next.run(request)).await;
    };
    let caller = match authenticate(&app, request.headers(), from).await {
        Ok(caller) => caller,
        Err(refused) => {
            let left =
                from.map(|from| app.quotas.take(&[Holder::Refused(network(from))], Instant::now())).unwrap_or_default();
            return within(&left, async { refused.into_response() }).await;
        }
    };
    let holder = match &caller.who {
        Who::Person { user, .. } => Holder::Caller(*user),
        Who::Service(service) => Holder::Service(service.key),
    };
    let left = app.quotas.take(&[holder, Holder::Organization(caller.org)], Instant::now());
    within(&left, async {
        let (mut parts, body) = request.into_parts();
        let Ok(path) = RawPathParams::from_request_parts(&mut parts, &app).await else {
            return Refused::from(ProblemCode::NotFound).into_response();
        };
        let named = path.iter().next().map_or_else(String::new, |(_, value)| value.to_owned());
        match admit(Arc::clone(&app), caller, named).await {
            Ok(granted) => {
                parts.extensions.insert(granted);
                next.run(Request::from_parts(parts, body)).await
            }
            Err(refused) => refused.into_response(),
        }
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

async fn authenticate(app: &App, headers: &HeaderMap, ip: Option<IpAddr>) -> ServiceResult<Caller> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (given.next(), given.next()) else { return Err(access::login_first()) };
    let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(access::login_first)?;
    if token.starts_with(PREFIX) {
        return key::authenticate(app, token, ip).await;
    }
    let claims = app.tokens.verify(token).map_err(|refused| {
        tracing::debug!(reason = refused.0, "access token refused");
        access::login_first()
    })?;
    let standing = app.store.standing_get(claims.org, claims.sid, claims.sub).await?.ok_or_else(access::login_first)?;
    let who = Who::Person { user: claims.sub, session: claims.sid };
    Ok(Caller { org: claims.org, who, authority: standing.into(), ip })
}

/// The caller, and the object that the action is about.
pub struct Permit<A: Action> {
    /// Who calls.
    pub caller: Caller,
    /// The object, loaded from the caller's organization.
    pub object: A::Object,
    /// Where the object belongs.
    pub place: Place,
    action: PhantomData<A>,
}

/// Whether a caller may do another action there now, by the function that the gate asks; `state` says why the object's state
/// forbids it, where it does.
pub(super) fn may<A: Action>(caller: &Caller, place: Place, state: Option<&str>) -> AllowedAction {
    may_with::<A>(caller, A::PERMISSION, place, state)
}

/// The same where it takes another permission as well, which stands above the action's own.
pub(super) fn may_with<A: Action>(
    caller: &Caller,
    permission: Permission,
    place: Place,
    state: Option<&str>,
) -> AllowedAction {
    match caller.authority.decide(permission, place).why_not() {
        Some(why) => AllowedAction::no(A::ID, &why),
        None => AllowedAction::unless(A::ID, state),
    }
}

impl<A: Action> FromRequestParts<App> for Permit<A> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refused> {
        let granted = parts.extensions.get::<Granted>();
        let permit = granted.and_then(|granted| granted.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let permit = permit.and_then(|permit| permit.downcast::<Self>().ok()).ok_or_else(|| {
            tracing::error!(action = A::ID, "a handler asks for a permit that its route does not give");
            Refused::from(ProblemCode::Internal)
        })?;
        Ok(*permit)
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
