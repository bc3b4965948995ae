//! Whether the product finds a lake of its own whole.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::binaries::binary;

/// `verify` reads every byte of the lake in this directory, and finds state, receipts and commits to agree.
///
/// # Errors
/// With all that it says where it finds anything else.
pub fn verified(lake: &Path) -> Result<()> {
    let place = format!("file://{}", lake.display());
    let output = Command::new(binary("waybill-worker")).args(["verify", &place]).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "`verify` of {place}: {said}");
    Ok(())
}
