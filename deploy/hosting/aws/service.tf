# The tasks: one image by digest, read-only, nobody's user, no address of their own.

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "The orchestrator: may ask for customers' launch roles, which demand their external id."
  assume_role_policy = templatefile("${path.module}/policies/trust.json.tftpl", local.place)
  tags               = var.tags
}

resource "aws_iam_role_policy" "task" {
  name = "task"
  role = aws_iam_role.task.name
  policy = templatefile("${path.module}/policies/task.json.tftpl", merge(local.place, {
    file_system_arn = aws_efs_file_system.keys.arn, access_point_arn = aws_efs_access_point.keys.arn
  }))
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Lets ECS pull the orchestrator's image, read the database's URL and write the log."
  assume_role_policy = templatefile("${path.module}/policies/trust.json.tftpl", local.place)
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "execution"
  role = aws_iam_role.execution.name
  policy = templatefile("${path.module}/policies/execution.json.tftpl", {
    repository_arn = var.repository_arn == null ? "" : var.repository_arn
    kms_key_arn    = var.kms_key_arn == null ? "" : var.kms_key_arn
    secret_arn     = aws_secretsmanager_secret.database.arn
    log_group_arn  = aws_cloudwatch_log_group.this.arn
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/waybill/${var.name}"
  retention_in_days = 365
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_security_group" "orchestrator" {
  name        = "${var.name}-tasks"
  description = "From the two load balancers only; to AWS, database and keys."
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "orchestrator" {
  for_each                     = merge(local.doors, { health = 7445 })
  security_group_id            = aws_security_group.orchestrator.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.doors.id
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.orchestrator.id
  description       = "STS, ECS and S3 of the customers' regions, token issuers, ECR, logs"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "data" {
  for_each                     = { postgres = 5432, keys = 2049 }
  security_group_id            = aws_security_group.orchestrator.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.data.id
  tags                         = var.tags
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

locals {
  container = {
    image                  = var.image
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    privileged             = false
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
    environment            = [for name, value in local.settings : { name = name, value = value }]
    secrets                = [{ name = "WAYBILL_DATABASE_URL", valueFrom = aws_secretsmanager_secret.database.arn }]
    mountPoints = [
      { sourceVolume = "keys", containerPath = "/var/lib/waybill/keys", readOnly = false },
      { sourceVolume = "state", containerPath = "/var/lib/waybill/state", readOnly = false },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.here.region
        awslogs-stream-prefix = "orchestrator"
      }
    }
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  # The keys are made once, by whichever task is first; the others find them.
  container_definitions = jsonencode([
    merge(local.container, { name = "keys", essential = false, command = ["keys", "make"] }),
    merge(local.container, {
      name         = "orchestrator"
      essential    = true
      command      = ["serve"]
      stopTimeout  = 60
      dependsOn    = [{ containerName = "keys", condition = "SUCCESS" }]
      portMappings = [for port in [7443, 7444, 7445] : { containerPort = port, protocol = "tcp" }]
    }),
  ])

  volume {
    name = "keys"
    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.keys.id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = aws_efs_access_point.keys.id
        iam             = "ENABLED"
      }
    }
  }

  volume {
    name = "state"
  }
}

resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = aws_ecs_cluster.this.arn
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "FARGATE"
  desired_count                      = var.replicas
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_execute_command             = false
  health_check_grace_period_seconds  = 60
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnets
    security_groups  = [aws_security_group.orchestrator.id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = local.doors
    content {
      target_group_arn = aws_lb_target_group.door[load_balancer.key].arn
      container_name   = "orchestrator"
      container_port   = load_balancer.value
    }
  }

  depends_on = [aws_lb_listener.door, aws_efs_mount_target.keys]
}
