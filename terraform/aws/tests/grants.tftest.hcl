# What is applied, read back from a plan with every default: roles, task definition, network, guard, bucket.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::222222222222:role/mocked" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-0123" }
  }
}

variables {
  orchestrator_principal_arn = "arn:aws:iam::111111111111:role/orchestrator"
  external_id                = "wbx-0123456789abcdef"
  image                      = "registry.example.com/waybill-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  guard                      = "guard = 1"
  vpc_id                     = "vpc-0123"
  subnets                    = ["subnet-0123"]
  egress                     = { orchestrator = { cidr = "203.0.113.10/32" } }
}

run "the_launch_role_starts_one_family_in_one_cluster" {
  command = apply

  assert {
    condition     = jsondecode(aws_iam_role.launch[0].assume_role_policy).Statement == [jsondecode(jsonencode({ Sid = "OrchestratorWithExternalId", Effect = "Allow", Principal = { AWS = var.orchestrator_principal_arn }, Action = "sts:AssumeRole", Condition = { StringEquals = { "sts:ExternalId" = var.external_id } } }))]
    error_message = "the trust must name one principal and demand the external id"
  }
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.launch[0].policy).Statement : statement.Sid => statement.Resource if statement.Effect == "Allow"
      } == {
      StartWorkers           = ["arn:aws:ecs:eu-west-1:222222222222:task-definition/waybill-worker:*"]
      StopAndDescribeWorkers = "arn:aws:ecs:eu-west-1:222222222222:task/waybill/*"
      FindWorkers            = "*"
      HandTwoRolesToWorkers  = ["arn:aws:iam::222222222222:role/waybill-worker", "arn:aws:iam::222222222222:role/waybill-execution"]
    }
    error_message = "the launch role allows something else than four calls and two roles"
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.launch[0].policy).Statement : try(statement.Condition.ArnEquals["ecs:cluster"], "") == "arn:aws:ecs:eu-west-1:222222222222:cluster/waybill" if statement.Effect == "Allow" && statement.Sid != "HandTwoRolesToWorkers"])
    error_message = "each call must be bound to the cluster"
  }
  assert {
    condition     = length([for statement in jsondecode(aws_iam_role_policy.launch[0].policy).Statement : statement if statement.Effect == "Deny" && try(toset(statement.Action) == toset(["ecs:RegisterTaskDefinition", "ecs:ExecuteCommand"]), false)]) == 1
    error_message = "registering task definitions and executing commands must be denied"
  }
  assert {
    condition     = aws_iam_role.launch[0].max_session_duration == 3600
    error_message = "sessions of the launch role must end within an hour"
  }
}

run "where_an_agent_starts_workers_no_role_is_assumed" {
  command = apply
  variables {
    orchestrator_principal_arn = null
    external_id                = null
  }

  assert {
    condition     = length(aws_iam_role.launch) == 0 && length(aws_iam_role_policy.launch) == 0 && output.role_arn == null
    error_message = "nobody from outside may assume anything"
  }
  assert {
    condition     = !strcontains(output.settings, " --role-arn ") && startswith(output.settings, "--task-role-arn ") && !contains(keys(output.policies), "launch_trust")
    error_message = "an agent must not be told of a role to assume"
  }
}

run "what_the_task_definition_has_is_told_on" {
  command = apply
  variables { ephemeral_storage = 50 }

  assert {
    condition     = aws_ecs_task_definition.worker["own"].ephemeral_storage[0].size_in_gib == 50 && endswith(output.settings, " --disk-gib 50")
    error_message = "whoever starts workers must know their disk"
  }
}

run "both_outputs_tell_the_same_of_everything_that_can_be_set" {
  command = apply
  variables {
    capacity          = "fargate-spot"
    fips              = true
    assign_public_ip  = true
    ephemeral_storage = 100
  }

  assert {
    condition     = [output.data_plane.disk_gib, output.data_plane.capacity, output.data_plane.fips, output.data_plane.assign_public_ip] == [100, "fargate-spot", true, true]
    error_message = "what the REST interface takes must name the disk, the capacity, FIPS and the public address"
  }
  assert {
    condition     = endswith(output.settings, " --disk-gib 100 --capacity fargate-spot --assign-public-ip --fips")
    error_message = "the options must say the same: set takes each one that is left out for its default"
  }
}

run "a_second_processor_is_a_second_family_and_the_launch_role_may_start_both" {
  command = apply
  variables { other_image = "registry.example.com/waybill-worker@sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210" }

  assert {
    condition = {
      for key, worker in aws_ecs_task_definition.worker : worker.family => [worker.runtime_platform[0].cpu_architecture, jsondecode(worker.container_definitions)[0].image]
      } == {
      waybill-worker       = ["X86_64", var.image]
      waybill-worker-arm64 = ["ARM64", var.other_image]
    }
    error_message = "each family must have its own processor and the image for it"
  }
  assert {
    condition     = merge(jsondecode(aws_ecs_task_definition.worker["other"].container_definitions)[0], { image = var.image }) == jsondecode(aws_ecs_task_definition.worker["own"].container_definitions)[0]
    error_message = "both families must be the same worker but for the image"
  }
  assert {
    condition = one([for statement in jsondecode(aws_iam_role_policy.launch[0].policy).Statement : statement.Resource if statement.Sid == "StartWorkers"]) == [
      "arn:aws:ecs:eu-west-1:222222222222:task-definition/waybill-worker:*", "arn:aws:ecs:eu-west-1:222222222222:task-definition/waybill-worker-arm64:*"
    ]
    error_message = "the launch role must be able to start these two families and no other"
  }
  assert {
    condition     = output.data_plane.other_task_family == "waybill-worker-arm64" && endswith(output.settings, " --other-task-family waybill-worker-arm64") && output.data_plane.architecture == "x86_64"
    error_message = "whoever starts workers must know both families"
  }
}

run "workers_of_an_account_with_an_issuer_may_ask_for_short_tokens_and_the_data_plane_names_it" {
  command = apply
  variables { token_issuer = "https://0a1b2c3d-0000-4000-8000-222222222222.tokens.sts.global.api.aws" }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action if statement.Sid == "ProveItsRoleByAToken"] == ["sts:GetWebIdentityToken"]
    error_message = "the workers' role must be able to have STS sign who it is"
  }
  assert {
    condition     = output.data_plane.token_issuer == var.token_issuer && endswith(output.settings, " --token-issuer ${var.token_issuer}")
    error_message = "the orchestrator must know whose tokens to take"
  }
}

run "without_an_issuer_workers_may_not_ask_for_tokens" {
  command = apply

  assert {
    condition     = !strcontains(aws_iam_role_policy.task.policy, "GetWebIdentityToken") && output.data_plane.token_issuer == null
    error_message = "nothing is granted that nobody asked for"
  }
}

run "the_other_processor_of_an_arm_worker_is_x86" {
  command = apply
  variables {
    architecture = "ARM64"
    other_image  = "registry.example.com/waybill-worker@sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
  }

  assert {
    condition     = aws_ecs_task_definition.worker["own"].runtime_platform[0].cpu_architecture == "ARM64" && aws_ecs_task_definition.worker["other"].runtime_platform[0].cpu_architecture == "X86_64"
    error_message = "the second family must have the other processor"
  }
  assert {
    condition     = endswith(output.settings, " --architecture arm64 --other-task-family waybill-worker-x86-64")
    error_message = "whoever starts workers must know which family is which"
  }
}

run "a_proxy_is_told_to_workers" {
  command = apply
  variables { https_proxy = "http://proxy.internal:3128" }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker["own"].container_definitions)[0].environment == jsondecode(jsonencode([{ name = "HTTPS_PROXY", value = "http://proxy.internal:3128" }]))
    error_message = "workers must learn of the proxy, and of nothing else"
  }
}

run "the_worker_is_pinned_and_has_no_shell" {
  command = apply

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.worker["own"].container_definitions) :
      container.image == var.image && container.readonlyRootFilesystem && container.user == "65532:65532" && !container.privileged
      && container.linuxParameters.capabilities.drop == ["ALL"] && !contains(keys(container), "environment") && container.entryPoint == ["/waybill-worker", "--cloud", "aws-ecs"]
    ])
    error_message = "the container must be pinned, read-only, without privileges, and say where it runs"
  }
  assert {
    condition     = aws_ecs_task_definition.worker["own"].network_mode == "awsvpc" && aws_ecs_task_definition.worker["own"].requires_compatibilities == toset(["FARGATE"])
    error_message = "workers must run on Fargate with a network interface of their own"
  }
  assert {
    condition     = aws_cloudwatch_log_group.workers.name == "/waybill/waybill" && aws_cloudwatch_log_group.workers.retention_in_days == 90
    error_message = "the log group must stand in this account, with an end"
  }
}

run "there_is_no_way_in" {
  command = apply

  # The module has no ingress rule at all, and the group itself says none.
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.out) == 1 && aws_vpc_security_group_egress_rule.out["orchestrator"].cidr_ipv4 == "203.0.113.10/32" && aws_vpc_security_group_egress_rule.out["orchestrator"].from_port == 443
    error_message = "exactly the named way out must be open"
  }
}

run "the_guard_is_found_by_the_workers_own_role" {
  command = apply

  assert {
    condition     = aws_ssm_parameter.guard.name == "/waybill/guard/${aws_iam_role.task.name}" && aws_ssm_parameter.guard.value == "guard = 1" && aws_ssm_parameter.guard.tier == "Standard"
    error_message = "the guard's name must be made from the worker's role"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Resource if statement.Sid == "ReadItsGuard"]) == "arn:aws:ssm:eu-west-1:222222222222:parameter/waybill/guard/waybill-worker"
    error_message = "a worker must be able to read its own guard and no other"
  }
}

run "without_buckets_and_secrets_a_worker_reads_its_guard_and_nothing" {
  command = apply

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Sid if statement.Effect == "Allow"] == ["ReadItsGuard"]
    error_message = "nothing may be granted that was not named"
  }
}

run "named_buckets_secrets_and_keys_and_no_others" {
  command = apply

  variables {
    buckets        = { example-lake = { prefixes = ["raw/", "ref/"] }, in-box = { prefixes = ["csv/"], access = "read" } }
    secret_arns    = ["arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf"]
    kms_key_arns   = ["arn:aws:kms:eu-west-1:222222222222:key/0a1b"]
    repository_arn = "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Sid => statement.Resource if statement.Effect == "Allow" && statement.Sid != "ReadItsGuard"
      } == {
      WriteTables                          = ["arn:aws:s3:::example-lake/raw/*", "arn:aws:s3:::example-lake/ref/*"]
      ReadFiles                            = ["arn:aws:s3:::in-box/csv/*"]
      ListBucket1                          = "arn:aws:s3:::example-lake"
      ListBucket2                          = "arn:aws:s3:::in-box"
      ReadNamedSecrets                     = ["arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf"]
      UseNamedKeysThroughStorageAndSecrets = ["arn:aws:kms:eu-west-1:222222222222:key/0a1b"]
    }
    error_message = "the worker's role must hold exactly what was named"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Sid == "PullTheWorkerImage"]) == "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
    error_message = "the image must come from the one repository"
  }
  assert {
    condition     = length(aws_s3_bucket.tables) == 0 && length(aws_s3_bucket_lifecycle_configuration.uploads) == 0
    error_message = "existing buckets must be left as they are"
  }
}

run "a_new_bucket_is_private_and_written_by_workers_alone" {
  command = apply

  variables {
    new_bucket = { name = "example-lake", other_writers = ["arn:aws:iam::222222222222:role/analytics"] }
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.tables["example-lake"].restrict_public_buckets && aws_s3_bucket_public_access_block.tables["example-lake"].block_public_policy
    error_message = "a new bucket must be private"
  }
  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.uploads["example-lake"].rule[0].abort_incomplete_multipart_upload).days_after_initiation == 3
    error_message = "open uploads must end after three days"
  }
  assert {
    condition = one([for statement in jsondecode(aws_s3_bucket_policy.tables["example-lake"].policy).Statement : statement if statement.Sid == "OnlyWorkersWriteTables"]).Condition.ArnNotEquals["aws:PrincipalArn"] == [
      "arn:aws:iam::222222222222:role/waybill-worker", "arn:aws:iam::222222222222:role/analytics"
    ]
    error_message = "nobody but workers and who is named may write the tables"
  }
}

run "what_is_pasted_is_what_was_made" {
  command = apply

  assert {
    condition     = output.data_plane.other_task_family == null && output.data_plane.cluster == "waybill" && output.data_plane.task_family == "waybill-worker" && output.data_plane.region == "eu-west-1" && one(output.data_plane.security_groups) == "sg-0123" && one(output.data_plane.subnets) == "subnet-0123"
    error_message = "the output must name what was made"
  }
  assert {
    condition     = output.settings == "--role-arn arn:aws:iam::222222222222:role/mocked --task-role-arn arn:aws:iam::222222222222:role/mocked --region eu-west-1 --cluster waybill --task-family waybill-worker --cpu 1024 --memory-mib 2048 --subnet subnet-0123 --security-group sg-0123"
    error_message = "the options must name what was made"
  }
}
