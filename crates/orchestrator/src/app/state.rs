//! The state directory: what the server leaves there for people and for the command line on the same machine.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::StartError;

/// The bound addresses, once the server is ready.
pub(super) const PORTS: &str = "ports.json";
/// The CA that clients are to trust.
pub(super) const CA: &str = "ca.pem";
/// The one-time setup token, until it is used.
pub(super) const SETUP_TOKEN: &str = "setup-token";

/// Locked by the server that serves with the directory, and tells its process id.
const LOCK: &str = "lock";

/// A state directory that is this process's alone until it is dropped, by whatever end: the system lets go of the lock.
pub(super) struct Held {
    directory: PathBuf,
    _lock: File,
}

impl Held {
    /// Makes the directory where it is missing and takes it. Where another server has it, nothing there is changed.
    pub(super) fn take(directory: &Path) -> Result<Self, StartError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(StartError::io(format!("make {}", directory.display())))?;
        let path = directory.join(LOCK);
        let failed = || StartError::io(format!("lock {}", path.display()));
        let open = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut lock = open.map_err(failed())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(StartError::Held { directory: directory.to_owned(), by: holder(&mut lock) });
            }
            Err(fs::TryLockError::Error(source)) => return Err(failed()(source)),
        }
        let told = lock.set_len(0).and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        told.map_err(failed())?;
        // What a server left that ended without its own doing: nobody listens there.
        remove(directory, PORTS);
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// Says that this server is no more to be found here.
    pub(super) fn close(&self) {
        remove(&self.directory, PORTS);
    }
}

/// Who has the lock, as far as it is told yet.
fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// Replaces a file in one step, so that a reader never sees half of it.
pub(super) fn put(directory: &Path, name: &str, mode: u32, content: &str) -> Result<(), StartError> {
    let path = directory.join(name);
    let aside = directory.join(format!(".{name}.{}", std::process::id()));
    let write = || {
        // One that a crash left behind may have another mode.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &path)
    };
    write().map_err(StartError::io(format!("write {}", path.display())))
}

/// Removes a file that may not be there.
pub(super) fn remove(directory: &Path, name: &str) {
    let path = directory.join(name);
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), error = %error.kind(), "a file could not be removed");
    }
}

/// A certificate as PEM.
pub(super) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
