//! Secrets that lie beside the worker: in its environment, or in a file that not every user can read.

use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{Keeper, LONGEST, Problem, Secret};

/// The worker's environment; a reference is a variable's name.
pub(super) struct Environment;

/// Files; a reference is an absolute path.
pub(super) struct Files;

#[async_trait]
impl Keeper<str> for Environment {
    async fn fetch(&self, name: &str) -> Result<Secret, Problem> {
        match std::env::var(name) {
            Ok(value) => Secret::of(Zeroizing::new(value)),
            Err(std::env::VarError::NotPresent) => Err(Problem::not_found("is not set in the worker's environment")),
            Err(std::env::VarError::NotUnicode(_)) => Err(Problem::unusable("is not text")),
        }
    }
}

#[async_trait]
impl Keeper<str> for Files {
    async fn fetch(&self, path: &str) -> Result<Secret, Problem> {
        let refused = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => Problem::denied("may not be read by the worker's user"),
            std::io::ErrorKind::InvalidData => Problem::unusable("is not text"),
            _ => Problem::not_found("can't be found by the worker"),
        };
        let about = std::fs::metadata(path).map_err(|error| refused(&error))?;
        if !about.is_file() || about.len() > LONGEST {
            return Err(Problem::unusable("is no file of at most 64 KiB"));
        }
        if about.permissions().mode() & 0o004 != 0 {
            let why = "can be read by every user of the machine: take that right away (chmod o-r)";
            return Err(Problem::unusable(why));
        }
        let mut text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| refused(&error))?);
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Secret::of(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use waybill_model::FailureCode;
    use waybill_model::secret::SecretRef;
    use waybill_pipeline::Fault;

    use super::*;
    use crate::connect::Means;

    fn file(text: &str, mode: u32) -> (tempfile::NamedTempFile, SecretRef) {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), text).expect("write");
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).expect("mode");
        let reference = SecretRef::File(file.path().display().to_string());
        (file, reference)
    }

    async fn refused(reference: &SecretRef) -> Fault {
        Means::unguarded().secrets.resolve(reference).await.err().expect("refused")
    }

    #[tokio::test]
    async fn a_file_gives_its_text_without_the_last_newline() {
        let (_file, reference) = file("hunter2\n", 0o600);
        let secret = Means::unguarded().secrets.resolve(&reference).await.expect("a secret");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[tokio::test]
    async fn a_file_that_every_user_can_read_is_refused_and_not_repeated() {
        let (_file, reference) = file("hunter2", 0o644);
        let fault = refused(&reference).await;
        assert_eq!(fault.code, FailureCode::SecretUnresolved);
        assert!(fault.text.for_customer().contains("chmod") && !fault.text.for_customer().contains("hunter2"));
    }

    #[tokio::test]
    async fn what_is_missing_or_empty_is_named() {
        let variable = SecretRef::Env("WAYBILL_TEST_NO_SUCH_VARIABLE".into());
        let (_file, empty) = file("\n", 0o600);
        for (reference, code) in [
            (variable, FailureCode::SecretNotFound),
            (SecretRef::File("/nowhere/at/all".into()), FailureCode::SecretNotFound),
            (empty, FailureCode::SecretUnresolved),
        ] {
            let fault = refused(&reference).await;
            assert_eq!(fault.code, code);
            assert!(fault.text.for_customer().contains(&reference.to_string()));
        }
    }
}
