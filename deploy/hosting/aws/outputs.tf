output "api_address" {
  description = "Point api_name here (an alias or CNAME)."
  value       = aws_lb.door["api"].dns_name
}

output "worker_address" {
  description = "Point worker_name here."
  value       = aws_lb.door["worker"].dns_name
}

output "principal_arn" {
  description = "What customers name in their launch role's trust."
  value       = aws_iam_role.task.arn
}

output "setup_token_commands" {
  description = "How the first owner gets a one-time setup token: a task that makes one and writes it to the log. Use it at once."
  value = [
    join(" ", [
      "aws ecs run-task --cluster ${aws_ecs_cluster.this.name} --task-definition ${aws_ecs_task_definition.this.family} --launch-type FARGATE",
      "--network-configuration 'awsvpcConfiguration={subnets=[${join(",", var.private_subnets)}],securityGroups=[${aws_security_group.orchestrator.id}]}'",
      "--overrides '{\"containerOverrides\":[{\"name\":\"orchestrator\",\"command\":[\"setup-token\"]}]}'",
    ]),
    "aws logs tail ${aws_cloudwatch_log_group.this.name} --since 5m",
  ]
}
