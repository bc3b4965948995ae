//! Programs of the pinned environments that `deploy/dev/python.sh` makes, and ports for them.

use std::net::TcpListener;
use std::path::PathBuf;

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
