# Values that would grant more than was meant, or nothing that works, are refused before anything is planned.

mock_provider "aws" {}

variables {
  orchestrator_principal_arn = "arn:aws:iam::111111111111:role/orchestrator"
  external_id                = "wbx-0123456789abcdef"
  image                      = "registry.example.com/waybill-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  guard                      = "guard = 1"
  vpc_id                     = "vpc-0123"
  subnets                    = ["subnet-0123"]
  egress                     = { orchestrator = { cidr = "203.0.113.10/32" } }
}

run "a_whole_account_as_principal" {
  command = plan
  variables { orchestrator_principal_arn = "arn:aws:iam::111111111111:root" }
  expect_failures = [var.orchestrator_principal_arn]
}

run "a_wildcard_as_principal" {
  command = plan
  variables { orchestrator_principal_arn = "*" }
  expect_failures = [var.orchestrator_principal_arn]
}

run "a_principal_without_external_id" {
  command = plan
  variables { external_id = null }
  expect_failures = [var.external_id]
}

run "an_external_id_without_a_principal" {
  command = plan
  variables { orchestrator_principal_arn = null }
  expect_failures = [var.external_id]
}

run "a_short_external_id" {
  command = plan
  variables { external_id = "guessable" }
  expect_failures = [var.external_id]
}

run "an_external_id_that_breaks_out_of_the_document" {
  command = plan
  variables { external_id = "0123456789abcdef\"}},\"x\":{\"" }
  expect_failures = [var.external_id]
}

run "an_image_by_tag" {
  command = plan
  variables { image = "registry.example.com/waybill-worker:latest" }
  expect_failures = [var.image]
}

run "a_bucket_prefix_with_a_wildcard" {
  command = plan
  variables { buckets = { example-lake = { prefixes = ["*"] } } }
  expect_failures = [var.buckets]
}

run "a_bucket_without_prefix" {
  command = plan
  variables { buckets = { example-lake = { prefixes = [] } } }
  expect_failures = [var.buckets]
}

run "a_prefix_that_also_covers_its_neighbours" {
  command = plan
  variables { buckets = { example-lake = { prefixes = ["raw"] } } }
  expect_failures = [var.buckets]
}

run "a_bucket_as_wildcard" {
  command = plan
  variables { buckets = { "*" = { prefixes = ["raw/"] } } }
  expect_failures = [var.buckets]
}

run "an_access_that_does_not_exist" {
  command = plan
  variables { buckets = { example-lake = { prefixes = ["raw/"], access = "admin" } } }
  expect_failures = [var.buckets]
}

run "one_bucket_named_twice" {
  command = plan
  variables {
    buckets    = { example-lake = { prefixes = ["raw/"] } }
    new_bucket = { name = "example-lake" }
  }
  expect_failures = [var.new_bucket]
}

run "a_secret_with_a_wildcard" {
  command = plan
  variables { secret_arns = ["arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-*"] }
  expect_failures = [var.secret_arns]
}

run "a_secret_by_name_only" {
  command = plan
  variables { secret_arns = ["arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop"] }
  expect_failures = [var.secret_arns]
}

run "every_parameter" {
  command = plan
  variables { parameter_arns = ["arn:aws:ssm:eu-west-1:222222222222:parameter/*"] }
  expect_failures = [var.parameter_arns]
}

run "every_key" {
  command = plan
  variables { kms_key_arns = ["*"] }
  expect_failures = [var.kms_key_arns]
}

run "every_repository" {
  command = plan
  variables { repository_arn = "arn:aws:ecr:eu-west-1:222222222222:repository/*" }
  expect_failures = [var.repository_arn]
}

run "no_guard" {
  command = plan
  variables { guard = " " }
  expect_failures = [var.guard]
}

run "no_way_out" {
  command = plan
  variables { egress = {} }
  expect_failures = [var.egress]
}

run "a_way_out_to_two_places" {
  command = plan
  variables { egress = { both = { cidr = "203.0.113.10/32", security_group_id = "sg-0123" } } }
  expect_failures = [var.egress]
}

run "a_way_out_that_is_no_network" {
  command = plan
  variables { egress = { host = { cidr = "orchestrator.example.com" } } }
  expect_failures = [var.egress]
}

run "a_size_that_fargate_does_not_have" {
  command = plan
  variables {
    cpu    = 256
    memory = 8192
  }
  expect_failures = [var.memory]
}

run "a_name_that_iam_refuses" {
  command = plan
  variables { name = "Way bill" }
  expect_failures = [var.name]
}

run "no_subnet" {
  command = plan
  variables { subnets = [] }
  expect_failures = [var.subnets]
}

run "a_proxy_with_a_password" {
  command = plan
  variables { https_proxy = "http://user:secret@proxy.internal:3128" }
  expect_failures = [var.https_proxy]
}

run "a_proxy_that_is_no_http_proxy" {
  command = plan
  variables { https_proxy = "socks5://proxy.internal:1080" }
  expect_failures = [var.https_proxy]
}

run "a_second_image_by_tag" {
  command = plan
  variables { other_image = "registry.example.com/waybill-worker:arm64" }
  expect_failures = [var.other_image]
}

run "one_image_for_two_processors" {
  command = plan
  variables { other_image = "registry.example.com/waybill-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  expect_failures = [var.other_image]
}

run "a_second_family_for_an_agent" {
  command = plan
  variables {
    orchestrator_principal_arn = null
    external_id                = null
    other_image                = "registry.example.com/waybill-worker@sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
  }
  expect_failures = [var.other_image]
}

run "an_issuer_that_is_none_of_aws_is_refused" {
  command = plan
  variables { token_issuer = "https://login.example.com" }
  expect_failures = [var.token_issuer]
}

run "an_issuer_is_refused_where_an_agent_starts_tasks" {
  command = plan
  variables {
    token_issuer               = "https://0a1b2c3d-0000-4000-8000-222222222222.tokens.sts.global.api.aws"
    orchestrator_principal_arn = null
    external_id                = null
  }
  expect_failures = [var.token_issuer]
}

run "a_capacity_that_there_is_not" {
  command = plan
  variables { capacity = "spot" }
  expect_failures = [var.capacity]
}

run "spare_capacity_for_an_agent" {
  command = plan
  variables {
    capacity                   = "fargate-spot"
    orchestrator_principal_arn = null
    external_id                = null
  }
  expect_failures = [var.capacity]
}
