//! Keys of services: made by who looks after a project, good for that project alone, and never for more than their maker may do
//! there at the moment that one is used. Whatever is wrong with a key, the answer is the same, and the address waits as after a
//! wrong password.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use waybill_api::ProblemCode;
use waybill_api::account::Confidential;
use waybill_api::key::KeyCreate;
use waybill_model::id::KeyId;
use waybill_model::net::Range;
use waybill_model::role::ServiceRole;
use waybill_model::{PipelineId, ProjectId};
use waybill_store::{ApiKey, AuditEntry, KeyFound, NewApiKey, Project, Store, StoreError, Tx};

use super::access;
use super::account::wait;
use super::{Once, Refused, ServiceResult, check_name, digest_of, once};
use crate::app::Shared;
use crate::auth::key::Given;
use crate::auth::throttle::Subject;
use crate::auth::{Authority, Caller, Permission, Service, Who};

/// Longest life of a key.
pub const MOST_DAYS: u16 = 365;
/// Most ranges and most pipelines that one names.
const MOST: usize = 20;
/// The last use is written no more often than this.
const GRAIN: Duration = Duration::from_secs(300);

/// Makes a key. The key itself is there once: a repeat under the same idempotency key tells which one was made, and no more.
pub async fn create(
    app: &Shared,
    caller: &Caller,
    project: &Project,
    body: &KeyCreate,
    key: Option<&Once>,
) -> ServiceResult<(ApiKey, Option<Confidential>)> {
    check_name(&body.name)?;
    if !(1..=MOST_DAYS).contains(&body.days) {
        let message = format!("a key lives 1 to {MOST_DAYS} days");
        return Err(Refused::field(ProblemCode::Unusable, "/days", message));
    }
    let networks = networks(&body.networks)?;
    let pipelines = pipelines(app, project, body).await?;
    let creator = access::person_of(caller)?.0;
    let given = Given::make(KeyId::generate());
    let id: KeyId = once(&app.store, key, async || {
        let mut tx = app.store.write_tx(caller.org).await?;
        may(&mut tx, caller, project.id).await?;
        let new = NewApiKey {
            org: caller.org,
            id: given.id,
            project: project.id,
            name: body.name.clone(),
            role: body.role.as_str(),
            digest: given.digest(),
            networks: networks.clone(),
            created_by: creator,
            life: Duration::from_secs(u64::from(body.days) * 24 * 60 * 60),
        };
        match Store::key_insert_in_txn(&mut tx, &new, &pipelines).await {
            Err(StoreError::Conflict(_)) => {
                return Err(Refused::new(ProblemCode::NameTaken, "a key of this project has the name already")
                    .next("revoke that one, or take another name"));
            }
            other => other?,
        }
        if let Some(key) = key {
            key.keep(&mut tx, &given.id.to_string()).await?;
        }
        let mut entry = caller.audit("key_create", given.id);
        entry.after = Some(digest_of(body.role.as_str()));
        Store::audit_append_in_txn(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(given.id)
    })
    .await?;
    let row = app.store.key_get(caller.org, id).await?.ok_or(ProblemCode::NotFound)?;
    Ok((row, (id == given.id).then(|| Confidential::new(given.reveal()))))
}

/// Revokes a key, with the next request that it is used for.
pub async fn revoke(app: &Shared, caller: &Caller, key: &ApiKey) -> ServiceResult<ApiKey> {
    let mut tx = app.store.write_tx(caller.org).await?;
    may(&mut tx, caller, key.project).await?;
    if Store::key_revoke_in_txn(&mut tx, key.org, key.id).await? {
        Store::audit_append_in_txn(&mut tx, &caller.audit("key_revoke", key.id)).await?;
        tx.commit().await?;
    }
    app.store.key_get(key.org, key.id).await?.ok_or_else(|| ProblemCode::NotFound.into())
}

/// Whether the caller may make and revoke keys, as their rights are behind the lock: whoever may has more than any key can be given.
async fn may(tx: &mut Tx, caller: &Caller, project: ProjectId) -> ServiceResult<()> {
    let now = access::locked(tx, caller).await?;
    access::in_project(&now, Permission::KeyWrite, project, || ProblemCode::NotFound.into())
}

/// The ranges as they are kept.
fn networks(given: &[String]) -> ServiceResult<String> {
    let wrong =
        |at: usize, message: &str| Err(Refused::field(ProblemCode::Unusable, &format!("/networks/{at}"), message));
    if given.len() > MOST {
        return wrong(MOST, "a key names at most 20 ranges of addresses");
    }
    let mut kept = BTreeSet::new();
    for (at, text) in given.iter().enumerate() {
        let Ok(range) = text.parse::<Range>() else {
            return wrong(at, "a range of addresses reads like 198.51.100.0/24 or 2001:db8::/32");
        };
        kept.insert(range.to_string());
    }
    Ok(kept.into_iter().collect::<Vec<_>>().join(" "))
}

/// The pipelines that the key is to name: some for the role `api`, none for others.
async fn pipelines(app: &Shared, project: &Project, body: &KeyCreate) -> ServiceResult<Vec<PipelineId>> {
    let unusable = |message: &str| Err(Refused::field(ProblemCode::Unusable, "/pipelines", message));
    let named: BTreeSet<PipelineId> = body.pipelines.iter().copied().collect();
    match body.role {
        ServiceRole::Api if named.is_empty() || named.len() > MOST => {
            return unusable("a key of role api names 1 to 20 pipelines that it starts");
        }
        ServiceRole::Api => {}
        _ if named.is_empty() => {}
        _ => return unusable("only a key of role api names pipelines; one of another role reaches all of the project"),
    }
    for id in &named {
        let found = app.store.pipeline_get(project.org, *id).await?;
        if found.is_none_or(|row| row.project != project.id) {
            return unusable("no such pipeline in this project");
        }
    }
    Ok(named.into_iter().collect())
}

/// Who calls with this key.
pub async fn authenticate(app: &Shared, text: &str, ip: Option<IpAddr>) -> ServiceResult<Caller> {
    let given = Given::read(text);
    let found = match &given {
        Some(given) => app.store.key_find(given.id).await?,
        None => None,
    };
    let found = found.filter(|found| given.is_some_and(|given| given.is(&found.key.digest)));
    // A good key never waits, whatever else comes from its address: 256 random bits are not guessed.
    let Some((found, authority)) = found.as_ref().and_then(|found| {
        let authority = authority(found).filter(|_| comes_from(&found.key, ip))?;
        Some((found, authority))
    }) else {
        wait(app, Subject::Key, ip)?;
        app.throttle.failed(Subject::Key, ip);
        if let Some(found) = &found {
            tell_refused(app, &found.key, ip).await?;
        }
        return Err(access::login_first());
    };
    let key = &found.key;
    if key.last_used_at.is_none_or(|at| at.plus(GRAIN) <= found.now)
        && let Err(error) = app.store.key_used(key.org, key.id, GRAIN).await
    {
        tracing::warn!(key = %key.id, error = &error as &dyn std::error::Error, "note the use of a key");
    }
    let service = Service {
        key: key.id,
        project: key.project,
        pipelines: (key.role == ServiceRole::Api.as_str()).then(|| found.pipelines.iter().copied().collect()),
    };
    Ok(Caller { org: key.org, who: Who::Service(Arc::new(service)), authority, ip })
}

/// What a key may do now; none where it may not be used any more.
pub async fn authority_now(app: &Shared, key: KeyId) -> ServiceResult<Option<Authority>> {
    Ok(app.store.key_find(key).await?.as_ref().and_then(authority))
}

fn authority(found: &KeyFound) -> Option<Authority> {
    let alive = found.key.revoked_at.is_none() && found.key.expires_at > found.now;
    let creator = found.creator.clone().filter(|_| alive)?;
    Some(Authority::of_service(found.key.role.parse().ok()?, found.key.project, &creator.into()))
}

/// Whether a key may come from this address; one that is not known is in no range.
fn comes_from(key: &ApiKey, ip: Option<IpAddr>) -> bool {
    let mut ranges = key.networks.split_whitespace().peekable();
    let holds = |range: &str| ip.is_some_and(|ip| range.parse::<Range>().is_ok_and(|range| range.contains(ip)));
    ranges.peek().is_none() || ranges.any(holds)
}

/// A good key that may not be used, by whoever has it, is worth an entry; the pause between two bounds how many there are.
async fn tell_refused(app: &Shared, key: &ApiKey, ip: Option<IpAddr>) -> ServiceResult<()> {
    let entry = AuditEntry {
        ip: ip.map(|ip| ip.to_string()),
        ..AuditEntry::refused(key.org, key.id.to_string(), "key_use", &key.id)
    };
    let mut tx = app.store.write_tx(key.org).await?;
    Store::audit_append_in_txn(&mut tx, &entry).await?;
    Ok(tx.commit().await?)
}
