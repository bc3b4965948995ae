//! Values that may be secrets: literal, from the environment, or from a file that only this user can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;
use waybill_model::secret::SecretRef;

/// Whether group or others can read the file.
pub(super) fn others_can_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// The value behind `text`, or what is wrong with it. `exposed`: the text stands in a file that others can read.
pub(super) fn resolve(text: &str, exposed: bool) -> Result<SecretString, String> {
    match text.parse::<SecretRef>() {
        Ok(SecretRef::Env(name)) => {
            std::env::var(&name).map(SecretString::from).map_err(|_| format!("refers to {name}, which is not set"))
        }
        Ok(SecretRef::File(path)) => {
            let path = Path::new(&path);
            if others_can_read(path) {
                return Err("refers to a file that others can read; run `chmod 600` on it".into());
            }
            let text = std::fs::read_to_string(path).map_err(|error| format!("refers to a file: {}", error.kind()))?;
            Ok(SecretString::from(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
        }
        Ok(SecretRef::AwsSecret(_) | SecretRef::AwsParameter(_) | SecretRef::Vault(_)) => {
            Err("is a reference that only workers follow: write env://NAME or file:///absolute/path".into())
        }
        Err(_) if text.starts_with("env://") || text.starts_with("file://") => {
            Err("is not a reference: write env://NAME or file:///absolute/path".into())
        }
        Err(_) if exposed && holds_password(text) => {
            Err("holds a password in a file that others can read; run `chmod 600` on it or write file:///path".into())
        }
        Err(_) => literal(text),
    }
}

/// A URL as it is.
fn literal(text: &str) -> Result<SecretString, String> {
    if let Some(path) = text.strip_prefix("sqlite://")
        && !path.starts_with('/')
    {
        return Err("must be sqlite:// with an absolute path, such as sqlite:///var/lib/waybill/waybill.db".into());
    }
    Ok(SecretString::from(text.to_owned()))
}

fn holds_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let in_authority = authority.split(['/', '?']).next().and_then(|part| part.rsplit_once('@'));
    in_authority.is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
}
