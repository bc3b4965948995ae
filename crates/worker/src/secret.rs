//! Secrets: found here, in the customer's cloud, by the references that the spec holds.
//!
//! A secret has no `Debug`, `Display` or `Serialize` and is wiped when it is dropped. An error names the reference only.

use std::os::unix::fs::PermissionsExt;

use waybill_model::FailureCode;
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Fault, FaultResult};
use zeroize::Zeroizing;

/// The longest file that is taken for a secret.
const LONGEST: u64 = 64 << 10;

/// A resolved secret.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The value, for the connector that logs in with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The value itself, still wiped when it is dropped.
    #[must_use]
    pub fn into_inner(self) -> Zeroizing<String> {
        self.0
    }
}

/// Resolves a reference, or says what is missing.
pub fn resolve(reference: &SecretRef) -> FaultResult<Secret> {
    let found = match reference {
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(value) => Ok(Zeroizing::new(value)),
            Err(std::env::VarError::NotPresent) => Err("is not set in the worker's environment"),
            Err(std::env::VarError::NotUnicode(_)) => Err("is not text"),
        },
        SecretRef::File(path) => read(path),
    };
    match found {
        Ok(value) if value.is_empty() => Err(unresolved(reference, "is empty")),
        Ok(value) => Ok(Secret(value)),
        Err(why) => Err(unresolved(reference, why)),
    }
}

fn read(path: &str) -> Result<Zeroizing<String>, &'static str> {
    let about = std::fs::metadata(path).map_err(|_| "can't be found by the worker")?;
    if !about.is_file() || about.len() > LONGEST {
        return Err("is no file of at most 64 KiB");
    }
    if about.permissions().mode() & 0o004 != 0 {
        return Err("can be read by every user of the machine: take that right away (chmod o-r)");
    }
    let mut text = Zeroizing::new(std::fs::read_to_string(path).map_err(|_| "can't be read as text by the worker")?);
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unresolved(reference: &SecretRef, why: &str) -> Fault {
    Fault::new(FailureCode::SecretUnresolved, format!("{reference} {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::NamedTempFile, SecretRef) {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), text).expect("write");
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).expect("mode");
        let reference = SecretRef::File(file.path().display().to_string());
        (file, reference)
    }

    #[test]
    fn a_file_gives_its_text_without_the_last_newline() {
        let (_file, reference) = file("hunter2\n", 0o600);
        assert_eq!(resolve(&reference).ok().map(|secret| secret.reveal().to_owned()).as_deref(), Some("hunter2"));
    }

    #[test]
    fn a_file_that_every_user_can_read_is_refused_and_not_repeated() {
        let (_file, reference) = file("hunter2", 0o644);
        let fault = resolve(&reference).err().expect("refused");
        assert_eq!(fault.code, FailureCode::SecretUnresolved);
        assert!(fault.text.for_customer().contains("chmod") && !fault.text.for_customer().contains("hunter2"));
    }

    #[test]
    fn a_missing_variable_is_named() {
        let fault = resolve(&SecretRef::Env("WAYBILL_TEST_NO_SUCH_VARIABLE".into())).err().expect("missing");
        assert!(fault.text.for_customer().contains("env://WAYBILL_TEST_NO_SUCH_VARIABLE"));
    }
}
