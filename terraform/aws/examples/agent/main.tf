# A data plane that nobody outside is granted anything for: an agent on a small host of yours calls the orchestrator and starts
# workers by that host's own role. Fill in terraform.tfvars with a fresh `waybill agent enrol NAME --data-plane PLANE --approval -o json`,
# apply within the 30 minutes of its token, and approve the fingerprint that the host's console prints. Where that came to nothing, such as
# for a token that was too old: a fresh invitation, and terraform apply -replace=aws_instance.agent

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

variable "image" { type = string }

variable "repository_arn" {
  description = "ECR repository that the worker image is pulled from; null where it is not in ECR."
  type        = string
}

variable "agent_image" {
  description = "The agent image by digest, from a registry that asks nobody who they are: the host's role may do nothing but start workers."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$", var.agent_image))
    error_message = "agent_image: pin the image by digest, as in registry.example.com/waybill-agent@sha256:…"
  }
}

variable "invitation" {
  description = "What `waybill agent enrol` printed: address, pin and one-time token. The token is worth nothing once it was used, and without your approval."
  type        = object({ orchestrator = string, ca_pin = string, token = string })
  sensitive   = true

  validation {
    condition = (
      can(regex("^[A-Za-z0-9.-]+:[0-9]{1,5}$", var.invitation.orchestrator)) && can(regex("^sha256:[0-9a-f]{64}$", var.invitation.ca_pin))
      && can(regex("^[A-Za-z0-9._~-]+$", var.invitation.token))
    )
    error_message = "invitation: orchestrator as host:port, ca_pin as sha256:…, and the token as they were printed."
  }
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

data "aws_ssm_parameter" "ami" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

module "waybill" {
  source = "../.."

  orchestrator_principal_arn = null
  external_id                = null
  image                      = var.image
  repository_arn             = var.repository_arn
  guard                      = file("${path.module}/guard.toml")

  vpc_id  = var.vpc_id
  subnets = var.subnets
  egress = {
    orchestrator  = { cidr = var.orchestrator_cidr }
    tables        = { prefix_list_id = data.aws_prefix_list.s3.id }
    shop-database = { security_group_id = var.database.security_group_id, port = 5432 }
    aws-endpoints = { cidr = "0.0.0.0/0" }
  }

  buckets        = { (var.bucket) = { prefixes = ["raw/"] } }
  secret_arns    = [var.database.secret_arn]
  parameter_arns = var.database.ca_parameter_arn[*]
}

# What the agent is: the four calls that start, stop and see workers, and an explicit no to all others.
resource "aws_iam_role" "agent" {
  name        = "waybill-agent"
  description = "The host of Waybill's agent: starts, stops and sees workers in one cluster; nothing else."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "agent" {
  name   = "launch"
  role   = aws_iam_role.agent.name
  policy = module.waybill.policies.launch
}

resource "aws_iam_instance_profile" "agent" {
  name = "waybill-agent"
  role = aws_iam_role.agent.name
}

resource "aws_security_group" "agent" {
  name        = "waybill-agent"
  description = "Waybill's agent: no way in, HTTPS out."
  vpc_id      = var.vpc_id
}

# The orchestrator, ECS, STS, and for the first start the registry and the system's packages.
resource "aws_vpc_security_group_egress_rule" "agent" {
  security_group_id = aws_security_group.agent.id
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_instance" "agent" {
  ami                         = data.aws_ssm_parameter.ami.insecure_value
  instance_type               = "t3.micro"
  subnet_id                   = var.subnets[0]
  vpc_security_group_ids      = [aws_security_group.agent.id]
  iam_instance_profile        = aws_iam_instance_profile.agent.name
  associate_public_ip_address = false
  ebs_optimized               = true
  monitoring                  = true
  user_data = templatefile("${path.module}/host.sh.tftpl", {
    image      = var.agent_image
    invitation = var.invitation
    options    = module.waybill.settings
  })
  tags = { Name = "waybill-agent" }

  # The role is for the host's own network alone: a container behind a bridge does not get it.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted = true
  }

  # The agent's identity lies on this disk; a new invitation or a newer system image is no reason to throw it away.
  lifecycle {
    ignore_changes = [ami, user_data]
  }
}

output "fingerprint" {
  description = "Prints what the host says: compare its fingerprint and approve it with waybill agent approve."
  value       = "aws ec2 get-console-output --latest --output text --region ${data.aws_region.here.region} --instance-id ${aws_instance.agent.id}"
}
