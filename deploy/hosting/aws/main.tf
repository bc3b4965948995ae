# The orchestrator itself on ECS, for who hosts it: private tasks, a private Postgres, and port 443 as the only way in, on two
# addresses, one for people and enrolment and one for workers. TLS ends in the orchestrator; the load balancers pass it through.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  place = {
    partition = data.aws_partition.here.partition
    region    = data.aws_region.here.region
    account   = data.aws_caller_identity.here.account_id
    name      = var.name
  }
  # Every setting that differs from the default one; docs/reference/config.toml says what each means.
  settings = {
    WAYBILL__SERVER__API           = "0.0.0.0:7443"
    WAYBILL__SERVER__WORKER        = "0.0.0.0:7444"
    WAYBILL__SERVER__PRIVATE       = "0.0.0.0:7445"
    WAYBILL__SERVER__NAMES         = "${var.api_name},${var.worker_name}"
    WAYBILL__SERVER__PUBLIC_API    = "${var.api_name}:443"
    WAYBILL__SERVER__PUBLIC_WORKER = "${var.worker_name}:443"
    WAYBILL__STATE__DIRECTORY      = "/var/lib/waybill/state"
    WAYBILL__KEYS__DIRECTORY       = "/var/lib/waybill/keys"
    WAYBILL__DATABASE__URL         = "env://WAYBILL_DATABASE_URL"
    WAYBILL__LOG__FORMAT           = "json"
    PGSSLROOTCERT                  = trimspace(var.database_ca)
  }
}
