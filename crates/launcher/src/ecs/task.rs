//! The exact task that a launch asks for, as it is kept before the call: what RunTask gets is made from it alone, and
//! from the ticket, which is never kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waybill_model::AttemptId;
use waybill_model::plan::Architecture;

use super::place::{Capacity, EcsPlace};
use super::size::{self, SizeError};

/// By this the worker's SDK, and the proof of its role, take FIPS endpoints.
const FIPS: &str = "AWS_USE_FIPS_ENDPOINT";

/// By this a worker has STS sign who it is, in place of signing a call itself.
const PROOF: (&str, &str) = ("WAYBILL_PROOF", "web-identity-token");

/// What stands before the attempt's id in `startedBy`.
const STARTED_BY: &str = "wb/";

/// A task as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EcsTask {
    /// Name of the cluster.
    pub cluster: String,
    /// Family of the task definition: its newest revision is run.
    pub family: String,
    /// Container that gets the variables.
    pub container: String,
    /// Subnets.
    pub subnets: Vec<String>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Whether it gets a public address.
    pub assign_public_ip: bool,
    /// Who brings the machine.
    pub capacity: Capacity,
    /// CPU units.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Ephemeral storage in GiB; 0 for the platform's own.
    pub disk_gib: u32,
    /// Environment variables that the container gets beside the ticket: where to enrol, which CA to expect.
    pub variables: BTreeMap<String, String>,
}

/// What a pipeline wants of its task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Memory in bytes; 0 for the data plane's own.
    pub memory: u64,
    /// CPU units; 0 for the data plane's own.
    pub cpu: u32,
    /// Ephemeral storage in bytes; 0 for the data plane's own.
    pub disk: u64,
    /// Processor; the data plane's own where none is named.
    pub architecture: Option<Architecture>,
    /// Spare capacity ran out or was taken back in an attempt before.
    pub spot_failed: bool,
}

impl EcsTask {
    /// The task of a place for this wish: the data plane's size, or the smallest that holds what the pipeline asks for.
    pub fn new(place: &EcsPlace, wish: Wish, mut variables: BTreeMap<String, String>) -> Result<Self, SizeError> {
        let settings = place.settings();
        if settings.fips {
            variables.insert(FIPS.to_owned(), "true".to_owned());
        }
        if settings.token_issuer.is_some() {
            variables.insert(PROOF.0.to_owned(), PROOF.1.to_owned());
        }
        let architecture = wish.architecture.unwrap_or(settings.architecture);
        let family = place.family(architecture).ok_or_else(|| SizeError::no_family(architecture))?;
        let mib = u32::try_from(wish.memory.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        let gib = u32::try_from(wish.disk.div_ceil(1 << 30)).unwrap_or(u32::MAX);
        let (cpu, memory) = match (wish.cpu, mib) {
            (0, mib) if mib <= settings.memory_mib => (settings.cpu, settings.memory_mib),
            (cpu, mib) if settings.capacity == Capacity::Ec2 => (cpu.max(settings.cpu), mib.max(settings.memory_mib)),
            (0, mib) => size::fitting(settings.cpu, mib)?,
            (cpu, 0) => size::fitting(cpu, settings.memory_mib)?,
            (cpu, mib) => size::fitting(cpu, mib)?,
        };
        // Fargate's own 20 GiB are there without asking.
        if gib > 0 && settings.capacity == Capacity::Ec2 {
            return Err(SizeError::no_disk());
        }
        let disk_gib = if gib <= 20 { settings.disk_gib } else { gib };
        size::check_disk(disk_gib)?;
        let spot = settings.capacity == Capacity::FargateSpot && wish.spot_failed;
        Ok(Self {
            cluster: settings.cluster.clone(),
            family: family.to_owned(),
            container: settings.container.clone(),
            subnets: settings.subnets.clone(),
            security_groups: settings.security_groups.clone(),
            assign_public_ip: settings.assign_public_ip,
            capacity: if spot { Capacity::Fargate } else { settings.capacity },
            cpu,
            memory_mib: memory,
            disk_gib,
            variables,
        })
    }
}

/// What a task of this attempt carries in `startedBy`.
#[must_use]
pub fn started_by(attempt: AttemptId) -> String {
    format!("{STARTED_BY}{attempt}")
}

/// The attempt in `startedBy`, if we started the task.
#[must_use]
pub fn attempt_of(started_by: &str) -> Option<AttemptId> {
    started_by.strip_prefix(STARTED_BY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::place::{EC2_OPT_IN, EcsSettings, example};

    fn size_of(settings: EcsSettings, wish: Wish) -> Result<(u32, u32, u32), SizeError> {
        let place = EcsPlace::new(settings, "id").expect("a place");
        EcsTask::new(&place, wish, BTreeMap::new()).map(|task| (task.cpu, task.memory_mib, task.disk_gib))
    }

    #[test]
    fn a_pipeline_gets_the_smallest_task_that_holds_what_it_asks_for() {
        let own = (1024, 2048, 0);
        assert_eq!(size_of(example(), Wish::default()), Ok(own));
        assert_eq!(size_of(example(), Wish { memory: 256 << 20, ..Wish::default() }), Ok(own));
        assert_eq!(size_of(example(), Wish { memory: 3 << 30, ..Wish::default() }), Ok((1024, 3072, 0)));
        assert_eq!(size_of(example(), Wish { memory: 20 << 30, ..Wish::default() }), Ok((4096, 20_480, 0)));
        assert_eq!(size_of(example(), Wish { cpu: 256, memory: 1 << 29, ..Wish::default() }), Ok((256, 512, 0)));
        assert_eq!(size_of(example(), Wish { cpu: 4096, ..Wish::default() }), Ok((4096, 8192, 0)));
        assert_eq!(size_of(example(), Wish { disk: 100 << 30, ..Wish::default() }), Ok((1024, 2048, 100)));
        assert!(size_of(example(), Wish { memory: 1 << 40, ..Wish::default() }).is_err());
        assert_eq!(size_of(example(), Wish { disk: 1 << 40, ..Wish::default() }).expect_err("too much").field, "disk");
        // A host's disk is what it is: a wish that can't be kept is no smaller task.
        let opt_in = Some(EC2_OPT_IN.to_owned());
        let ec2 = EcsSettings { capacity: Capacity::Ec2, ec2_opt_in: opt_in, ..example() };
        assert_eq!(size_of(ec2.clone(), Wish::default()), Ok(own));
        assert_eq!(size_of(ec2, Wish { disk: 10 << 30, ..Wish::default() }).expect_err("no disk").field, "disk");
    }

    /// RunTask can't name a processor: the family does.
    #[test]
    fn a_pipeline_gets_the_family_of_the_processor_that_it_asks_for_or_nothing() {
        use Architecture::{Arm64, X86_64};
        let family_of = |settings: EcsSettings, architecture| {
            let place = EcsPlace::new(settings, "id").expect("a place");
            EcsTask::new(&place, Wish { architecture, ..Wish::default() }, BTreeMap::new()).map(|task| task.family)
        };
        let both = || EcsSettings { other_task_family: Some("worker-arm64".into()), ..example() };
        for (wanted, family) in
            [(None, "waybill-worker"), (Some(X86_64), "waybill-worker"), (Some(Arm64), "worker-arm64")]
        {
            assert_eq!(family_of(both(), wanted).as_deref(), Ok(family));
        }
        let error = family_of(example(), Some(Arm64)).expect_err("no such family");
        assert_eq!(error.to_string(), "architecture: there is no task family for arm64");
        let arm = EcsSettings { architecture: Arm64, ..example() };
        assert_eq!(family_of(arm.clone(), Some(Arm64)).as_deref(), Ok("waybill-worker"));
        assert!(family_of(arm, Some(X86_64)).is_err());
    }

    #[test]
    fn spare_capacity_that_failed_once_is_not_asked_again() {
        let place = EcsPlace::new(EcsSettings { capacity: Capacity::FargateSpot, ..example() }, "id").expect("a place");
        let of = |spot_failed| {
            let wish = Wish { spot_failed, ..Wish::default() };
            EcsTask::new(&place, wish, BTreeMap::new()).expect("a task").capacity
        };
        assert_eq!((of(false), of(true)), (Capacity::FargateSpot, Capacity::Fargate));
    }

    /// Without it the worker would sign for another host than the one that its proof is checked against.
    #[test]
    fn a_place_with_fips_endpoints_tells_its_tasks_so() {
        let of = |fips| {
            let place =
                EcsPlace::new(EcsSettings { fips, region: "us-east-1".into(), ..example() }, "id").expect("a place");
            let given = BTreeMap::from([("WAYBILL_CA_PIN".to_owned(), "sha256:x".to_owned())]);
            EcsTask::new(&place, Wish::default(), given).expect("a task").variables
        };
        assert_eq!(of(true).get("AWS_USE_FIPS_ENDPOINT").map(String::as_str), Some("true"));
        assert_eq!((of(true).len(), of(false).len()), (2, 1));
    }

    #[test]
    fn the_attempt_is_read_back_from_what_the_task_carries() {
        let attempt = AttemptId::generate();
        let text = started_by(attempt);
        assert_eq!(attempt_of(&text), Some(attempt));
        assert!(text.len() <= 36 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_/-".contains(&b)), "{text}");
        assert!(
            [attempt.to_string().as_str(), "ecs-svc/1234", "wb/", "wb/run_01"]
                .into_iter()
                .all(|t| attempt_of(t).is_none())
        );
    }
}
