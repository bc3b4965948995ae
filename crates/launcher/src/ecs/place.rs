//! Where tasks run: the settings of a data plane of kind `aws-ecs` as they are stored, or those of an agent, checked as a
//! whole.
//!
//! The external id is not among the settings: it is made by the server, kept beside them, and never changed. An agent has
//! none: it starts tasks with the role that it holds itself.

use serde::{Deserialize, Serialize};
use waybill_model::plan::Architecture;
use waybill_model::{DataPlaneId, OrgId};

use super::arn::{Region, RoleArn, TaskArn, is_plain};
use super::{issuer, size};

/// What a user must write to have tasks on EC2 instances.
pub const EC2_OPT_IN: &str = "tasks on one EC2 instance can reach each other's credentials";

/// Who brings the machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// A small virtual machine per task: the default.
    #[default]
    Fargate,
    /// The same from spare capacity; a second attempt takes the plain kind.
    FargateSpot,
    /// Instances of the customer. Only with the opt-in.
    Ec2,
}

/// The settings as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EcsSettings {
    /// Role that starts and stops tasks.
    pub role_arn: String,
    /// Role that workers run as; enrolment accepts no other.
    pub task_role_arn: String,
    /// Region.
    pub region: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Family of the task definition.
    pub task_family: String,
    /// Processor that it names.
    #[serde(default)]
    pub architecture: Architecture,
    /// Family of the same worker for the other processor; none where the place has one kind only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_task_family: Option<String>,
    /// Name of the worker's container in it.
    #[serde(default = "worker")]
    pub container: String,
    /// Subnets.
    pub subnets: Vec<String>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address.
    #[serde(default)]
    pub assign_public_ip: bool,
    /// Who brings the machines.
    #[serde(default)]
    pub capacity: Capacity,
    /// The sentence that allows EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2_opt_in: Option<String>,
    /// CPU units of a task; 1024 are one CPU.
    #[serde(default = "cpu")]
    pub cpu: u32,
    /// Memory of a task in MiB.
    #[serde(default = "memory")]
    pub memory_mib: u32,
    /// Ephemeral storage in GiB; 0 for Fargate's own 20.
    #[serde(default)]
    pub disk_gib: u32,
    /// Whether FIPS endpoints are called.
    #[serde(default)]
    pub fips: bool,
    /// Who signs the account's tokens, where workers prove their role by one; else they sign a call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_issuer: Option<String>,
}

fn worker() -> String {
    "worker".into()
}

const fn cpu() -> u32 {
    1024
}

const fn memory() -> u32 {
    2048
}

/// Which setting is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct SettingError {
    /// The setting's name.
    pub field: &'static str,
    /// What is wrong and what is expected.
    pub what: String,
}

impl SettingError {
    pub(super) fn new(field: &'static str, what: impl Into<String>) -> Self {
        Self { field, what: what.into() }
    }
}

/// A place where tasks can be started: checked settings and the external id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsPlace {
    settings: EcsSettings,
    role: RoleArn,
    task_role: RoleArn,
    region: Region,
    /// None where the role is our own.
    external_id: Option<String>,
    owner: Option<(OrgId, DataPlaneId)>,
}

impl EcsPlace {
    /// Reads stored settings.
    pub fn read(json: &str, external_id: &str) -> Result<Self, SettingError> {
        let settings = serde_json::from_str(json).map_err(|_| SettingError::new("settings", "can't be read"))?;
        Self::new(settings, external_id)
    }

    /// Checks all settings.
    pub fn new(settings: EcsSettings, external_id: &str) -> Result<Self, SettingError> {
        Self::checked(settings, Some(external_id.to_owned()))
    }

    /// The same where `role_arn` is the role that this process itself holds: none is assumed.
    pub fn own(settings: EcsSettings) -> Result<Self, SettingError> {
        Self::checked(settings, None)
    }

    fn checked(settings: EcsSettings, external_id: Option<String>) -> Result<Self, SettingError> {
        let region: Region = named("region", &settings.region)?;
        let role: RoleArn = named("role_arn", &settings.role_arn)?;
        let task_role: RoleArn = named("task_role_arn", &settings.task_role_arn)?;
        if role.partition() != region.partition() {
            let what =
                format!("belongs to another partition than {}: {}", region.as_str(), region.partition().as_str());
            return Err(SettingError::new("role_arn", what));
        }
        if (task_role.account(), task_role.partition()) != (role.account(), role.partition()) {
            return Err(SettingError::new("task_role_arn", "belongs to another account than role_arn"));
        }
        // A name is a role's own within its account, and STS shows it without the path.
        if task_role.name() == role.name() {
            return Err(SettingError::new(
                "task_role_arn",
                "the role that starts tasks must not be the one they run as",
            ));
        }
        if settings.fips {
            region.check_fips().map_err(|error| SettingError::new("fips", error.0))?;
        }
        issuer::check(settings.token_issuer.as_deref(), &region)?;
        check_names(&settings)?;
        check_size(&settings)?;
        Ok(Self { settings, role, task_role, region, external_id, owner: None })
    }

    /// The same as this data plane of this organization: calls for it are told of.
    #[must_use]
    pub fn owned_by(self, org: OrgId, plane: DataPlaneId) -> Self {
        Self { owner: Some((org, plane)), ..self }
    }

    /// Whose data plane it is, where that was said.
    #[must_use]
    pub const fn owner(&self) -> Option<(OrgId, DataPlaneId)> {
        self.owner
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &EcsSettings {
        &self.settings
    }

    /// The role that starts and stops tasks.
    #[must_use]
    pub const fn role(&self) -> &RoleArn {
        &self.role
    }

    /// The role that workers run as.
    #[must_use]
    pub const fn task_role(&self) -> &RoleArn {
        &self.task_role
    }

    /// The region.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// What the customer's trust policy asks for; nothing where no role is assumed.
    #[must_use]
    pub fn external_id(&self) -> &str {
        self.external_id.as_deref().unwrap_or_default()
    }

    /// Whether the role is the one that this process itself holds.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.external_id.is_none()
    }

    /// ARN of an ECS resource of this account and region.
    #[must_use]
    pub fn arn(&self, resource: &str) -> String {
        format!(
            "arn:{}:ecs:{}:{}:{resource}",
            self.role.partition().as_str(),
            self.region.as_str(),
            self.role.account()
        )
    }

    /// ARN of the cluster.
    #[must_use]
    pub fn cluster_arn(&self) -> String {
        self.arn(&format!("cluster/{}", self.settings.cluster))
    }

    /// Every family that may be started: the place's own, then the one of the other processor where there is one.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.settings.task_family.as_str()).chain(self.settings.other_task_family.as_deref())
    }

    /// The family whose tasks have this processor.
    #[must_use]
    pub fn family(&self, architecture: Architecture) -> Option<&str> {
        let settings = &self.settings;
        if architecture == settings.architecture {
            return Some(&settings.task_family);
        }
        settings.other_task_family.as_deref()
    }

    /// ARN of a family, any revision.
    #[must_use]
    pub fn family_arn(&self, family: &str) -> String {
        self.arn(&format!("task-definition/{family}"))
    }

    /// Whether a task is one of this place: its region and its cluster.
    #[must_use]
    pub fn holds(&self, task: &TaskArn) -> bool {
        task.region() == self.region.as_str() && task.cluster() == self.settings.cluster
    }
}

fn named<T: std::str::FromStr<Err = super::arn::NameError>>(
    field: &'static str,
    text: &str,
) -> Result<T, SettingError> {
    text.parse().map_err(|error: super::arn::NameError| SettingError::new(field, error.to_string()))
}

fn check_names(settings: &EcsSettings) -> Result<(), SettingError> {
    let plain = "letters, digits, - and _; the name alone, not its ARN";
    for (field, name) in
        [("cluster", &settings.cluster), ("task_family", &settings.task_family), ("container", &settings.container)]
    {
        if !is_plain(name, 255) {
            return Err(SettingError::new(field, plain));
        }
    }
    if let Some(other) = &settings.other_task_family {
        if !is_plain(other, 255) {
            return Err(SettingError::new("other_task_family", plain));
        }
        if *other == settings.task_family {
            let what = format!(
                "is task_family too; a family of tasks on {} has a name of its own",
                settings.architecture.other()
            );
            return Err(SettingError::new("other_task_family", what));
        }
    }
    ids("subnets", &settings.subnets, "subnet-", 16)?;
    ids("security_groups", &settings.security_groups, "sg-", 5)
}

fn ids(field: &'static str, all: &[String], prefix: &str, most: usize) -> Result<(), SettingError> {
    let good = |id: &String| {
        id.strip_prefix(prefix)
            .is_some_and(|hex| (8..=17).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if !(1..=most).contains(&all.len()) || !all.iter().all(good) {
        return Err(SettingError::new(field, format!("1 to {most} ids such as {prefix}0a1b2c3d4e5f60718")));
    }
    Ok(())
}

fn check_size(settings: &EcsSettings) -> Result<(), SettingError> {
    let size = |error: size::SizeError| {
        let field = match error.field {
            "memory" => "memory_mib",
            "disk" => "disk_gib",
            field => field,
        };
        SettingError::new(field, error.what)
    };
    match (settings.capacity, settings.ec2_opt_in.as_deref()) {
        (Capacity::Ec2, Some(EC2_OPT_IN)) => {
            if settings.assign_public_ip {
                return Err(SettingError::new(
                    "assign_public_ip",
                    "tasks on EC2 instances can't have a public address",
                ));
            }
            if settings.disk_gib != 0 {
                return Err(SettingError::new("disk_gib", "the instance's own disk is used on EC2"));
            }
            let sane = (128..=196_608).contains(&settings.cpu) && (512..=1_048_576).contains(&settings.memory_mib);
            if sane { Ok(()) } else { Err(SettingError::new("memory_mib", "at least 512 MiB and 128 CPU units")) }
        }
        (Capacity::Ec2, _) => {
            let what = format!("write \"{EC2_OPT_IN}\" to have tasks on EC2 instances; Fargate isolates each task");
            Err(SettingError::new("ec2_opt_in", what))
        }
        (_, Some(_)) => Err(SettingError::new("ec2_opt_in", "only with capacity ec2")),
        (_, None) => {
            size::check_pair(settings.cpu, settings.memory_mib).map_err(size)?;
            size::check_disk(settings.disk_gib).map_err(size)
        }
    }
}

#[cfg(test)]
pub(super) fn example() -> EcsSettings {
    serde_json::from_value(serde_json::json!({
        "role_arn": "arn:aws:iam::222222222222:role/waybill-launch",
        "task_role_arn": "arn:aws:iam::222222222222:role/waybill-worker",
        "region": "eu-central-1",
        "cluster": "waybill",
        "task_family": "waybill-worker",
        "subnets": ["subnet-0a1b2c3d4e5f60718"],
        "security_groups": ["sg-0a1b2c3d4e5f60718"],
    }))
    .expect("settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut EcsSettings)) -> String {
        let mut settings = example();
        change(&mut settings);
        EcsPlace::new(settings, "id").expect_err("refused").to_string()
    }

    #[test]
    fn good_settings_name_their_resources() {
        let place = EcsPlace::new(example(), "wb-id").expect("a place");
        assert_eq!(place.cluster_arn(), "arn:aws:ecs:eu-central-1:222222222222:cluster/waybill");
        assert_eq!(
            place.family_arn("waybill-worker"),
            "arn:aws:ecs:eu-central-1:222222222222:task-definition/waybill-worker"
        );
        let json = serde_json::to_string(place.settings()).expect("JSON");
        assert_eq!(EcsPlace::read(&json, "wb-id"), Ok(place));
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let gov = "arn:aws-us-gov:iam::222222222222:role/launch";
        assert!(refused(|s| s.role_arn = gov.into()).starts_with("role_arn: belongs to another partition"));
        let other = "arn:aws:iam::333333333333:role/worker";
        assert!(refused(|s| s.task_role_arn = other.into()).starts_with("task_role_arn: belongs to another account"));
        assert!(refused(|s| s.task_role_arn = s.role_arn.clone()).starts_with("task_role_arn: the role that starts"));
        assert!(refused(|s| s.region = "global".into()).starts_with("region: "));
        assert!(refused(|s| s.cluster = "arn:aws:ecs:…".into()).starts_with("cluster: "));
        assert!(refused(|s| s.task_family = "family:3".into()).starts_with("task_family: "));
        assert!(refused(|s| s.other_task_family = Some("family:3".into())).starts_with("other_task_family: letters"));
        let same = refused(|s| s.other_task_family = Some(s.task_family.clone()));
        assert!(same.starts_with("other_task_family: is task_family too; a family of tasks on arm64"), "{same}");
        assert!(refused(|s| s.subnets.clear()).starts_with("subnets: "));
        assert!(refused(|s| s.security_groups = vec!["sg-xyz".into()]).starts_with("security_groups: "));
        assert!(refused(|s| s.memory_mib = 1000).starts_with("memory_mib: 1000 MiB can't be had"));
        assert!(refused(|s| s.disk_gib = 5).starts_with("disk_gib: "));
    }

    #[test]
    fn a_place_of_ones_own_role_has_no_external_id_and_its_tasks_have_another_role() {
        let place = EcsPlace::own(example()).expect("a place");
        assert!(place.is_own() && place.external_id().is_empty());
        assert!(!EcsPlace::new(example(), "wb-id").expect("a place").is_own());
        // STS leaves out the path of a role.
        let task_role_arn = "arn:aws:iam::222222222222:role/service/waybill-launch".into();
        let same = EcsPlace::own(EcsSettings { task_role_arn, ..example() }).expect_err("refused");
        assert_eq!(same.field, "task_role_arn");
    }

    #[test]
    fn each_processor_has_the_family_that_was_registered_for_it_and_no_other() {
        use Architecture::{Arm64, X86_64};
        let one = EcsPlace::new(example(), "id").expect("a place");
        assert_eq!((one.family(X86_64), one.family(Arm64)), (Some("waybill-worker"), None));
        let two = EcsSettings { architecture: Arm64, other_task_family: Some("intel".into()), ..example() };
        let two = EcsPlace::new(two, "id").expect("a place");
        assert_eq!((two.family(X86_64), two.family(Arm64)), (Some("intel"), Some("waybill-worker")));
        assert_eq!(two.families().collect::<Vec<_>>(), ["waybill-worker", "intel"]);
    }

    #[test]
    fn ec2_needs_the_sentence_that_says_what_it_costs() {
        assert!(refused(|s| s.capacity = Capacity::Ec2).contains(EC2_OPT_IN));
        let mut settings = EcsSettings { capacity: Capacity::Ec2, ec2_opt_in: Some("yes".into()), ..example() };
        assert!(EcsPlace::new(settings.clone(), "id").is_err());
        settings.ec2_opt_in = Some(EC2_OPT_IN.into());
        assert!(EcsPlace::new(settings, "id").is_ok());
        assert!(refused(|s| s.ec2_opt_in = Some(EC2_OPT_IN.into())).contains("only with capacity ec2"));
    }
}
