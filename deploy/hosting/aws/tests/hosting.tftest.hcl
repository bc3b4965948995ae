# 443 is the only way in, and it leads to the orchestrator; the database and the keys are reached by its tasks alone.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
}

variables {
  image             = "registry.example.com/waybill-orchestrator@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  api_name          = "waybill.example.com"
  worker_name       = "workers.waybill.example.com"
  vpc_id            = "vpc-0123"
  public_subnets    = ["subnet-0a", "subnet-0b"]
  private_subnets   = ["subnet-1a", "subnet-1b"]
  database_password = "0123456789abcdef0123456789abcdef"
  database_ca       = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
}

run "only_443_is_open_and_it_passes_tls_through" {
  command = apply

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.doors : rule.from_port == 443 && rule.to_port == 443])
    error_message = "only 443 may be open from outside"
  }
  assert {
    condition     = alltrue([for listener in aws_lb_listener.door : listener.port == 443 && listener.protocol == "TCP"])
    error_message = "load balancers must pass TLS through on 443"
  }
  assert {
    condition     = length(aws_lb.door) == 2 && toset([for rule in aws_vpc_security_group_ingress_rule.orchestrator : rule.from_port]) == toset([7443, 7444, 7445])
    error_message = "tasks must be reached on their three ports only"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.orchestrator : rule.referenced_security_group_id == aws_security_group.doors.id])
    error_message = "tasks must be reached from the load balancers only"
  }
}

run "the_database_is_private_encrypted_and_verified" {
  command = apply

  assert {
    condition     = !aws_db_instance.this.publicly_accessible && aws_db_instance.this.storage_encrypted && aws_db_instance.this.deletion_protection && one(aws_db_parameter_group.this.parameter).value == "1"
    error_message = "the database must be private, encrypted and speak TLS only"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.data : rule.referenced_security_group_id == aws_security_group.orchestrator.id]) && length(aws_vpc_security_group_ingress_rule.data) == 2
    error_message = "database and keys must be reached by tasks only"
  }
}

run "the_tasks_hold_no_secret_in_clear_and_cant_be_entered" {
  command = apply

  assert {
    condition = alltrue([for container in jsondecode(aws_ecs_task_definition.this.container_definitions) :
    container.readonlyRootFilesystem && container.user == "65532:65532" && container.image == var.image && container.linuxParameters.capabilities.drop == ["ALL"] && length(regexall(var.worker_name, jsonencode(container.environment))) > 0])
    error_message = "containers must be pinned, read-only and nobody's"
  }
  assert {
    condition     = !aws_ecs_service.this.enable_execute_command && one([for secret in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].secrets : secret.name]) == "WAYBILL_DATABASE_URL"
    error_message = "the URL must come from the secret, and nobody may enter a task"
  }
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Sid => statement.Resource if contains(flatten([statement.Action]), "sts:AssumeRole") } == {
      AssumeLaunchRolesOfCustomers = "arn:aws:iam::*:role/*-launch", NeverOfThisAccount = "arn:aws:iam::111111111111:role/*"
    }
    error_message = "the orchestrator may ask for launch roles of customers only"
  }
}

run "a_tag_is_no_digest" {
  command = plan
  variables { image = "registry.example.com/waybill-orchestrator:latest" }
  expect_failures = [var.image]
}

run "one_name_for_both_doors" {
  command = plan
  variables { worker_name = "waybill.example.com" }
  expect_failures = [var.worker_name]
}
