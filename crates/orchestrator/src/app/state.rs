//! The state directory: what the server leaves there for people and for the command line on the same machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::StartError;

/// The bound addresses, once the server is ready.
pub(super) const PORTS: &str = "ports.json";
/// The CA that clients are to trust.
pub(super) const CA: &str = "ca.pem";
/// The one-time setup token, until it is used.
pub(super) const SETUP_TOKEN: &str = "setup-token";

pub(super) fn make(directory: &Path) -> Result<(), StartError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(StartError::io(format!("make {}", directory.display())))
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
