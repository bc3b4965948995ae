//! The customer's grants as documents: rendered from the very templates that Terraform applies, evaluated as IAM does, linted.
//!
//! Nothing here grants anything or calls a cloud. The evaluator is a development tool, run and never linked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::binaries::{node, python, repository};

/// The customer's account.
pub const ACCOUNT: &str = "222222222222";
/// The external id of the rendered documents.
pub const EXTERNAL_ID: &str = "wbx-0123456789abcdef";

/// Values of the module's variables as a customer sets them: one bucket to write, one to read, one secret, one parameter, one key.
#[must_use]
pub fn values() -> Value {
    json!({
        "name": "waybill",
        "partition": "aws",
        "region": "eu-west-1",
        "account": ACCOUNT,
        "orchestrator_principal_arn": "arn:aws:iam::111111111111:user/orchestrator",
        "external_id": EXTERNAL_ID,
        "buckets": {"example-lake": {"prefixes": ["raw/"]}, "in-box": {"prefixes": ["csv/"], "access": "read"}},
        "secret_arns": ["arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf"],
        "parameter_arns": ["arn:aws:ssm:eu-west-1:222222222222:parameter/waybill/shop-ca"],
        "kms_key_arns": ["arn:aws:kms:eu-west-1:222222222222:key/0a1b"],
        "repository_arn": "arn:aws:ecr:eu-west-1:222222222222:repository/waybill",
    })
}

/// Documents and names for some values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rendered {
    /// Policies by name; `bucket NAME` for those of buckets.
    pub documents: BTreeMap<String, Value>,
    /// The same as Terraform wrote them, letter by letter; those of buckets are left out.
    pub texts: BTreeMap<String, String>,
    /// Names of what is made.
    pub names: BTreeMap<String, String>,
    /// Name of the parameter that holds the guard.
    pub guard_parameter: String,
}

/// Renders the documents with Terraform itself.
pub fn render(values: &Value) -> Result<Rendered> {
    let script = repository().join("deploy/dev/terraform/documents.py");
    let output = feed(Command::new("python3").arg(script).arg("render"), values)?;
    serde_json::from_slice(&output).context("the rendered documents")
}

/// One request, as IAM sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// Who asks.
    pub principal: String,
    /// What for.
    pub action: String,
    /// On what; `*` where the action knows no resource.
    pub resource: String,
    /// The resource's account.
    pub account: String,
    /// Condition keys and their values.
    pub context: BTreeMap<String, String>,
    /// Policies of who asks.
    pub identity: Vec<Value>,
    /// The resource's own policy, such as a role's trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Value>,
}

/// What IAM answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Decision {
    /// It may.
    Allowed,
    /// Nothing allows it.
    ImplicitlyDenied,
    /// Something forbids it, whatever allows it.
    ExplicitlyDenied,
}

/// Evaluates requests. A request that the service itself could not have is an error.
pub fn simulate(requests: &[Request]) -> Result<Vec<Decision>> {
    let program = node("simulate").join("simulate.mjs");
    let answers = feed(Command::new("node").arg(program), &json!({ "requests": requests }))?;
    let answers: Vec<Decision> = serde_json::from_slice(&answers).context("the simulation's answers")?;
    anyhow::ensure!(answers.len() == requests.len(), "{} answers to {} requests", answers.len(), requests.len());
    Ok(answers)
}

/// What the policy linter finds, by document.
pub fn lint(documents: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Vec<String>>> {
    let script = repository().join("deploy/dev/terraform/lint.py");
    let findings = feed(Command::new(python("grants")).arg(script), &serde_json::to_value(documents)?)?;
    serde_json::from_slice(&findings).context("the linter's findings")
}

/// Runs Terraform in a directory of the repository, offline, and returns whether it succeeded with all that it said.
pub fn terraform<S: AsRef<OsStr>>(directory: &str, words: &[S]) -> Result<(bool, String)> {
    let script = repository().join("deploy/dev/terraform/run.sh");
    let output = Command::new(script).arg(directory).args(words).output().context("run terraform")?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Gives a program its input and returns what it wrote.
pub(crate) fn feed(command: &mut Command, input: &Value) -> Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("the program's input")?.write_all(input.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}
