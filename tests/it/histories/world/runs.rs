//! The runs of a history: as they are, at a step of which something else happens, or broken; after each the table is read.

use std::process::Output;

use anyhow::{Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::fault::Marker;

use super::World;
use crate::histories::case::{Fault, From};
use crate::histories::oracle::{Table, left};
use crate::histories::rows::Shown;
use crate::histories::source::Batch;

/// A run that has ended.
struct Ended {
    output: Output,
    report: Option<Value>,
}

impl Ended {
    fn stream(&self) -> Option<&Value> {
        self.report.as_ref().map(|report| &report["streams"][0])
    }

    fn is_delivered(&self) -> bool {
        self.output.status.success() && self.stream().is_some()
    }

    /// Whether there was nothing to bring, and nothing that is still held back.
    fn is_quiet(&self) -> bool {
        self.stream().is_some_and(|stream| stream["rows"] == 0 && stream["receipt"]["window"]["held"] != true)
    }

    fn talk(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

impl World {
    /// A run that nothing breaks; true where nothing came. Sometimes rows are written while it reads.
    pub(super) async fn run(&mut self, may_write: bool, chance: &mut StdRng) -> Result<bool> {
        let before = self.source.clone();
        let meanwhile = may_write
            && self.open.is_none()
            && !matches!(self.case.from, From::Csv | From::Json)
            && chance.random_ratio(1, 6);
        let ended = if meanwhile {
            let marker = self.marker();
            let fired = self.paused("snapshot_open", &marker, chance).await?;
            if fired.1 {
                self.count("rows written during a run");
            }
            fired.0
        } else {
            self.worker("waybill-worker", None, None).await?.0
        };
        ensure!(ended.is_delivered(), "a run that nothing broke failed: {}", ended.talk());
        self.count("run");
        // Whatever was written while it read, it saw the source as that was when its snapshot was open.
        self.holds(vec![self.table.after(&before)]).await?;
        Ok(ended.is_quiet())
    }

    /// A run that something breaks: the table is as it was, or as it would be without.
    pub(super) async fn broken_run(&mut self, fault: Fault) -> Result<()> {
        let marker = self.marker();
        let name = fault.name();
        self.log.push(format!("ordered: {name}"));
        let (ended, fired) = match fault {
            Fault::At(point, action) => {
                let order = marker.order(&format!("{point}={action}"));
                let (ended, _) = self.worker("waybill-worker-faults", Some(&order), None).await?;
                (ended, marker.fired().is_ok())
            }
            Fault::MidPut => {
                let armed = marker.beside(&format!("armed-{}", self.log.len())).order("before_commit_put=mark");
                let order = format!("{armed}|{}", marker.order("put_under_way=kill"));
                let (ended, _) = self.worker("waybill-worker-faults", Some(&order), None).await?;
                (ended, marker.fired().is_ok())
            }
            Fault::Overtaken(point, other) => {
                let order = marker.order(&format!("{point}=pause"));
                let target = &self.target;
                let act = async || target.change(other);
                self.acted(&order, &marker, act).await?
            }
            Fault::Rows(_) | Fault::Packets(_) | Fault::Store(..) | Fault::Commit(_) => {
                let (ended, broken) = self.worker("waybill-worker", None, Some(fault)).await?;
                (ended, broken > 0)
            }
        };
        self.count("run");
        if fired {
            self.count(&name);
        } else {
            ensure!(ended.is_delivered(), "a run that nothing broke failed: {}", ended.talk());
        }
        let after = self.table.after(&self.source);
        let mut candidates = vec![after];
        if !ended.is_delivered() {
            self.log.push(format!("it ended with {:?}", ended.output.status));
            candidates.push(self.table.clone());
        }
        self.holds(candidates).await
    }

    /// A run that waits at a step while rows are written.
    async fn paused(&mut self, point: &str, marker: &Marker, chance: &mut StdRng) -> Result<(Ended, bool)> {
        let mut batch = Batch::default();
        self.source.write(&mut batch, (0, 300), 10, chance);
        let order = marker.order(&format!("{point}=pause"));
        let origin = &self.origin;
        let act = async || origin.run(&batch.sql).await.map(|()| true);
        let (ended, fired) = self.acted(&order, marker, act).await?;
        if fired {
            self.committed(&batch);
        }
        Ok((ended, fired))
    }

    /// A run that waits at a step while something is done; whether it came there, and it was done.
    async fn acted(
        &self,
        order: &str,
        marker: &Marker,
        act: impl AsyncFnOnce() -> Result<bool>,
    ) -> Result<(Ended, bool)> {
        let run = self.worker("waybill-worker-faults", Some(order), None);
        tokio::pin!(run);
        let fires = marker.fires(1);
        tokio::pin!(fires);
        tokio::select! {
            ended = &mut run => return Ok((ended?.0, false)),
            fired = &mut fires => drop(fired?),
        }
        let acted = act().await;
        marker.release()?;
        let ended = run.await?.0;
        Ok((ended, acted?))
    }

    fn marker(&self) -> Marker {
        Marker::at(self.folder.path().join(format!("fired-{}", self.log.len())))
    }

    /// The table is one of these; where windows hang on a clock, it holds nothing that was not committed.
    async fn holds(&mut self, candidates: Vec<Table>) -> Result<()> {
        let found = self.found().await?;
        if self.case.is_loose() {
            return self.forms.hold(&found).map(drop);
        }
        self.table = left(found, candidates)?;
        Ok(())
    }

    /// What the table holds, but for the times that the source's server gave its rows.
    pub(super) async fn found(&self) -> Result<Vec<Shown>> {
        let mut found = self.target.read().await?;
        found.iter_mut().for_each(|shown| drop(shown.remove("at")));
        Ok(found)
    }

    /// The worker over the pipeline of the case; how often what stands between it and its ends broke something.
    async fn worker(&self, program: &str, order: Option<&str>, fault: Option<Fault>) -> Result<(Ended, usize)> {
        let (source, target) = (self.origin.between(fault).await, self.target.between(fault).await);
        let (to, files) = self.target.connection(&target);
        let document = format!(
            "waybill: 1\nconnections:\n  from: {}\n  to: {to}\npipelines:\n  p:\n    from: from\n    to: to\n    streams:\n      \
             {}: {{ {} }}\n{files}",
            self.origin.connection(),
            self.case.stream(),
            self.case.keys(&self.source)
        );
        let spec = self.folder.path().join("spec.yaml");
        std::fs::write(&spec, document)?;
        let mut worker = Command::new(binary(program));
        worker.args(["once", "--json", "--memory", "128MiB", "--spec"]).arg(&spec).kill_on_drop(true);
        worker.envs([("LAKE_KEY", "waybill"), ("LAKE_SECRET", "very-secret-key"), ("SHOP_PASSWORD", "right")]);
        if let Some(order) = order {
            worker.env("WAYBILL_FAULT", order);
        }
        let output = worker.output().await?;
        let report = serde_json::from_slice(&output.stdout).ok();
        Ok((Ended { output, report }, source.fired() + target.fired()))
    }
}
