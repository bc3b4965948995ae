//! Prints a generated page of the reference: `waybill-reference failures|problems|description`.

use anyhow::{Result, bail};
use std::io::Write;
use waybill_tests::reference;

fn main() -> Result<()> {
    let page = match std::env::args().nth(1).as_deref() {
        Some("failures") => reference::failures(),
        Some("problems") => reference::problems(),
        Some("description") => reference::description()?,
        other => {
            bail!("{}: the pages are `failures`, `problems` and `description`", other.unwrap_or("nothing was named"))
        }
    };
    std::io::stdout().write_all(page.as_bytes())?;
    Ok(())
}
