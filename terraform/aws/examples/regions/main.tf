# Two regions of one account, each a data plane of its own: rows of one region stay in it. IAM is global, so the names differ.

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

variable "image_by_region" {
  description = "The worker image with its digest, from a registry near each region."
  type        = map(string)
}

variable "places" {
  description = "What differs between the regions; each has its own external id, since each is its own data plane."
  type = map(object({
    external_id = string
    # The region's ECR repository that the image is pulled from; null where it is not in ECR.
    repository_arn = string
    vpc_id         = string
    subnets        = list(string)
    bucket         = string
    # What the region's guard calls aws-sm://shop-database.
    secret_arns = list(string)
    # Such as the CAs of databases, where they are no public ones.
    parameter_arns = optional(list(string), [])
    egress         = map(object({ port = optional(number, 443), cidr = optional(string), prefix_list_id = optional(string), security_group_id = optional(string) }))
  }))
}

provider "aws" {
  alias  = "ireland"
  region = "eu-west-1"
}

provider "aws" {
  alias  = "frankfurt"
  region = "eu-central-1"
}

module "ireland" {
  source    = "../.."
  providers = { aws = aws.ireland }

  name                       = "waybill-eu-west-1"
  orchestrator_principal_arn = var.orchestrator_principal_arn
  external_id                = var.places["eu-west-1"].external_id
  image                      = var.image_by_region["eu-west-1"]
  repository_arn             = var.places["eu-west-1"].repository_arn
  guard                      = file("${path.module}/guard-eu-west-1.toml")
  vpc_id                     = var.places["eu-west-1"].vpc_id
  subnets                    = var.places["eu-west-1"].subnets
  egress                     = var.places["eu-west-1"].egress
  buckets                    = { (var.places["eu-west-1"].bucket) = { prefixes = ["raw/"] } }
  secret_arns                = var.places["eu-west-1"].secret_arns
  parameter_arns             = var.places["eu-west-1"].parameter_arns
}

module "frankfurt" {
  source    = "../.."
  providers = { aws = aws.frankfurt }

  name                       = "waybill-eu-central-1"
  orchestrator_principal_arn = var.orchestrator_principal_arn
  external_id                = var.places["eu-central-1"].external_id
  image                      = var.image_by_region["eu-central-1"]
  repository_arn             = var.places["eu-central-1"].repository_arn
  guard                      = file("${path.module}/guard-eu-central-1.toml")
  vpc_id                     = var.places["eu-central-1"].vpc_id
  subnets                    = var.places["eu-central-1"].subnets
  egress                     = var.places["eu-central-1"].egress
  buckets                    = { (var.places["eu-central-1"].bucket) = { prefixes = ["raw/"] } }
  secret_arns                = var.places["eu-central-1"].secret_arns
  parameter_arns             = var.places["eu-central-1"].parameter_arns
}

output "data_planes" {
  value = { ireland = module.ireland.data_plane, frankfurt = module.frankfurt.data_plane }
}

output "settings" {
  description = "Options for: waybill data-plane set NAME"
  value       = { ireland = module.ireland.settings, frankfurt = module.frankfurt.settings }
}
