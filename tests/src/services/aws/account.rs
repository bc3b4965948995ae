//! One account of the emulator, filled by its root: the calls of an administrator, and users with a policy each.

use std::process::Command;

use serde_json::{Value, json};

use super::Emulator;
use crate::binaries::python;
use crate::grants::feed;

/// The account that everything is in; its id as access key is its root.
pub const ACCOUNT: &str = "222222222222";
/// The region that everything is in.
pub const REGION: &str = "eu-west-1";

/// Calls as the root, read from standard input, their answers written as JSON.
const CALLS: &str = "
import boto3, json, sys
endpoint, account, region = sys.argv[1:]
answers = []
for service, operation, arguments in json.load(sys.stdin):
    client = boto3.client(service, endpoint_url=endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key='root')
    answers.append(getattr(client, operation)(**arguments))
json.dump(answers, sys.stdout, default=str)
";

/// A user's key pair.
pub struct Keys {
    /// Access key id.
    pub id: String,
    /// Secret key.
    pub secret: String,
}

impl Emulator {
    /// Calls of the root: service, operation and arguments by their names in boto3. Their answers.
    ///
    /// # Panics
    /// When one of them is refused.
    #[must_use]
    pub fn root(&self, calls: &Value) -> Vec<Value> {
        let mut command = Command::new(python("grants"));
        command.args(["-c", CALLS, &self.endpoint(), ACCOUNT, REGION]);
        let answers = feed(&mut command, calls).unwrap_or_else(|error| panic!("{error:#}: {}", self.log()));
        serde_json::from_slice(&answers).expect("JSON")
    }

    /// A user that may do what this policy document says.
    ///
    /// # Panics
    /// When the emulator refuses.
    #[must_use]
    pub fn user(&self, name: &str, policy: &Value) -> Keys {
        let answers = self.root(&json!([
            ["iam", "create_user", { "UserName": name }],
            ["iam", "put_user_policy", { "UserName": name, "PolicyName": "p", "PolicyDocument": policy.to_string() }],
            ["iam", "create_access_key", { "UserName": name }],
        ]));
        let text = |field: &str| answers[2]["AccessKey"][field].as_str().expect("a key").to_owned();
        Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey") }
    }
}
