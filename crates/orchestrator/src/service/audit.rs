//! Reading the audit chain.

use waybill_api::audit::AuditEntry;
use waybill_model::OrgId;
use waybill_store::AuditRow;

use super::ServiceResult;
use crate::app::Shared;

/// Entries below `before`, newest first.
pub async fn list(app: &Shared, org: OrgId, before: Option<i64>, limit: i64) -> ServiceResult<Vec<AuditRow>> {
    Ok(app.store.audit_list(org, before, limit).await?)
}

/// As it is answered.
#[must_use]
pub fn show(row: AuditRow) -> AuditEntry {
    AuditEntry {
        seq: row.seq.unsigned_abs(),
        at: row.at.into(),
        actor: row.actor,
        action: row.action,
        object: row.object,
        outcome: row.outcome,
        ip: row.ip,
        before: row.before,
        after: row.after,
        prev_hash: row.prev_hash,
        hash: row.hash,
    }
}
