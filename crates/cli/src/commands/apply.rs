//! `plan` and `apply`: what a file would change, and changing it. The server compares; both show its answer.

use waybill_api::client::Client;
use waybill_api::spec::{Change, FieldChange, SpecApply};

use crate::args::{FileArg, Target};
use crate::commands::validate::valid_text;
use crate::exit::{Exit, Failure, Result};
use crate::output::Output;
use crate::{resolve, session};

/// Shortest beginning of a digest that names a plan.
const SHORTEST: usize = 6;

pub(crate) async fn plan(target: &Target, file: &FileArg, flags: (bool, bool), output: &Output) -> Result<Exit> {
    let (prune, exit_code) = flags;
    let text = valid_text(file.file.as_deref(), output)?;
    let client = session::connect(target).await?.client;
    let planned = client.spec_apply(&body(&client, target, text, prune).await?, true).await?;
    output.one(&planned, &planned.plan_digest.clone(), || {
        let again = format!("Apply exactly this: waybill apply --plan {}\n", start(&planned.plan_digest));
        drawn(&planned.changes) + if planned.changes.is_empty() { "" } else { &again }
    })?;
    Ok(if exit_code && !planned.changes.is_empty() { Exit::Changes } else { Exit::Done })
}

pub(crate) async fn apply(
    target: &Target,
    file: &FileArg,
    how: (bool, Option<String>),
    output: &Output,
) -> Result<Exit> {
    let (prune, wanted) = how;
    let text = valid_text(file.file.as_deref(), output)?;
    let client = session::connect(target).await?.client;
    let mut body = body(&client, target, text, prune).await?;
    if let Some(wanted) = wanted {
        body.expect = Some(whole_digest(&client, &body, &wanted).await?);
    }
    let applied = client.spec_apply(&body, false).await?;
    output.one(&applied, &applied.plan_digest.clone(), || drawn(&applied.changes))?;
    if output.is_table() && !applied.changes.is_empty() {
        output.say("applied; `waybill run start PIPELINE --watch` runs it");
    }
    Ok(Exit::Done)
}

async fn body(client: &Client, target: &Target, document: String, prune: bool) -> Result<SpecApply> {
    Ok(SpecApply { project_id: resolve::project(client, target).await?, document, prune, expect: None })
}

/// The digest whose beginning was given; what was looked at must still be what would happen.
async fn whole_digest(client: &Client, body: &SpecApply, wanted: &str) -> Result<String> {
    let now = client.spec_apply(body, true).await?;
    if wanted.len() >= SHORTEST && now.plan_digest.starts_with(wanted) {
        return Ok(now.plan_digest);
    }
    let message = "the changes are others by now than those of that plan; nothing was applied";
    Err(Failure::new(Exit::Conflict, "plan_changed", message).next("waybill plan"))
}

/// As much of a digest as people type.
fn start(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// The changes as people read them.
fn drawn(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let sign = match change.kind.as_str() {
            "add" => '+',
            "remove" => '-',
            _ => '~',
        };
        text.push_str(&format!("  {sign} {} {}\n", change.noun, change.name));
        let width = change.fields.iter().map(|field| field.path.chars().count()).max().unwrap_or_default();
        for field in &change.fields {
            text.push_str(&format!("      {:width$}  {}\n", field.path, values(field)));
        }
    }
    let count = |kind: &str| changes.iter().filter(|change| change.kind == kind).count();
    if changes.is_empty() {
        text.push_str("No changes: everything stands as the file says.\n");
    } else {
        let (add, change, remove) = (count("add"), count("change"), count("remove"));
        text.push_str(&format!("{add} to add, {change} to change, {remove} to remove.\n"));
    }
    crate::output::clean(&text)
}

fn values(field: &FieldChange) -> String {
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (None, Some(after)) => format!("+ {after}"),
        (Some(before), None) => format!("- {before}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_api::Example;
    use waybill_api::spec::SpecApplied;

    #[test]
    fn a_plan_names_each_field_with_both_values() {
        let drawn = drawn(&SpecApplied::example().changes);
        assert!(drawn.contains("~ schedule shop-nightly"), "{drawn}");
        assert!(drawn.contains("cron  \"0 3 * * *\" → \"0 2 * * *\""), "{drawn}");
        assert!(drawn.ends_with("0 to add, 1 to change, 0 to remove.\n"), "{drawn}");
    }

    #[test]
    fn a_plan_without_changes_says_so() {
        assert!(drawn(&[]).starts_with("No changes"));
    }
}
