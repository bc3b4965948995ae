//! Writing a wanted document: one transaction for all rows, versions, schedules and their audit entries.

use waybill_api::ProblemCode;
use waybill_model::plan::System;
use waybill_model::{ConnectionId, Micros, PipelineId};
use waybill_spec::Document;
use waybill_store::{NewConnection, Store, Tx};

use super::{Held, HeldPipeline, damaged};
use crate::app::Shared;
use crate::auth::Caller;
use crate::service::{Refused, ServiceResult, connection, digest_of, schedule_crud};

/// Somebody else changed it between our reading and our writing.
fn raced(name: &str) -> Refused {
    Refused::new(ProblemCode::PreconditionFailed, format!("{name} was changed meanwhile")).next("waybill plan")
}

impl Held {
    /// Writes every difference. Connections come before the pipelines that use them and go after them.
    pub(super) async fn make(
        &self,
        app: &Shared,
        caller: &Caller,
        wanted: &Document,
        source: &str,
    ) -> ServiceResult<()> {
        let now = app.store.clock().await?;
        let mut tx = app.store.write_tx(caller.org).await?;
        for (name, system) in &wanted.connections {
            if self.document.connections.get(name) != Some(system) {
                self.put_connection(&mut tx, caller, name, system).await?;
            }
        }
        for name in wanted.pipelines.keys() {
            let id = self.put_pipeline(&mut tx, caller, (wanted, name), source).await?;
            self.put_schedule(app, &mut tx, caller, (wanted, name, id, now)).await?;
        }
        for (name, held) in &self.pipelines {
            if !wanted.pipelines.contains_key(name) {
                self.remove_pipeline(&mut tx, caller, held).await?;
            }
        }
        for (name, row) in &self.connections {
            if !wanted.connections.contains_key(name) {
                if !Store::connection_delete_in_txn(&mut tx, self.org, row.id, row.version).await? {
                    return Err(raced(name));
                }
                Store::audit_append_in_txn(&mut tx, &caller.audit("connection_delete", row.id)).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    async fn put_connection(&self, tx: &mut Tx, caller: &Caller, name: &str, system: &System) -> ServiceResult<()> {
        let held = self.connections.get(name);
        let new = NewConnection {
            org: self.org,
            project: self.project,
            id: held.map_or_else(ConnectionId::generate, |row| row.id),
            name: name.to_owned(),
            kind: system.kind().into(),
            system: connection::canonical(system)?,
        };
        let action = match held {
            Some(row) if Store::connection_update_in_txn(tx, &new, row.version).await? => "connection_update",
            Some(_) => return Err(raced(name)),
            None => {
                Store::connection_insert_in_txn(tx, &new).await?;
                "connection_create"
            }
        };
        let mut entry = caller.audit(action, new.id);
        (entry.before, entry.after) = (held.map(|row| digest_of(&row.system)), Some(digest_of(&new.system)));
        Store::audit_append_in_txn(tx, &entry).await?;
        Ok(())
    }

    /// A changed connection changes the plans of the pipelines that use it, so plans are compared, not texts.
    async fn put_pipeline(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (wanted, name): (&Document, &str),
        source: &str,
    ) -> ServiceResult<PipelineId> {
        let plan = wanted.plan(name).ok_or_else(|| damaged("plan"))?;
        let plane = wanted.pipelines.get(name).map(|pipeline| self.plane_of(pipeline));
        let plane = plane.and_then(Result::ok).ok_or_else(|| damaged("data plane"))?;
        let held = self.pipelines.get(name);
        let mut new = self.version(name, plane, &plan, Some(source));
        new.created_by = caller.actor();
        let action = match held {
            Some(held) if held.digest == new.digest && held.row.data_plane == plane => return Ok(held.row.id),
            Some(held) if Store::pipeline_version_add_in_txn(tx, &new, held.row.version).await? => "pipeline_update",
            Some(_) => return Err(raced(name)),
            None => {
                Store::pipeline_insert_in_txn(tx, &new).await?;
                "pipeline_create"
            }
        };
        let mut entry = caller.audit(action, new.id);
        (entry.before, entry.after) = (held.map(|held| held.digest.clone()), Some(new.digest.clone()));
        Store::audit_append_in_txn(tx, &entry).await?;
        Ok(new.id)
    }

    async fn put_schedule(
        &self,
        app: &Shared,
        tx: &mut Tx,
        caller: &Caller,
        (wanted, name, id, now): (&Document, &str, PipelineId, Micros),
    ) -> ServiceResult<()> {
        let before = self.document.pipelines.get(name).and_then(|pipeline| pipeline.schedule.as_ref());
        let after = wanted.pipelines.get(name).and_then(|pipeline| pipeline.schedule.as_ref());
        if before == after {
            return Ok(());
        }
        let action = match after {
            Some(schedule) => {
                let enabled = self.pipelines.get(name).and_then(|held| held.schedule.as_ref());
                let enabled = enabled.is_none_or(|held| held.enabled);
                let row = schedule_crud::row(app, (self.org, id), schedule, enabled, now)?;
                Store::schedule_set_in_txn(tx, &row).await?;
                "schedule_set"
            }
            None => {
                Store::schedule_delete_in_txn(tx, self.org, id).await?;
                "schedule_delete"
            }
        };
        Store::audit_append_in_txn(tx, &caller.audit(action, id)).await?;
        Ok(())
    }

    async fn remove_pipeline(&self, tx: &mut Tx, caller: &Caller, held: &HeldPipeline) -> ServiceResult<()> {
        let row = &held.row;
        if Store::run_pending_in_txn(tx, self.org, row.id).await? {
            let detail = format!("a run of {} has not ended", row.name);
            return Err(Refused::new(ProblemCode::RunLive, detail).next("cancel the run, or wait for its end"));
        }
        Store::schedule_delete_in_txn(tx, self.org, row.id).await?;
        if !Store::pipeline_delete_in_txn(tx, self.org, row.id, row.version).await? {
            return Err(raced(&row.name));
        }
        Store::audit_append_in_txn(tx, &caller.audit("pipeline_delete", row.id)).await?;
        Ok(())
    }
}
