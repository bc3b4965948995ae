"""An emulator of AWS that enforces IAM: ministack 1.5.33, mended where it differs from AWS in what the grants rest on.

Started with AUTH=true. It checks signatures, external ids, conditions, session and bucket policies, and starts real containers
where DOCKER_HOST names an engine. EMULATOR_PLAIN names addresses where it answers without TLS besides (tasks get their keys at
one), EMULATOR_TASK_HOSTS what tasks resolve (NAME=ADDRESS), EMULATOR_STARTED a file for what the engine says of each container.
What stands below changes functions of that very version, which is therefore pinned:

- RunTask is authorised on the task definition, DescribeTasks and StopTask on the task, all with `ecs:cluster` (stock: the cluster).
- RunTask checks iam:PassRole on both roles, also where an override names another one (stock: no check).
- `clientToken` gives the same task again, or ConflictException for another request (stock: ignored).
- A task's credentials are a real session of its role, named by the task's id; the role's trust is evaluated (stock: made up).
- A task's environment is Fargate's: credentials by their relative address, the region, and no AWS_ENDPOINT_URL.
- Entry point, user, sizes and the read-only root reach the container, its image's digest the metadata server, and StopTask shows the
  true exit code.
- aws:PrincipalArn of a session is its role (stock: the session); answers of STS carry no XML declaration; services speak HTTP/1.1.

What it still does not do as AWS does is listed in docs/aws.md.
"""

import json
import os
import sys
import time

import ministack.core.iam_actions as actions
import ministack.core.iam_evaluator as evaluator
from docker.errors import ImageNotFound
from hypercorn.config import Config
from ministack.core import responses
from ministack.core.iam_actions import access_denied_response
from ministack.core.iam_evaluator import EvalContext, enforce, evaluate_trust_policy
from ministack.core.router import extract_access_key_id
from ministack.services import ecs, ecs_metadata, iam, imds, sts

JSON_1_1 = {"Content-Type": "application/x-amz-json-1.1"}
STOP_SECONDS = int(os.environ.get("EMULATOR_STOP_SECONDS", "30"))
# Where containers find credentials and metadata.
TASK_ADDRESS = "http://169.254.170.2"
TASK_HOSTS = dict(pair.split("=", 1) for pair in os.environ.get("EMULATOR_TASK_HOSTS", "").split())
STARTED = os.environ.get("EMULATOR_STARTED")

Config._insecure_bind = os.environ.get("EMULATOR_PLAIN", "").split()
Config.alpn_protocols = ["http/1.1"]


def body_of(raw):
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        return {}


def operation(headers):
    return {key.lower(): value for key, value in headers.items()}.get("x-amz-target", "").rsplit(".", 1)[-1]


def cluster_arn(body, region, account):
    cluster = body.get("cluster") or "default"
    return cluster if cluster.startswith("arn:") else f"arn:aws:ecs:{region}:{account}:cluster/{cluster}"


def with_revision(definition):
    name = definition.rsplit("/", 1)[-1]
    if ":" in name:
        return name
    try:
        return f"{name}:{ecs._task_def_latest.get(name, 1)}"
    except Exception:
        return f"{name}:1"


# --- authorisation: the resource and the context that AWS has -----------------------------------------------------------------

stock_resource, stock_context = actions.extract_resource_arn, actions.request_tag_context


def resource_arn(service, method, path, headers, body, query, region, account):
    if service == "ecs":
        asked, fields = operation(headers), body_of(body)
        if asked == "RunTask":
            definition = fields.get("taskDefinition", "")
            if definition.startswith("arn:"):
                return definition
            return f"arn:aws:ecs:{region}:{account}:task-definition/{with_revision(definition)}"
        if asked in ("DescribeTasks", "StopTask"):
            task = (fields.get("tasks") or [fields.get("task", "")])[0]
            cluster = cluster_arn(fields, region, account).rsplit("/", 1)[-1]
            return task if task.startswith("arn:") else f"arn:aws:ecs:{region}:{account}:task/{cluster}/{task}"
    return stock_resource(service, method, path, headers, body, query, region, account)


def request_context(service, action, body, params):
    context = dict(stock_context(service, action, body, params) or {})
    if service == "ecs":
        fields = body_of(body)
        context["ecs:cluster"] = cluster_arn(fields, responses.get_region(), responses.get_account_id())
        context["ecs:enable-execute-command"] = str(bool(fields.get("enableExecuteCommand"))).lower()
    return context


stock_key = evaluator._resolve_condition_key


def condition_key(key, context):
    value = stock_key(key, context)
    if key.lower() == "aws:principalarn" and ":assumed-role/" in str(value):
        account, role = value.split(":")[4], value.split("/")[1]
        return f"arn:aws:iam::{account}:role/{role}"
    return value


actions.extract_resource_arn, actions.request_tag_context = resource_arn, request_context
evaluator._resolve_condition_key = condition_key

# --- containers ---------------------------------------------------------------------------------------------------------------

stock_metadata, stock_arguments, stock_cleanup = ecs._register_metadata, ecs._build_run_kwargs, ecs._cleanup_task_resources
stock_attach = ecs._attach_started_container
credentials = {}
# What the emulator would set; a launch that asks for one of them gets what it asks for, as on ECS.
NOT_OF_FARGATE = ("AWS_ENDPOINT_URL", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


def register_metadata(task_arn, cluster, definition, container, launch_type, env, host_mode, address):
    asked = dict(env)
    out = stock_metadata(task_arn, cluster, definition, container, launch_type, env, host_mode, address)
    ticket = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"].rsplit("/", 1)[-1]
    for name in NOT_OF_FARGATE:
        del env[name]
        if name in asked:
            env[name] = asked[name]
    role = overrides_of(task_arn).get("taskRoleArn") or definition.get("taskRoleArn")
    if role:
        env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = f"/v2/credentials/{ticket}"
        credentials[ticket] = (role, task_arn)
    env["ECS_CONTAINER_METADATA_URI_V4"] = f"{TASK_ADDRESS}/v4/{out}"
    region = responses.get_region()
    env.update(AWS_REGION=region, AWS_DEFAULT_REGION=region, AWS_EXECUTION_ENV="AWS_ECS_FARGATE")
    ecs_metadata._TOKEN_TO_CONTAINER[out]["ImageID"] = image_id(container["image"])
    return out


def image_id(image):
    try:
        return ecs._get_docker().images.get(image).id
    except ImageNotFound:  # then it can't be started either, and ECS says so
        return ""


def overrides_of(task_arn):
    return (ecs._tasks.get(task_arn) or {}).get("overrides") or {}


def run_arguments(container, definition, env, ports, network, host_mode, task_id, task_arn, *rest):
    out = stock_arguments(container, definition, env, ports, network, host_mode, task_id, task_arn, *rest)
    out["extra_hosts"] = TASK_HOSTS
    for key, name in (("entryPoint", "entrypoint"), ("user", "user"), ("workingDirectory", "working_dir")):
        if container.get(key):
            out[name] = container[key]
    if container.get("readonlyRootFilesystem"):
        out["read_only"] = True
    if ((container.get("linuxParameters") or {}).get("capabilities") or {}).get("drop"):
        out["cap_drop"] = container["linuxParameters"]["capabilities"]["drop"]
    size = overrides_of(task_arn)
    memory = size.get("memory") or container.get("memory") or definition.get("memory")
    if memory:
        out["mem_limit"] = out["memswap_limit"] = f"{int(memory)}m"
    if cpu := size.get("cpu") or definition.get("cpu"):
        out["nano_cpus"] = int(int(cpu) / 1024 * 1e9)
    return out


def attach(task, container, *rest):
    if STARTED:
        container.reload()
        with open(STARTED, "a") as file:
            file.write(json.dumps(container.attrs) + "\n")
    return stock_attach(task, container, *rest)


def cleanup(task, engine, *rest, **named):
    if engine is None:  # it ended by itself, and its exit code is known
        return stock_cleanup(task, engine, *rest, **named)
    for number, container_id in enumerate(task.get("_docker_ids") or []):
        try:
            container = engine.containers.get(container_id)
            container.stop(timeout=STOP_SECONDS)
            task["containers"][number]["exitCode"] = container.wait()["StatusCode"]
        except Exception as error:  # it may be gone already: then its exit code is known
            print(f"emulator: {task.get('taskArn')}: {error}", file=sys.stderr)
    return stock_cleanup(task, engine, *rest, **named)


ecs._register_metadata, ecs._build_run_kwargs, ecs._cleanup_task_resources = register_metadata, run_arguments, cleanup
ecs._attach_started_container = attach

# --- credentials of a task's role ---------------------------------------------------------------------------------------------

stock_imds = imds.handle_request


def trusts_the_task(role, account, task_arn):
    document = role.get("AssumeRolePolicyDocument", "")
    asks = EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role["Arn"],
        region=task_arn.split(":")[3],
        service_context={"aws:sourceaccount": account, "aws:sourcearn": task_arn},
    )
    # The emulator lets an account's root stand for services: that ECS is the service that is named is looked at here.
    return "ecs-tasks.amazonaws.com" in json.dumps(document) and evaluate_trust_policy(document, asks.principal_arn, asks)


async def task_credentials(method, path, headers, body, query):
    if not path.startswith("/v2/credentials/"):
        return await stock_imds(method, path, headers, body, query)
    record = credentials.get(path.rstrip("/").rsplit("/", 1)[-1])
    if not record:
        return 403, {"Content-Type": "application/json"}, b'{"code":"AccessDenied","message":"no such credentials"}'
    role_arn, task_arn = record
    account, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, role_name)
    if role is None or not trusts_the_task(role, account, task_arn):
        return 400, {"Content-Type": "application/json"}, b'{"code":"AssumeRoleFailed"}'
    key, secret, session = imds._gen_session_access_key(), imds._gen_secret(), imds._gen_session_token()
    name = task_arn.rsplit("/", 1)[-1]
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{name}",
            "UserId": f"{sts._role_id(role_arn)}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": session,
            "Expiration": time.time() + 3600,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
            "SourceAccessKeyId": account,
            "SourcePrincipalArn": "ecs-tasks.amazonaws.com",
            "SessionTags": [],
            "SessionPolicies": None,
        },
    )
    answer = {"RoleArn": role_arn, "AccessKeyId": key, "SecretAccessKey": secret, "Token": session, "Expiration": imds._future(3600)}
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


imds.handle_request = task_credentials

stock_sts = sts.handle_request
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'


async def answer_of_sts(method, path, headers, body, query):
    status, said, text = await stock_sts(method, path, headers, body, query)
    return status, said, text.removeprefix(DECLARATION) if isinstance(text, bytes) else text


sts.handle_request = answer_of_sts

# --- RunTask: PassRole and clientToken ----------------------------------------------------------------------------------------

stock_ecs = ecs.handle_request
started = {}


def pass_role_denied(fields, headers, query):
    definition = ecs._task_defs.get(with_revision(fields.get("taskDefinition", ""))) or {}
    overrides = fields.get("overrides") or {}
    caller = extract_access_key_id(headers, query)
    for name in ("taskRoleArn", "executionRoleArn"):
        role = overrides.get(name) or definition.get(name)
        if not role:
            continue
        context = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        denied = enforce(caller, "iam:PassRole", "ecs", responses.get_region(), resource_arn=role, service_context=context)
        if denied:
            who = getattr(denied, "principal_arn", "?")
            return access_denied_response("ecs", "iam:PassRole", who, "pass-role", headers=headers, resource_arn=role)
    return None


async def run_task(method, path, headers, body, query):
    if operation(headers) != "RunTask":
        return await stock_ecs(method, path, headers, body, query)
    fields = body_of(body)
    denied = pass_role_denied(fields, headers, query)
    if denied:
        return denied
    token = fields.get("clientToken")
    if not token:
        return await stock_ecs(method, path, headers, body, query)
    key = (responses.get_account_id(), responses.get_region(), fields.get("cluster", "default"), token)
    if key in started:
        before, answer = started[key]
        if before != fields:
            tasks = [task["taskArn"] for task in json.loads(answer[2]).get("tasks", [])]
            conflict = {"__type": "ConflictException", "message": "The client token is in use with another request.", "resourceIds": tasks}
            return 400, JSON_1_1, json.dumps(conflict).encode()
        return answer
    answer = await stock_ecs(method, path, headers, body, query)
    if answer[0] == 200:
        started[key] = (fields, answer)
    return answer


ecs.handle_request = run_task

if __name__ == "__main__":
    from ministack.app import main

    sys.exit(main())
