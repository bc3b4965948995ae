//! `sign`: keys, and signatures over the plans of a pipeline file. The private key never leaves its file.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waybill_api::spec::PlanSignature;
use waybill_model::Micros;
use waybill_spec::sign::{SignError, SigningKey};

use crate::args;
use crate::commands::guard::{self, plans, signatures_of};
use crate::commands::validate;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, clean};

/// What a file of signatures begins with.
const FORMAT: &str = "waybill-signatures/v1";
/// How long a signature counts where nobody says otherwise.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A file of signatures.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signatures {
    format: String,
    signatures: Vec<PlanSignature>,
}

pub(crate) fn sign(command: args::Sign, output: &Output) -> Result<Exit> {
    match (command.command, command.file, command.key) {
        (Some(args::SignCommand::Keygen { key }), ..) => keygen(&key, output),
        (None, Some(file), Some(key)) => sign_file(&file, &key, command.expires.unwrap_or(YEAR), output),
        _ => Err(Failure::new(Exit::Usage, "usage", "a pipeline file and --key are needed")
            .next("waybill sign shop.waybill.yaml --key release.key")),
    }
}

/// A new key pair.
#[derive(Serialize)]
struct Made {
    key: String,
    public_key: String,
}

fn keygen(file: &Path, output: &Output) -> Result<Exit> {
    let key = SigningKey::generate().map_err(|error| unusable(file, &error))?;
    let pem = key.to_pem().map_err(|error| unusable(file, &error))?;
    write_new(file, &pem)?;
    let made = Made { key: clean(&file.display().to_string()), public_key: key.public().to_string() };
    output.one(&made, &made.public_key.clone(), || format!("{}\n", made.public_key))?;
    if output.is_table() {
        output.say(
            "put this line into the guard, as `key` below [signers.NAME]; keep the file where only you can read it",
        );
    }
    Ok(Exit::Done)
}

/// Writes a private file that must not exist: an older key would be lost.
fn write_new(file: &Path, text: &str) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.and_then(|mut made| made.write_all(text.as_bytes())).map_err(|error| {
        let name = clean(&file.display().to_string());
        Failure::new(Exit::Failed, "file_not_written", format!("{name} can't be written: {}", error.kind()))
            .next("name a file that does not exist, in a directory of yours")
    })
}

/// One signature that was made.
#[derive(Serialize)]
struct Signed {
    pipeline: String,
    expires: String,
    digest: String,
}

impl Row for Signed {
    const HEADER: &'static [&'static str] = &["PIPELINE", "UNTIL", "PLAN"];

    fn cells(&self) -> Vec<String> {
        let digest = self.digest.get(..12).unwrap_or(&self.digest).to_owned();
        vec![self.pipeline.clone(), self.expires.clone(), digest]
    }

    fn name(&self) -> String {
        self.pipeline.clone()
    }
}

fn sign_file(file: &Path, key_file: &Path, life: Duration, output: &Output) -> Result<Exit> {
    let document = guard::document(file, output)?;
    let key = read_key(key_file)?;
    let expires = Micros::now().plus(life);
    let mut signatures = Vec::new();
    for plan in plans(&document) {
        let signature = key.sign(waybill_spec::plan_canonical(&plan).as_bytes(), expires);
        let digest = waybill_spec::plan_digest(&plan);
        signatures.push(PlanSignature { pipeline: plan.pipeline, digest, signature });
    }
    let made: Vec<Signed> = signatures
        .iter()
        .map(|one| Signed { pipeline: one.pipeline.clone(), expires: expires.to_rfc3339(), digest: one.digest.clone() })
        .collect();
    let all = Signatures { format: FORMAT.to_owned(), signatures };
    let to = signatures_of(file);
    let json = serde_json::to_string_pretty(&all).unwrap_or_default() + "\n";
    std::fs::write(&to, json).map_err(|error| {
        let name = clean(&to.display().to_string());
        Failure::new(Exit::Failed, "file_not_written", format!("{name} can't be written: {}", error.kind()))
    })?;
    output.list(&made, None)?;
    if output.is_table() {
        output.say(&format!("written: {}; `waybill apply` takes it along", clean(&to.display().to_string())));
    }
    Ok(Exit::Done)
}

/// A key that others can read is no key of one's own any more.
fn read_key(file: &Path) -> Result<SigningKey> {
    let text = validate::read(file)?;
    let open = std::fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o077 != 0);
    if open {
        let name = clean(&file.display().to_string());
        let message = format!("{name} can be read by others than its owner");
        return Err(
            Failure::new(Exit::Invalid, "key_open", message).next(format!("chmod 600 {name}, if nobody has read it"))
        );
    }
    SigningKey::read(&text).map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &SignError) -> Failure {
    Failure::new(Exit::Invalid, "key_unusable", format!("{}: {error}", clean(&file.display().to_string())))
        .next("waybill sign keygen --key release.key")
}

/// The signatures that go with a pipeline file: those named, or those that stand beside it; none where there are none.
pub(super) fn beside(file: &Path, named: Option<&Path>) -> Result<Vec<PlanSignature>> {
    let found = match named {
        Some(named) => named.to_owned(),
        None => signatures_of(file),
    };
    if named.is_none() && !found.exists() {
        return Ok(Vec::new());
    }
    let name = clean(&found.display().to_string());
    let read = serde_json::from_str::<Signatures>(&validate::read(&found)?);
    match read {
        Ok(all) if all.format == FORMAT => Ok(all.signatures),
        _ => Err(Failure::new(Exit::Invalid, "signatures_unreadable", format!("{name} holds no signatures"))
            .next("make it again with `waybill sign`")),
    }
}
