//! Who the orchestrator is to its customers: the one role or user that their trust policies name. Nothing here calls anybody.

use std::fmt;
use std::str::FromStr;

use super::arn::{NameError, Partition, iam_parts, is_name_byte};

/// A role or user of the orchestrator's account, as a trust policy can name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    text: String,
    partition: Partition,
}

impl Principal {
    /// Its ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its partition: roles of another one can't be assumed by it.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// From what STS says to whom asks who they are: a session is its role, whose path STS leaves out.
    pub fn of_caller(arn: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts.as_slice() {
            ["arn", partition, "sts", "", account, resource] => {
                let session = resource.strip_prefix("assumed-role/").and_then(|session| session.split_once('/'));
                match session {
                    Some((role, _)) if role.starts_with("AWSReservedSSO_") => {
                        Err(NameError("the session of a person who logged in: give the orchestrator a role of its own"))
                    }
                    Some((role, _)) => format!("arn:{partition}:iam::{account}:role/{role}").parse(),
                    None => Err(NameError("neither a role nor a user: give the orchestrator a role of its own")),
                }
            }
            [.., "root"] => Err(NameError("the keys of a whole account: give the orchestrator a role of its own")),
            _ => arn.parse(),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Principal {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WRONG: &str = "the ARN of one role or user: arn:aws:iam::123456789012:role/name";
        let (partition, _, resource) = iam_parts(text, NameError(WRONG))?;
        let name = resource.strip_prefix("role/").or_else(|| resource.strip_prefix("user/")).ok_or(NameError(WRONG))?;
        let good = |part: &str| (1..=512).contains(&part.len()) && part.bytes().all(is_name_byte);
        if !name.split('/').all(good) {
            return Err(NameError(WRONG));
        }
        Ok(Self { text: text.to_owned(), partition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_its_role_and_a_user_is_itself() {
        for (caller, principal) in [
            ("arn:aws:sts::111111111111:assumed-role/waybill/i-0a1b", "arn:aws:iam::111111111111:role/waybill"),
            ("arn:aws-cn:sts::111111111111:assumed-role/w/s", "arn:aws-cn:iam::111111111111:role/w"),
            (
                "arn:aws-us-gov:iam::111111111111:user/teams/waybill",
                "arn:aws-us-gov:iam::111111111111:user/teams/waybill",
            ),
        ] {
            let found = Principal::of_caller(caller).expect(caller);
            assert_eq!(
                (found.as_str(), found.partition().as_str()),
                (principal, caller.split(':').nth(1).expect("one"))
            );
        }
    }

    #[test]
    fn nobody_is_told_to_trust_a_whole_account_a_person_or_a_wildcard() {
        for caller in [
            "arn:aws:iam::111111111111:root",
            "arn:aws:sts::111111111111:federated-user/ada",
            "arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Admin_0a1b/ada",
            "arn:aws:iam::111111111111:role/*",
            "arn:aws:iam::*:role/waybill",
            "arn:aws:iam::111111111111:role/a\"b",
            "arn:aws:iam::111111111111:group/ops",
            "arn:aws-iso:iam::111111111111:role/waybill",
            "*",
            "",
        ] {
            assert!(Principal::of_caller(caller).is_err(), "{caller:?}");
        }
    }
}
