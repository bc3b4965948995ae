# A bucket for the tables where one is wanted, and the rule that ends uploads which a lost worker left open.

locals {
  abort_uploads = toset([for name, grant in var.buckets : name if grant.abort_uploads])
  made          = var.new_bucket == null ? toset([]) : toset([var.new_bucket.name])
}

resource "aws_s3_bucket" "tables" {
  for_each = local.made
  bucket   = each.key
  tags     = var.tags
}

resource "aws_s3_bucket_public_access_block" "tables" {
  for_each                = local.made
  bucket                  = aws_s3_bucket.tables[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "tables" {
  for_each = local.made
  bucket   = aws_s3_bucket.tables[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "tables" {
  for_each = local.made
  bucket   = aws_s3_bucket.tables[each.key].id
  rule {
    bucket_key_enabled = var.new_bucket.kms_key_arn != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.new_bucket.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.new_bucket.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "tables" {
  for_each = local.made
  bucket   = aws_s3_bucket.tables[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "tables" {
  for_each = local.made
  bucket   = aws_s3_bucket.tables[each.key].id
  policy   = module.policies.bucket_documents[each.key]

  depends_on = [aws_s3_bucket_public_access_block.tables]
}

resource "aws_s3_bucket_lifecycle_configuration" "uploads" {
  for_each = setunion(local.made, local.abort_uploads)
  bucket   = each.key

  rule {
    id     = "waybill-abort-open-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  dynamic "rule" {
    for_each = contains(local.made, each.key) ? ["old versions"] : []
    content {
      id     = "waybill-expire-old-versions"
      status = "Enabled"
      filter {}
      noncurrent_version_expiration {
        noncurrent_days = 30
      }
    }
  }

  depends_on = [aws_s3_bucket.tables]
}
