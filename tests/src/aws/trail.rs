//! The cloud's own record of calls, in the shape in which CloudTrail delivers it to the customer's account.
//!
//! Shapes: docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html and, for roles
//! that another account assumes, docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html. A role that was refused
//! to another account is recorded there, not here.

use serde_json::{Value, json};

use super::{Aws, CUSTOMER, Called, ORCHESTRATOR, REGION, sts};

impl Aws {
    /// Everything that the customer's account would be shown: `{"Records": […]}`.
    #[must_use]
    pub fn cloudtrail(&self) -> Value {
        let calls = self.lock().calls.clone();
        json!({ "Records": calls.iter().filter_map(record).collect::<Vec<_>>() })
    }
}

fn record(call: &Called) -> Option<Value> {
    let error = call.served?;
    let mut record = match (call.action.as_str(), &call.role) {
        ("AssumeRole", _) if error.is_none() => assumed(call),
        ("AssumeRole", _) | (_, None) => return None,
        ("GetCallerIdentity" | "GetWebIdentityToken", Some(role)) => by_role(call, role, "sts.amazonaws.com"),
        (_, Some(role)) => by_role(call, role, "ecs.amazonaws.com"),
    };
    if let Some(code) = error {
        // As the record writes it: without the word that the wire has behind it.
        record["errorCode"] = code.replace("AccessDeniedException", "AccessDenied").into();
    }
    Some(record)
}

fn common(call: &Called, source: &str) -> Value {
    let reads = ["AssumeRole", "DescribeTasks", "ListTasks", "GetCallerIdentity"].contains(&call.action.as_str());
    json!({
        "eventVersion": "1.11",
        "eventTime": call.at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "eventSource": source,
        "eventName": call.action,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.10",
        "userAgent": "aws-sdk-rust",
        "responseElements": null,
        "requestID": call.request_id,
        "eventID": format!("e{}", call.request_id),
        "readOnly": reads,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": CUSTOMER,
        "eventCategory": "Management",
    })
}

fn assumed(call: &Called) -> Value {
    let field = |name: &str| sts::field(&call.body, name);
    let mut record = common(call, "sts.amazonaws.com");
    record["userIdentity"] =
        json!({ "type": "AWSAccount", "principalId": "AIDAORCHESTRATOR", "accountId": ORCHESTRATOR });
    record["requestParameters"] = json!({
        "roleArn": field("RoleArn"), "roleSessionName": field("RoleSessionName"), "externalId": field("ExternalId"),
    });
    record["sharedEventID"] = format!("s{}", call.request_id).into();
    record
}

fn by_role(call: &Called, role: &str, source: &str) -> Value {
    let short = role.rsplit('/').next().unwrap_or_default();
    let session = call.by.rsplit('/').next().unwrap_or_default();
    let asked: Value = serde_json::from_str(&call.body).unwrap_or_default();
    let mut record = common(call, source);
    record["userIdentity"] = json!({
        "type": "AssumedRole",
        "principalId": format!("AROAFAKE:{session}"),
        "arn": call.by,
        "accountId": CUSTOMER,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role", "principalId": "AROAFAKE", "arn": role, "accountId": CUSTOMER, "userName": short,
            },
        },
    });
    record["requestParameters"] =
        json!({ "cluster": asked["cluster"], "taskDefinition": asked["taskDefinition"], "task": asked["task"] });
    record
}
