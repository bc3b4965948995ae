//! Secrets Manager and Systems Manager, as an emulator that checks signatures and enforces policies.

use serde_json::{Value, json};
use waybill_tests::services::aws::{ACCOUNT, Emulator, Keys, REGION};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use super::{Environment, Story};

const PASSWORD: &str = "right-horse-battery";
const VERSION: &str = "0f5c6c6e-4f9f-4e55-9a0e-3f1f0f1c2b3a";

/// The least that a worker needs; the same documents stand in the docs.
pub(super) fn policy() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
          "Resource": format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:shop/*") },
        { "Effect": "Allow", "Action": "ssm:GetParameter",
          "Resource": format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/*") },
    ]})
}

pub(super) fn environment(endpoint: String, keys: &Keys) -> Environment {
    vec![
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION.into()),
        ("AWS_ACCESS_KEY_ID", keys.id.clone()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret.clone()),
    ]
}

/// An account with secrets, and a user that may read those below `shop/`; the ARN of the first.
async fn account() -> (Emulator, Keys, String) {
    let aws = Emulator::start().expect("the emulator");
    let secret =
        |name: &str, text: &str| json!(["secretsmanager", "create_secret", { "Name": name, "SecretString": text }]);
    let parameter = |name: &str, text: &str| json!(["ssm", "put_parameter", { "Name": name, "Value": text, "Type": "SecureString" }]);
    let document = json!({ "username": "reader", "password": PASSWORD, "port": 5432 }).to_string();
    let answers = aws.root(&json!([
        secret("shop/db", &document),
        secret("shop/plain", PASSWORD),
        secret("shop/rotated", PASSWORD),
        ["secretsmanager", "put_secret_value",
            { "SecretId": "shop/rotated", "SecretString": "newer", "ClientRequestToken": VERSION }],
        secret("other/db", &document),
        parameter("/shop/password", PASSWORD),
        parameter("/other/password", PASSWORD),
    ]));
    let keys = aws.user("worker", &policy());
    let arn = answers[0]["ARN"].as_str().expect("an ARN").to_owned();
    (aws, keys, arn)
}

#[tokio::test(flavor = "multi_thread")]
async fn p49_a_secret_of_aws_logs_the_worker_in_by_its_own_role() {
    let (story, (aws, keys, arn)) = tokio::join!(Story::with(PASSWORD), account());
    let environment = environment(aws.endpoint(), &keys);
    for reference in [
        "aws-sm://shop/db#password",
        &format!("aws-sm://{arn}#password"),
        "aws-sm://shop/plain",
        "aws-sm://shop/rotated?stage=AWSPREVIOUS",
        "aws-ssm:///shop/password",
    ] {
        story.delivered(reference, &environment).await;
    }
    // The newer version is another password: which one is meant does make a difference.
    for reference in ["aws-sm://shop/rotated", &format!("aws-sm://shop/rotated?version={VERSION}")] {
        let ended = story.once(reference, &environment).await;
        assert!(ended.exit == Some(10) && ended.said.contains("source_denied"), "{}", ended.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_lacks_or_refuses_is_told_apart_and_names_the_right_that_is_missing() {
    let (story, (aws, keys, _)) = tokio::join!(Story::with(PASSWORD), account());
    let right = environment(aws.endpoint(), &keys);
    for (reference, code, hint) in [
        ("aws-sm://other/db#password", "secret_access_denied", "secretsmanager:GetSecretValue"),
        ("aws-ssm:///other/password", "secret_access_denied", "ssm:GetParameter"),
        ("aws-sm://shop/nothing", "secret_not_found", "does not exist"),
        ("aws-sm://shop/db?stage=AWSPREVIOUS", "secret_not_found", "no such version"),
        ("aws-ssm:///shop/nothing", "secret_not_found", "does not exist"),
        ("aws-sm://shop/db#pass", "secret_not_found", "no such key"),
        ("aws-sm://shop/db#port", "secret_unresolved", "no text under that key"),
        ("aws-sm://shop/plain#password", "secret_unresolved", "no JSON object"),
    ] {
        story.refused(reference, &right, code, &[hint]).await;
    }
    let wrong = environment(aws.endpoint(), &Keys { secret: "wrong".into(), ..keys.clone() });
    let denied = "does not accept the worker's credentials";
    story.refused("aws-sm://shop/plain", &wrong, "secret_access_denied", &[denied]).await;
    let none: Environment = right.iter().filter(|(name, _)| !name.contains("KEY")).cloned().collect();
    story.refused("aws-ssm:///shop/password", &none, "secret_access_denied", &["no AWS credentials"]).await;
    let nowhere: Environment = right.iter().filter(|(name, _)| *name != "AWS_REGION").cloned().collect();
    story.refused("aws-sm://shop/plain", &nowhere, "secret_unresolved", &["AWS_REGION"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_falters_is_asked_again_within_bounds() {
    let (story, (aws, keys, _)) = tokio::join!(Story::with(PASSWORD), account());
    for breaks in [Break::Answer(503, "Busy"), Break::LoseAnswer, Break::CutRequest, Break::CutAnswer(10), Break::Stall]
    {
        let proxy = S3Proxy::before(aws.port()).await;
        proxy.inject(Rule { method: "POST", holds: "/", times: 1, breaks: breaks.clone() });
        story.delivered("aws-sm://shop/plain", &environment(proxy.endpoint(), &keys)).await;
        assert_eq!((proxy.fired(), proxy.count("POST", "/")), (vec![1], 2), "{breaks:?}");
    }
    let proxy = S3Proxy::before(aws.port()).await;
    proxy.inject(Rule { method: "POST", holds: "/", times: usize::MAX, breaks: Break::Answer(503, "Busy") });
    let down = environment(proxy.endpoint(), &keys);
    story.refused("aws-ssm:///shop/password", &down, "secret_unreachable", &["answered 503"]).await;
    assert_eq!(proxy.fired(), [3], "tries");
}
