# Each example applies as it stands, with values of the kind that its variables ask for.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com", reverse_dns_prefix = "com.amazonaws" }
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
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123", value = "ami-0123" }
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
  alias = "china"
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn", reverse_dns_prefix = "cn.com.amazonaws" }
  }
  mock_data "aws_region" {
    defaults = { region = "cn-north-1" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["cn-north-1a", "cn-north-1b"] }
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
    repository_arn    = "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
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
  assert {
    condition     = one([for statement in jsondecode(module.waybill.policies.execution).Statement : statement.Resource if statement.Sid == "PullTheWorkerImage"]) == "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
    error_message = "ECS must be able to pull the image from the repository"
  }
}

run "existing_network_with_an_image_from_elsewhere" {
  command = apply
  module { source = "./examples/existing-network" }
  variables {
    repository_arn    = null
    vpc_id            = "vpc-0123"
    subnets           = ["subnet-0123"]
    orchestrator_cidr = "203.0.113.10/32"
    bucket            = "example-lake"
    database          = { security_group_id = "sg-0456", secret_arn = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf" }
  }
  assert {
    condition     = [for statement in jsondecode(module.waybill.policies.execution).Statement : statement.Sid] == ["WriteTheWorkersOwnLogGroup"]
    error_message = "no repository may be granted that was not named"
  }
}

run "agent" {
  command = apply
  module { source = "./examples/agent" }
  variables {
    repository_arn    = null
    agent_image       = "registry.example.com/waybill-agent@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    invitation        = { orchestrator = "waybill.example.com:443", ca_pin = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", token = "agt_abc-DEF.123" }
    vpc_id            = "vpc-0123"
    subnets           = ["subnet-0123"]
    orchestrator_cidr = "203.0.113.10/32"
    bucket            = "example-lake"
    database          = { security_group_id = "sg-0456", secret_arn = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf" }
  }
  assert {
    condition     = aws_iam_role_policy.agent.policy == module.waybill.policies.launch && module.waybill.role_arn == null
    error_message = "the host may do what a launch role may, and nobody from outside may do it"
  }
  assert {
    condition     = jsondecode(aws_iam_role.agent.assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" }
    error_message = "the host alone may be the agent"
  }
  assert {
    condition     = strcontains(nonsensitive(aws_instance.agent.user_data), "waybill-agent run --task-role-arn") && strcontains(nonsensitive(aws_instance.agent.user_data), "--cluster waybill --task-family waybill-worker")
    error_message = "the agent must be told where workers run, in its own options"
  }
  assert {
    condition     = !aws_instance.agent.associate_public_ip_address && aws_instance.agent.metadata_options[0].http_tokens == "required"
    error_message = "the host has no public address, and its role is for it alone"
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
    condition     = length(aws_route.source) == 0
    error_message = "without a peering there is no way to the source"
  }
  assert {
    condition     = length(regexall("hosts = \\[\"shop.internal.example:5432\"\\]", local.guard)) == 1
    error_message = "the guard must name the one source"
  }
  assert {
    condition     = length(regexall("secrets = \\[\"aws-sm://shop\"\\]", local.guard)) == 1
    error_message = "the guard must name the secret that workers are granted"
  }
  assert {
    condition     = !contains([for rule in values(local.egress) : try(coalesce(rule.cidr, "-"), "-")], "0.0.0.0/0")
    error_message = "no way out may lead anywhere"
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 6 && alltrue([for endpoint in aws_vpc_endpoint.interface : jsondecode(endpoint.policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == "222222222222"])
    error_message = "endpoints must refuse identities of other accounts"
  }
  assert {
    condition     = !strcontains(aws_vpc_endpoint.s3.policy, "Delete") && contains(jsondecode(aws_vpc_endpoint.s3.policy).Statement[0].Action, "s3:PutObject")
    error_message = "workers delete nothing, so the way to S3 lets nothing be deleted"
  }
  assert {
    condition     = aws_vpc_endpoint.interface["sts"].service_name == "com.amazonaws.eu-west-1.sts" && contains(aws_route53_resolver_firewall_domain_list.allowed.domains, "*.amazonaws.com")
    error_message = "names of services must be those of the partition"
  }
}

# The same network where names of services differ.
run "new_network_with_a_peered_source" {
  command = apply
  module { source = "./examples/new-network" }
  variables {
    repository_arn    = "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
    bucket            = "example-lake"
    orchestrator      = { names = ["waybill.example.com"], cidrs = ["203.0.113.10/32"] }
    source_database   = { name = "shop.internal.example", cidr = "10.20.0.0/24", secret_arn = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf" }
    source_peering_id = "pcx-0a1b2c3d4e5f60718"
  }
  assert {
    condition     = [for route in aws_route.source : [route.destination_cidr_block, route.vpc_peering_connection_id]] == [["10.20.0.0/24", "pcx-0a1b2c3d4e5f60718"]]
    error_message = "workers must be routed to the source's range through the peering"
  }
}

run "new_network_in_china" {
  command = apply
  module { source = "./examples/new-network" }
  providers = { aws = aws.china }
  variables {
    orchestrator_principal_arn = "arn:aws-cn:iam::111111111111:role/orchestrator"
    repository_arn             = "arn:aws-cn:ecr:cn-north-1:222222222222:repository/waybill"
    bucket                     = "example-lake"
    orchestrator               = { names = ["waybill.example.com"], cidrs = ["203.0.113.10/32"] }
    source_database            = { name = "shop.internal.example", cidr = "10.20.0.0/24", secret_arn = "arn:aws-cn:secretsmanager:cn-north-1:222222222222:secret:prod/shop-db-AbCdEf", ca_parameter_arn = "arn:aws-cn:ssm:cn-north-1:222222222222:parameter/prod/shop/ca" }
  }
  assert {
    condition = { for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.service_name } == {
      "ecr.api"      = "cn.com.amazonaws.cn-north-1.ecr.api"
      "ecr.dkr"      = "cn.com.amazonaws.cn-north-1.ecr.dkr"
      sts            = "cn.com.amazonaws.cn-north-1.sts"
      logs           = "com.amazonaws.cn-north-1.logs"
      secretsmanager = "com.amazonaws.cn-north-1.secretsmanager"
      ssm            = "com.amazonaws.cn-north-1.ssm"
    } && aws_vpc_endpoint.s3.service_name == "com.amazonaws.cn-north-1.s3"
    error_message = "each service must have the prefix that it has in China"
  }
  assert {
    condition     = contains(aws_route53_resolver_firewall_domain_list.allowed.domains, "*.amazonaws.com.cn") && !contains(aws_route53_resolver_firewall_domain_list.allowed.domains, "*.amazonaws.com")
    error_message = "names of AWS must resolve there, and no others"
  }
  assert {
    condition     = local.source_secret == "aws-sm://prod/shop-db"
    error_message = "the secret's name is its ARN without the random characters"
  }
  assert {
    condition     = length(regexall("secrets = \\[\"aws-sm://prod/shop-db\",\"aws-ssm:///prod/shop/ca\"\\]", local.guard)) == 1
    error_message = "the guard must name the database's CA beside its password"
  }
  assert {
    condition     = one([for statement in jsondecode(module.waybill.policies.task).Statement : statement.Resource if statement.Sid == "ReadNamedParameters"]) == ["arn:aws-cn:ssm:cn-north-1:222222222222:parameter/prod/shop/ca"]
    error_message = "workers must be granted the parameter that holds the CA"
  }
}

run "a_source_whose_secret_is_no_whole_arn" {
  command = plan
  module { source = "./examples/new-network" }
  variables {
    repository_arn  = "arn:aws:ecr:eu-west-1:222222222222:repository/waybill"
    bucket          = "example-lake"
    orchestrator    = { names = ["waybill.example.com"], cidrs = ["203.0.113.10/32"] }
    source_database = { name = "shop.internal.example", cidr = "10.20.0.0/24", secret_arn = "shop" }
  }
  expect_failures = [var.source_database]
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
      eu-west-1    = { external_id = "wbx-0123456789abcdef", vpc_id = "vpc-0123", subnets = ["subnet-0123"], bucket = "example-lake-ie", repository_arn = "arn:aws:ecr:eu-west-1:222222222222:repository/waybill", secret_arns = ["arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-database-AbCdEf"], egress = { orchestrator = { cidr = "203.0.113.10/32" } } }
      eu-central-1 = { external_id = "wbx-fedcba9876543210", vpc_id = "vpc-0456", subnets = ["subnet-0456"], bucket = "example-lake-de", repository_arn = "arn:aws:ecr:eu-central-1:222222222222:repository/waybill", secret_arns = ["arn:aws:secretsmanager:eu-central-1:222222222222:secret:shop-database-GhIjKl"], egress = { orchestrator = { cidr = "203.0.113.10/32" } } }
    }
  }
  assert {
    condition     = output.data_planes.ireland.cluster != output.data_planes.frankfurt.cluster && output.data_planes.frankfurt.region == "eu-central-1"
    error_message = "each region must be a data plane of its own"
  }
  assert {
    condition = [for policies in [module.ireland.policies, module.frankfurt.policies] : one([for statement in jsondecode(policies.execution).Statement : statement.Resource if statement.Sid == "PullTheWorkerImage"])] == [
      "arn:aws:ecr:eu-west-1:222222222222:repository/waybill", "arn:aws:ecr:eu-central-1:222222222222:repository/waybill"
    ]
    error_message = "ECS must be able to pull the image from each region's repository"
  }
  assert {
    condition     = length(regexall("--region eu-central-1 ", output.settings.frankfurt)) == 1
    error_message = "the options of each region must be there to paste"
  }
}
