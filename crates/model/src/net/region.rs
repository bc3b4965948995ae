//! What a region of AWS tells by its name.

/// The partition that a region belongs to, as ARNs write it.
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else if region.starts_with("cn-") {
        "aws-cn"
    } else {
        "aws"
    }
}
