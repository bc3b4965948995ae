//! What a customer attaches to the launch role: who may assume it, and what it may do. Rendered from the very files that
//! Terraform applies; there is no other copy of their text. Nothing here calls anybody.

#[cfg(feature = "aws")]
use serde_json::Value;

use super::arn::RoleArn;
use super::place::{EcsPlace, SettingError};
use super::principal::Principal;
use super::template::{self, TemplateError, render};

const TRUST: &str = include_str!("../../../../terraform/aws/policies/launch-trust.json.tftpl");
const LAUNCH: &str = include_str!("../../../../terraform/aws/policies/launch.json.tftpl");

/// Stands for the one name that no setting says.
#[cfg(feature = "aws")]
const EXECUTION_ROLE: &str = "<the execution role of the task definition>";

/// The trust policy of the launch role: this orchestrator, with this data plane's external id.
pub fn trust(principal: &Principal, external_id: &str) -> Result<String, TemplateError> {
    trusting(principal.as_str(), external_id)
}

fn trusting(principal: &str, external_id: &str) -> Result<String, TemplateError> {
    use template::Value::Text;
    render(TRUST, &[("orchestrator_principal_arn", Text(principal)), ("external_id", Text(external_id))])
}

/// What the launch role may do: start, stop and see workers of its families in this cluster, and nothing else.
pub fn launch(place: &EcsPlace, execution_role: &RoleArn) -> Result<String, TemplateError> {
    launching(place, execution_role.path())
}

fn launching(place: &EcsPlace, execution_role: &str) -> Result<String, TemplateError> {
    use template::Value::{List, Text};
    let (settings, role) = (place.settings(), place.role());
    // Whatever its revision: a new image needs no new policy.
    let definitions: Vec<String> = place.families().map(|family| place.family_arn(family) + ":*").collect();
    let values = [
        ("partition", Text(role.partition().as_str())),
        ("region", Text(place.region().as_str())),
        ("account", Text(role.account())),
        ("cluster", Text(&settings.cluster)),
        ("task_definitions", List(&definitions)),
        ("task_role", Text(place.task_role().path())),
        ("execution_role", Text(execution_role)),
    ];
    render(LAUNCH, &values)
}

/// The role that ECS itself uses for the tasks: given by its name (with its path) or its ARN, since no setting of
/// the data plane names it.
pub fn execution_role(place: &EcsPlace, given: &str) -> Result<RoleArn, SettingError> {
    let refuse = |what: &str| SettingError { field: "execution_role", what: what.to_owned() };
    let launch = place.role();
    let arn = match given.strip_prefix("arn:") {
        Some(_) => given.to_owned(),
        None => format!("arn:{}:iam::{}:role/{given}", launch.partition().as_str(), launch.account()),
    };
    let role: RoleArn = arn.parse().map_err(|error: super::arn::NameError| refuse(error.0))?;
    if (role.account(), role.partition()) != (launch.account(), launch.partition()) {
        return Err(refuse("belongs to another account than role_arn"));
    }
    if role == *launch {
        return Err(refuse("the role that starts tasks must not be handed to them"));
    }
    Ok(role)
}

/// The one statement of the trust policy, where the orchestrator may not know its own name.
#[cfg(feature = "aws")]
pub(super) fn trust_statement(principal: Option<&Principal>, external_id: &str) -> Option<Value> {
    let principal = principal.map_or("<the orchestrator's principal>", Principal::as_str);
    let document: Value = serde_json::from_str(&trusting(principal, external_id).ok()?).ok()?;
    document["Statement"].get(0).cloned()
}

/// The statement of the launch role that allows this action, where there is one. The execution role, which no setting names,
/// is left to be filled in.
#[cfg(feature = "aws")]
pub(super) fn statement_for(place: &EcsPlace, action: &str) -> Option<Value> {
    statement(place, action, EXECUTION_ROLE)
}

/// The same for what was refused: a role that could not be handed over and is not the workers' own is the execution role.
#[cfg(feature = "aws")]
pub(super) fn statement_for_denied(place: &EcsPlace, action: &str, resource: &str) -> Option<Value> {
    let other = resource.parse::<RoleArn>().ok().filter(|role| role != place.task_role());
    let named = other.filter(|role| role.account() == place.role().account() && role != place.role());
    statement(place, action, named.as_ref().map_or(EXECUTION_ROLE, RoleArn::path))
}

#[cfg(feature = "aws")]
fn statement(place: &EcsPlace, action: &str, execution_role: &str) -> Option<Value> {
    let document: Value = serde_json::from_str(&launching(place, execution_role).ok()?).ok()?;
    let allows = |statement: &&Value| {
        let named = match &statement["Action"] {
            Value::Array(actions) => actions.iter().any(|it| it == action),
            one => one == action,
        };
        statement["Effect"] == "Allow" && named
    };
    document["Statement"].as_array()?.iter().find(allows).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::place::{EcsSettings, example};
    use super::*;

    fn place() -> EcsPlace {
        EcsPlace::new(example(), "wb-id").expect("a place")
    }

    #[test]
    fn the_launch_policy_names_this_data_planes_own_cluster_family_and_roles() {
        let role: RoleArn = "arn:aws:iam::222222222222:role/teams/data/execution".parse().expect("a role");
        let text = launch(&place(), &role).expect("rendered");
        for named in [
            "arn:aws:ecs:eu-central-1:222222222222:task-definition/waybill-worker:*",
            "arn:aws:ecs:eu-central-1:222222222222:cluster/waybill\"",
            "arn:aws:iam::222222222222:role/waybill-worker\"",
            "arn:aws:iam::222222222222:role/teams/data/execution\"",
        ] {
            assert!(text.contains(named), "{named} is not in {text}");
        }
        assert!(serde_json::from_str::<Value>(&text).is_ok() && !text.contains("${"));
    }

    #[test]
    fn the_launch_policy_names_the_families_that_there_are_and_no_other() {
        let started = |other_task_family: Option<&str>| {
            let settings = EcsSettings { other_task_family: other_task_family.map(Into::into), ..example() };
            let place = EcsPlace::new(settings, "wb-id").expect("a place");
            let text = launch(&place, &"arn:aws:iam::222222222222:role/execution".parse().expect("a role"));
            let document: Value = serde_json::from_str(&text.expect("rendered")).expect("JSON");
            document["Statement"][0]["Resource"].clone()
        };
        let arn = |family: &str| format!("arn:aws:ecs:eu-central-1:222222222222:task-definition/{family}:*");
        assert_eq!(started(None), serde_json::json!([arn("waybill-worker")]));
        assert_eq!(started(Some("worker-arm64")), serde_json::json!([arn("waybill-worker"), arn("worker-arm64")]));
    }

    #[test]
    fn an_execution_role_is_one_of_the_same_account_and_not_the_launch_role() {
        let read = |given: &str| execution_role(&place(), given).map(|role| role.to_string());
        let named = "arn:aws:iam::222222222222:role/a/waybill-execution";
        assert_eq!((read("a/waybill-execution").as_deref(), read(named).as_deref()), (Ok(named), Ok(named)));
        for (given, why) in [
            ("arn:aws:iam::333333333333:role/execution", "another account"),
            ("arn:aws-cn:iam::222222222222:role/execution", "another account"),
            ("waybill-launch", "must not be handed"),
            ("*", "no wildcard"),
            ("", "no wildcard"),
            ("arn:aws:iam::222222222222:user/ada", "not of a user"),
        ] {
            let refused = read(given).expect_err(given).to_string();
            assert!(refused.starts_with("execution_role: ") && refused.contains(why), "{given}: {refused}");
        }
    }

    #[cfg(feature = "aws")]
    #[test]
    fn each_action_that_a_check_asks_for_has_its_statement_and_only_one_leaves_a_name_to_fill_in() {
        for action in ["ecs:RunTask", "ecs:StopTask", "ecs:DescribeTasks", "ecs:ListTasks"] {
            let statement = statement_for(&place(), action).expect(action).to_string();
            assert!(statement.contains(action) && !statement.contains(EXECUTION_ROLE), "{statement}");
        }
        let passed = statement_for(&place(), "iam:PassRole").expect("a statement");
        assert_eq!(passed["Resource"][0], "arn:aws:iam::222222222222:role/waybill-worker");
        assert!(passed["Resource"][1].as_str().is_some_and(|it| it.ends_with(EXECUTION_ROLE)), "{passed}");
        assert_eq!(statement_for(&place(), "ecs:RegisterTaskDefinition"), None, "only forbidden");
        let trust = trust_statement(None, "wb-id").expect("a statement").to_string();
        assert!(trust.contains("wb-id") && trust.contains("<the orchestrator's principal>"), "{trust}");
    }
}
