# The grants as documents, without a provider: the same texts are applied by the module above, generated as CloudFormation and
# plain JSON, linted, simulated, and loaded into an emulator that enforces them.
terraform {
  required_version = ">= 1.9"
}

locals {
  place = { partition = var.partition, region = var.region, account = var.account }
  names = {
    cluster        = var.name
    family         = "${var.name}-worker"
    other_family   = var.other_architecture == "" ? "" : "${var.name}-worker-${replace(lower(var.other_architecture), "_", "-")}"
    launch_role    = "${var.name}-launch"
    task_role      = "${var.name}-worker"
    execution_role = "${var.name}-execution"
    log_group      = "/waybill/${var.name}"
  }
  # Whatever its revision: a new image needs no new policy.
  task_definitions = [for family in compact([local.names.family, local.names.other_family]) : "arn:${var.partition}:ecs:${var.region}:${var.account}:task-definition/${family}:*"]
  guard_parameter  = "/waybill/guard/${local.names.task_role}"
  dns_suffix       = coalesce(var.dns_suffix, var.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com")

  objects = {
    for access in ["read", "write"] : access => flatten([
      for bucket, grant in var.buckets : [for prefix in grant.prefixes : "arn:${var.partition}:s3:::${bucket}/${prefix}*"] if grant.access == access
    ])
  }
  listings = [
    for number, bucket in sort(keys(var.buckets)) : {
      sid      = "ListBucket${number + 1}"
      bucket   = "arn:${var.partition}:s3:::${bucket}"
      prefixes = [for prefix in var.buckets[bucket].prefixes : "${prefix}*"]
    }
  ]
  with_roles = merge(local.place, local.names)
  documents = {
    launch_trust = templatefile("${path.module}/launch-trust.json.tftpl", {
      orchestrator_principal_arn = var.orchestrator_principal_arn, external_id = var.external_id
    })
    launch      = templatefile("${path.module}/launch.json.tftpl", merge(local.with_roles, { task_definitions = jsonencode(local.task_definitions) }))
    tasks_trust = templatefile("${path.module}/tasks-trust.json.tftpl", local.place)
    execution   = templatefile("${path.module}/execution.json.tftpl", merge(local.with_roles, { repository_arn = var.repository_arn }))
    task = templatefile("${path.module}/task.json.tftpl", merge(local.with_roles, {
      dns_suffix     = local.dns_suffix
      write_objects  = local.objects.write
      read_objects   = local.objects.read
      listings       = local.listings
      secret_arns    = var.secret_arns
      parameter_arns = var.parameter_arns
      kms_key_arns   = var.kms_key_arns

      web_identity_tokens = var.web_identity_tokens
    }))
    endpoint_s3      = templatefile("${path.module}/endpoint-s3.json.tftpl", merge(local.with_roles, { buckets = sort(keys(var.buckets)) }))
    endpoint_account = templatefile("${path.module}/endpoint-account.json.tftpl", local.place)
  }
  # A bucket that is made here denies writing below its prefixes to everybody but the workers and who is named.
  bucket_documents = {
    for bucket, grant in var.buckets : bucket => templatefile("${path.module}/bucket.json.tftpl", {
      partition = var.partition
      bucket    = bucket
      prefixes  = grant.prefixes
      writers   = concat(["arn:${var.partition}:iam::${var.account}:role/${local.names.task_role}"], var.other_writers)
    }) if grant.access == "write"
  }
}
