//! `schema`: the JSON Schema of pipeline files.

use std::path::Path;

use crate::exit::{Exit, Failure, Result};
use crate::output::Output;

/// Where editors look for it: `# yaml-language-server: $schema=./.waybill/schema.json`.
const FILE: &str = ".waybill/schema.json";

pub(crate) fn schema(write: bool, output: &Output) -> Result<Exit> {
    let schema = waybill_spec::schema();
    if !write {
        output.text(&schema)?;
        return Ok(Exit::Done);
    }
    let file = Path::new(FILE);
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(file, schema));
    made.map_err(|error| {
        Failure::new(Exit::Failed, "file_unwritable", format!("{FILE} can't be written: {}", error.kind()))
            .next("waybill schema > schema.json writes it where you may")
    })?;
    output.say(&format!("{FILE} written; begin files with `# yaml-language-server: $schema=./{FILE}`"));
    Ok(Exit::Done)
}
