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

/// Whether a text has the shape of a region's name, such as `eu-central-1` or `us-gov-west-1`. What becomes part of a host's name is
/// held against it first: `s3` or `example.com/` would make another host of it.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    let is_word = |word: &&str| (1..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = (1..=2).contains(&last.len()) && last.bytes().all(|b| b.is_ascii_digit());
    first.len() == 2 && is_word(first) && (1..=3).contains(&middle.len()) && middle.iter().all(is_word) && is_number
}

/// Where AWS keeps the issuers of accounts' web identity tokens.
const ISSUERS: &str = ".tokens.sts.global.api.aws";

/// The host of an account's issuer of web identity tokens, `https://ID.tokens.sts.global.api.aws`; none where it is not one.
/// AWS makes the id; where issuers of its other partitions stand is not documented, so there are none of those.
#[must_use]
pub fn token_issuer_host(issuer: &str) -> Option<&str> {
    let host = issuer.strip_prefix("https://")?;
    let id = host.strip_suffix(ISSUERS)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    ((1..=63).contains(&id.len()) && id.bytes().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_region_is_one() {
        for region in
            ["eu-central-1", "us-gov-west-1", "cn-north-1", "ap-southeast-4", "us-iso-east-1", "eu-isoe-west-1"]
        {
            assert!(is_region(region), "{region}");
        }
        let others = [
            "",
            "s3",
            "eu",
            "eu-1",
            "eu-central",
            "evil.com/x",
            "127.0.0.1:1/",
            "s3-eu-west-1",
            "eu-central-1.evil",
            "EU-CENTRAL-1",
        ];
        for other in others {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn only_an_issuer_that_aws_gives_an_account_is_one() {
        let good = "https://0a1b2c3d-0000-4000-8000-000000000001.tokens.sts.global.api.aws";
        assert_eq!(token_issuer_host(good), good.strip_prefix("https://"));
        for bad in [
            "",
            "https://.tokens.sts.global.api.aws",
            "http://a.tokens.sts.global.api.aws",
            "https://a.tokens.sts.global.api.aws/",
            "https://a.tokens.sts.global.api.aws.example.com",
            "https://a.b.tokens.sts.global.api.aws",
            "https://example.com/.tokens.sts.global.api.aws",
            "https://user@a.tokens.sts.global.api.aws",
            "https://A.tokens.sts.global.api.aws",
        ] {
            assert_eq!(token_issuer_host(bad), None, "{bad}");
        }
    }
}
