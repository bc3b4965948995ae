//! Regions that a project allows: they bind where its workers run, its buckets and its secrets. Asked when something is
//! applied and again when a run is launched, since the project's list may have changed meanwhile. It knows what was said of
//! a place only: a host's name tells no region, and is the guard's and the network's to bound.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use waybill_api::ProblemCode;
use waybill_api::data_plane::ProcessSettings;
use waybill_api::problem::FieldError;
use waybill_launcher::ecs::EcsPlace;
use waybill_model::plan::{Plan, System};
use waybill_store::{DataPlane, Project};

use super::{Refused, ServiceResult};
use crate::loops::launchers::AWS_ECS;

/// Most regions that a project lists.
const MOST: usize = 50;

/// What a region looks like, in words.
pub(crate) const SPELLING: &str = "a region has lower-case letters, digits and -, such as eu-central-1";

/// The regions of a project; any where it lists none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Allowed {
    project: String,
    list: Vec<String>,
}

/// What stands in no allowed region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outside {
    /// The field, such as `connections.lake.region`.
    pub(crate) field: String,
    /// The region that it names, where it names one.
    pub(crate) region: Option<String>,
}

impl Allowed {
    pub(crate) fn of(project: &Project) -> Self {
        Self { project: project.name.clone(), list: project.allowed_regions.clone() }
    }

    fn holds(&self, region: Option<&str>) -> bool {
        self.list.is_empty() || region.is_some_and(|region| self.list.iter().any(|allowed| allowed == region))
    }

    fn outside(&self, field: String, region: Option<&str>) -> Option<Outside> {
        (!self.holds(region)).then(|| Outside { field, region: region.map(str::to_owned) })
    }

    /// The data plane, if it is outside. One that names no region is: nobody could say where it is.
    pub(crate) fn data_plane(&self, plane: &DataPlane) -> Option<Outside> {
        self.outside(format!("data-planes.{}.region", plane.name), region_of(plane).as_deref())
    }

    /// Fields of a connection that are outside.
    pub(crate) fn system(&self, name: &str, system: &System) -> Vec<Outside> {
        let all = system.regions().into_iter();
        all.filter_map(|(field, region)| self.outside(format!("connections.{name}.{field}"), region)).collect()
    }

    /// The first field of a plan that is outside.
    pub(crate) fn plan(&self, plan: &Plan) -> Option<Outside> {
        let mut all = plan.regions().into_iter();
        all.find_map(|it| self.outside(format!("connections.{}.{}", it.connection, it.field), it.region))
    }

    /// Refuses what is outside, each field by its name.
    pub(crate) fn refuse(&self, outside: &[Outside]) -> ServiceResult<()> {
        let Some(first) = outside.first() else { return Ok(()) };
        let field = |it: &Outside| FieldError {
            pointer: Some(it.field.clone()),
            message: self.why(it),
            ..FieldError::default()
        };
        let detail = format!("{}: {}", first.field, self.why(first));
        let errors = outside.iter().map(field).collect();
        Err(Refused::new(ProblemCode::RegionNotAllowed, detail).errors(errors).next(self.next(outside)))
    }

    /// What is wrong with one field.
    pub(crate) fn why(&self, outside: &Outside) -> String {
        let (project, list) = (&self.project, self.list.join(", "));
        match &outside.region {
            Some(region) => format!("{region} is not a region that the project {project} allows, which are: {list}"),
            None => format!("names no region, and the project {project} allows only: {list}"),
        }
    }

    /// What to do: a region is named where none is, and what stands elsewhere is moved, or the whole list given anew.
    pub(crate) fn next(&self, outside: &[Outside]) -> String {
        let mut steps = Vec::new();
        let open = |it: &&Outside| it.region.is_none();
        let planes: BTreeSet<&str> = outside.iter().filter(open).filter_map(Outside::plane).collect();
        steps.extend(planes.iter().map(|plane| format!("waybill data-plane region {plane} REGION")));
        let fields: Vec<&str> =
            outside.iter().filter(open).filter(|it| it.plane().is_none()).map(|it| it.field.as_str()).collect();
        if fields.iter().any(|field| field.ends_with(".region")) {
            steps.push("write the bucket's `region`".to_owned());
        }
        if fields.iter().any(|field| !field.ends_with(".region")) {
            steps.push(
                "keep buckets of Azure and Google in a project that allows any region: nothing tells theirs".to_owned(),
            );
        }
        let named: BTreeSet<&str> = outside.iter().filter_map(|it| it.region.as_deref()).collect();
        if !named.is_empty() {
            let all = self.list.iter().map(String::as_str).chain(named);
            let list: String = all.map(|region| format!(" --allow-region {region}")).collect();
            steps.push(format!("move it, or: waybill project set {}{list}", self.project));
        }
        steps.join("; ")
    }
}

impl Outside {
    /// The data plane that it is.
    fn plane(&self) -> Option<&str> {
        self.field.strip_prefix("data-planes.")?.strip_suffix(".region")
    }
}

/// Where the workers of a data plane run: a cloud's settings name it, and of other kinds somebody has to say it.
fn region_of(plane: &DataPlane) -> Option<String> {
    if plane.kind == AWS_ECS {
        let place = EcsPlace::read(&plane.settings, plane.external_id.as_deref().unwrap_or_default()).ok()?;
        return Some(place.region().as_str().to_owned());
    }
    serde_json::from_str::<ProcessSettings>(&plane.settings).ok()?.region
}

/// Whether a text can be a region's name.
pub(crate) fn is_region(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A list as it is stored: checked, without doubles.
pub(crate) fn listed(regions: &[String]) -> ServiceResult<Vec<String>> {
    if let Some(at) = regions.iter().position(|region| !is_region(region)) {
        return Err(Refused::field(ProblemCode::Unusable, &format!("/allowed_regions/{at}"), SPELLING));
    }
    let kept: BTreeSet<&String> = regions.iter().collect();
    if kept.len() > MOST {
        let message = format!("at most {MOST} regions");
        return Err(Refused::field(ProblemCode::Unusable, "/allowed_regions", message));
    }
    Ok(kept.into_iter().cloned().collect())
}
