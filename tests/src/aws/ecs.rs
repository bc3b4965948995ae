//! RunTask, DescribeTasks, ListTasks and StopTask: what a role may do is asked first, as the cloud does.

use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::task::{self, Ending, Task};
use super::{CUSTOMER, Key, REGION, Shared, State, answer};

/// Most tasks of one DescribeTasks, and of one page of ListTasks.
const MOST: usize = 100;

pub(super) fn call(shared: &Shared, key: &Key, (action, body): (&str, &str), fault: Option<&Fault>) -> Response {
    let Ok(asked) = serde_json::from_str::<Value>(body) else {
        return answer::error(400, "SerializationException", "not JSON", &json!({}));
    };
    if let Some(denied) = denied(&shared.lock(), key, action, &asked) {
        return denied;
    }
    let cluster = named(&asked, "cluster");
    if !shared.lock().clusters.contains(&cluster) {
        return answer::error(400, "ClusterNotFoundException", "Cluster not found.", &json!({}));
    }
    let role = key.role.as_ref().and_then(|role| shared.lock().roles.get(role).cloned());
    if action == "RunTask" && role.is_some_and(|role| role.lacks.contains(&"PassRole")) {
        let message = format!(
            "User: {} is not authorized to perform: iam:PassRole on resource: \
             arn:aws:iam::{CUSTOMER}:role/teams/execution because no identity-based policy allows the iam:PassRole action",
            key.arn
        );
        return answer::error(400, "AccessDeniedException", &message, &json!({}));
    }
    match action {
        "RunTask" => run(shared, &asked, &cluster, fault),
        "DescribeTasks" => describe(shared, &asked, fault),
        "ListTasks" => list(shared, &asked, &cluster),
        "StopTask" => stop(shared, &asked),
        "ExecuteCommand" => {
            answer::error(400, "InvalidParameterException", "The referenced task was not found.", &json!({}))
        }
        _ => answer::error(400, "UnknownOperationException", "", &json!({})),
    }
}

/// The last part of a name or ARN.
fn named(asked: &Value, field: &str) -> String {
    asked[field].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}

fn family(asked: &Value) -> String {
    named(asked, "taskDefinition").split(':').next().unwrap_or_default().to_owned()
}

fn denied(state: &State, key: &Key, action: &str, asked: &Value) -> Option<Response> {
    let role = key.role.as_ref().and_then(|role| state.roles.get(role));
    let allowed = role.is_some_and(|role| {
        let cluster = role.cluster == "*" || role.cluster == named(asked, "cluster");
        let known = ["RunTask", "DescribeTasks", "ListTasks", "StopTask"].contains(&action);
        let started = action != "RunTask" || role.families.iter().any(|it| it == "*" || *it == family(asked));
        (cluster && known && started && !role.lacks.contains(&action)) || role.extra.contains(&action)
    });
    if allowed {
        return None;
    }
    let message = format!("User: {} is not authorized to perform: ecs:{action} on resource: *", key.arn);
    Some(answer::error(400, "AccessDeniedException", &message, &json!({})))
}

fn run(shared: &Shared, asked: &Value, cluster: &str, fault: Option<&Fault>) -> Response {
    let family = family(asked);
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let (token, started_by) = (text("clientToken"), text("startedBy"));
    if let Some(wrong) = wrong(asked, &started_by, &token) {
        return answer::error(400, "InvalidParameterException", wrong, &json!({}));
    }
    let digest = hex::encode(Sha256::digest(asked.to_string()));
    let mut state = shared.lock();
    if !state.families.contains(&family) {
        return answer::error(400, "ClientException", "TaskDefinition not found.", &json!({}));
    }
    let slot = (cluster.to_owned(), token);
    if let Some((known, arn)) = state.tokens.get(&slot).cloned() {
        if known != digest {
            let message = "The request conflicts with an earlier one of the same client token.";
            return answer::error(400, "ConflictException", message, &json!({ "resourceIds": [arn] }));
        }
        let shown = state.tasks[&arn].shown();
        return answer::json(&json!({ "tasks": [shown], "failures": [] }));
    }
    if fault == Some(&Fault::NoRoom) {
        let reason = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
        return answer::json(&json!({ "tasks": [], "failures": [{ "reason": reason }] }));
    }
    let number = state.next();
    let id = hex::encode(&Sha256::digest(format!("{number} {}", shared.address))[..16]);
    let arn = format!("arn:aws:ecs:{REGION}:{CUSTOMER}:task/{cluster}/{id}");
    let mut made = Task::new(number, (&id, &arn), (cluster, &family), &started_by);
    made.asked = asked.clone();
    made.environment = environment(asked);
    match fault {
        Some(Fault::Ends(ending)) => made.end(ending.clone()),
        Some(Fault::Hidden(looks) | Fault::LostAndHidden(looks)) => made.hidden = *looks,
        _ => {}
    }
    state.tokens.insert(slot, (digest, arn.clone()));
    let shown = made.shown();
    state.tasks.insert(arn.clone(), made);
    drop(state);
    if fault != Some(&Fault::Held) {
        task::begin(shared, &arn);
    }
    answer::json(&json!({ "tasks": [shown], "failures": [] }))
}

/// What the cloud would refuse of a RunTask.
fn wrong(asked: &Value, started_by: &str, token: &str) -> Option<&'static str> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_/-".contains(&b));
    let network = &asked["networkConfiguration"]["awsvpcConfiguration"];
    if started_by.len() > 128 || !plain(started_by) {
        return Some("startedBy");
    }
    if token.len() > 64 {
        return Some("clientToken can be up to 64 characters");
    }
    if network["subnets"].as_array().is_none_or(Vec::is_empty) {
        return Some("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
    }
    if asked["launchType"].is_string() && asked["capacityProviderStrategy"].is_array() {
        return Some("Either launchType or capacityProviderStrategy can be specified");
    }
    None
}

fn environment(asked: &Value) -> Vec<(String, String)> {
    let pairs = asked["overrides"]["containerOverrides"][0]["environment"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    pairs.iter().map(|pair| (text(&pair["name"]), text(&pair["value"]))).collect()
}

fn describe(shared: &Shared, asked: &Value, fault: Option<&Fault>) -> Response {
    let wanted: Vec<&str> = asked["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if wanted.is_empty() || wanted.len() > MOST {
        return answer::error(400, "InvalidParameterException", "Tasks cannot be empty or over 100.", &json!({}));
    }
    let mut state = shared.lock();
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for (at, arn) in wanted.into_iter().enumerate() {
        if at == 0
            && fault == Some(&Fault::Vanish)
            && let Some(task) = state.tasks.get_mut(arn)
        {
            task.vanished = true;
        }
        match state.tasks.get_mut(arn).filter(|task| !task.vanished) {
            Some(task) if task.hidden == 0 => tasks.push(task.shown()),
            Some(task) => {
                task.hidden -= 1;
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    answer::json(&json!({ "tasks": tasks, "failures": failures }))
}

fn list(shared: &Shared, asked: &Value, cluster: &str) -> Response {
    let mut state = shared.lock();
    let stopped = asked["desiredStatus"].as_str() == Some("STOPPED");
    let is = |field: &str, value: &str| asked[field].as_str().is_none_or(|wanted| wanted == value);
    let mut found: Vec<(u64, String)> = Vec::new();
    for task in state.tasks.values_mut() {
        let fits = is("startedBy", &task.started_by) && is("family", &task.family) && task.cluster == cluster;
        if !fits || task.vanished || task.wanted_stopped() != stopped {
            continue;
        }
        if task.hidden > 0 {
            task.hidden -= 1;
            continue;
        }
        found.push((task.number, task.arn.clone()));
    }
    found.sort();
    let from: usize = asked["nextToken"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    let page: Vec<&String> = found.iter().skip(from).take(MOST).map(|(_, arn)| arn).collect();
    let next = (from + page.len() < found.len()).then(|| (from + page.len()).to_string());
    answer::json(&json!({ "taskArns": page, "nextToken": next }))
}

fn stop(shared: &Shared, asked: &Value) -> Response {
    let arn = asked["task"].as_str().unwrap_or_default().to_owned();
    if !shared.lock().tasks.contains_key(&arn) {
        return answer::error(400, "InvalidParameterException", "The referenced task was not found.", &json!({}));
    }
    let reason = "Task stopped by user";
    task::stop(shared, &arn, &Ending { stop_code: "UserInitiated", reason, container: Some((None, "")) });
    answer::json(&json!({ "task": shared.lock().tasks[&arn].shown() }))
}
