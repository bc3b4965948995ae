//! Reads what STS answers, strictly: one document of one shape. Anything unexpected is a refusal, never a guess.

use super::AttestationError;

/// Largest answer that is read.
pub(super) const MAX_ANSWER_BYTES: usize = 16 << 10;

/// Who signed, as STS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Partition of the ARN.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// Name of the role.
    pub role: String,
    /// Name of the session: for a task of ECS, the task's id. A token names the role alone.
    pub session: Option<String>,
}

/// Reads the answer of a GetCallerIdentity that was answered with 200.
pub fn read_caller(body: &[u8]) -> Result<Caller, AttestationError> {
    const SHAPE: AttestationError = AttestationError("the answer of STS can't be read");
    let text = std::str::from_utf8(body).ok().filter(|_| body.len() <= MAX_ANSWER_BYTES).ok_or(SHAPE)?;
    // None of these stands in a true answer; each could make two readers see two documents.
    if ["<!", "<?", "&", "]]>"].iter().any(|mark| text.contains(mark)) {
        return Err(SHAPE);
    }
    let response = inner(text.trim(), "GetCallerIdentityResponse").ok_or(SHAPE)?;
    if !text.trim().starts_with("<GetCallerIdentityResponse") || !text.trim().ends_with("</GetCallerIdentityResponse>")
    {
        return Err(SHAPE);
    }
    let result = inner(response, "GetCallerIdentityResult").ok_or(SHAPE)?;
    let (arn, account) = (inner(result, "Arn").ok_or(SHAPE)?, inner(result, "Account").ok_or(SHAPE)?);
    let caller = caller_of(arn).ok_or(AttestationError("it was not signed by a role"))?;
    if caller.account == account { Ok(caller) } else { Err(SHAPE) }
}

/// The caller that an ARN names; none where it is no session of a role.
#[must_use]
pub fn caller_of(arn: &str) -> Option<Caller> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "sts", "", account, resource] = parts.as_slice() else { return None };
    let pieces: Vec<&str> = resource.split('/').collect();
    let ["assumed-role", role, session] = pieces.as_slice() else { return None };
    let caller = checked(partition, account, role)?;
    (!session.is_empty()).then(|| Caller { session: Some((*session).to_owned()), ..caller })
}

/// The caller that a role's own ARN names, whatever path it stands under; none where it is no role's.
#[must_use]
pub fn caller_of_role(arn: &str) -> Option<Caller> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let (_, name) = resource.strip_prefix("role")?.rsplit_once('/')?;
    resource.starts_with("role/").then(|| checked(partition, account, name))?
}

fn checked(partition: &str, account: &str, role: &str) -> Option<Caller> {
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_role = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let fits = partition.starts_with("aws") && is_account && (1..=64).contains(&role.len());
    (fits && role.chars().all(is_role)).then(|| Caller {
        partition: partition.to_owned(),
        account: account.to_owned(),
        role: role.to_owned(),
        session: None,
    })
}

/// What stands between the only opening and the only closing tag of this name.
fn inner<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (opening, closing) = (format!("<{name}"), format!("</{name}>"));
    let named = |rest: &str| rest.starts_with(['>', ' ', '\t', '\n', '\r']);
    let mut openings = text.match_indices(&opening).filter(|(at, _)| named(&text[at + opening.len()..]));
    let (at, _) = openings.next()?;
    if openings.next().is_some() || text.matches(&closing).count() != 1 {
        return None;
    }
    let begin = at + text[at..].find('>')? + 1;
    let end = text.find(&closing)?;
    (begin <= end).then(|| text[begin..end].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(arn: &str) -> String {
        let account = arn.split(':').nth(4).unwrap_or_default();
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n    \
             <Arn>{arn}</Arn>\n    <UserId>AROA:session</UserId>\n    <Account>{account}</Account>\n  \
             </GetCallerIdentityResult>\n  <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\n\
             </GetCallerIdentityResponse>\n"
        )
    }

    #[test]
    fn the_session_of_a_role_is_read() {
        let body = answer("arn:aws-cn:sts::222222222222:assumed-role/waybill-worker/0123abcd");
        let caller = read_caller(body.as_bytes()).expect("a caller");
        assert_eq!(
            (
                caller.partition.as_str(),
                caller.account.as_str(),
                caller.role.as_str(),
                caller.session.as_deref().unwrap_or_default()
            ),
            ("aws-cn", "222222222222", "waybill-worker", "0123abcd")
        );
    }

    #[test]
    fn a_role_is_read_from_its_own_arn_whatever_its_path() {
        for arn in
            ["arn:aws:iam::222222222222:role/waybill-worker", "arn:aws:iam::222222222222:role/data/eu/waybill-worker"]
        {
            let caller = caller_of_role(arn).expect("a role");
            assert_eq!((caller.account.as_str(), caller.role.as_str()), ("222222222222", "waybill-worker"));
            assert_eq!(caller.session, None);
        }
        for arn in [
            "",
            "arn:aws:iam::222222222222:user/waybill-worker",
            "arn:aws:iam::222222222222:root",
            "arn:aws:iam::222222222222:role/",
            "arn:aws:iam::222222222222:roles/waybill-worker",
            "arn:aws:iam::2222:role/waybill-worker",
            "arn:aws:sts::222222222222:assumed-role/waybill-worker/s",
        ] {
            assert_eq!(caller_of_role(arn), None, "{arn}");
        }
    }

    #[test]
    fn h36_whatever_else_it_says_is_refused() {
        let good = answer("arn:aws:sts::222222222222:assumed-role/waybill-worker/s");
        for body in [
            String::new(),
            answer("arn:aws:iam::222222222222:user/ada"),
            answer("arn:aws:iam::222222222222:root"),
            answer("arn:aws:sts::222222222222:federated-user/ada"),
            answer("arn:aws:sts::222222222222:assumed-role/waybill-worker"),
            answer("arn:aws:sts::222222222222:assumed-role/waybill-worker/a/b"),
            answer("arn:aws:sts:eu-central-1:222222222222:assumed-role/waybill-worker/s"),
            good.replace("<Account>222222222222", "<Account>333333333333"),
            good.replace("<UserId>", "<Arn>arn:aws:sts::222222222222:assumed-role/waybill-worker/s</Arn><UserId>"),
            good.replace("<UserId>", "<!-- <Arn> --><UserId>"),
            good.replace("waybill-worker", "waybill&#45;worker"),
            format!("<?xml version=\"1.0\"?>{good}"),
            format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{good}"),
            good.replace("GetCallerIdentityResponse", "ErrorResponse"),
            format!("{good}{good}"),
            format!("{good}{}", " ".repeat(MAX_ANSWER_BYTES)),
            format!("<html>{good}</html>"),
        ] {
            assert!(read_caller(body.as_bytes()).is_err(), "{body}");
        }
        assert!(read_caller(&[0xff, 0xfe]).is_err());
    }
}
