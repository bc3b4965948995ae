//! People and their logins: the first owner, passwords, sessions, rotating refresh tokens.
//!
//! Whatever is wrong with a login, the answer is the same and takes as long. Tokens are stored as hashes only.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use waybill_api::account::{Confidential, LoginRequest, RefreshRequest, SetupRequest, Tokens};
use waybill_api::{ProblemCode, Timestamp};
use waybill_model::id::SessionId;
use waybill_model::role::OrganizationRole;
use waybill_model::{DataPlaneId, Micros, OrgId, ProjectId, UserId};
use waybill_store::{AuditEntry, RefreshOutcome, Store, Tx, User};

use super::access::person_of;
use super::{Refused, ServiceResult, digest_of, project};
use crate::app::Shared;
use crate::auth::Caller;
use crate::auth::password::{Busy, check_rules};
use crate::auth::throttle::{Subject, pause};

impl From<Busy> for Refused {
    fn from(_: Busy) -> Self {
        Self::new(ProblemCode::Unavailable, "too many logins at once").after(Duration::from_secs(2))
    }
}

/// Makes a setup token where nobody has an account yet.
pub async fn setup_token(store: &Store, life: Duration) -> ServiceResult<Option<Confidential>> {
    if store.user_count().await? > 0 {
        return Ok(None);
    }
    let token = format!("setup_{}", hex::encode(crate::random::<32>()));
    let mut tx = store.write_tx_of_all().await?;
    Store::setup_token_insert_in_txn(&mut tx, &digest_of(&token), life).await?;
    tx.commit().await?;
    Ok(Some(Confidential::new(token)))
}

/// Makes the organization, its owner, the project `default` and the data plane `local`.
pub async fn setup(app: &Shared, body: &SetupRequest, ip: Option<IpAddr>) -> ServiceResult<Tokens> {
    let email = email(&body.email)?;
    let organization = organization_name(&body.organization)?;
    check_password(&body.password, &[&email, organization])?;
    wait(app, Subject::Setup, ip)?;
    let password_hash = app.passwords.hash(&body.password).await?;
    let (org, user) = (OrgId::generate(), UserId::generate());
    let mut tx = app.store.write_tx(org).await?;
    if !Store::setup_token_use_in_txn(&mut tx, &digest_of(body.setup_token.reveal())).await? {
        drop(tx);
        app.throttle.failed(Subject::Setup, ip);
        let detail = "the setup token is not valid (any more)";
        return Err(Refused::new(ProblemCode::SetupRefused, detail).next("restart the orchestrator for a new one"));
    }
    Store::organization_insert_in_txn(&mut tx, org, organization).await?;
    let person = person((org, user), email, password_hash, OrganizationRole::Owner);
    Store::user_insert_in_txn(&mut tx, &person).await?;
    project::add(&mut tx, (org, ProjectId::generate()), "default", user).await?;
    let plane = ("process", r#"{"environment":[]}"#);
    Store::data_plane_insert_in_txn(&mut tx, org, DataPlaneId::generate(), "local", plane).await?;
    let tokens = begin(app, &mut tx, &person, ip).await?;
    audit(&mut tx, &person, "setup", ip).await?;
    tx.commit().await?;
    // Used once, it is worth nothing; the file would only mislead.
    drop(std::fs::remove_file(&app.setup_file));
    Ok(tokens)
}

/// A person who has not been here yet.
pub(super) fn person((org, id): (OrgId, UserId), email: String, password_hash: String, role: OrganizationRole) -> User {
    User {
        org,
        id,
        name: email.clone(),
        email,
        password_hash,
        role: role.to_string(),
        disabled: false,
        failed_logins: 0,
        locked_until: Micros(0),
        version: 1,
        created_at: Micros(0),
        updated_at: Micros(0),
    }
}

/// Checks a password and begins a session.
pub async fn login(app: &Shared, body: &LoginRequest, ip: Option<IpAddr>) -> ServiceResult<Tokens> {
    let email = body.email.trim().to_lowercase();
    wait(app, Subject::Login(&email), ip)?;
    let user = app.store.user_find_by_email(&email).await?;
    let stored = user.as_ref().map(|user| user.password_hash.as_str());
    let fits = app.passwords.verify(&body.password, stored).await?;
    let now = app.store.clock().await?;
    let Some(user) = user.filter(|user| fits && !user.disabled && user.locked_until <= now) else {
        return Err(failed(app, &email, ip).await?);
    };
    let mut tx = app.store.write_tx(user.org).await?;
    Store::user_login_reset_in_txn(&mut tx, user.org, user.id).await?;
    let tokens = begin(app, &mut tx, &user, ip).await?;
    audit(&mut tx, &user, "login", ip).await?;
    tx.commit().await?;
    app.throttle.succeeded(&email);
    Ok(tokens)
}

/// Counts a failed login; the answer says nothing about why.
async fn failed(app: &Shared, email: &str, ip: Option<IpAddr>) -> ServiceResult<Refused> {
    app.throttle.failed(Subject::Login(email), ip);
    if let Some(user) = app.store.user_find_by_email(email).await? {
        let count = u32::try_from(user.failed_logins + 1).unwrap_or(u32::MAX);
        let mut tx = app.store.write_tx(user.org).await?;
        Store::user_login_failed_in_txn(&mut tx, user.org, user.id, pause(count)).await?;
        let entry = AuditEntry {
            ip: ip.map(|ip| ip.to_string()),
            ..AuditEntry::refused(user.org, user.id.to_string(), "login", &user.id)
        };
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
    }
    Ok(Refused::new(ProblemCode::LoginFailed, "e-mail address and password do not fit together"))
}

pub(super) fn wait(app: &Shared, subject: Subject<'_>, ip: Option<IpAddr>) -> ServiceResult<()> {
    let wait = app.throttle.wait(subject, ip);
    if wait.is_zero() {
        return Ok(());
    }
    let why = match subject {
        Subject::Login(_) => "too many failed logins",
        Subject::Setup => "too many wrong setup tokens",
        Subject::Key => "too many refused keys from this address",
        Subject::Link => "too many refused links from this address",
    };
    Err(Refused::new(ProblemCode::TooManyRequests, why).after(wait))
}

/// Exchanges a refresh token. One that was used before ends its whole session.
pub async fn refresh(app: &Shared, body: &RefreshRequest, ip: Option<IpAddr>) -> ServiceResult<Tokens> {
    let refused = || Refused::new(ProblemCode::TokenInvalid, "the session has ended").next("waybill login");
    // Whose the token is, its row tells.
    let mut tx = app.store.write_tx_of_all().await?;
    let outcome = Store::refresh_token_use_in_txn(&mut tx, &digest_of(body.refresh_token.reveal())).await?;
    match outcome {
        RefreshOutcome::Fresh(session) => {
            let tokens = hand_out(app, &mut tx, (session.org, session.user, session.id)).await?;
            tx.commit().await?;
            Ok(tokens)
        }
        RefreshOutcome::Reused(session) => {
            tracing::warn!(session = %session.id, "a refresh token came twice; its session is ended");
            let entry = AuditEntry {
                ip: ip.map(|ip| ip.to_string()),
                ..AuditEntry::refused(session.org, session.user.to_string(), "refresh_token_reused", &session.id)
            };
            Store::audit_append_in_txn(&mut tx, &entry).await?;
            tx.commit().await?;
            Err(refused())
        }
        RefreshOutcome::Refused => Err(refused()),
    }
}

/// Ends the caller's session.
pub async fn logout(app: &Shared, caller: &Caller) -> ServiceResult<()> {
    let session = person_of(caller)?.1;
    let mut tx = app.store.write_tx(caller.org).await?;
    Store::session_revoke_in_txn(&mut tx, caller.org, session).await?;
    Store::audit_append_in_txn(&mut tx, &caller.audit("logout", session)).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn begin(app: &Shared, tx: &mut Tx, user: &User, ip: Option<IpAddr>) -> ServiceResult<Tokens> {
    let session = SessionId::generate();
    let ip = ip.map(|ip| ip.to_string());
    Store::session_insert_in_txn(tx, user.org, session, user.id, (app.login.session, ip.as_deref())).await?;
    hand_out(app, tx, (user.org, user.id, session)).await
}

async fn hand_out(
    app: &Shared,
    tx: &mut Tx,
    (org, user, session): (OrgId, UserId, SessionId),
) -> ServiceResult<Tokens> {
    let refresh = format!("wbr_{}", URL_SAFE_NO_PAD.encode(crate::random::<32>()));
    Store::refresh_token_insert_in_txn(tx, org, session, &digest_of(&refresh), app.login.idle).await?;
    let access = app.tokens.mint(org, user, session).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "sign an access token");
        Refused::from(ProblemCode::Internal)
    })?;
    Ok(Tokens {
        access_token: Confidential::new(access.expose_secret()),
        access_expires_in_ms: u64::try_from(app.tokens.life().as_millis()).unwrap_or(u64::MAX),
        refresh_token: Confidential::new(refresh),
        refresh_expires_at: Timestamp(tx.clock().await?.plus(app.login.idle)),
    })
}

pub(super) async fn audit(tx: &mut Tx, user: &User, action: &'static str, ip: Option<IpAddr>) -> ServiceResult<()> {
    let entry = AuditEntry {
        ip: ip.map(|ip| ip.to_string()),
        ..AuditEntry::done(user.org, user.id.to_string(), action, &user.id)
    };
    Store::audit_append_in_txn(tx, &entry).await?;
    Ok(())
}

pub(super) fn check_password(password: &Confidential, context: &[&str]) -> ServiceResult<()> {
    check_rules(password, context)
        .map_err(|why| Refused::field(ProblemCode::PasswordWeak, "/password", why.to_string()))
}

/// An address in lower case: it names an account, and nothing is ever sent to it unread.
pub(super) fn email(text: &str) -> ServiceResult<String> {
    let text = text.trim().to_lowercase();
    let plain = text.len() <= 254 && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"'));
    let parts =
        text.split_once('@').filter(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'));
    if plain && parts.is_some() {
        return Ok(text);
    }
    let message = "an e-mail address reads like ada@example.org, in plain letters";
    Err(Refused::field(ProblemCode::NameInvalid, "/email", message))
}

fn organization_name(text: &str) -> ServiceResult<&str> {
    let text = text.trim();
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let formula = text.starts_with(['=', '+', '-', '@']);
    if (1..=100).contains(&text.chars().count()) && !text.chars().any(hidden) && !formula && !text.contains(['<', '>'])
    {
        return Ok(text);
    }
    let message =
        "an organization's name has 1 to 100 visible characters without < and >, and does not begin with = + - @";
    Err(Refused::field(ProblemCode::NameInvalid, "/organization", message))
}
