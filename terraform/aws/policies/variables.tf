variable "name" {
  description = "Begins every name that is made."
  type        = string
}

variable "partition" {
  description = "aws, aws-us-gov or aws-cn."
  type        = string
}

variable "dns_suffix" {
  description = "What host names of services end with; the partition's own where null."
  type        = string
  default     = null
}

variable "region" {
  description = "Region in which workers run."
  type        = string
}

variable "account" {
  description = "Account in which workers run."
  type        = string
}

variable "orchestrator_principal_arn" {
  description = "Role or user of the orchestrator."
  type        = string
}

variable "external_id" {
  description = "What the orchestrator must present when it assumes the launch role."
  type        = string
}

variable "buckets" {
  description = "Buckets by name: prefixes that end in a slash, and whether workers write below them."
  type = map(object({
    prefixes = list(string)
    access   = optional(string, "write")
  }))
  default = {}
}

variable "secret_arns" {
  description = "Whole ARNs of Secrets Manager secrets."
  type        = list(string)
  default     = []
}

variable "parameter_arns" {
  description = "Whole ARNs of SSM parameters that hold secrets."
  type        = list(string)
  default     = []
}

variable "kms_key_arns" {
  description = "Whole ARNs of KMS keys behind those buckets, secrets and parameters."
  type        = list(string)
  default     = []
}

variable "repository_arn" {
  description = "ECR repository of the worker image; empty where the image comes from elsewhere."
  type        = string
  default     = ""
}

variable "other_writers" {
  description = "Roles besides the workers' that may write below the prefixes of a bucket that is made here."
  type        = list(string)
  default     = []
}

variable "other_architecture" {
  description = "ARM64 or X86_64 where there is a second family of the worker for this processor; empty for none."
  type        = string
  default     = ""
}

variable "web_identity_tokens" {
  description = "Whether workers prove their role by a token that STS signs, in place of a call that they sign."
  type        = bool
  default     = false
}
