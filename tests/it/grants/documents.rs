//! The module itself: valid, tested with mocks, linted, and the same as the generated CloudFormation template and plain policies.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use waybill_tests::binaries::repository;
use waybill_tests::grants::{lint, render, terraform, values};

use super::rendered;

const EXAMPLES: &[&str] = &["agent", "existing-network", "new-network", "regions"];

#[test]
fn terraform_accepts_the_module_and_every_example() {
    let places = EXAMPLES.iter().map(|name| format!("terraform/aws/examples/{name}"));
    for place in std::iter::once("terraform/aws".to_owned()).chain(places) {
        let (valid, said) = terraform(&place, &["validate", "-no-color"]).expect("run terraform");
        assert!(valid, "{place}: {said}");
    }
    let (formatted, said) =
        terraform("terraform", &["fmt", "-check", "-recursive", "-no-color"]).expect("run terraform");
    assert!(formatted, "not formatted: {said}");
}

#[test]
fn terraforms_own_tests_of_the_module_pass() {
    let (passed, said) = terraform("terraform/aws", &["test", "-no-color"]).expect("run terraform");
    assert!(passed, "{said}");
    let runs = said.matches("... pass").count();
    assert!(runs >= 57, "only {runs} runs passed: {said}");
}

#[test]
fn the_hosting_of_the_orchestrator_is_valid_and_its_tests_pass() {
    let (passed, said) = terraform("deploy/hosting/aws", &["test", "-no-color"]).expect("run terraform");
    assert!(passed && said.matches("... pass").count() >= 5, "{said}");
}

#[test]
fn the_stand_in_provider_finds_what_the_real_one_would() {
    for (wrong, named) in [
        (
            "resource \"aws_iam_role\" \"x\" {\n  assume_role_polcy = \"{}\"\n}\n",
            "\"assume_role_polcy\" is not expected here",
        ),
        ("resource \"aws_iam_role\" \"x\" {\n  name = \"x\"\n}\n", "\"assume_role_policy\" is required"),
        ("resource \"aws_iam_rolle\" \"x\" {\n}\n", "does not support"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let head = "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\" }\n  }\n}\n";
        std::fs::write(dir.path().join("main.tf"), format!("{head}{wrong}")).expect("write");
        let place = dir.path().to_str().expect("a path");
        let (valid, said) = terraform(place, &["validate", "-no-color"]).expect("run terraform");
        assert!(!valid && said.contains(named), "{said}");
    }
}

#[test]
fn the_linter_finds_only_the_star_that_an_action_needs() {
    let mut documents = rendered().documents;
    let found = lint(&documents).expect("findings");
    let found: BTreeMap<_, _> = found.into_iter().filter(|(_, findings)| !findings.is_empty()).collect();
    let listing = "RESOURCE_STAR ['ecs:ListTasks']".to_owned();
    assert_eq!(found, BTreeMap::from([("launch".to_owned(), vec![listing])]));
    // The linter is awake: a slip that is easy to make is found.
    let launch = documents.get_mut("launch").expect("the launch policy");
    launch["Statement"][0]["Resource"] = json!("arn:aws:ecs:eu-west-1:222222222222:cluster/waybill");
    let found = lint(&documents).expect("findings");
    assert!(found["launch"].iter().any(|finding| finding.starts_with("RESOURCE_MISMATCH")), "{found:?}");
}

fn generated(name: &str) -> Value {
    let path = repository().join("terraform/aws/generated").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// A parameter that every condition of the template asks for: whether it is not empty.
fn holds(condition: &Value, parameters: &BTreeMap<&str, &str>) -> bool {
    let name = condition.as_str().expect("a condition's name");
    let asked = &generated("cloudformation.json")["Conditions"][name]["Fn::Not"][0]["Fn::Equals"];
    assert_eq!(asked[1], "", "{name} is another kind of condition");
    !parameters[asked[0]["Ref"].as_str().expect("a parameter")].is_empty()
}

/// The template's value with its parameters put in and its conditions decided, as CloudFormation does.
fn resolved(value: &Value, parameters: &BTreeMap<&str, &str>) -> Value {
    match value {
        Value::Object(map) if map.contains_key("Fn::Sub") => {
            let mut text = map["Fn::Sub"].as_str().expect("a text").to_owned();
            for (name, value) in parameters {
                text = text.replace(&format!("${{{name}}}"), value);
            }
            assert!(!text.contains("${"), "a parameter is not known: {text}");
            Value::String(text)
        }
        Value::Object(map) if map.contains_key("Fn::If") => {
            let branch = if holds(&map["Fn::If"][0], parameters) { 1 } else { 2 };
            resolved(&map["Fn::If"][branch], parameters)
        }
        Value::Object(map) => map.iter().map(|(key, inner)| (key.clone(), resolved(inner, parameters))).collect(),
        Value::Array(items) => {
            let items = items.iter().map(|inner| resolved(inner, parameters));
            items.filter(|item| *item != json!({ "Ref": "AWS::NoValue" })).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn the_cloudformation_template_grants_what_terraform_grants() {
    same_grants("", ("", ""));
    same_grants("ARM64", ("registry.example.com/waybill-worker@sha256:0123", ISSUER));
}

const ISSUER: &str = "https://0a1b2c3d-0000-4000-8000-222222222222.tokens.sts.global.api.aws";

fn same_grants(other_architecture: &str, (other_image, issuer): (&str, &str)) {
    let mut values = values();
    values["web_identity_tokens"] = json!(!issuer.is_empty());
    values["other_architecture"] = json!(other_architecture);
    values["buckets"] = json!({"example-lake": {"prefixes": ["raw/"]}});
    let rendered = render(&values).expect("rendered documents");
    let parameters = BTreeMap::from([
        ("Name", "waybill"),
        ("AWS::Partition", "aws"),
        ("AWS::Region", "eu-west-1"),
        ("AWS::AccountId", "222222222222"),
        ("AWS::URLSuffix", "amazonaws.com"),
        ("OrchestratorPrincipalArn", "arn:aws:iam::111111111111:user/orchestrator"),
        ("ExternalId", "wbx-0123456789abcdef"),
        ("Bucket", "example-lake"),
        ("Prefix", "raw/"),
        ("SecretArn", "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf"),
        ("ParameterArn", "arn:aws:ssm:eu-west-1:222222222222:parameter/waybill/shop-ca"),
        ("KmsKeyArn", "arn:aws:kms:eu-west-1:222222222222:key/0a1b"),
        ("RepositoryArn", "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"),
        ("OtherImage", other_image),
        ("TokenIssuer", issuer),
    ]);
    let template = resolved(&generated("cloudformation.json")["Resources"], &parameters);
    for (resource, trust, policy, name) in [
        ("LaunchRole", "launch_trust", "launch", "launch_role"),
        ("TaskRole", "tasks_trust", "task", "task_role"),
        ("ExecutionRole", "tasks_trust", "execution", "execution_role"),
    ] {
        let role = &template[resource]["Properties"];
        assert_eq!(role["AssumeRolePolicyDocument"], rendered.documents[trust], "{resource}");
        assert_eq!(role["Policies"][0]["PolicyDocument"], rendered.documents[policy], "{resource}");
        assert_eq!(role["Policies"].as_array().map(Vec::len), Some(1), "{resource}");
        assert_eq!(role["RoleName"], rendered.names[name], "{resource}");
        assert!(role.get("ManagedPolicyArns").is_none(), "{resource} has managed policies");
    }
    assert_eq!(template["GuardParameter"]["Properties"]["Name"], rendered.guard_parameter);
    let worker = &template["WorkerTask"]["Properties"];
    assert_eq!(worker["Family"], rendered.names["family"]);
    let other = &template["OtherWorkerTask"];
    if holds(&other["Condition"], &parameters) {
        assert_eq!(other["Properties"]["Family"], rendered.names["other_family"]);
    }
    // The same worker but for name, image and processor.
    let mut same = other["Properties"].clone();
    same["ContainerDefinitions"][0]["Image"] = json!({ "Ref": "Image" });
    (same["Family"], same["RuntimePlatform"]["CpuArchitecture"]) = (worker["Family"].clone(), json!("X86_64"));
    assert_eq!(same, *worker);
    assert_eq!(template["WorkersSecurityGroup"]["Properties"].get("SecurityGroupIngress"), None);
}

#[test]
fn the_plain_policies_are_the_documents_with_names_to_fill_in() {
    let placeholders = [
        ("REGION", "eu-west-1"),
        ("ACCOUNT_ID", "222222222222"),
        ("ORCHESTRATOR_PRINCIPAL_ARN", "arn:aws:iam::111111111111:user/orchestrator"),
        ("EXTERNAL_ID", "wbx-0123456789abcdef"),
        ("BUCKET", "example-lake"),
        ("PREFIX", "raw"),
        ("SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf"),
        ("PARAMETER_ARN", "arn:aws:ssm:eu-west-1:222222222222:parameter/waybill/shop-ca"),
        ("KMS_KEY_ARN", "arn:aws:kms:eu-west-1:222222222222:key/0a1b"),
        ("REPOSITORY_ARN", "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"),
    ];
    let mut values = values();
    values["buckets"] = json!({"example-lake": {"prefixes": ["raw/"]}});
    let documents = render(&values).expect("rendered documents").documents;
    for name in ["launch-trust", "launch", "tasks-trust", "task", "execution", "bucket"] {
        let mut text = generated(&format!("policies/{name}.json")).to_string();
        for (placeholder, value) in placeholders {
            text = text.replace(placeholder, value);
        }
        let filled: Value = serde_json::from_str(&text).expect("JSON");
        let key = if name == "bucket" { "bucket example-lake".to_owned() } else { name.replace('-', "_") };
        assert_eq!(filled, documents[&key], "{name}");
    }
}

#[test]
fn the_generated_files_are_those_that_the_documents_give() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = repository().join("deploy/dev/terraform/documents.py");
    let done = std::process::Command::new("python3")
        .arg(script)
        .arg("write")
        .arg(dir.path())
        .status()
        .expect("run documents.py");
    assert!(done.success());
    let mut compared = 0;
    for place in ["", "policies"] {
        for entry in
            std::fs::read_dir(dir.path().join(place)).expect("a directory").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_file() {
                let name = entry.strip_prefix(dir.path()).expect("below");
                let (fresh, kept) =
                    (std::fs::read(&entry), std::fs::read(repository().join("terraform/aws/generated").join(name)));
                let same = fresh.expect("a fresh file") == kept.expect("a kept file");
                assert!(
                    same,
                    "{}: run deploy/dev/terraform/documents.py write terraform/aws/generated",
                    name.display()
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7);
}
