//! Programs of the pinned environments that `deploy/dev/python.sh` makes, those of the system, and ports for them.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::python;

/// A program of the pinned environment of this name.
///
/// # Panics
/// When the environment can't be made.
pub(super) fn program(environment: &str, name: &str) -> PathBuf {
    python(environment).with_file_name(name)
}

/// A port that was free a moment ago.
///
/// # Panics
/// When no port is free.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A program of the system: in one of these places, or where programs usually are.
///
/// # Panics
/// When it is not installed; `packages` are what to install then.
pub(super) fn installed(name: &str, mut places: Vec<PathBuf>, packages: &str) -> PathBuf {
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    places.extend(["/usr/local/bin", "/usr/sbin", "/usr/bin", "/usr/local/pgsql/bin"].map(PathBuf::from));
    let found = places.into_iter().map(|place| place.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install {packages}"))
}

/// A program as this user where the tests run as root, whom servers refuse; as oneself otherwise.
pub(super) fn as_user(user: &str, path: PathBuf) -> Command {
    if own_user() != 0 {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).args(["--init-groups", "--"]).arg(path);
    command
}

/// The user that the tests run as.
pub(super) fn own_user() -> u32 {
    std::fs::metadata("/proc/self").expect("own process").uid()
}

/// A directory that outlives the tests, made once by `make` at the path that it is given: what is slow to make is copied from
/// it. It is refused where somebody else made it.
pub(super) fn made_once(place: &Path, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(place).expect("a folder");
    let owner = std::fs::metadata(place).expect("the folder").uid();
    assert_eq!(owner, own_user(), "{} belongs to somebody else: remove it", place.display());
    let lock = std::fs::File::create(place.join("lock")).expect("a lock");
    lock.lock().expect("the lock");
    let done = place.join(name);
    if done.is_dir() {
        return done;
    }
    let making = tempfile::Builder::new().prefix("making-").tempdir_in(place).expect("a folder");
    std::fs::set_permissions(making.path(), std::fs::Permissions::from_mode(0o777)).expect("open the folder");
    let made = making.path().join(name);
    make(&made);
    std::fs::rename(&made, &done).expect("put it in its place");
    done
}
