variable "name" {
  description = "Begins every name that is made."
  type        = string
  default     = "waybill-orchestrator"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name: 3 to 24 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "image" {
  description = "The orchestrator image with its digest."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image: pin the image by digest, as in registry.example.com/waybill-orchestrator@sha256:…"
  }
}

variable "repository_arn" {
  description = "ECR repository of the image; null where it is not in ECR."
  type        = string
  default     = null
}

variable "api_name" {
  description = "Name under which people, the command line and enrolling workers come; point it at the output api_address."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.api_name))
    error_message = "api_name: a host name such as waybill.example.com."
  }
}

variable "worker_name" {
  description = "Name under which enrolled workers come; point it at the output worker_address."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.worker_name)) && var.worker_name != var.api_name
    error_message = "worker_name: a host name such as workers.waybill.example.com, another than api_name."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "public_subnets" {
  description = "Subnets for the two load balancers; two zones at least."
  type        = list(string)

  validation {
    condition     = length(var.public_subnets) >= 2
    error_message = "public_subnets: subnets of two zones at least."
  }
}

variable "private_subnets" {
  description = "Subnets for tasks, database and keys; two zones at least. Tasks need a way out to AWS on 443."
  type        = list(string)

  validation {
    condition     = length(var.private_subnets) >= 2
    error_message = "private_subnets: subnets of two zones at least."
  }
}

variable "allowed_cidrs" {
  description = "Who may come to port 443."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "replicas" {
  description = "Orchestrators at once."
  type        = number
  default     = 2

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 10
    error_message = "replicas: 1 to 10."
  }
}

variable "database_password" {
  description = "Password of the database's user: letters and digits, 24 at least. Kept in the secret and in no state file."
  type        = string
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9]{24,128}$", var.database_password))
    error_message = "database_password: 24 to 128 letters and digits, as from `openssl rand -hex 24`."
  }
}

variable "database_password_version" {
  description = "Count it up to set another password."
  type        = number
  default     = 1
}

variable "database_ca" {
  description = "PEM text of the region's RDS certificate bundle (truststore.pki.rds.amazonaws.com), to verify the database."
  type        = string

  validation {
    condition     = startswith(trimspace(var.database_ca), "-----BEGIN CERTIFICATE-----")
    error_message = "database_ca: the PEM text of the bundle, as in file(\"eu-west-1-bundle.pem\")."
  }
}

variable "database_class" {
  description = "Instance class of the database."
  type        = string
  default     = "db.t4g.small"
}

variable "kms_key_arn" {
  description = "KMS key for database, keys, secret and log; each service's own key where null."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags for everything that is made."
  type        = map(string)
  default     = {}
}
