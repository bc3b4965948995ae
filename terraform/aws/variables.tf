variable "name" {
  description = "Begins every name that is made: cluster, roles, task definition, log group. IAM is not regional: take another name in each region."
  type        = string
  default     = "waybill"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.name))
    error_message = "name: 3 to 40 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  }
}

variable "orchestrator_principal_arn" {
  description = "The role or user that the orchestrator acts as; whoever runs it tells you. Null, with a null external_id, where an agent of yours starts workers by its host's own role: no launch role is made then."
  type        = string

  validation {
    condition     = var.orchestrator_principal_arn == null || can(regex("^arn:(aws|aws-us-gov|aws-cn):iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]{1,512}$", var.orchestrator_principal_arn))
    error_message = "orchestrator_principal_arn: the ARN of one role or user, such as arn:aws:iam::111111111111:role/waybill-orchestrator. A whole account (:root) and wildcards are refused."
  }
}

variable "external_id" {
  description = "The external id that the orchestrator made for this data plane; it can't be chosen."
  type        = string

  validation {
    condition     = (var.external_id == null) == (var.orchestrator_principal_arn == null)
    error_message = "external_id: a principal is trusted with an external id only, and one without a principal means nothing."
  }

  validation {
    condition     = var.external_id == null || can(regex("^[A-Za-z0-9+=,.@:/_-]{16,256}$", var.external_id))
    error_message = "external_id: paste what the orchestrator shows, 16 to 256 letters, digits and +=,.@:/_-"
  }
}

variable "image" {
  description = "The worker image with its digest. Tags can be moved, digests can't."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image: pin the image by digest, as in registry.example.com/waybill-worker@sha256:… (64 hexadecimal digits)."
  }
}

variable "repository_arn" {
  description = "ECR repository that the image is pulled from; null where it is not in ECR."
  type        = string
  default     = null

  validation {
    condition     = var.repository_arn == null || can(regex("^arn:(aws|aws-us-gov|aws-cn):ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9._/-]+$", var.repository_arn))
    error_message = "repository_arn: the whole ARN of one ECR repository, without wildcards."
  }
}

variable "cpu" {
  description = "CPU units of a worker, unless a pipeline says otherwise; 1024 is one vCPU."
  type        = number
  default     = 1024

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu: Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384 units."
  }
}

variable "memory" {
  description = "Memory of a worker in MiB, unless a pipeline says otherwise."
  type        = number
  default     = 2048

  validation {
    condition = var.memory == floor(var.memory) && contains(flatten([
      var.cpu == 256 ? [512, 1024, 2048] : [],
      var.cpu == 512 ? range(1024, 4096 + 1, 1024) : [],
      var.cpu == 1024 ? range(2048, 8192 + 1, 1024) : [],
      var.cpu == 2048 ? range(4096, 16384 + 1, 1024) : [],
      var.cpu == 4096 ? range(8192, 30720 + 1, 1024) : [],
      var.cpu == 8192 ? range(16384, 61440 + 1, 4096) : [],
      var.cpu == 16384 ? range(32768, 122880 + 1, 8192) : [],
    ]), var.memory)
    error_message = "memory: not a size that Fargate has for this cpu, such as 2048 to 8192 in steps of 1024 for 1024 units."
  }
}

variable "ephemeral_storage" {
  description = "Ephemeral storage of a worker in GiB. Workers write no temporary files; Fargate gives 20 by itself."
  type        = number
  default     = null

  validation {
    condition     = var.ephemeral_storage == null || (try(var.ephemeral_storage >= 21, false) && try(var.ephemeral_storage <= 200, false))
    error_message = "ephemeral_storage: 21 to 200 GiB, or null for Fargate's own 20."
  }
}

variable "capacity" {
  description = "fargate, or fargate-spot: cheaper, may be taken back with two minutes' notice; the next attempt then runs on fargate."
  type        = string
  default     = "fargate"

  validation {
    condition     = contains(["fargate", "fargate-spot"], var.capacity)
    error_message = "capacity: fargate or fargate-spot."
  }

  validation {
    condition     = var.capacity == "fargate" || var.orchestrator_principal_arn != null
    error_message = "capacity: an agent starts tasks on fargate only, since it does not know the attempts before."
  }
}

variable "fips" {
  description = "Whether FIPS endpoints of AWS are called, by the orchestrator or the agent and by workers. Their network must reach those names."
  type        = bool
  default     = false
}

variable "assign_public_ip" {
  description = "Whether workers get a public address, as they need in a public subnet without NAT. The security group lets nothing in either way."
  type        = bool
  default     = false
}

variable "architecture" {
  description = "X86_64 or ARM64, as `image` was built. `deploy/images/build.sh --architecture arm64` builds for ARM64; no worker of ours has run on ARM hardware."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture: X86_64 or ARM64."
  }
}

variable "other_image" {
  description = <<-EOT
    The same worker built for the other processor, by its digest and from the same repository; null for none. It makes a second
    family of task definitions, which the launch role may start beside the first, and pipelines choose with `limits.architecture`:
    RunTask itself can't name a processor. Only with an orchestrator that starts workers; an agent starts one family.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.other_image == null || can(regex("^[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}$", var.other_image))
    error_message = "other_image: pin the image by digest, as in registry.example.com/waybill-worker@sha256:… (64 hexadecimal digits)."
  }

  validation {
    condition     = var.other_image == null || var.other_image != var.image
    error_message = "other_image: this is image too; one image is built for one processor."
  }

  validation {
    condition     = var.other_image == null || var.orchestrator_principal_arn != null
    error_message = "other_image: an agent starts one family; register a second one under another name, for another agent."
  }
}

variable "token_issuer" {
  description = <<-EOT
    Issuer of the account's web identity tokens, https://ID.tokens.sts.global.api.aws, where workers are to prove their role by a
    token that STS signs; null where they sign a call of sts:GetCallerIdentity, which needs nothing turned on. It is what
    `aws iam enable-outbound-web-identity-federation` prints, once for the account.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.token_issuer == null || can(regex("^https://[a-z0-9-]{1,63}\\.tokens\\.sts\\.global\\.api\\.aws$", var.token_issuer))
    error_message = "token_issuer: https://ID.tokens.sts.global.api.aws, as `aws iam get-outbound-web-identity-federation-info` prints it."
  }

  validation {
    condition     = var.token_issuer == null || var.orchestrator_principal_arn != null
    error_message = "token_issuer: the workers of an agent prove their role by a call; leave it out."
  }
}

variable "buckets" {
  description = <<-EOT
    Existing buckets by name: prefixes that workers may use, and whether they write below them ("write", the default) or only
    read ("read"). Workers delete nothing: old files go by `waybill-worker gc`, with an identity of yours. `abort_uploads` puts
    a lifecycle rule on the bucket that ends uploads left open: it replaces ALL lifecycle rules of the bucket, so it is off.
  EOT
  type = map(object({
    prefixes      = list(string)
    access        = optional(string, "write")
    abort_uploads = optional(bool, false)
  }))
  default = {}

  validation {
    condition     = alltrue([for bucket, _ in var.buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "buckets: the keys are names of buckets, such as example-lake; not ARNs, no wildcards."
  }

  validation {
    condition = alltrue(flatten([
      for grant in values(var.buckets) : [for prefix in grant.prefixes : can(regex("^([A-Za-z0-9!_.'()-]+/)+$", prefix))]
    ])) && alltrue([for grant in values(var.buckets) : length(grant.prefixes) > 0])
    error_message = "buckets: each needs at least one prefix, such as raw/, that ends in a slash and holds no wildcard and no variable."
  }

  validation {
    condition     = alltrue([for grant in values(var.buckets) : contains(["read", "write"], grant.access)])
    error_message = "buckets: access is \"read\" or \"write\"."
  }
}

variable "new_bucket" {
  description = "A bucket to make for the tables: private, encrypted, over TLS only, open uploads ended after 3 days, written by workers and `other_writers` alone, such as the role that runs `waybill-worker gc` and `rollback`."
  type = object({
    name          = string
    prefixes      = optional(list(string), ["raw/"])
    kms_key_arn   = optional(string)
    other_writers = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.new_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.new_bucket.name))
    error_message = "new_bucket: name is the name of a bucket, 3 to 63 lower-case letters, digits, dots and dashes."
  }

  validation {
    condition     = var.new_bucket == null || alltrue([for prefix in try(var.new_bucket.prefixes, []) : can(regex("^([A-Za-z0-9!_.'()-]+/)+$", prefix))]) && length(try(var.new_bucket.prefixes, ["x/"])) > 0
    error_message = "new_bucket: each prefix ends in a slash and holds no wildcard, such as raw/."
  }

  validation {
    condition     = var.new_bucket == null || !contains(keys(var.buckets), try(var.new_bucket.name, ""))
    error_message = "new_bucket: this bucket stands in buckets too; name it once."
  }
}

variable "secret_arns" {
  description = "Secrets that workers may read, by whole ARN including the six random characters at its end."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secret_arns : can(regex("^arn:(aws|aws-us-gov|aws-cn):secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", arn))])
    error_message = "secret_arns: whole ARNs of Secrets Manager secrets, such as arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf; no wildcards."
  }
}

variable "parameter_arns" {
  description = "SSM parameters holding secrets that workers may read, by whole ARN."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.parameter_arns : can(regex("^arn:(aws|aws-us-gov|aws-cn):ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_./-]+$", arn))])
    error_message = "parameter_arns: whole ARNs of SSM parameters; no wildcards."
  }
}

variable "kms_key_arns" {
  description = "KMS keys behind those buckets, secrets and parameters, by whole ARN. Usable through S3, Secrets Manager and SSM only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.kms_key_arns : can(regex("^arn:(aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "kms_key_arns: whole ARNs of keys (not aliases); no wildcards."
  }
}

variable "guard" {
  description = "Text of the guard file (TOML): what a worker will do at most, whatever the orchestrator asks. `waybill guard init` writes one."
  type        = string

  validation {
    condition     = length(trimspace(var.guard)) > 0 && length(var.guard) <= 8192
    error_message = "guard: the guard's text, 1 to 8192 characters, as in file(\"guard.toml\"). Without a guard a worker refuses to run."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-z]+$", var.vpc_id))
    error_message = "vpc_id: the id of a VPC, such as vpc-0123456789abcdef0."
  }
}

variable "subnets" {
  description = "Subnets in which workers run; private ones. Workers get no public address."
  type        = list(string)

  validation {
    condition     = length(var.subnets) > 0 && length(var.subnets) <= 16 && alltrue([for subnet in var.subnets : can(regex("^subnet-[0-9a-z]+$", subnet))])
    error_message = "subnets: 1 to 16 ids of subnets, such as subnet-0123456789abcdef0."
  }
}

variable "egress" {
  description = <<-EOT
    Every way out of a worker, by a name of your choice: sources, the orchestrator, endpoints of S3 and others. One of cidr,
    prefix_list_id and security_group_id each. There is no way in at all.
  EOT
  type = map(object({
    port              = optional(number, 443)
    cidr              = optional(string)
    prefix_list_id    = optional(string)
    security_group_id = optional(string)
  }))

  validation {
    condition     = length(var.egress) > 0
    error_message = "egress: name at least the way to the orchestrator; a worker without one can't report."
  }

  validation {
    condition = alltrue([
      for rule in values(var.egress) :
      length([for target in [rule.cidr, rule.prefix_list_id, rule.security_group_id] : target if target != null]) == 1
      && rule.port >= 1 && rule.port <= 65535 && (rule.cidr == null || can(cidrhost(coalesce(rule.cidr, "x"), 0)))
    ])
    error_message = "egress: each rule has exactly one of cidr, prefix_list_id and security_group_id, and a port of 1 to 65535."
  }
}

variable "https_proxy" {
  description = "A proxy on a worker's way to the orchestrator, such as http://proxy.internal:3128: TLS runs through it end to end. Sources, secrets, buckets and AWS itself are reached without it. Name the proxy in egress too. Null for none."
  type        = string
  default     = null

  validation {
    condition     = var.https_proxy == null || can(regex("^http://[A-Za-z0-9.-]+:[0-9]{1,5}$", var.https_proxy))
    error_message = "https_proxy: http://host:port, without a password: whoever may describe the task definition can read it."
  }
}

variable "log_retention_days" {
  description = "How long the log group keeps what a worker prints. Full logs of runs are kept in your bucket."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days: a number of days that CloudWatch Logs has, such as 30, 90 or 365."
  }
}

variable "log_kms_key_arn" {
  description = "KMS key of the log group; its key policy must let CloudWatch Logs use it. Null for the service's own key."
  type        = string
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:(aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn: the whole ARN of a key."
  }
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for the three roles, where your account demands one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags for everything that is made."
  type        = map(string)
  default     = {}
}
