//! What a worker's container is made of: settings of this host, and of the request the attempt, arguments, variables'
//! names and memory.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, Mount as EngineMount, MountType};
use waybill_model::AttemptId;

use crate::{LaunchError, LaunchSpec, TaskRef};

/// Holds the attempt; tells our containers from others.
pub(super) const LABEL: &str = "dev.waybill.attempt";

/// Processes and threads in one container.
const PIDS: i64 = 512;
/// What a worker may write outside of its mounts: in memory, and gone with it.
const SCRATCH: &str = "rw,noexec,nosuid,nodev,size=16m";

/// A directory or file of this host that workers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on the host.
    pub source: String,
    /// Where a worker sees it.
    pub target: String,
    /// Whether a worker may write there.
    pub writable: bool,
}

/// How every worker of this host is contained.
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// The worker's image, by digest.
    pub image: String,
    /// User and group in the container, by number; never root.
    pub user: String,
    /// The engine's network; its default one where absent.
    pub network: Option<String>,
    /// What workers see of the host.
    pub mounts: Vec<Mount>,
    /// How long one may take to end by itself.
    pub stop_grace: Duration,
}

/// A setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The image is not named by digest.
    #[error("name the image by its digest, such as registry.example.com/waybill-worker@sha256:<64 hexadecimal digits>")]
    NotByDigest,
    /// The user is root, or not a number.
    #[error("write user and group as numbers other than 0, such as 65532:65532")]
    User,
    /// A mount is not written as one.
    #[error("write SOURCE:TARGET or SOURCE:TARGET:ro, both as absolute paths")]
    Mount,
}

impl ContainerSettings {
    /// Checks what can be checked without an engine.
    pub fn check(&self) -> Result<(), SettingsError> {
        let digest = self.image.rsplit_once("sha256:").filter(|(before, _)| before.is_empty() || before.ends_with('@'));
        let is_hex =
            |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !digest.is_some_and(|(_, digest)| is_hex(digest)) {
            return Err(SettingsError::NotByDigest);
        }
        let mut ids = self.user.split(':').map(str::parse::<u32>);
        let good = |id: Option<Result<u32, _>>| matches!(id, Some(Ok(1..)));
        if !(good(ids.next()) && good(ids.next()) && ids.next().is_none()) {
            return Err(SettingsError::User);
        }
        Ok(())
    }
}

impl std::str::FromStr for Mount {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (paths, writable) = text.strip_suffix(":ro").map_or((text, true), |paths| (paths, false));
        let is_path = |path: &str| path.starts_with('/') && !path.contains(':');
        match paths.split_once(':') {
            Some((source, target)) if is_path(source) && is_path(target) => {
                Ok(Self { source: source.to_owned(), target: target.to_owned(), writable })
            }
            _ => Err(SettingsError::Mount),
        }
    }
}

/// The container's name: one attempt, one container.
pub(super) fn name(attempt: AttemptId) -> String {
    format!("waybill-{attempt}")
}

/// The container's id in a task's reference.
pub(super) fn id(task: &TaskRef) -> Result<&str, LaunchError> {
    let is_id = !task.0.is_empty() && task.0.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(task.0.as_str()).ok_or(LaunchError::Unusable("not a container of this launcher"))
}

/// What the engine is asked to make.
pub(super) fn container(settings: &ContainerSettings, spec: &LaunchSpec) -> ContainerCreateBody {
    let passed = |name: &String| std::env::var(name).ok().map(|value| format!("{name}={value}"));
    ContainerCreateBody {
        image: Some(settings.image.clone()),
        // Not the image's own: that one may be made for one cloud.
        entrypoint: Some(vec![spec.program.clone()]),
        cmd: Some(spec.args.clone()),
        env: Some(spec.environment.iter().filter_map(passed).collect()),
        user: Some(settings.user.clone()),
        labels: Some(HashMap::from([(LABEL.to_owned(), spec.attempt.to_string())])),
        // The ticket is the one line that goes in; nobody can come and write another one.
        attach_stdin: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        host_config: Some(host(settings, spec)),
        ..ContainerCreateBody::default()
    }
}

fn host(settings: &ContainerSettings, spec: &LaunchSpec) -> HostConfig {
    let memory = spec.memory.and_then(|memory| i64::try_from(memory).ok());
    HostConfig {
        memory,
        memory_swap: memory,
        pids_limit: Some(PIDS),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), SCRATCH.to_owned())])),
        network_mode: settings.network.clone(),
        mounts: Some(settings.mounts.iter().map(mount).collect()),
        ..HostConfig::default()
    }
}

/// A source that is not there is an error, not a new directory of root's.
fn mount(mount: &Mount) -> EngineMount {
    EngineMount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.clone()),
        target: Some(mount.target.clone()),
        read_only: Some(!mount.writable),
        ..EngineMount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(image: &str, user: &str) -> ContainerSettings {
        let grace = Duration::from_secs(1);
        ContainerSettings { image: image.into(), user: user.into(), network: None, mounts: vec![], stop_grace: grace }
    }

    #[test]
    fn an_image_without_a_digest_and_a_user_who_is_root_are_refused() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for image in [digest.clone(), format!("registry.example.com/waybill-worker@{digest}")] {
            assert_eq!(settings(&image, "65532:65532").check(), Ok(()));
        }
        for image in
            ["waybill-worker", "waybill-worker:1.0", "w@sha256:0f", &format!("w{digest}"), &digest.to_uppercase()]
        {
            assert_eq!(settings(image, "1:1").check(), Err(SettingsError::NotByDigest), "{image}");
        }
        for user in ["0:0", "root", "1", "1:0", "0:1", "1:1:1", ""] {
            assert_eq!(settings(&digest, user).check(), Err(SettingsError::User), "{user}");
        }
    }

    #[test]
    fn a_mount_is_two_absolute_paths() {
        let mount = |writable| Mount { source: "/srv/lake".into(), target: "/lake".into(), writable };
        assert_eq!("/srv/lake:/lake".parse(), Ok(mount(true)));
        assert_eq!("/srv/lake:/lake:ro".parse(), Ok(mount(false)));
        for text in ["/srv/lake", "lake:/lake", "/srv:lake", "/a:/b:rw", "/a:/b:ro:ro", ""] {
            assert_eq!(text.parse::<Mount>(), Err(SettingsError::Mount), "{text}");
        }
    }

    #[test]
    fn a_container_can_gain_nothing_and_shows_no_ticket() {
        let mut spec = LaunchSpec::new(AttemptId::generate(), "t".into(), "/worker".into(), vec!["run".into()]);
        spec.memory = Some(256 << 20);
        let body = container(&settings("sha256:0", "65532:65532"), &spec);
        let host = body.host_config.clone().expect("a host's part");
        assert_eq!((host.memory, host.memory_swap), (Some(256 << 20), Some(256 << 20)));
        assert_eq!((host.cap_drop, host.readonly_rootfs), (Some(vec!["ALL".to_owned()]), Some(true)));
        assert_eq!((host.privileged, host.devices, host.cap_add), (None, None, None));
        assert_eq!(body.user.as_deref(), Some("65532:65532"));
        assert!(!serde_json::to_string(&body).expect("JSON").contains("ticket"));
    }
}
