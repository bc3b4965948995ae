# Each example applies as it stands, with values of the kind that its variables ask for.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_prefix_list" {
    defaults = { id = "pl-0123" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  mock_resource "aws_vpc" {
    defaults = { id = "vpc-0123" }
  }
  mock_resource "aws_subnet" {
    defaults = { id = "subnet-0123" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-0123" }
  }
}

mock_provider "aws" {
  alias = "ireland"
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
}

mock_provider "aws" {
  alias = "frankfurt"
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
}

variables {
  orchestrator_principal_arn = "arn:aws:iam::111111111111:role/orchestrator"
  external_id                = "wbx-0123456789abcdef"
  image                      = "registry.example.com/waybill-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "existing_network" {
  command = apply
  module { source = "./examples/existing-network" }
  variables {
    vpc_id            = "vpc-0123"
    subnets           = ["subnet-0123"]
    orchestrator_cidr = "203.0.113.10/32"
    bucket            = "example-lake"
    database          = { security_group_id = "sg-0456", secret_arn = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf" }
  }
  assert {
    condition     = one(output.data_plane.subnets) == "subnet-0123" && output.data_plane.region == "eu-west-1"
    error_message = "the example must end in what is pasted"
  }
}

run "new_network" {
  command = apply
  module { source = "./examples/new-network" }
  variables {
    repository_arn  = "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
    bucket          = "example-lake"
    orchestrator    = { names = ["waybill.example.com"], cidrs = ["203.0.113.10/32"] }
    source_database = { name = "shop.internal.example", cidr = "10.20.0.0/24", secret_arn = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf" }
  }
  assert {
    condition     = [for route in aws_route.orchestrator : route.destination_cidr_block] == ["203.0.113.10/32"]
    error_message = "workers must be routed to the orchestrator and nowhere else"
  }
  assert {
    condition     = length(regexall("hosts = \\[\"shop.internal.example:5432\"\\]", local.guard)) == 1
    error_message = "the guard must name the one source"
  }
  assert {
    condition     = !contains([for rule in values(local.egress) : try(coalesce(rule.cidr, "-"), "-")], "0.0.0.0/0")
    error_message = "no way out may lead anywhere"
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 6 && alltrue([for endpoint in aws_vpc_endpoint.interface : jsondecode(endpoint.policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == "222222222222"])
    error_message = "endpoints must refuse identities of other accounts"
  }
}

run "regions" {
  command = apply
  module { source = "./examples/regions" }
  providers = {
    aws           = aws
    aws.ireland   = aws.ireland
    aws.frankfurt = aws.frankfurt
  }
  variables {
    image_by_region = {
      eu-west-1    = "registry.example.com/waybill-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      eu-central-1 = "registry.example.com/waybill-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
    places = {
      eu-west-1    = { external_id = "wbx-0123456789abcdef", vpc_id = "vpc-0123", subnets = ["subnet-0123"], bucket = "example-lake-ie", egress = { orchestrator = { cidr = "203.0.113.10/32" } } }
      eu-central-1 = { external_id = "wbx-fedcba9876543210", vpc_id = "vpc-0456", subnets = ["subnet-0456"], bucket = "example-lake-de", egress = { orchestrator = { cidr = "203.0.113.10/32" } } }
    }
  }
  assert {
    condition     = output.data_planes.ireland.cluster != output.data_planes.frankfurt.cluster && output.data_planes.frankfurt.region == "eu-central-1"
    error_message = "each region must be a data plane of its own"
  }
}
