//! Documents: what a project holds as one, what a file would change in it, and making it so, all or nothing.

use std::collections::{BTreeMap, BTreeSet};

use waybill_api::ProblemCode;
use waybill_api::problem::FieldError;
use waybill_api::spec::{Change, FieldChange, SpecApplied, SpecApply};
use waybill_launcher::ecs::{Capacity, EcsPlace};
use waybill_model::plan::{Architecture, Plan};
use waybill_model::{DataPlaneId, OrgId, ProjectId};
use waybill_spec::{ChangeOp, Diagnostic, Document};
use waybill_store::{Connection, DataPlane, NewPipeline, Pipeline, Schedule};

use super::endpoint::{self, Carried};
use super::region::{Allowed, Outside};
use super::{Refused, ServiceResult, digest_of, project, signature, slots};
use crate::app::Shared;
use crate::auth::{Caller, Permission};
use crate::loops::launchers::AWS_ECS;

mod apply;

/// Rows of one page while everything of a project is read.
const CHUNK: i64 = 200;

/// What a project holds, as a document and as rows.
pub struct Held {
    /// All of it as one document.
    pub document: Document,
    org: OrgId,
    project: ProjectId,
    connections: BTreeMap<String, Connection>,
    pipelines: BTreeMap<String, HeldPipeline>,
    planes: Vec<DataPlane>,
}

struct HeldPipeline {
    row: Pipeline,
    schedule: Option<Schedule>,
    digest: String,
}

/// A diagnostic as it is answered.
#[must_use]
pub fn field_error(found: &Diagnostic) -> FieldError {
    FieldError {
        pointer: None,
        line: Some(found.line),
        column: Some(found.column),
        code: Some(found.code.as_str().into()),
        message: found.message.clone(),
        suggestion: found.suggestion.clone(),
    }
}

/// Reads a document, or says all that is wrong with it.
pub fn read(text: &str) -> Result<Document, Vec<FieldError>> {
    waybill_spec::parse_steered(text).map_err(|found| found.iter().map(field_error).collect())
}

/// Everything that a project holds.
pub async fn of_project(app: &Shared, org: OrgId, project: ProjectId) -> ServiceResult<Held> {
    let mut held = Held {
        document: Document::default(),
        org,
        project,
        connections: BTreeMap::new(),
        pipelines: BTreeMap::new(),
        planes: app.store.data_plane_list(org, None, i64::MAX).await?,
    };
    let mut after = None;
    loop {
        let rows = app.store.connection_list(org, project, after, CHUNK).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        for row in rows {
            let system = serde_json::from_str(&row.system).map_err(|_| damaged("connection"))?;
            held.document.connections.insert(row.name.clone(), system);
            held.connections.insert(row.name.clone(), row);
        }
    }
    let mut after = None;
    loop {
        let rows = app.store.pipeline_list(org, project, after, CHUNK).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        for row in rows {
            held.add_pipeline(app, row).await?;
        }
    }
    Ok(held)
}

pub(super) fn damaged(noun: &str) -> Refused {
    tracing::error!(noun, "a stored document can't be read");
    ProblemCode::Internal.into()
}

impl Held {
    async fn add_pipeline(&mut self, app: &Shared, row: Pipeline) -> ServiceResult<()> {
        let version = app.store.pipeline_version_get(self.org, row.id, row.version).await?;
        let version = version.ok_or_else(|| damaged("pipeline version"))?;
        let plan: Plan = serde_json::from_str(&version.plan).map_err(|_| damaged("plan"))?;
        let schedule = app.store.schedule_get(self.org, row.id).await?;
        let pipeline = waybill_spec::Pipeline {
            from: plan.from.connection,
            to: plan.to.connection,
            data_plane: self.plane_name(row.data_plane),
            schedule: schedule.as_ref().and_then(meant),
            streams: plan.streams,
            files: plan.files,
            limits: plan.limits,
        };
        self.document.pipelines.insert(row.name.clone(), pipeline);
        self.pipelines.insert(row.name.clone(), HeldPipeline { row, schedule, digest: version.digest });
        Ok(())
    }

    /// Name of a data plane; none for the only one, which a document need not name.
    fn plane_name(&self, id: DataPlaneId) -> Option<String> {
        match self.planes.as_slice() {
            [_] => None,
            planes => planes.iter().find(|plane| plane.id == id).map(|plane| plane.name.clone()),
        }
    }

    /// The data plane that a pipeline of a document means.
    fn plane_of(&self, pipeline: &waybill_spec::Pipeline) -> Result<DataPlaneId, String> {
        match (&pipeline.data_plane, self.planes.as_slice()) {
            (None, [only]) => Ok(only.id),
            (None, _) => Err("there are several data planes: name one with `data-plane`".into()),
            (Some(name), planes) => {
                let found = planes.iter().find(|plane| plane.name == *name);
                let known = || planes.iter().map(|plane| plane.name.as_str()).collect::<Vec<_>>().join(", ");
                found
                    .map(|plane| plane.id)
                    .ok_or_else(|| format!("there is no data plane `{name}`; there are: {}", known()))
            }
        }
    }

    /// The plan of the first pipeline that uses this connection.
    #[must_use]
    pub fn plan_using(&self, connection: &str) -> Option<Plan> {
        let mut users = self.document.pipelines.iter().filter(|(_, p)| p.from == connection || p.to == connection);
        users.find_map(|(name, _)| self.document.plan(name))
    }

    /// Where the first pipeline runs that uses this connection.
    #[must_use]
    pub fn plane_using(&self, connection: &str) -> Option<DataPlaneId> {
        let mut users = self.document.pipelines.iter().filter(|(_, p)| p.from == connection || p.to == connection);
        users.find_map(|(name, _)| self.pipelines.get(name)).map(|held| held.row.data_plane)
    }

    /// Next versions of the pipelines whose plan holds this connection and is not what the document says any more.
    pub fn replan(&self, connection: &str) -> ServiceResult<Vec<(NewPipeline, i64)>> {
        let uses = |pipeline: &waybill_spec::Pipeline| pipeline.from == connection || pipeline.to == connection;
        let users = self.document.pipelines.iter().filter(|(_, pipeline)| uses(pipeline));
        let mut next = Vec::new();
        for (name, _) in users {
            let Some(held) = self.pipelines.get(name) else { continue };
            let plan = self.document.plan(name).ok_or_else(|| damaged("plan"))?;
            if waybill_spec::plan_digest(&plan) != held.digest {
                next.push((self.version(name, held.row.data_plane, &plan, None), held.row.version));
            }
        }
        Ok(next)
    }

    /// A pipeline's row with this plan; the id is the held pipeline's, or a new one.
    fn version(&self, name: &str, data_plane: DataPlaneId, plan: &Plan, source: Option<&str>) -> NewPipeline {
        NewPipeline {
            org: self.org,
            project: self.project,
            id: self.pipelines.get(name).map_or_else(waybill_model::PipelineId::generate, |held| held.row.id),
            name: name.to_owned(),
            data_plane,
            plan: waybill_spec::plan_canonical(plan),
            source: source.map(str::to_owned),
            digest: waybill_spec::plan_digest(plan),
            created_by: String::new(),
        }
    }

    /// What `wanted` changes, object by object.
    fn changes(&self, wanted: &Document) -> Vec<Change> {
        let mut objects: BTreeMap<(String, String), Vec<waybill_spec::Change>> = BTreeMap::new();
        for change in waybill_spec::diff(&self.document, wanted) {
            let mut parts = change.path.splitn(3, '.');
            let section = parts.next().unwrap_or_default().trim_end_matches('s').to_owned();
            let name = parts.next().unwrap_or_default().to_owned();
            objects.entry((section, name)).or_default().push(change);
        }
        objects.into_iter().map(|((noun, name), parts)| self.change(noun, name, parts)).collect()
    }

    fn change(&self, noun: String, name: String, parts: Vec<waybill_spec::Change>) -> Change {
        let whole = parts.iter().find(|part| part.path.splitn(3, '.').count() < 3).map(|part| part.op);
        let kind = match whole {
            Some(ChangeOp::Add) => "add",
            Some(ChangeOp::Remove) => "remove",
            _ => "change",
        };
        let (id, version, touched) = match noun.as_str() {
            "connection" => self.connections.get(&name).map(|row| (row.id.to_string(), row.version, row.updated_at)),
            _ => self.pipelines.get(&name).map(|held| (held.row.id.to_string(), held.row.version, held.row.updated_at)),
        }
        .map_or((None, None, None), |(id, version, at)| (Some(id), Some(version.unsigned_abs()), Some(at.into())));
        let field = |part: waybill_spec::Change| FieldChange {
            path: part.path.splitn(3, '.').nth(2).unwrap_or_default().to_owned(),
            before: part.before,
            after: part.after,
            note: part.note,
        };
        let fields = parts.into_iter().map(field).collect();
        Change { kind: kind.into(), noun, name, id, version, last_changed_at: touched, fields }
    }
}

fn meant(schedule: &Schedule) -> Option<waybill_model::schedule::Schedule> {
    Some(waybill_model::schedule::Schedule {
        when: slots::when(schedule)?,
        overlap: schedule.overlap.parse().unwrap_or_default(),
        catch_up: schedule.catch_up.parse().unwrap_or_default(),
    })
}

/// Makes a project what the document says, or only says what that would change.
pub async fn apply(app: &Shared, caller: &Caller, body: &SpecApply, dry_run: bool) -> ServiceResult<SpecApplied> {
    let project = project::of_body(app, caller, Permission::SpecApply, body.project_id).await?;
    let given = read(&body.document)
        .map_err(|errors| Refused::new(ProblemCode::SpecInvalid, "the document has mistakes").errors(errors))?;
    let held = of_project(app, caller.org, project.id).await?;
    held.within(&given, &Allowed::of(&project))?;
    held.sized(&given)?;
    let wanted = held.wanted(given, body.prune)?;
    let changes = held.changes(&wanted);
    let plan_digest = digest_of(&serde_json::to_string(&changes).unwrap_or_default());
    if body.expect.as_ref().is_some_and(|expected| *expected != plan_digest) {
        let detail = "what this would change is not what you looked at any more";
        return Err(Refused::new(ProblemCode::PreconditionFailed, detail).next("waybill plan"));
    }
    let carried = held.carried(&wanted);
    signature::check(&wanted, &body.signatures)?;
    if !dry_run {
        endpoint::check(&carried, &body.secrets, &again(&carried))?;
        signature::keep(app, caller, &body.signatures).await?;
        if !changes.is_empty() {
            held.make(app, caller, &wanted, &body.document).await?;
        }
    }
    let secrets_required = carried.into_iter().map(|secret| secret.name).collect();
    Ok(SpecApplied { dry_run, changes, plan_digest, secrets_required })
}

/// The command that says that these secrets are meant to go along.
fn again(carried: &[Carried]) -> String {
    let named = carried.iter().map(|secret| format!(" --secret {}=REFERENCE", secret.name));
    format!("waybill apply{}", named.collect::<String>())
}

/// Why workers of this data plane in AWS can't have this processor.
fn lacking(plane: &DataPlane, wanted: Architecture) -> Option<String> {
    let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref().unwrap_or_default());
    match place {
        Ok(place) if place.family(wanted).is_some() => None,
        Ok(_) => Some(format!(
            "the data plane {0} has no task family for {wanted}: make one and name it, waybill data-plane set {0} \
             --other-task-family NAME …, or remove it",
            plane.name
        )),
        Err(_) => Some(format!(
            "the data plane {0} has no settings yet, so no task family for {wanted}: waybill data-plane set {0}",
            plane.name
        )),
    }
}

fn is_on_ec2(plane: &DataPlane) -> bool {
    let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref().unwrap_or_default());
    place.is_ok_and(|place| place.settings().capacity == Capacity::Ec2)
}

impl Held {
    /// Secrets that `wanted` would send to another place than before.
    fn carried(&self, wanted: &Document) -> Vec<Carried> {
        let both = wanted.connections.iter().filter_map(|(name, after)| {
            let before = self.document.connections.get(name)?;
            Some(Carried::of(before, after, &format!("{name}.")))
        });
        both.flatten().collect()
    }

    /// Everything that the document names stands in a region that the project allows: connections, and where pipelines run.
    /// What it leaves as it is bars nothing here: that is not launched.
    fn within(&self, given: &Document, allowed: &Allowed) -> ServiceResult<()> {
        let systems = given.connections.iter().flat_map(|(name, system)| allowed.system(name, system));
        let mut outside: Vec<Outside> = systems.collect();
        let used: BTreeSet<DataPlaneId> = given.pipelines.values().filter_map(|it| self.plane_of(it).ok()).collect();
        let planes = self.planes.iter().filter(|plane| used.contains(&plane.id));
        outside.extend(planes.filter_map(|plane| allowed.data_plane(plane)));
        allowed.refuse(&outside)
    }

    /// Only a task in a cloud has a size and a processor of its own, and only one that its data plane has a task family for:
    /// elsewhere a pipeline that asks for them is refused, not ignored.
    fn sized(&self, given: &Document) -> ServiceResult<()> {
        for (name, pipeline) in &given.pipelines {
            let plane = self.plane_of(pipeline).ok();
            let Some(plane) = plane.and_then(|id| self.planes.iter().find(|plane| plane.id == id)) else { continue };
            let refuse = |limit: &str, why: String| {
                let path = format!("pipelines.{name}.limits.{limit}");
                Err(Refused::field(ProblemCode::SpecInvalid, &path, why))
            };
            if plane.kind != AWS_ECS {
                let Some(limit) = pipeline.limits.of_tasks().next() else { continue };
                let why =
                    format!("workers of a data plane of kind {} have no {limit} of their own: remove it", plane.kind);
                return refuse(limit, why);
            }
            if pipeline.limits.disk > 0 && is_on_ec2(plane) {
                return refuse("disk", "on EC2 a task has the disk of its host: remove it".to_owned());
            }
            if let Some(why) = pipeline.limits.architecture.and_then(|wanted| lacking(plane, wanted)) {
                return refuse("architecture", why);
            }
        }
        Ok(())
    }

    /// The document that the project will be: what is given, and unless pruned what it does not name.
    fn wanted(&self, mut given: Document, prune: bool) -> ServiceResult<Document> {
        for (name, pipeline) in &mut given.pipelines {
            self.plane_of(pipeline).map_err(|why| {
                let path = format!("pipelines.{name}.data-plane");
                Refused::field(ProblemCode::SpecInvalid, &path, why)
            })?;
            if self.planes.len() == 1 {
                pipeline.data_plane = None;
            }
        }
        if !prune {
            for (name, system) in &self.document.connections {
                given.connections.entry(name.clone()).or_insert_with(|| system.clone());
            }
            for (name, pipeline) in &self.document.pipelines {
                given.pipelines.entry(name.clone()).or_insert_with(|| pipeline.clone());
            }
        }
        Ok(given)
    }
}
