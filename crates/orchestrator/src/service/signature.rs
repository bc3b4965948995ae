//! Signatures over plans: taken with a document, kept by the digest of the plan, handed on with assignments.
//!
//! Whether one counts is the worker's to say, with the customer's key. Here it is only made sure that each is of a plan that
//! the project will have, so that a stale file is told about at once and not by the next run.

use waybill_api::ProblemCode;
use waybill_api::problem::FieldError;
use waybill_api::spec::PlanSignature;
use waybill_spec::Document;
use waybill_store::Store;

use super::{Refused, ServiceResult};
use crate::app::Shared;
use crate::auth::Caller;

/// Refuses signatures that are of no plan of the document.
pub(super) fn check(wanted: &Document, given: &[PlanSignature]) -> ServiceResult<()> {
    let mut errors = Vec::new();
    for (at, one) in given.iter().enumerate() {
        let digest = wanted.plan(&one.pipeline).map(|plan| waybill_spec::plan_digest(&plan));
        let message = match digest {
            None => "there is no pipeline of this name",
            Some(digest) if digest != one.digest => "the plan is another one than was signed",
            Some(_) if waybill_spec::sign::signature_end(&one.signature).is_none() => "this is no signature",
            Some(_) => continue,
        };
        errors.push(FieldError {
            pointer: Some(format!("/signatures/{at}")),
            line: None,
            column: None,
            code: Some("signature_unusable".into()),
            message: message.to_owned(),
            suggestion: Some("sign the file as it is now: waybill sign".into()),
        });
    }
    if errors.is_empty() {
        return Ok(());
    }
    let detail = "a signature is of no plan of this document";
    Err(Refused::new(ProblemCode::SpecInvalid, detail).errors(errors).next("waybill sign"))
}

/// Keeps signatures, before anything that they are over is written: no run starts in between without one.
pub(super) async fn keep(app: &Shared, caller: &Caller, given: &[PlanSignature]) -> ServiceResult<()> {
    if given.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.write_tx(caller.org).await?;
    for one in given {
        let row = waybill_store::PlanSignature {
            org: caller.org,
            digest: one.digest.clone(),
            signature: one.signature.clone(),
            created_by: caller.actor(),
        };
        Store::plan_signature_put_in_txn(&mut tx, &row).await?;
        Store::audit_append_in_txn(&mut tx, &caller.audit("plan_sign", &one.digest)).await?;
    }
    Ok(tx.commit().await?)
}
