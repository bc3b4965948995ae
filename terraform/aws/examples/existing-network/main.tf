# A data plane in subnets that you have. Fill in terraform.tfvars; `terraform output` then prints what to paste.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

variable "orchestrator_principal_arn" { type = string }
variable "external_id" { type = string }
variable "image" { type = string }

variable "repository_arn" {
  description = "ECR repository that the image is pulled from; null where it is not in ECR."
  type        = string
}

variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }

variable "orchestrator_cidr" {
  description = "Addresses of the orchestrator; whoever runs it tells you."
  type        = string
}

variable "bucket" {
  description = "The bucket that gets the tables, below raw/."
  type        = string
}

variable "database" {
  description = "The source: its security group, its password in Secrets Manager and, where its certificate comes from no public CA, the SSM parameter that holds that CA."
  type        = object({ security_group_id = string, secret_arn = string, ca_parameter_arn = optional(string) })
}

data "aws_region" "here" {}

data "aws_prefix_list" "s3" {
  name = "com.amazonaws.${data.aws_region.here.region}.s3"
}

module "waybill" {
  source = "../.."

  orchestrator_principal_arn = var.orchestrator_principal_arn
  external_id                = var.external_id
  image                      = var.image
  repository_arn             = var.repository_arn
  guard                      = file("${path.module}/guard.toml")

  vpc_id  = var.vpc_id
  subnets = var.subnets
  egress = {
    orchestrator  = { cidr = var.orchestrator_cidr }
    tables        = { prefix_list_id = data.aws_prefix_list.s3.id }
    shop-database = { security_group_id = var.database.security_group_id, port = 5432 }
    # STS, SSM, Secrets Manager, CloudWatch Logs and ECR: name your interface endpoints' group instead where you have them.
    aws-endpoints = { cidr = "0.0.0.0/0" }
  }

  buckets        = { (var.bucket) = { prefixes = ["raw/"] } }
  secret_arns    = [var.database.secret_arn]
  parameter_arns = var.database.ca_parameter_arn[*]
}

output "data_plane" {
  value = module.waybill.data_plane
}

output "settings" {
  description = "Options for: waybill data-plane set NAME"
  value       = module.waybill.settings
}
