# AWS inside the network: workers reach S3 and five services without leaving it, as identities of this account only, and only names
# on the list resolve.

data "aws_partition" "here" {}

locals {
  # In China the services named first have the partition's own prefix (cn.com.amazonaws), the others have not, as S3 has not.
  prefixes = merge(
    { for service in ["ecr.api", "ecr.dkr", "sts"] : service => data.aws_partition.here.reverse_dns_prefix },
    { for service in ["logs", "secretsmanager", "ssm"] : service => "com.amazonaws" },
  )
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.here.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.workers.id]
  policy            = module.waybill.policies.endpoint_s3
}

resource "aws_security_group" "endpoints" {
  name        = "waybill-endpoints"
  description = "Workers reach the endpoints of AWS services; endpoints begin no connection."
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "from workers"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = module.waybill.security_group_id
}

resource "aws_vpc_endpoint" "interface" {
  for_each            = local.prefixes
  vpc_id              = aws_vpc.this.id
  service_name        = "${each.value}.${data.aws_region.here.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.workers : subnet.id]
  security_group_ids  = [aws_security_group.endpoints.id]
  policy              = module.waybill.policies.endpoint_account
}

resource "aws_route53_resolver_firewall_domain_list" "allowed" {
  name    = "waybill-allowed"
  domains = concat(var.orchestrator.names, [var.source_database.name, "*.${data.aws_partition.here.dns_suffix}"])
}

resource "aws_route53_resolver_firewall_domain_list" "all" {
  name    = "waybill-all"
  domains = ["*"]
}

resource "aws_route53_resolver_firewall_rule_group" "this" {
  name = "waybill"
}

resource "aws_route53_resolver_firewall_rule" "allow" {
  name                    = "allowed-names"
  action                  = "ALLOW"
  priority                = 100
  firewall_domain_list_id = aws_route53_resolver_firewall_domain_list.allowed.id
  firewall_rule_group_id  = aws_route53_resolver_firewall_rule_group.this.id
}

resource "aws_route53_resolver_firewall_rule" "block" {
  name                    = "everything-else"
  action                  = "BLOCK"
  block_response          = "NXDOMAIN"
  priority                = 200
  firewall_domain_list_id = aws_route53_resolver_firewall_domain_list.all.id
  firewall_rule_group_id  = aws_route53_resolver_firewall_rule_group.this.id
}

resource "aws_route53_resolver_firewall_rule_group_association" "this" {
  name                   = "waybill"
  firewall_rule_group_id = aws_route53_resolver_firewall_rule_group.this.id
  vpc_id                 = aws_vpc.this.id
  priority               = 101
}

resource "aws_route53_resolver_firewall_config" "this" {
  resource_id        = aws_vpc.this.id
  firewall_fail_open = "DISABLED"
}
