output "documents" {
  description = "The policies as JSON texts, by name."
  value       = local.documents
}

output "names" {
  description = "Names of cluster, task definition family, roles and log group."
  value       = local.names
}

output "guard_parameter" {
  description = "Name of the SSM parameter that holds the guard; a worker derives it from its own role."
  value       = local.guard_parameter
}

output "bucket_documents" {
  description = "Policies for buckets that workers write to, by bucket."
  value       = local.bucket_documents
}
