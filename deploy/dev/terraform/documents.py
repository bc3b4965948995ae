"""The grants' documents outside Terraform. The one text of each policy stands in terraform/aws/policies; this renders it.

    documents.py render < values.json     prints the documents for these values of the module's variables, as JSON
    documents.py write DIRECTORY          writes the CloudFormation template and the plain policies there
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODULE = os.path.join(HERE, "../../../terraform/aws/policies")

# What stands in the plain policies where a customer's own value belongs.
PLAIN = {
    "name": "waybill",
    "partition": "aws",
    "region": "REGION",
    "account": "ACCOUNT_ID",
    "orchestrator_principal_arn": "ORCHESTRATOR_PRINCIPAL_ARN",
    "external_id": "EXTERNAL_ID",
    "buckets": {"BUCKET": {"prefixes": ["PREFIX/"]}},
    "secret_arns": ["SECRET_ARN"],
    "parameter_arns": ["PARAMETER_ARN"],
    "kms_key_arns": ["KMS_KEY_ARN"],
    "repository_arn": "REPOSITORY_ARN",
}

# The same for CloudFormation: parameters and pseudo parameters, put in by Fn::Sub.
CLOUDFORMATION = {
    "name": "${Name}",
    "partition": "${AWS::Partition}",
    "dns_suffix": "${AWS::URLSuffix}",
    "region": "${AWS::Region}",
    "account": "${AWS::AccountId}",
    "orchestrator_principal_arn": "${OrchestratorPrincipalArn}",
    "external_id": "${ExternalId}",
    "buckets": {"${Bucket}": {"prefixes": ["${Prefix}"]}},
    "secret_arns": ["${SecretArn}"],
    "parameter_arns": ["${ParameterArn}"],
    "kms_key_arns": ["${KmsKeyArn}"],
    "repository_arn": "${RepositoryArn}",
    "other_architecture": "ARM64",
    "web_identity_tokens": True,
}

# Statements that are left out where their parameter is empty.
OPTIONAL = {
    "ReadNamedSecrets": "HasSecret",
    "ReadNamedParameters": "HasParameter",
    "UseNamedKeysThroughStorageAndSecrets": "HasKey",
    "SignInToTheRegistry": "HasRepository",
    "PullTheWorkerImage": "HasRepository",
    "ProveItsRoleByAToken": "HasTokenIssuer",
}


def render(values):
    with tempfile.TemporaryDirectory() as work:
        module = shutil.copytree(MODULE, os.path.join(work, "policies"))
        with open(os.path.join(module, "values.auto.tfvars.json"), "w") as file:
            json.dump(values, file)
        environment = {key: value for key, value in os.environ.items() if key != "TF_CLI_CONFIG_FILE"}
        environment.update(TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1", TF_INPUT="0")

        def terraform(*words):
            done = subprocess.run(["terraform", *words], cwd=module, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"terraform {words[0]}: {done.stdout}{done.stderr}")
            return done.stdout

        terraform("init", "-no-color")
        terraform("apply", "-auto-approve", "-no-color")
        outputs = json.loads(terraform("output", "-json"))
    documents = {name: json.loads(text) for name, text in outputs["documents"]["value"].items()}
    documents.update({f"bucket {name}": json.loads(text) for name, text in outputs["bucket_documents"]["value"].items()})
    return {
        "documents": documents,
        "texts": outputs["documents"]["value"],
        "names": outputs["names"]["value"],
        "guard_parameter": outputs["guard_parameter"]["value"],
    }


def substituted(value):
    """The same value with each text that names a parameter under Fn::Sub."""
    if isinstance(value, dict):
        return {key: substituted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [substituted(inner) for inner in value]
    return {"Fn::Sub": value} if isinstance(value, str) and "${" in value else value


# Elements of lists that are left out where their parameter is empty, by what they end with.
OPTIONAL_ELEMENTS = {"task-definition/${Name}-worker-arm64:*": "HasOtherImage"}


def conditional(condition, value):
    return {"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]}


def without(element):
    """A list's element, left out where the parameter that it is there for is empty."""
    text = element.get("Fn::Sub", "") if isinstance(element, dict) else ""
    condition = next((condition for end, condition in OPTIONAL_ELEMENTS.items() if text.endswith(end)), None)
    return conditional(condition, element) if condition else element


def optional(document):
    statements = []
    for statement in substituted(document)["Statement"]:
        condition = OPTIONAL.get(statement["Sid"])
        if isinstance(statement.get("Resource"), list):
            statement["Resource"] = [without(element) for element in statement["Resource"]]
        statements.append(conditional(condition, statement) if condition else statement)
    return {"Version": document["Version"], "Statement": statements}


def role(name, trust, policy_name, policy, description):
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": {"Fn::Sub": name},
            "Description": description,
            "MaxSessionDuration": 3600,
            "AssumeRolePolicyDocument": substituted(trust),
            "Policies": [{"PolicyName": policy_name, "PolicyDocument": optional(policy)}],
        },
    }


def parameter(description, default=None, pattern=None, kind="String"):
    out = {"Type": kind, "Description": description}
    if default is not None:
        out["Default"] = default
    if pattern:
        out["AllowedPattern"] = pattern
    return out


def parameters():
    key = "^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$"
    secret = "^$|^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$"
    held = "^$|^arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_./-]+$"
    principal = "^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$"
    cidr = "^[0-9.]+/[0-9]+$"
    issuer = "^$|^https://[a-z0-9-]{1,63}[.]tokens[.]sts[.]global[.]api[.]aws$"
    return {
        "Name": parameter("Begins every name; another one in each region", "waybill", "^[a-z][a-z0-9-]{1,38}[a-z0-9]$"),
        "OrchestratorPrincipalArn": parameter("Role or user that the orchestrator shows", None, principal),
        "ExternalId": parameter("External id that the orchestrator made", None, "^[A-Za-z0-9+=,.@:/_-]{16,256}$"),
        "Image": parameter("Worker image with its digest", None, "^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$"),
        "OtherImage": parameter("The same worker built for ARM64, with its digest, for pipelines that ask for it; empty for none", "", "^$|^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$"),
        "RepositoryArn": parameter("ECR repository of the images; empty where they are not in ECR", ""),
        "Bucket": parameter("Existing bucket for the tables", None, "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
        "Prefix": parameter("Prefix in it, ending in a slash", "raw/", "^([A-Za-z0-9!_.'()-]+/)+$"),
        "SecretArn": parameter("Secret of the source; empty for none", "", secret),
        "ParameterArn": parameter("SSM parameter with the CA of the source; empty for none", "", held),
        "KmsKeyArn": parameter("Key behind bucket and secret; empty for none", "", key),
        "TokenIssuer": parameter("Issuer of the account's web identity tokens, where workers prove their role by one; empty where they sign a call", "", issuer),
        "Guard": parameter("Text of the guard file"),
        "VpcId": parameter("VPC of the subnets", kind="AWS::EC2::VPC::Id"),
        "Subnets": parameter("Private subnets for workers", kind="List<AWS::EC2::Subnet::Id>"),
        "OrchestratorCidr": parameter("Addresses of the orchestrator", None, cidr),
        "SourceCidr": parameter("Addresses of the source", None, cidr),
        "SourcePort": parameter("Port of the source", 5432, kind="Number"),
        "AwsCidr": parameter("Where AWS services are: your endpoints' subnets, or anywhere", "0.0.0.0/0", cidr),
        "Cpu": parameter("CPU units of a worker", "1024"),
        "Memory": parameter("MiB of a worker", "2048"),
    }


def out(description, cidr, port):
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": {"Ref": cidr}, "Description": description}


def arn(resource):
    return {"Fn::GetAtt": [resource, "Arn"]}


def worker_task(family, image, architecture):
    """One kind of worker: a task has the processor that its definition names."""
    container = {
        "Name": "worker",
        "Image": {"Ref": image},
        "Essential": True,
        "EntryPoint": ["/waybill-worker", "--cloud", "aws-ecs"],
        "Command": ["run"],
        "User": "65532:65532",
        "ReadonlyRootFilesystem": True,
        "Privileged": False,
        "StopTimeout": 120,
        "LinuxParameters": {"InitProcessEnabled": False, "Capabilities": {"Drop": ["ALL"]}},
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": {"Ref": "LogGroup"},
                "awslogs-region": {"Ref": "AWS::Region"},
                "awslogs-stream-prefix": "run",
            },
        },
    }
    return {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {
            "Family": {"Fn::Sub": family},
            "RequiresCompatibilities": ["FARGATE"],
            "NetworkMode": "awsvpc",
            "Cpu": {"Ref": "Cpu"},
            "Memory": {"Ref": "Memory"},
            "TaskRoleArn": arn("TaskRole"),
            "ExecutionRoleArn": arn("ExecutionRole"),
            "RuntimePlatform": {"OperatingSystemFamily": "LINUX", "CpuArchitecture": architecture},
            "ContainerDefinitions": [container],
        },
    }


def cloudformation(rendered):
    documents, names = rendered["documents"], rendered["names"]
    tasks = documents["tasks_trust"]
    does = "Starts, stops and sees Waybill workers in one cluster; nothing else."
    resources = {
        "LaunchRole": role(names["launch_role"], documents["launch_trust"], "launch", documents["launch"], does),
        "TaskRole": role(names["task_role"], tasks, "task", documents["task"], "What Waybill workers may reach in this account."),
        "ExecutionRole": role(
            names["execution_role"], tasks, "execution", documents["execution"], "Lets ECS pull the worker image and write its log group."
        ),
        "GuardParameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Name": {"Fn::Sub": rendered["guard_parameter"]},
                "Type": "String",
                "Tier": "Intelligent-Tiering",
                "Value": {"Ref": "Guard"},
            },
        },
        "Cluster": {
            "Type": "AWS::ECS::Cluster",
            "Properties": {
                "ClusterName": {"Fn::Sub": names["cluster"]},
                "CapacityProviders": ["FARGATE", "FARGATE_SPOT"],
                "ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}],
            },
        },
        "LogGroup": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": {"Fn::Sub": names["log_group"]}, "RetentionInDays": 90},
        },
        "WorkerTask": worker_task(names["family"], "Image", "X86_64"),
        "OtherWorkerTask": {"Condition": "HasOtherImage"} | worker_task(names["other_family"], "OtherImage", "ARM64"),
        "WorkersSecurityGroup": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "Waybill workers: no way in; the ways out are named one by one.",
                "VpcId": {"Ref": "VpcId"},
                "SecurityGroupEgress": [
                    out("orchestrator", "OrchestratorCidr", 443),
                    out("source", "SourceCidr", {"Ref": "SourcePort"}),
                    out("AWS services", "AwsCidr", 443),
                ],
            },
        },
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A Waybill data plane: workers on Fargate and the role that starts them. Generated from terraform/aws/policies.",
        "Parameters": parameters(),
        "Conditions": {
            name: {"Fn::Not": [{"Fn::Equals": [{"Ref": ref}, ""]}]}
            for name, ref in (
                ("HasSecret", "SecretArn"),
                ("HasParameter", "ParameterArn"),
                ("HasKey", "KmsKeyArn"),
                ("HasRepository", "RepositoryArn"),
                ("HasOtherImage", "OtherImage"),
                ("HasTokenIssuer", "TokenIssuer"),
            )
        },
        "Resources": resources,
        "Outputs": {
            "RoleArn": {"Description": "role_arn of the data plane", "Value": arn("LaunchRole")},
            "TaskRoleArn": {"Description": "task_role_arn of the data plane", "Value": arn("TaskRole")},
            "ClusterName": {"Description": "cluster of the data plane", "Value": {"Ref": "Cluster"}},
            "TaskFamily": {"Description": "task_family of the data plane", "Value": {"Fn::Sub": names["family"]}},
            "OtherTaskFamily": {
                "Condition": "HasOtherImage",
                "Description": "other_task_family of the data plane",
                "Value": {"Fn::Sub": names["other_family"]},
            },
            "SecurityGroup": {"Description": "security_groups of the data plane", "Value": {"Fn::GetAtt": ["WorkersSecurityGroup", "GroupId"]}},
        },
    }


def write(directory):
    os.makedirs(os.path.join(directory, "policies"), exist_ok=True)

    def put(name, value):
        with open(os.path.join(directory, name), "w") as file:
            json.dump(value, file, indent=2)
            file.write("\n")

    put("cloudformation.json", cloudformation(render(CLOUDFORMATION)))
    for name, document in render(PLAIN)["documents"].items():
        if not name.startswith("endpoint"):
            put(f"policies/{name.split()[0].replace('_', '-')}.json", document)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["render"]:
            json.dump(render(json.load(sys.stdin)), sys.stdout)
        case ["write", where]:
            write(where)
        case _:
            sys.exit(__doc__)
