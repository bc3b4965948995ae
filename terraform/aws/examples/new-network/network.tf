# Two private subnets for workers, one small public one for the NAT gateway that only the orchestrator's addresses are routed to.

data "aws_region" "here" {}
data "aws_availability_zones" "here" { state = "available" }

locals {
  zones = slice(data.aws_availability_zones.here.names, 0, 2)
}

resource "aws_vpc" "this" {
  cidr_block           = "10.83.0.0/20"
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = "waybill" }
}

# The default group of a VPC lets its members talk; taken over without rules, it lets nobody do anything.
resource "aws_default_security_group" "none" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "workers" {
  for_each          = toset(["0", "1"])
  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[tonumber(each.key)]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 4, tonumber(each.key))
  tags              = { Name = "waybill-workers-${each.key}" }
}

resource "aws_subnet" "way_out" {
  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[0]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, 255)
  tags              = { Name = "waybill-way-out" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_eip" "way_out" {
  domain = "vpc"
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.way_out.id
  subnet_id     = aws_subnet.way_out.id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "way_out" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "way_out" {
  route_table_id         = aws_route_table.way_out.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "way_out" {
  subnet_id      = aws_subnet.way_out.id
  route_table_id = aws_route_table.way_out.id
}

# No default route: packets to anything but these addresses have nowhere to go, whatever a security group says.
resource "aws_route_table" "workers" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "orchestrator" {
  for_each               = toset(var.orchestrator.cidrs)
  route_table_id         = aws_route_table.workers.id
  destination_cidr_block = each.key
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_route" "source" {
  count                     = var.source_peering_id == null ? 0 : 1
  route_table_id            = aws_route_table.workers.id
  destination_cidr_block    = var.source_database.cidr
  vpc_peering_connection_id = var.source_peering_id
}

resource "aws_route_table_association" "workers" {
  for_each       = aws_subnet.workers
  subnet_id      = each.value.id
  route_table_id = aws_route_table.workers.id
}

resource "aws_cloudwatch_log_group" "flows" {
  name              = "/waybill/flows"
  retention_in_days = 365
}

resource "aws_iam_role" "flows" {
  name               = "waybill-flow-logs"
  assume_role_policy = file("${path.module}/flow-logs-trust.json")
}

resource "aws_iam_role_policy" "flows" {
  name   = "flow-logs"
  role   = aws_iam_role.flows.name
  policy = templatefile("${path.module}/flow-logs.json.tftpl", { log_group_arn = aws_cloudwatch_log_group.flows.arn })
}

# Every connection that a worker opened or tried to, as the network saw it: compare with what Waybill says.
resource "aws_flow_log" "this" {
  vpc_id               = aws_vpc.this.id
  traffic_type         = "ALL"
  iam_role_arn         = aws_iam_role.flows.arn
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flows.arn
}
