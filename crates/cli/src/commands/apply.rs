//! `plan` and `apply`: what a file would change, and changing it. The server compares; both show its answer.

use std::collections::BTreeMap;

use waybill_api::client::Client;
use waybill_api::spec::{Change, FieldChange, SpecApply};
use waybill_model::secret::SecretRef;

use crate::args::{FileArg, Target};
use crate::commands::sign;
use crate::commands::validate::{chosen, valid_text};
use crate::exit::{Exit, Failure, Result};
use crate::output::Output;
use crate::{resolve, session};

/// Shortest beginning of a digest that names a plan.
const SHORTEST: usize = 6;

pub(crate) async fn plan(target: &Target, file: &FileArg, flags: (bool, bool), output: &Output) -> Result<Exit> {
    let (prune, exit_code) = flags;
    let text = valid_text(file.file.as_deref(), output)?;
    let client = session::connect(target)?.client;
    let planned = client.spec_apply(&body(&client, target, text, prune).await?, true).await?;
    output.one(&planned, &planned.plan_digest.clone(), || {
        let again = format!("Apply exactly this: waybill apply --plan {}\n", start(&planned.plan_digest));
        let again = if planned.changes.is_empty() { "" } else { &again };
        drawn(&planned.changes) + &moved(&planned.secrets_required) + again
    })?;
    Ok(if exit_code && !planned.changes.is_empty() { Exit::Changes } else { Exit::Done })
}

pub(crate) async fn apply(
    target: &Target,
    file: &FileArg,
    how: (bool, Option<String>, Vec<String>),
    output: &Output,
) -> Result<Exit> {
    let (prune, wanted, secrets) = how;
    let text = valid_text(file.file.as_deref(), output)?;
    let client = session::connect(target)?.client;
    let mut body = body(&client, target, text, prune).await?;
    body.secrets = secrets.iter().map(|text| named(text)).collect::<Result<_>>()?;
    body.signatures = sign::beside(&chosen(file.file.as_deref())?, None)?;
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
    Ok(SpecApply {
        project_id: resolve::project(client, target).await?,
        document,
        prune,
        expect: None,
        secrets: BTreeMap::new(),
        signatures: Vec::new(),
    })
}

/// Reads `shop.password=env://SHOP`. The text is never repeated: somebody may have written the secret itself.
fn named(text: &str) -> Result<(String, String)> {
    let read = text.split_once('=').filter(|(_, reference)| reference.parse::<SecretRef>().is_ok());
    let (name, reference) = read.ok_or_else(|| {
        let message = "--secret takes a field and a reference, never the secret itself";
        Failure::new(Exit::Usage, "secret_unreadable", message).next("--secret shop.password=env://SHOP_PASSWORD")
    })?;
    Ok((name.to_owned(), reference.to_owned()))
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
            if let Some(note) = &field.note {
                text.push_str(&format!("      {:width$}  ({note})\n", ""));
            }
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

/// Which secrets would go to another place, and how to say that they are meant to.
fn moved(secrets: &[String]) -> String {
    let line = |name: &String| format!("  ! {name} would go to another place: apply with --secret {name}=REFERENCE\n");
    crate::output::clean(&secrets.iter().map(line).collect::<String>())
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
    fn a_plan_says_what_follows_from_a_change() {
        let mut changes = SpecApplied::example().changes;
        changes[0].fields[0].note = Some("from the next run on".into());
        assert!(drawn(&changes).contains("            (from the next run on)\n"), "{}", drawn(&changes));
    }

    #[test]
    fn a_plan_names_the_secrets_that_would_move_and_how_to_allow_it() {
        let moved = moved(&["shop.password".to_owned()]);
        assert!(moved.contains("--secret shop.password=REFERENCE"), "{moved}");
    }

    #[test]
    fn a_secret_itself_is_refused_and_not_repeated() {
        assert!(named("shop.password=env://SHOP").is_ok());
        for text in ["hunter2", "shop.password=hunter2", "shop.password"] {
            let refused = named(text).err().map(|failure| format!("{failure:?}")).expect("a refusal");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_plan_without_changes_says_so() {
        assert!(drawn(&[]).starts_with("No changes"));
    }
}
