"""Starts the worker image as the launch role may, and looks at what ran: containers.py ENDPOINT (see containers.sh)."""

import json
import os
import subprocess
import sys
import time

import docker
import enforce

HERE = os.path.dirname(os.path.abspath(__file__))
LOGS = "/waybill/waybill"
VALUES = {
    "name": "waybill",
    "partition": "aws",
    "region": enforce.REGION,
    "account": enforce.CUSTOMER,
    "orchestrator_principal_arn": f"arn:aws:iam::{enforce.ORCHESTRATOR}:user/orchestrator",
    "external_id": enforce.EXTERNAL_ID,
    "buckets": {"example-lake": {"prefixes": ["raw/"]}},
}


def rendered():
    script = os.path.join(HERE, "../terraform/documents.py")
    done = subprocess.run(["python3", script, "render"], input=json.dumps(VALUES), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def worker_definition(ecs, family, arns):
    """The container as the module registers it; the image by its local name, since no registry is here."""
    options = {"awslogs-group": LOGS, "awslogs-region": enforce.REGION, "awslogs-stream-prefix": "run"}
    container = {
        "name": "worker",
        "image": "waybill-worker:latest",
        "essential": True,
        "entryPoint": ["/waybill-worker", "--cloud", "aws-ecs"],
        "command": ["run"],
        "user": "65532:65532",
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
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


def ended(ecs, cluster, task):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        seen = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"][0]
        if seen["lastStatus"] == "STOPPED":
            return seen
        time.sleep(0.1)
    sys.exit("the task did not end")


def main(endpoint):
    documents, cloud = rendered(), enforce.Cloud(endpoint)
    names = documents["names"]
    arns = enforce.customer_side(cloud, documents)
    cloud.client("logs", enforce.CUSTOMER).create_log_group(logGroupName=LOGS)
    worker_definition(cloud.client("ecs", enforce.CUSTOMER), names["family"], arns)
    keys = enforce.orchestrator_side(cloud, arns["launch_role"])
    launch = enforce.as_orchestrator(cloud, keys, arns["launch_role"], {})
    ecs = cloud.client("ecs", *launch)

    engine, made = docker.from_env(), []
    events = engine.events(decode=True, filters={"type": "container", "event": "create"})
    variables = {"WAYBILL_ORCHESTRATOR": "orchestrator.invalid:443", "WAYBILL_CA_PIN": "sha256:" + "0" * 64}
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    override = {"containerOverrides": [{"name": "worker", "environment": environment}]}
    task = enforce.run_task(ecs, names, clientToken="token-1", overrides=override)
    created = next(events)
    made.append(engine.api.inspect_container(created["id"]))
    stopped = ended(ecs, names["cluster"], task)
    host, config = made[0]["HostConfig"], made[0]["Config"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and config["User"] == "65532:65532", (host, config)
    assert config["Entrypoint"] == ["/waybill-worker", "--cloud", "aws-ecs"] and config["Cmd"] == ["run"], config
    code = stopped["containers"][0].get("exitCode")
    reads = cloud.client("logs", enforce.CUSTOMER)
    streams = reads.describe_log_streams(logGroupName=LOGS)["logStreams"]
    lines = [
        event["message"]
        for stream in streams
        for event in reads.get_log_events(logGroupName=LOGS, logStreamName=stream["logStreamName"])["events"]
    ]
    print(json.dumps({"exit_code": code, "stop_code": stopped.get("stopCode"), "log": lines[:5]}, indent=1))
    # It ran, as itself, and refused to work: no ticket stood behind that launch, and an emulator's address in its environment is
    # one that a worker in a cloud does not listen to.
    assert code not in (None, 0, 126, 127, 137), stopped
    said = " ".join(lines)
    assert "ticket" in said or "guard" in said or "AWS_ENDPOINT_URL" in said, lines
    print("the worker image ran as a task: read-only, without capabilities, as 65532, by its own entry point")


if __name__ == "__main__":
    main(sys.argv[1])
