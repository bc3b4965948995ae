# One data plane in one region of one account. The grants themselves are the documents in ./policies.

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  # Whether the orchestrator assumes a role here. An agent does what that role may do as its own host.
  is_assumed = var.orchestrator_principal_arn != null
  # Fargate has two.
  other_architecture = var.architecture == "ARM64" ? "X86_64" : "ARM64"
  buckets = merge(
    { for name, grant in var.buckets : name => { prefixes = grant.prefixes, access = grant.access } },
    var.new_bucket == null ? {} : { (var.new_bucket.name) = { prefixes = var.new_bucket.prefixes, access = "write" } },
  )
}

module "policies" {
  source = "./policies"

  name                       = var.name
  partition                  = data.aws_partition.here.partition
  region                     = data.aws_region.here.region
  account                    = data.aws_caller_identity.here.account_id
  orchestrator_principal_arn = local.is_assumed ? var.orchestrator_principal_arn : ""
  external_id                = local.is_assumed ? var.external_id : ""
  buckets                    = local.buckets
  secret_arns                = var.secret_arns
  parameter_arns             = var.parameter_arns
  kms_key_arns               = distinct(concat(var.kms_key_arns, compact([try(var.new_bucket.kms_key_arn, null)])))
  repository_arn             = coalesce(var.repository_arn, "-") == "-" ? "" : var.repository_arn
  other_writers              = try(var.new_bucket.other_writers, [])
  other_architecture         = var.other_image == null ? "" : local.other_architecture
  web_identity_tokens        = var.token_issuer != null
}

# What the orchestrator assumes: may start, stop and see workers, and nothing else.
resource "aws_iam_role" "launch" {
  count = local.is_assumed ? 1 : 0

  name                 = module.policies.names.launch_role
  description          = "Starts, stops and sees Waybill workers in one cluster; nothing else."
  assume_role_policy   = module.policies.documents.launch_trust
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "launch" {
  count = local.is_assumed ? 1 : 0

  name   = "launch"
  role   = aws_iam_role.launch[0].name
  policy = module.policies.documents.launch
}

moved {
  from = aws_iam_role.launch
  to   = aws_iam_role.launch[0]
}

moved {
  from = aws_iam_role_policy.launch
  to   = aws_iam_role_policy.launch[0]
}

# What workers are: named buckets, secrets, keys, and their guard.
resource "aws_iam_role" "task" {
  name                 = module.policies.names.task_role
  description          = "What Waybill workers may reach in this account."
  assume_role_policy   = module.policies.documents.tasks_trust
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "task" {
  name   = "task"
  role   = aws_iam_role.task.name
  policy = module.policies.documents.task
}

# What ECS itself uses to pull the image and write the log; workers never hold it.
resource "aws_iam_role" "execution" {
  name                 = module.policies.names.execution_role
  description          = "Lets ECS pull the worker image and write its log group."
  assume_role_policy   = module.policies.documents.tasks_trust
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.name
  policy = module.policies.documents.execution
}

# What a worker will do at most. It finds this parameter by its own account and role, not by anything it is told.
resource "aws_ssm_parameter" "guard" {
  name        = module.policies.guard_parameter
  description = "The guard of Waybill workers: read before a socket is opened."
  type        = "String"
  tier        = length(var.guard) > 4096 ? "Advanced" : "Standard"
  value       = var.guard
  tags        = var.tags
}
