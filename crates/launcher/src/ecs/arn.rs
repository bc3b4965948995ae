//! Names of Amazon resources: partitions, regions, roles and tasks. Strict: what is not exactly one is refused, with
//! the field's own reason. Nothing here calls anybody.

use std::fmt;
use std::str::FromStr;

use waybill_model::net::partition_of;

/// One of Amazon's separate worlds. A role of one can't be assumed from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// GovCloud (US).
    UsGov,
    /// China.
    China,
}

impl Partition {
    /// As it stands in an ARN.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::UsGov => "aws-us-gov",
            Self::China => "aws-cn",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::Aws, Self::UsGov, Self::China].into_iter().find(|partition| partition.as_str() == text)
    }
}

/// A region's name, such as `eu-central-1`, with the partition that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region(String);

/// Why text is not the name that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub &'static str);

impl Region {
    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition::read(partition_of(&self.0)).unwrap_or(Partition::Aws)
    }
}

/// Regions where both STS and ECS have FIPS endpoints, as AWS's list of endpoints by service says (botocore's `endpoints.json`
/// of 1.43, July 2026). In any other region a client that is told to use them would call a name that nobody answers to.
const FIPS: [&str; 6] = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1"];

impl Region {
    /// Refuses a region without FIPS endpoints of STS and ECS.
    pub fn check_fips(&self) -> Result<(), NameError> {
        if FIPS.contains(&self.as_str()) { Ok(()) } else { Err(NameError(NO_FIPS)) }
    }
}

/// What is said then: the list itself.
const NO_FIPS: &str = "STS and ECS have FIPS endpoints in us-east-1, us-east-2, us-west-1, us-west-2, us-gov-east-1 and us-gov-west-1 only";

impl FromStr for Region {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('-').collect();
        let [land, middle @ .., number] = parts.as_slice() else {
            return Err(NameError("a region such as eu-central-1"));
        };
        let word = |part: &&str| !part.is_empty() && part.len() <= 12 && part.bytes().all(|b| b.is_ascii_lowercase());
        let shaped = land.len() == 2
            && word(land)
            && (1..=3).contains(&middle.len())
            && middle.iter().all(word)
            && number.len() == 1
            && number.bytes().all(|b| b.is_ascii_digit());
        if !shaped {
            return Err(NameError("a region such as eu-central-1"));
        }
        if middle.iter().any(|part| part.starts_with("iso")) {
            return Err(NameError("isolated regions are not supported"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Partition, account and resource of an ARN of IAM; `shape` where it is none.
pub(super) fn iam_parts(text: &str, shape: NameError) -> Result<(Partition, &str, &str), NameError> {
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else { return Err(shape) };
    let partition = Partition::read(partition).ok_or(NameError("a partition other than aws, aws-us-gov, aws-cn"))?;
    if !is_account(account) {
        return Err(NameError("an account of twelve digits is expected in the ARN"));
    }
    Ok((partition, account, resource))
}

/// The ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleArn {
    text: String,
    partition: Partition,
    account: String,
}

impl RoleArn {
    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its partition.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// The account that it belongs to: twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Its name without the path: what the ARN of an assumed role shows.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Its path and its name: all that stands behind `role/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.split_once('/').map_or("", |(_, path)| path)
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for RoleArn {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (partition, account, resource) =
            iam_parts(text, NameError("the ARN of a role: arn:aws:iam::123456789012:role/name"))?;
        let path = resource.strip_prefix("role/").ok_or(NameError("the ARN of a role, not of a user or group"))?;
        let mut segments = path.split('/');
        let name = segments.next_back().unwrap_or_default();
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name_byte) {
            return Err(NameError("a role's name has 1 to 64 letters, digits and + = , . @ - _ , and no wildcard"));
        }
        if path.len() > 512 || !segments.all(|part| !part.is_empty() && part.bytes().all(is_name_byte)) {
            return Err(NameError("a role's path has letters, digits and + = , . @ - _ between its slashes"));
        }
        Ok(Self { text: text.to_owned(), partition, account: account.to_owned() })
    }
}

/// The ARN of a task: cluster and id stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskArn {
    text: String,
    region: String,
    cluster: String,
}

impl TaskArn {
    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Region that it runs in.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

impl FromStr for TaskArn {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WRONG: NameError = NameError("the ARN of a task");
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "ecs", region, account, resource] = parts.as_slice() else { return Err(WRONG) };
        Partition::read(partition).ok_or(WRONG)?;
        let pieces: Vec<&str> = resource.split('/').collect();
        let ["task", cluster, id] = pieces.as_slice() else { return Err(WRONG) };
        let good = is_account(account) && is_plain(cluster, 255) && is_plain(id, 64);
        region.parse::<Region>().map_err(|_| WRONG)?;
        if !good {
            return Err(WRONG);
        }
        Ok(Self { text: text.to_owned(), region: (*region).to_owned(), cluster: (*cluster).to_owned() })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'=' | b',' | b'.' | b'@' | b'-' | b'_')
}

/// Names of clusters, families and containers: letters, digits, `-` and `_`.
pub(super) fn is_plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_says_partition_account_and_name() {
        for (text, partition, name) in [
            ("arn:aws:iam::123456789012:role/waybill-launch", Partition::Aws, "waybill-launch"),
            ("arn:aws-us-gov:iam::123456789012:role/a/b/launch", Partition::UsGov, "launch"),
            ("arn:aws-cn:iam::123456789012:role/x+=,.@-_", Partition::China, "x+=,.@-_"),
        ] {
            let role: RoleArn = text.parse().expect(text);
            assert_eq!((role.partition(), role.account(), role.name()), (partition, "123456789012", name));
            assert_eq!(role.to_string(), text);
            assert!(role.path().ends_with(name) && text.ends_with(&format!(":role/{}", role.path())));
        }
    }

    #[test]
    fn h11_what_is_not_exactly_one_role_is_refused() {
        let long = format!("arn:aws:iam::123456789012:role/{}", "a".repeat(65));
        for text in [
            "",
            "arn:aws:iam::123456789012:user/ada",
            "arn:aws:iam::123456789012:group/ops",
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:assumed-role/launch/me",
            "arn:aws:iam::*:role/launch",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:role/launch*",
            "arn:aws:iam::123456789012:role/laun?h",
            "arn:aws:iam::123456789012:role/launch\n",
            "arn:aws:iam::123456789012:role/launch ",
            " arn:aws:iam::123456789012:role/launch",
            "arn:aws:iam::12345678901:role/launch",
            "arn:aws:iam::１２３４５６７８９０１２:role/launch",
            "arn:aws:iam:eu-central-1:123456789012:role/launch",
            "arn:aws-iso:iam::123456789012:role/launch",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role//launch",
            "arn:aws:iam::123456789012:role/a/../launch/",
            "arn:aws:iam::123456789012:role/launch:extra",
            "ARN:aws:iam::123456789012:role/launch",
            &long,
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn regions_know_their_partition() {
        for (region, partition) in [
            ("eu-central-1", Partition::Aws),
            ("ap-southeast-2", Partition::Aws),
            ("us-gov-west-1", Partition::UsGov),
            ("cn-north-1", Partition::China),
        ] {
            assert_eq!(region.parse::<Region>().expect(region).partition(), partition);
        }
        for text in
            ["", "eu", "eu-central", "eu-central-11", "EU-central-1", "us-iso-east-1", "us-east-1.evil.com", "x-y-1"]
        {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_task_arn_names_region_and_cluster() {
        let arn: TaskArn = "arn:aws:ecs:eu-central-1:123456789012:task/waybill/0123abcd".parse().expect("a task");
        assert_eq!((arn.region(), arn.cluster()), ("eu-central-1", "waybill"));
        for text in ["", "arn:aws:ecs:eu-central-1:123456789012:task/old-style", "arn:aws:ecs:eu-central-1:1:task/a/b"]
        {
            assert!(text.parse::<TaskArn>().is_err(), "{text}");
        }
    }
}
