# Where workers run, as what program, and how their packets get out.

resource "aws_ecs_cluster" "workers" {
  name = module.policies.names.cluster

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  # Nobody gets a shell in a worker: its image has none, the launch role is denied ExecuteCommand, and here it is not set up.
  tags = var.tags
}

resource "aws_ecs_cluster_capacity_providers" "workers" {
  cluster_name       = aws_ecs_cluster.workers.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "workers" {
  name              = module.policies.names.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

locals {
  proxy = { for name, value in { environment = [{ name = "HTTPS_PROXY", value = var.https_proxy }] } : name => value if var.https_proxy != null }
}

locals {
  # One for each processor: a task has the one that its definition names, and nobody can name another when it is started.
  workers = merge(
    { own = { family = module.policies.names.family, image = var.image, architecture = var.architecture } },
    var.other_image == null ? {} : { other = { family = module.policies.names.other_family, image = var.other_image, architecture = local.other_architecture } },
  )
}

moved {
  from = aws_ecs_task_definition.worker
  to   = aws_ecs_task_definition.worker["own"]
}

resource "aws_ecs_task_definition" "worker" {
  for_each = local.workers

  family                   = each.value.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = each.value.architecture
  }

  dynamic "ephemeral_storage" {
    for_each = var.ephemeral_storage == null ? [] : [var.ephemeral_storage]
    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  container_definitions = jsonencode([merge(local.proxy, {
    name                   = "worker"
    image                  = each.value.image
    essential              = true
    entryPoint             = ["/waybill-worker", "--cloud", "aws-ecs"]
    command                = ["run"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    privileged             = false
    interactive            = false
    pseudoTerminal         = false
    stopTimeout            = 120
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.workers.name
        awslogs-region        = data.aws_region.here.region
        awslogs-stream-prefix = "run"
      }
    }
  })])
}

resource "aws_security_group" "workers" {
  name        = "${var.name}-workers"
  description = "Waybill workers: no way in; the ways out are named one by one."
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = var.egress

  security_group_id            = aws_security_group.workers.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.cidr
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.security_group_id
  tags                         = var.tags
}
