//! Accounts of the emulator: calls of an administrator, of users with a policy each, and of sessions.

use std::path::Path;

use serde_json::{Value, json};

use super::Emulator;
use crate::grants::feed;

/// The account that everything is in; its id as access key is its root.
pub const ACCOUNT: &str = "222222222222";
/// The region that everything is in.
pub const REGION: &str = "eu-west-1";

/// Calls read from standard input with the keys to sign them; what came of each, written as JSON.
const CALLS: &str = "
import boto3, json, sys
from botocore.config import Config
from botocore.exceptions import ClientError
asked = json.load(sys.stdin)
key, secret, session = asked['keys']
def outcome(service, operation, arguments):
    client = boto3.client(service, endpoint_url=sys.argv[1], region_name=sys.argv[2], aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=session, config=Config(retries={'max_attempts': 0}))
    try:
        return {'Ok': getattr(client, operation)(**arguments)}
    except ClientError as error:
        return {'Err': error.response['Error']['Code']}
json.dump([outcome(*call) for call in asked['calls']], sys.stdout, default=str)
";

/// Every object below a prefix, written below a directory by its key without that prefix.
const COPY: &str = "
import boto3, os, sys
endpoint, region, key, bucket, prefix, directory = sys.argv[1:]
client = boto3.client('s3', endpoint_url=endpoint, region_name=region, aws_access_key_id=key, aws_secret_access_key='root')
for page in client.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=prefix):
    for found in page.get('Contents', []):
        place = os.path.join(directory, found['Key'].removeprefix(prefix))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        client.download_file(bucket, found['Key'], place)
";

/// What to sign with.
#[derive(Clone)]
pub struct Keys {
    /// Access key id.
    pub id: String,
    /// Secret key.
    pub secret: String,
    /// Token of a session.
    pub session: Option<String>,
}

impl Keys {
    /// Those of an account's root.
    #[must_use]
    pub fn root(account: &str) -> Self {
        Self { id: account.to_owned(), secret: "root".to_owned(), session: None }
    }

    /// Those in what `assume_role` or `create_access_key` answered, below this field.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn of(answer: &Value, field: &str) -> Self {
        let text = |name: &str| answer[field][name].as_str().map(str::to_owned);
        let (id, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
        Self { id: id.expect("a key"), secret: secret.expect("its secret"), session: text("SessionToken") }
    }
}

impl Emulator {
    /// Calls that these keys sign: service, operation and arguments by their names in boto3. Their answers, or the codes
    /// that refuse them.
    ///
    /// # Panics
    /// When the emulator does not answer as AWS does.
    #[must_use]
    pub fn calls(&self, keys: &Keys, calls: &Value) -> Vec<Result<Value, String>> {
        let asked = json!({ "keys": [keys.id, keys.secret, keys.session], "calls": calls });
        let answers = feed(&mut self.signer(CALLS), &asked).unwrap_or_else(|error| panic!("{error:#}: {}", self.log()));
        serde_json::from_slice(&answers).expect("JSON")
    }

    /// Calls of an account's root, which are all allowed. Their answers.
    ///
    /// # Panics
    /// When one of them is refused.
    #[must_use]
    pub fn root_of(&self, account: &str, calls: &Value) -> Vec<Value> {
        let outcomes = self.calls(&Keys::root(account), calls).into_iter().enumerate();
        let allowed = |(number, outcome): (usize, Result<Value, String>)| {
            outcome.unwrap_or_else(|code| panic!("{code}: {}: {}", calls[number], self.log()))
        };
        outcomes.map(allowed).collect()
    }

    /// The same for [`ACCOUNT`].
    ///
    /// # Panics
    /// When one of them is refused.
    #[must_use]
    pub fn root(&self, calls: &Value) -> Vec<Value> {
        self.root_of(ACCOUNT, calls)
    }

    /// A user of an account that may do what this policy document says.
    ///
    /// # Panics
    /// When the emulator refuses.
    #[must_use]
    pub fn user_of(&self, account: &str, name: &str, policy: &Value) -> Keys {
        let policy = json!({ "UserName": name, "PolicyName": "p", "PolicyDocument": policy.to_string() });
        let calls = json!([
            ["iam", "create_user", { "UserName": name }],
            ["iam", "put_user_policy", policy],
            ["iam", "create_access_key", { "UserName": name }],
        ]);
        Keys::of(&self.root_of(account, &calls)[2], "AccessKey")
    }

    /// The same in [`ACCOUNT`].
    ///
    /// # Panics
    /// When the emulator refuses.
    #[must_use]
    pub fn user(&self, name: &str, policy: &Value) -> Keys {
        self.user_of(ACCOUNT, name, policy)
    }

    /// Copies what lies below `prefix` of a bucket into a directory, as the account's root.
    ///
    /// # Panics
    /// When that fails.
    pub fn copy(&self, (bucket, prefix): (&str, &str), to: &Path) {
        let mut copy = self.signer(COPY);
        copy.args([ACCOUNT, bucket, prefix]).arg(to);
        feed(&mut copy, &Value::Null).unwrap_or_else(|error| panic!("{error:#}: {}", self.log()));
    }
}
