"""Loads the rendered grants into the emulator as a customer's account does, then makes calls as orchestrator, launch role and
worker: enforce.py ENDPOINT < rendered.json. It prints {"call": "allowed" | "denied" | "error …"}.

Account 111111111111 is the orchestrator's, 222222222222 the customer's; the emulator takes a 12-digit access key for its root.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION, ORCHESTRATOR, CUSTOMER = "eu-west-1", "111111111111", "222222222222"
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


class Cloud:
    def __init__(self, endpoint):
        self.endpoint = endpoint

    def client(self, service, key, secret="test", token=None):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )


def customer_side(cloud, rendered):
    """What `terraform apply` makes, from the same documents, and things beside it that must stay out of reach."""
    names, documents = rendered["names"], rendered["documents"]
    iam, ecs, s3 = (cloud.client(service, CUSTOMER) for service in ("iam", "ecs", "s3"))
    roles = (
        ("launch_role", "launch_trust", "launch"),
        ("task_role", "tasks_trust", "task"),
        ("execution_role", "tasks_trust", "execution"),
    )
    arns = {}
    for role, trust, policy in roles:
        made = iam.create_role(RoleName=names[role], AssumeRolePolicyDocument=json.dumps(documents[trust]))
        arns[role] = made["Role"]["Arn"]
        iam.put_role_policy(RoleName=names[role], PolicyName=policy, PolicyDocument=json.dumps(documents[policy]))
    admin = iam.create_role(RoleName="administrator", AssumeRolePolicyDocument=json.dumps(documents["tasks_trust"]))
    arns["admin"] = admin["Role"]["Arn"]
    anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="administrator", PolicyName="all", PolicyDocument=json.dumps(anything))
    for cluster in (names["cluster"], names["cluster"] + "2", "production"):
        ecs.create_cluster(clusterName=cluster)
    for family in (names["family"], names["family"] + "-x", "payroll"):
        register(ecs, family, arns)
    for bucket in ("example-lake", "other"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in ("raw/table", "payroll/table"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"rows")
    ssm = cloud.client("ssm", CUSTOMER)
    ssm.put_parameter(Name=rendered["guard_parameter"], Type="String", Value="guard = 1")
    ssm.put_parameter(Name="/waybill/guard/other", Type="String", Value="guard = 1")
    return arns


def register(ecs, family, arns):
    container = {"name": "worker", "image": "example/worker@sha256:" + "0" * 64, "essential": True}
    ecs.register_task_definition(
        family=family,
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        taskRoleArn=arns["task_role"],
        executionRoleArn=arns["execution_role"],
        containerDefinitions=[container],
    )


def orchestrator_side(cloud, launch_role):
    """Two users who may ask for the launch role as far as their own account is concerned; one of them is trusted."""
    iam = cloud.client("iam", ORCHESTRATOR)
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": launch_role}]}
    keys = {}
    for user in ("orchestrator", "somebody-else"):
        if user not in (found["UserName"] for found in iam.list_users()["Users"]):
            iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="assume", PolicyDocument=json.dumps(may))
        made = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = (made["AccessKeyId"], made["SecretAccessKey"])
    return keys


def outcome(call):
    try:
        call()
        return "allowed"
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "denied" if code in DENIED else f"error {code}: {error.response['Error'].get('Message', '')[:200]}"


def session(credentials):
    return credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]


def run_task(ecs, names, **changed):
    network = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    variable = [{"name": "WAYBILL_TICKET", "value": "t"}]
    asked = {
        "cluster": names["cluster"],
        "taskDefinition": names["family"],
        "launchType": "FARGATE",
        "startedBy": "wb/att_0",
        "networkConfiguration": {"awsvpcConfiguration": network},
        "overrides": {"containerOverrides": [{"name": "worker", "environment": variable}]},
    }
    return ecs.run_task(**{**asked, **changed})["tasks"][0]["taskArn"]


def external_id_of(documents):
    """The one that the launch role's trust asks for; some one where it asks for none."""
    condition = documents["launch_trust"]["Statement"][0].get("Condition", {})
    return condition.get("StringEquals", {}).get("sts:ExternalId", "wbx-0123456789abcdef")


def as_orchestrator(cloud, keys, role, external_id, seen):
    def assume(user, **more):
        return cloud.client("sts", *keys[user]).assume_role(RoleArn=role, RoleSessionName="att_0", **more)

    seen["assume without an external id"] = outcome(lambda: assume("orchestrator"))
    seen["assume with a wrong external id"] = outcome(lambda: assume("orchestrator", ExternalId=external_id + "0"))
    seen["assume with an empty wildcard"] = outcome(lambda: assume("orchestrator", ExternalId="**"))
    seen["assume as another user of that account"] = outcome(lambda: assume("somebody-else", ExternalId=external_id))
    root = cloud.client("sts", ORCHESTRATOR)
    seen["assume as that account's root"] = outcome(
        lambda: root.assume_role(RoleArn=role, RoleSessionName="att_0", ExternalId=external_id)
    )
    granted = {}
    seen["assume with the external id"] = outcome(lambda: granted.update(assume("orchestrator", ExternalId=external_id)))
    return session(granted["Credentials"])


def as_launch_role(cloud, launch, names, arns, seen):
    ecs, s3 = cloud.client("ecs", *launch), cloud.client("s3", *launch)
    other, alike, task = "production", names["cluster"] + "2", "0" * 32
    started = []

    def start(**changed):
        started.append(run_task(ecs, names, **changed))

    def override(**roles):
        return {"overrides": {"containerOverrides": [], **roles}}

    calls = {
        "start a worker": lambda: start(clientToken="token-1"),
        "start it again by the same token": lambda: start(clientToken="token-1"),
        "see it": lambda: ecs.describe_tasks(cluster=names["cluster"], tasks=[started[0]]),
        "list workers": lambda: ecs.list_tasks(cluster=names["cluster"], startedBy="wb/att_0"),
        "stop it": lambda: ecs.stop_task(cluster=names["cluster"], task=started[0], reason="over"),
        "start another family": lambda: start(taskDefinition="payroll"),
        "start a look-alike family": lambda: start(taskDefinition=names["family"] + "-x"),
        "start in another cluster": lambda: start(cluster=other),
        "start in a look-alike cluster": lambda: start(cluster=alike),
        "start with a shell": lambda: start(enableExecuteCommand=True),
        "start with the administrator's role": lambda: start(**override(taskRoleArn=arns["admin"])),
        "start with the administrator as execution role": lambda: start(**override(executionRoleArn=arns["admin"])),
        "see tasks of another cluster": lambda: ecs.describe_tasks(cluster=other, tasks=[task]),
        "list tasks of another cluster": lambda: ecs.list_tasks(cluster=other),
        "stop tasks of another cluster": lambda: ecs.stop_task(cluster=other, task=task),
        "register a task definition": lambda: register(ecs, names["family"], arns),
        "read the tables": lambda: s3.get_object(Bucket="example-lake", Key="raw/table"),
        "write the tables": lambda: s3.put_object(Bucket="example-lake", Key="raw/x", Body=b"x"),
        "list the bucket": lambda: s3.list_objects_v2(Bucket="example-lake", Prefix="raw/"),
        "read the guard": lambda: cloud.client("ssm", *launch).get_parameter(Name=f"/waybill/guard/{names['task_role']}"),
        "change the guard": lambda: cloud.client("ssm", *launch).put_parameter(
            Name=f"/waybill/guard/{names['task_role']}", Type="String", Value="", Overwrite=True
        ),
        "widen the worker's role": lambda: cloud.client("iam", *launch).put_role_policy(
            RoleName=names["task_role"], PolicyName="x", PolicyDocument='{"Version":"2012-10-17","Statement":[]}'
        ),
        "become the worker": lambda: cloud.client("sts", *launch).assume_role(RoleArn=arns["task_role"], RoleSessionName="xx"),
    }
    for name, call in calls.items():
        seen[name] = outcome(call)
    seen["one token, one task"] = "allowed" if len(set(started[:2])) == 1 else "error two tasks"


def worker_session(cloud, documents, names):
    """A session with the worker's own policy. ECS alone may assume the role, so the policy is given to a user beside it."""
    iam = cloud.client("iam", CUSTOMER)
    iam.create_user(UserName=names["task_role"])
    iam.put_user_policy(UserName=names["task_role"], PolicyName="task", PolicyDocument=json.dumps(documents["task"]))
    made = iam.create_access_key(UserName=names["task_role"])["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def as_worker(cloud, worker, rendered, arns, seen):
    names = rendered["names"]
    s3, ssm = cloud.client("s3", *worker), cloud.client("ssm", *worker)
    calls = {
        "worker writes a table": lambda: s3.put_object(Bucket="example-lake", Key="raw/new", Body=b"x"),
        "worker reads it": lambda: s3.get_object(Bucket="example-lake", Key="raw/new"),
        "worker lists its prefix": lambda: s3.list_objects_v2(Bucket="example-lake", Prefix="raw/"),
        "worker reads its guard": lambda: ssm.get_parameter(Name=rendered["guard_parameter"]),
        "worker writes beside its prefix": lambda: s3.put_object(Bucket="example-lake", Key="payroll/x", Body=b"x"),
        "worker reads beside its prefix": lambda: s3.get_object(Bucket="example-lake", Key="payroll/table"),
        "worker lists another prefix": lambda: s3.list_objects_v2(Bucket="example-lake", Prefix="payroll/"),
        "worker writes another bucket": lambda: s3.put_object(Bucket="other", Key="raw/x", Body=b"x"),
        "worker deletes a table's file": lambda: s3.delete_object(Bucket="example-lake", Key="raw/new"),
        "worker changes its guard": lambda: ssm.put_parameter(
            Name=rendered["guard_parameter"], Type="String", Value="", Overwrite=True
        ),
        "worker reads another guard": lambda: ssm.get_parameter(Name="/waybill/guard/other"),
        "worker starts a worker": lambda: run_task(cloud.client("ecs", *worker), names),
        "worker becomes the launch role": lambda: cloud.client("sts", *worker).assume_role(
            RoleArn=arns["launch_role"], RoleSessionName="xx", ExternalId=external_id_of(rendered["documents"])
        ),
    }
    for name, call in calls.items():
        seen[name] = outcome(call)


def main(endpoint):
    rendered, cloud, seen = json.load(sys.stdin), Cloud(endpoint), {}
    arns = customer_side(cloud, rendered)
    keys = orchestrator_side(cloud, arns["launch_role"])
    launch = as_orchestrator(cloud, keys, arns["launch_role"], external_id_of(rendered["documents"]), seen)
    as_launch_role(cloud, launch, rendered["names"], arns, seen)
    as_worker(cloud, worker_session(cloud, rendered["documents"], rendered["names"]), rendered, arns, seen)
    json.dump(seen, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
