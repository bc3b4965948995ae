# A data plane in a network of its own, closed: workers reach AWS through endpoints inside it, the orchestrator by one route, and
# nothing else. Names that are not on the list do not resolve, so that DNS is no way out either.

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
variable "repository_arn" { type = string }
variable "bucket" { type = string }

variable "orchestrator" {
  description = "The orchestrator's host names and addresses; whoever runs it tells you."
  type        = object({ names = list(string), cidrs = list(string) })
}

variable "source_database" {
  description = <<-EOT
    The source: where it is, and the whole ARN of the secret of this region that is its password. A pipeline names the secret as
    aws-sm://NAME. Where its certificate comes from no public CA, ca_parameter_arn is the SSM parameter that holds that CA, which a
    pipeline names as aws-ssm:///NAME. Peer the source's network with this one (`source_peering_id`), or put it inside.
  EOT
  type        = object({ name = string, cidr = string, port = optional(number, 5432), secret_arn = string, ca_parameter_arn = optional(string) })

  validation {
    condition     = can(regex(":secret:.+-[A-Za-z0-9]{6}$", var.source_database.secret_arn))
    error_message = "source_database: secret_arn is a whole ARN with the six random characters at its end, such as arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf."
  }
}

variable "source_peering_id" {
  description = "The accepted peering between this network and the source's; null before there is one, or where the source is inside."
  type        = string
  default     = null

  validation {
    condition     = var.source_peering_id == null || can(regex("^pcx-[0-9a-f]+$", var.source_peering_id))
    error_message = "source_peering_id: the id of a peering, such as pcx-0a1b2c3d4e5f60718."
  }
}

variable "guard" {
  description = "The text of your own guard; null for one that allows the database, its password and the bucket given here and nothing else."
  type        = string
  default     = null
}

locals {
  guard = var.guard != null ? var.guard : templatefile("${path.module}/guard.toml.tftpl", {
    source_host = var.source_database.name, source_port = var.source_database.port, secrets = concat([local.source_secret], local.source_ca[*]), bucket = var.bucket
  })
  # The secret's name, as a pipeline writes it: the ARN without its six random characters.
  source_secret = "aws-sm://${one(regex(":secret:(.+)-[A-Za-z0-9]{6}$", var.source_database.secret_arn))}"
  # The parameter's name begins with a slash, and so does what follows "parameter" in its ARN.
  source_ca = try("aws-ssm://${one(regex(":parameter(/.+)$", var.source_database.ca_parameter_arn))}", null)
  egress = merge(
    { for number, cidr in var.orchestrator.cidrs : "orchestrator-${number + 1}" => { cidr = cidr } },
    {
      source        = { cidr = var.source_database.cidr, port = var.source_database.port }
      tables        = { prefix_list_id = aws_vpc_endpoint.s3.prefix_list_id }
      aws-endpoints = { security_group_id = aws_security_group.endpoints.id }
    },
  )
}

module "waybill" {
  source = "../.."

  orchestrator_principal_arn = var.orchestrator_principal_arn
  external_id                = var.external_id
  image                      = var.image
  repository_arn             = var.repository_arn
  guard                      = local.guard
  vpc_id                     = aws_vpc.this.id
  subnets                    = [for subnet in aws_subnet.workers : subnet.id]
  egress                     = local.egress
  new_bucket                 = { name = var.bucket }
  secret_arns                = [var.source_database.secret_arn]
  parameter_arns             = var.source_database.ca_parameter_arn[*]
}

output "data_plane" {
  value = module.waybill.data_plane
}

output "settings" {
  description = "Options for: waybill data-plane set NAME"
  value       = module.waybill.settings
}

output "vpc_id" {
  description = "To peer with the network of the source."
  value       = aws_vpc.this.id
}

output "workers_cidr" {
  description = "What the source's network routes back to, and its security group lets in."
  value       = aws_vpc.this.cidr_block
}
