output "data_plane" {
  description = "Settings of the data plane, as the REST interface takes them."
  value = {
    role_arn        = one(aws_iam_role.launch[*].arn)
    task_role_arn   = aws_iam_role.task.arn
    region          = data.aws_region.here.region
    cluster         = aws_ecs_cluster.workers.name
    task_family     = aws_ecs_task_definition.worker["own"].family
    container       = "worker"
    subnets         = var.subnets
    security_groups = [aws_security_group.workers.id]
    cpu             = var.cpu
    memory_mib      = var.memory
    disk_gib        = coalesce(var.ephemeral_storage, 0)

    capacity          = var.capacity
    assign_public_ip  = var.assign_public_ip
    fips              = var.fips
    architecture      = lower(var.architecture)
    other_task_family = one([for key, worker in aws_ecs_task_definition.worker : worker.family if key == "other"])
    token_issuer      = var.token_issuer
  }
}

output "settings" {
  description = "The same as options: waybill data-plane set NAME $(terraform output -raw settings), or those of an agent's run."
  value = join(" ", concat(
    [for role in aws_iam_role.launch : "--role-arn ${role.arn}"],
    ["--task-role-arn ${aws_iam_role.task.arn}", "--region ${data.aws_region.here.region}"],
    ["--cluster ${aws_ecs_cluster.workers.name}", "--task-family ${aws_ecs_task_definition.worker["own"].family}", "--cpu ${var.cpu}", "--memory-mib ${var.memory}"],
    [for subnet in var.subnets : "--subnet ${subnet}"],
    ["--security-group ${aws_security_group.workers.id}"],
    [for gib in [var.ephemeral_storage] : "--disk-gib ${gib}" if gib != null],
    [for kind in [var.capacity] : "--capacity ${kind}" if kind != "fargate"],
    [for flag in ["--assign-public-ip"] : flag if var.assign_public_ip],
    [for flag in ["--fips"] : flag if var.fips],
    # An agent has one family and needs no word for its processor.
    [for kind in [var.architecture] : "--architecture ${lower(kind)}" if local.is_assumed && kind != "X86_64"],
    [for key, worker in aws_ecs_task_definition.worker : "--other-task-family ${worker.family}" if key == "other"],
    [for issuer in [var.token_issuer] : "--token-issuer ${issuer}" if issuer != null],
  ))
}

output "role_arn" {
  description = "The launch role, which the orchestrator assumes; null where an agent starts workers."
  value       = one(aws_iam_role.launch[*].arn)
}

output "cluster_arn" {
  description = "The cluster in which workers run."
  value       = aws_ecs_cluster.workers.arn
}

output "task_role_arn" {
  description = "The workers' own role; attach what a source in this account asks for to this one."
  value       = aws_iam_role.task.arn
}

output "security_group_id" {
  description = "The workers' security group; let a source's group accept it."
  value       = aws_security_group.workers.id
}

output "task_definition_arn" {
  description = "The registered task definition with its revision."
  value       = aws_ecs_task_definition.worker["own"].arn
}

output "guard_parameter" {
  description = "Where workers find their guard."
  value       = aws_ssm_parameter.guard.name
}

output "policies" {
  description = "The policies as JSON texts, by name: to read, lint, simulate. Without a launch role nobody is trusted, and no trust is among them."
  value       = { for name, document in module.policies.documents : name => document if local.is_assumed || name != "launch_trust" }
}
