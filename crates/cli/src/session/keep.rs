//! The file of logins: read, replaced whole, never readable by others.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use waybill_api::account::Tokens;
use waybill_api::client::Keeper;
use waybill_model::Micros;

use crate::exit::{Exit, Failure, Result};

/// One login.
#[derive(Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) url: String,
    /// State directory that says where the orchestrator listens now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<PathBuf>,
    /// The CA to trust, PEM; the system's roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    pub(crate) tokens: Tokens,
    pub(crate) at: Micros,
}

/// All logins, by state directory or address.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Logins {
    /// The newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    #[serde(default)]
    logins: BTreeMap<String, Login>,
}

impl Logins {
    pub(crate) fn read() -> Result<Self> {
        let file = file()?;
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(broken(&file, &format!("can't be read: {}", error.kind()))),
        };
        let mode = std::fs::metadata(&file).map_or(0, |meta| meta.permissions().mode());
        if mode & 0o077 != 0 {
            return Err(broken(&file, "can be read by others; they may have your login")
                .next(format!("rm {} && waybill login", file.display())));
        }
        serde_json::from_str(&text).map_err(|_| broken(&file, "is damaged"))
    }

    pub(crate) fn of(&self, key: &str) -> Option<&Login> {
        self.logins.get(key)
    }

    /// Addresses that a login was made at; one that a state directory leads to has none of its own.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.logins.values().filter(|login| login.state.is_none()).map(|login| login.url.as_str())
    }

    /// Keeps a login and makes it the current one.
    pub(crate) fn add(key: &str, login: Login) -> Result<()> {
        let _alone = lock()?;
        Self::change(|logins| {
            logins.current = Some(key.to_owned());
            logins.logins.insert(key.to_owned(), login);
        })
    }

    /// Replaces the tokens of a login that is still there. For whoever holds the lock.
    fn replace(key: &str, tokens: Tokens) -> Result<()> {
        Self::change(|logins| {
            if let Some(login) = logins.logins.get_mut(key) {
                (login.tokens, login.at) = (tokens, Micros::now());
            }
        })
    }

    pub(crate) fn remove(key: &str) -> Result<()> {
        let _alone = lock()?;
        Self::change(|logins| {
            logins.logins.remove(key);
            if logins.current.as_deref() == Some(key) {
                logins.current = logins.logins.keys().next().cloned();
            }
        })
    }

    /// Writes a new file beside the old one and puts it in its place, so that a crash leaves one of the two. The lock is
    /// held by the caller, so that no change of another command is written over.
    fn change(apply: impl FnOnce(&mut Self)) -> Result<()> {
        let file = file()?;
        let mut logins = Self::read()?;
        apply(&mut logins);
        let text = serde_json::to_string_pretty(&logins).map_err(|_| broken(&file, "can't be written"))?;
        let written = || -> std::io::Result<()> {
            let beside = file.with_extension(format!("json.{}", std::process::id()));
            let mut new = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            std::fs::rename(&beside, &file)
        };
        written().map_err(|error| broken(&file, &format!("can't be written: {}", error.kind())))
    }
}

/// One login of the file, for a client that goes on with it.
pub(super) struct Kept {
    key: String,
}

impl Kept {
    pub(super) fn at(key: &str) -> Self {
        Self { key: key.to_owned() }
    }
}

impl Keeper for Kept {
    fn alone(&self) -> std::result::Result<Box<dyn Send>, &'static str> {
        match lock() {
            Ok(file) => Ok(Box::new(file)),
            Err(_) => Err("the file of logins can't be locked: look at the folder's permissions"),
        }
    }

    fn kept(&self) -> Option<Tokens> {
        Logins::read().ok()?.of(&self.key).map(|login| login.tokens.clone())
    }

    fn keep(&self, tokens: &Tokens) {
        // Where the new tokens can't be kept, the next command asks for a login: that is told then.
        let _ = Logins::replace(&self.key, tokens.clone());
    }
}

/// Held while the file of logins is changed, so that no two commands do so at once; released when dropped.
fn lock() -> Result<File> {
    let path = file()?.with_extension("lock");
    let taken = || -> std::io::Result<File> {
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        lock.lock()?;
        Ok(lock)
    };
    taken().map_err(|error| broken(&path, &format!("can't be locked: {}", error.kind())))
}

/// Where logins stand.
pub(crate) fn file() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    config.map(|config| config.join("waybill").join("login.json")).ok_or_else(|| {
        Failure::new(Exit::Invalid, "no_home", "neither XDG_CONFIG_HOME nor HOME says where logins are kept")
            .next("set HOME, or give WAYBILL_URL and WAYBILL_TOKEN")
    })
}

fn broken(file: &Path, what: &str) -> Failure {
    Failure::new(Exit::Invalid, "login_file_unusable", format!("{} {what}", file.display())).next("waybill login")
}
