//! `data-plane`: list, show, add, set, region, pass-env, drain, resume, policy, check.

mod test_task;

use waybill_api::client::{ListQuery, PolicyQuery};
use waybill_api::data_plane::{
    AwsEcsSettings, DataPlane, DataPlaneCheck, DataPlaneCreate, DataPlanePolicy, DataPlaneUpdate, PermissionRow,
    ProcessSettings,
};

use crate::args::{AddDataPlane, AwsEcs, DataPlane as Command, Document, Target};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, clean, facts, shell_word};
use crate::{resolve, session};

impl Row for DataPlane {
    const HEADER: &'static [&'static str] = &["NAME", "KIND", "WHERE", "TRUST", "STATE"];

    fn cells(&self) -> Vec<String> {
        let aws = self.aws_ecs.as_ref().map(|aws| format!("{} {}", aws.region, aws.cluster));
        let place = aws.or_else(|| self.settings.region.clone()).unwrap_or_default();
        let state = if self.draining_since.is_some() { "draining" } else { "ready" };
        vec![self.name.clone(), self.kind.clone(), place, trust(self), state.into()]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Row for PermissionRow {
    const HEADER: &'static [&'static str] = &["", "ACTION", "RESOURCE", "FOUND"];

    fn cells(&self) -> Vec<String> {
        let mark = match self.found.as_str() {
            "allowed" | "narrow" => "✓",
            "not_tested" => "–",
            "no_answer" => "?",
            _ => "×",
        };
        vec![mark.into(), self.action.clone(), self.resource.clone(), format!("{}: {}", self.found, self.detail)]
    }

    fn name(&self) -> String {
        self.action.clone()
    }
}

fn trust(plane: &DataPlane) -> String {
    // Only what has an external id has a role whose trust can be checked.
    match (&plane.external_id, plane.trust.as_deref()) {
        (None, _) => "–".into(),
        (Some(_), Some(found)) => found.to_owned(),
        (Some(_), None) => "not checked".into(),
    }
}

pub(crate) async fn data_plane(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.data_plane_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
            // One orchestrator has one name, so it is no column.
            if let Some(plane) = page.items.iter().find(|plane| plane.external_id.is_some()) {
                output.say(&format!("the orchestrator that roles in AWS must trust: {}", clean(&orchestrator(plane))));
            }
        }
        Command::Show { data_plane } => {
            let found = resolve::data_plane(&client, &data_plane).await?.value;
            output.one(&found, &found.name.clone(), || shown(&found))?;
        }
        Command::Add(AddDataPlane::Aws { name }) => {
            let settings = ProcessSettings::default();
            let body = DataPlaneCreate { name, kind: "aws-ecs".into(), settings, aws_ecs: None };
            let made = client.data_plane_create(&body).await?;
            output.one(&made, &made.name.clone(), || {
                let name = shell_word(&made.name);
                format!(
                    "{}\nMake the roles with these two (terraform/aws: orchestrator_principal_arn and external_id; by hand: \
                     waybill data-plane policy {name} --document trust), then: waybill data-plane set {name}\n",
                    shown(&made)
                )
            })?;
        }
        Command::Set { data_plane, settings } => {
            let found = resolve::data_plane(&client, &data_plane).await?;
            let body = DataPlaneUpdate { settings: None, aws_ecs: Some((*settings).into()) };
            let set = client.data_plane_update(found.value.id, &found.etag, &body).await?;
            output.one(&set, &set.name.clone(), || {
                format!("{}\nNext: waybill data-plane check {}\n", shown(&set), shell_word(&set.name))
            })?;
        }
        Command::Region { data_plane, region } => {
            let found = resolve::data_plane(&client, &data_plane).await?;
            let plane = found.value;
            if plane.external_id.is_some() {
                let message = format!("{} is in a cloud: its settings name its region", clean(&plane.name));
                let next = format!("waybill data-plane set {} --help", shell_word(&plane.name));
                return Err(Failure::new(Exit::Conflict, "unusable", message).next(next));
            }
            let settings = Some(ProcessSettings { region: Some(region), ..plane.settings });
            let body = DataPlaneUpdate { settings, aws_ecs: None };
            let set = client.data_plane_update(plane.id, &found.etag, &body).await?;
            output.one(&set, &set.name.clone(), || shown(&set))?;
        }
        Command::PassEnv { data_plane, variables, remove } => {
            let found = resolve::data_plane(&client, &data_plane).await?;
            let mut settings = found.value.settings;
            settings.environment.retain(|name| !variables.contains(name));
            if !remove {
                settings.environment.extend(variables);
            }
            let body = DataPlaneUpdate { settings: Some(settings), aws_ecs: None };
            let set = client.data_plane_update(found.value.id, &found.etag, &body).await?;
            output.one(&set, &set.name.clone(), || shown(&set))?;
            if !remove {
                output.say("workers get the values that the orchestrator was started with");
            }
        }
        Command::Drain { data_plane } => {
            let found = resolve::data_plane(&client, &data_plane).await?.value;
            let drained = client.data_plane_drain(found.id).await?;
            output.one(&drained, &drained.name.clone(), || shown(&drained))?;
        }
        Command::Resume { data_plane } => {
            let found = resolve::data_plane(&client, &data_plane).await?.value;
            let resumed = client.data_plane_resume(found.id).await?;
            output.one(&resumed, &resumed.name.clone(), || shown(&resumed))?;
        }
        Command::Policy { data_plane, document, execution_role } => {
            let found = resolve::data_plane(&client, &data_plane).await?.value;
            let query = PolicyQuery { document: Some(document.as_str().to_owned()), execution_role };
            let policy = client.data_plane_policy(found.id, &query).await?;
            print(&policy, (document, &found.name), output)?;
        }
        Command::Check { data_plane, start_test_task: false, .. } => {
            let found = resolve::data_plane(&client, &data_plane).await?.value;
            let check = client.data_plane_check(found.id).await?;
            output.list(&check.rows, None)?;
            return Ok(told(&check, output));
        }
        Command::Check { data_plane, timeout, .. } => {
            let found = resolve::data_plane(&client, &data_plane).await?.value;
            return test_task::check_and_test(&client, &found, timeout, output).await;
        }
    }
    Ok(Exit::Done)
}

impl Document {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Launch => "launch",
            Self::All => "all",
        }
    }
}

/// One document as it is, whatever form was asked for: what attaches it takes no word more.
fn print(policy: &DataPlanePolicy, (document, name): (Document, &str), output: &Output) -> Result<()> {
    let text = |document: &Option<String>| document.clone().unwrap_or_default();
    match document {
        Document::Trust => output.text(&text(&policy.trust)),
        Document::Launch => output.text(&text(&policy.launch)),
        Document::All => output.one(policy, name, || {
            let role = policy.role_arn.as_deref().map_or_else(String::new, clean);
            let (trust, launch) = (text(&policy.trust), text(&policy.launch));
            format!("# Who may assume {role} (trust policy)\n{trust}\n# What it may do (permission policy)\n{launch}")
        }),
    }
}

/// What a check comes to, beside its rows.
fn told(check: &DataPlaneCheck, output: &Output) -> Exit {
    for row in &check.rows {
        if let Some(statement) = &row.statement {
            let what = if row.found == "not_tested" { "must be there" } else { "add" };
            let (action, resource) = (clean(&row.action), clean(&row.resource));
            output.say(&format!("{what} for {action} on {resource}:\n  {}", clean(statement)));
        }
        if let Some(statement) = &row.remove {
            let (action, resource) = (clean(&row.action), clean(&row.resource));
            output.say(&format!("remove what allows {action} on {resource}:\n  {}", clean(statement)));
        }
    }
    if check.ready {
        output.say("ready: nothing is missing and nothing is too much, as far as it can be tried");
        return Exit::Done;
    }
    output.say("not ready: see the rows marked × (to mend) and ? (no answer; check again)");
    Exit::Failed
}

/// Whom the role must trust, or why that is not known.
fn orchestrator(plane: &DataPlane) -> String {
    let missing = plane.orchestrator_principal_missing.as_ref().map(|why| format!("not known: {why}"));
    plane.orchestrator_principal_arn.clone().or(missing).unwrap_or_else(|| "–".into())
}

fn shown(plane: &DataPlane) -> String {
    let mut rows = vec![("name", plane.name.clone()), ("id", plane.id.to_string()), ("kind", plane.kind.clone())];
    if let Some(id) = &plane.external_id {
        rows.push(("external id", id.clone()));
        rows.push(("orchestrator", orchestrator(plane)));
        rows.push(("trust", trust(plane)));
    }
    if let Some(since) = &plane.draining_since {
        rows.push((
            "draining",
            format!("since {since}; runs wait until waybill data-plane resume {}", shell_word(&plane.name)),
        ));
    }
    if let Some(region) = &plane.settings.region {
        rows.push(("region", region.clone()));
    }
    if !plane.settings.environment.is_empty() {
        rows.push(("passes", plane.settings.environment.join(", ")));
    }
    if let Some(aws) = &plane.aws_ecs {
        rows.extend([
            ("region", aws.region.clone()),
            ("cluster", aws.cluster.clone()),
            ("task family", families(aws)),
            ("role", aws.role_arn.clone()),
            ("task role", aws.task_role_arn.clone()),
            ("capacity", aws.capacity.clone()),
            ("size", size(aws)),
            ("network", network(aws)),
            ("endpoints", if aws.fips { "FIPS" } else { "ordinary" }.to_owned()),
        ]);
        rows.extend(aws.token_issuer.iter().map(|issuer| ("token issuer", issuer.clone())));
    }
    facts(&rows)
}

fn size(aws: &AwsEcsSettings) -> String {
    let disk = if aws.disk_gib == 0 { String::new() } else { format!(", {} GiB of disk", aws.disk_gib) };
    format!("{} CPU units, {} MiB{disk}", aws.cpu, aws.memory_mib)
}

fn network(aws: &AwsEcsSettings) -> String {
    let address = if aws.assign_public_ip { "with a public address" } else { "without a public address" };
    format!("{}; {}; {address}", aws.subnets.join(", "), aws.security_groups.join(", "))
}

/// The task families, each with its processor.
fn families(aws: &AwsEcsSettings) -> String {
    let own = format!("{} ({})", aws.task_family, aws.architecture);
    match &aws.other_task_family {
        Some(other) => format!("{own}, {other} ({})", if aws.architecture == "arm64" { "x86_64" } else { "arm64" }),
        None => own,
    }
}

impl From<AwsEcs> for AwsEcsSettings {
    fn from(given: AwsEcs) -> Self {
        Self {
            role_arn: given.role_arn,
            task_role_arn: given.task_role_arn,
            region: given.region,
            cluster: given.cluster,
            task_family: given.task_family,
            architecture: given.architecture,
            other_task_family: given.other_task_family,
            container: given.container,
            subnets: given.subnets,
            security_groups: given.security_groups,
            assign_public_ip: given.assign_public_ip,
            capacity: given.capacity,
            ec2_opt_in: given.ec2_opt_in,
            cpu: given.cpu,
            memory_mib: given.memory_mib,
            disk_gib: given.disk_gib,
            fips: given.fips,
            token_issuer: given.token_issuer,
        }
    }
}

#[cfg(test)]
mod tests {
    use waybill_api::Example as _;

    use super::*;

    #[test]
    fn only_a_plane_with_an_external_id_has_a_trust_to_tell() {
        let of = |kind: &str, id: Option<&str>, found: Option<&str>| {
            let (external_id, found) = (id.map(str::to_owned), found.map(str::to_owned));
            trust(&DataPlane { kind: kind.into(), external_id, trust: found, ..DataPlane::example() })
        };
        assert_eq!([of("process", None, None), of("agent", None, None)], ["–", "–"]);
        assert_eq!(of("aws-ecs", Some("wb-1"), None), "not checked");
        assert_eq!(of("aws-ecs", Some("wb-1"), Some("open")), "open");
    }
}
