# Port 443 on two addresses. Both load balancers pass TCP through: certificates and client certificates are the orchestrator's matter.

locals {
  doors = { api = 7443, worker = 7444 }
}

resource "aws_security_group" "doors" {
  name        = "${var.name}-doors"
  description = "443 from outside, to the orchestrator only."
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "doors" {
  for_each          = toset(var.allowed_cidrs)
  security_group_id = aws_security_group.doors.id
  description       = "https"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.key
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "doors" {
  for_each                     = merge(local.doors, { health = 7445 })
  security_group_id            = aws_security_group.doors.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = aws_security_group.orchestrator.id
  tags                         = var.tags
}

resource "aws_lb" "door" {
  for_each                         = local.doors
  name                             = "${var.name}-${each.key}"
  load_balancer_type               = "network"
  internal                         = false
  subnets                          = var.public_subnets
  security_groups                  = [aws_security_group.doors.id]
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = true
  tags                             = var.tags
}

resource "aws_lb_target_group" "door" {
  for_each             = local.doors
  name                 = "${var.name}-${each.key}"
  vpc_id               = var.vpc_id
  protocol             = "TCP"
  port                 = each.value
  target_type          = "ip"
  preserve_client_ip   = true
  deregistration_delay = 30
  tags                 = var.tags

  health_check {
    protocol            = "HTTP"
    port                = "7445"
    path                = "/readyz"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "door" {
  for_each          = local.doors
  load_balancer_arn = aws_lb.door[each.key].arn
  protocol          = "TCP"
  port              = 443
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.door[each.key].arn
  }
}
