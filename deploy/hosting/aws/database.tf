# Postgres that only the orchestrator's tasks reach, encrypted, over verified TLS; and the keys' file system.

resource "aws_security_group" "data" {
  name        = "${var.name}-data"
  description = "Postgres and the keys, for the orchestrator's tasks only."
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "data" {
  for_each                     = { postgres = 5432, keys = 2049 }
  security_group_id            = aws_security_group.data.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.orchestrator.id
  tags                         = var.tags
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.private_subnets
  tags       = var.tags
}

resource "aws_db_parameter_group" "this" {
  name   = var.name
  family = "postgres17"
  tags   = var.tags

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

resource "aws_db_instance" "this" {
  identifier                          = var.name
  engine                              = "postgres"
  engine_version                      = "17"
  instance_class                      = var.database_class
  allocated_storage                   = 20
  max_allocated_storage               = 200
  storage_encrypted                   = true
  kms_key_id                          = var.kms_key_arn
  db_name                             = "waybill"
  username                            = "waybill"
  password_wo                         = var.database_password
  password_wo_version                 = var.database_password_version
  db_subnet_group_name                = aws_db_subnet_group.this.name
  parameter_group_name                = aws_db_parameter_group.this.name
  vpc_security_group_ids              = [aws_security_group.data.id]
  publicly_accessible                 = false
  multi_az                            = true
  backup_retention_period             = 14
  deletion_protection                 = true
  copy_tags_to_snapshot               = true
  auto_minor_version_upgrade          = true
  enabled_cloudwatch_logs_exports     = ["postgresql", "upgrade"]
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.kms_key_arn
  iam_database_authentication_enabled = false
  skip_final_snapshot                 = false
  final_snapshot_identifier           = "${var.name}-final"
  tags                                = var.tags
}

resource "aws_secretsmanager_secret" "database" {
  name       = "${var.name}/database-url"
  kms_key_id = var.kms_key_arn
  tags       = var.tags
}

resource "aws_secretsmanager_secret_version" "database" {
  secret_id                = aws_secretsmanager_secret.database.id
  secret_string_wo         = "postgres://waybill:${var.database_password}@${aws_db_instance.this.address}:5432/waybill?sslmode=verify-full"
  secret_string_wo_version = var.database_password_version
}

# Keys of certificate authority, tickets and tokens: one directory that all replicas share, apart from the database.
resource "aws_efs_file_system" "keys" {
  encrypted  = true
  kms_key_id = var.kms_key_arn
  tags       = merge(var.tags, { Name = "${var.name}-keys" })
}

resource "aws_efs_backup_policy" "keys" {
  file_system_id = aws_efs_file_system.keys.id
  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "keys" {
  for_each        = toset(var.private_subnets)
  file_system_id  = aws_efs_file_system.keys.id
  subnet_id       = each.key
  security_groups = [aws_security_group.data.id]
}

resource "aws_efs_access_point" "keys" {
  file_system_id = aws_efs_file_system.keys.id
  tags           = var.tags

  posix_user {
    uid = 65532
    gid = 65532
  }
  root_directory {
    path = "/keys"
    creation_info {
      owner_uid   = 65532
      owner_gid   = 65532
      permissions = "0700"
    }
  }
}

resource "aws_efs_file_system_policy" "keys" {
  file_system_id = aws_efs_file_system.keys.id
  policy = templatefile("${path.module}/policies/files.json.tftpl", {
    role_arn = aws_iam_role.task.arn, file_system_arn = aws_efs_file_system.keys.arn, access_point_arn = aws_efs_access_point.keys.arn
  })
}
