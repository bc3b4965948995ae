//! What an agent and the workers in its containers agree on about the copy of the guard that these are given.

use std::time::Duration;

/// The ending of the file beside the copy whose time of change says when the copy was last held against the host's guard.
pub const RENEWED: &str = ".renewed";

/// How long the copy counts without being renewed: an agent does so each second.
pub const RENEWED_WITHIN: Duration = Duration::from_secs(10);
