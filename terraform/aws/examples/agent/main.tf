# Nobody outside gets a role: an agent in this account asks the orchestrator for work over one outgoing connection and starts the
# workers with the launch role, which only ECS tasks of this account can hold.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

variable "worker_image" { type = string }
variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }
variable "bucket" { type = string }
variable "egress" {
  description = "Ways out of workers, as in the module."
  type        = map(object({ port = optional(number, 443), cidr = optional(string), prefix_list_id = optional(string), security_group_id = optional(string) }))
}

module "waybill" {
  source = "../.."

  image   = var.worker_image
  guard   = file("${path.module}/guard.toml")
  vpc_id  = var.vpc_id
  subnets = var.subnets
  egress  = var.egress
  buckets = { (var.bucket) = { prefixes = ["raw/"] } }
}

output "data_plane" {
  value = module.waybill.data_plane
}

output "settings" {
  description = "Options for: waybill data-plane set NAME"
  value       = module.waybill.settings
}

output "agent_role_arn" {
  description = "The task role of the agent: it may start, stop and see workers."
  value       = module.waybill.role_arn
}
