//! What an officer does at a desk: signed plans, keys, and a guard that is read without anything running.

use super::*;

/// The command line program, offline.
fn waybill(arguments: &[&str], dir: &Path) -> Result<Output> {
    Ok(Command::new(binary("waybill")).args(arguments).current_dir(dir).output()?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Makes a key in `dir` and returns its public half.
fn keygen(dir: &Path, name: &str) -> Result<String> {
    let made = waybill(&["sign", "keygen", "--key", name], dir)?;
    ensure!(made.status.success(), "{}", said(&made));
    ensure!(std::fs::metadata(dir.join(name))?.permissions().mode() & 0o777 == 0o600, "the key is open");
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

/// Signs a document with a key of `dir` and returns the signatures as a request takes them.
fn signatures(dir: &Path, document: &str, more: &[&str]) -> Result<Vec<PlanSignature>> {
    std::fs::write(dir.join("shop.yaml"), document)?;
    let signed = waybill(&[&["sign", "shop.yaml"], more].concat(), dir)?;
    ensure!(signed.status.success(), "{}", said(&signed));
    let all: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("shop.yaml.sig"))?)?;
    Ok(serde_json::from_value(all["signatures"].clone())?)
}

/// The same signature with another end: a day later.
fn re_dated(signature: &str) -> Result<String> {
    let parts: Vec<&str> = signature.split('.').collect();
    let [version, key, expires, value] = parts[..] else { anyhow::bail!("{} parts", parts.len()) };
    let later = expires.parse::<i64>()? + 24 * 60 * 60 * 1_000_000;
    Ok(format!("{version}.{key}.{later}.{value}"))
}

#[tokio::test]
async fn h46_only_what_a_signer_signed_is_run_and_every_other_signature_is_rejected() -> Result<()> {
    let keys = tempfile::tempdir()?;
    let (key, _) = (keygen(keys.path(), "release.key")?, keygen(keys.path(), "other.key")?);
    let guard = format!("require_signed_specs = true\n{LOCAL}[signers.release]\nkey = \"{key}\"\n");
    let story = Guarded::start(&guard, Options::default()).await?;
    let document = shop(story.scratch.path(), 10)?;
    let rejected = async |what: &str, reason: &str| -> Result<()> {
        let before = files(&story.path("lake"), &[]).len();
        let (ended, code) = story.run("items").await?;
        ensure!(code.as_deref() == Some("signature_rejected"), "{what}: {:?}", ended.run.failure);
        ensure!(story.log_of(&ended)?.contains(reason), "{what}: {}", story.log_of(&ended)?);
        ensure!(files(&story.path("lake"), &[]).len() == before, "{what}: something was opened");
        Ok(())
    };
    std::fs::create_dir(story.path("lake"))?;
    story.sandbox.apply(&document).await?;
    rejected("unsigned", "signature_missing").await?;
    let others = signatures(keys.path(), &document, &["--key", "other.key"])?;
    story.sandbox.apply_signed(&document, others).await?;
    rejected("another's", "signer_not_allowed").await?;

    let good = signatures(keys.path(), &document, &["--key", "release.key"])?;
    story.sandbox.apply_signed(&document, good.clone()).await?;
    let (ended, code) = story.run("items").await?;
    ensure!(code.is_none() && story.path("lake/items/_delta_log").exists(), "{:?}", ended.run.failure);

    let over = signatures(keys.path(), &document, &["--key", "release.key", "--expires", "1ms"])?;
    story.sandbox.apply_signed(&document, over).await?;
    rejected("over", "signature_expired").await?;
    let mut longer = good.clone();
    longer[0].signature = re_dated(&longer[0].signature)?;
    story.sandbox.apply_signed(&document, longer).await?;
    rejected("re-dated", "signature_invalid").await?;

    // A plan that changed after it was signed: told at once where the old signature comes along, refused where none does.
    let changed = document.replace("load: full", "load: full, shrink-guard: off");
    ensure!(story.sandbox.apply_signed(&changed, good).await.is_err_and(|e| format!("{e}").contains("waybill sign")));
    story.sandbox.apply(&changed).await?;
    let (ended, code) = story.run("items").await?;
    ensure!(code.as_deref() == Some("signature_rejected"), "{:?}", ended.run.failure);
    Ok(())
}

#[test]
fn an_officer_sees_offline_what_a_guard_allows_and_why_not() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    std::fs::write(dir.join("shop.yaml"), shop(dir, 1)?)?;
    let drafted = waybill(&["guard", "init", "shop.yaml"], dir)?;
    std::fs::write(dir.join("guard.toml"), &drafted.stdout)?;
    let test = ["guard", "test", "shop.yaml", "--guard", "guard.toml"];
    let tested = waybill(&test, dir)?;
    ensure!(tested.status.success(), "a draft allows what it was made from: {}", said(&tested));
    let linted = waybill(&["guard", "lint", "guard.toml"], dir)?;
    ensure!(linted.status.success() && said(&linted).contains("`expires`"), "{}", said(&linted));

    std::fs::write(dir.join("guard.toml"), waybill(&["guard", "init"], dir)?.stdout)?;
    let tested = waybill(&test, dir)?;
    ensure!(tested.status.code() == Some(6), "{}", said(&tested));
    for part in ["connector_not_allowed", "path_not_allowed", "guard.toml:", "add \"sqlite\" to `connectors`"] {
        ensure!(said(&tested).contains(part), "{part}: {}", said(&tested));
    }
    let json = waybill(&[&test[..], &["-o", "json"]].concat(), dir)?;
    let found: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    ensure!(found["items"][0]["refusals"][0]["line"].as_u64().is_some_and(|line| line > 1), "{found}");

    std::fs::write(dir.join("guard.toml"), "guard = 1\n[read]\nhost = []\n")?;
    let linted = waybill(&["guard", "lint", "guard.toml"], dir)?;
    ensure!(linted.status.code() == Some(6) && said(&linted).contains("did you mean `hosts`?"), "{}", said(&linted));
    Ok(())
}

#[test]
fn a_key_is_written_once_and_taken_only_from_a_file_of_ones_own() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    let public = keygen(dir, "release.key")?;
    ensure!(public.starts_with("ed25519:"), "{public}");
    let again = waybill(&["sign", "keygen", "--key", "release.key"], dir)?;
    ensure!(!again.status.success(), "an older key was written over");
    let document = shop(dir, 1)?;
    std::fs::set_permissions(dir.join("release.key"), std::fs::Permissions::from_mode(0o644))?;
    let refused = signatures(dir, &document, &["--key", "release.key"]);
    ensure!(refused.is_err_and(|error| error.to_string().contains("chmod 600")));
    std::fs::set_permissions(dir.join("release.key"), std::fs::Permissions::from_mode(0o600))?;
    let signed = signatures(dir, &document, &["--key", "release.key"])?;
    ensure!(signed.len() == 1 && signed[0].pipeline == "items");

    // The same file serves a run without an orchestrator.
    let guard = format!("require_signed_specs = true\n{LOCAL}[signers.release]\nkey = \"{public}\"\n");
    std::fs::write(dir.join("guard.toml"), guard.replace("{scratch}", &dir.display().to_string()))?;
    let once = |more: &[&str]| {
        let mut command = Command::new(binary("waybill-worker"));
        command.args(["once", "--spec", "shop.yaml", "--guard", "guard.toml"]).args(more).current_dir(dir).output()
    };
    let unsigned = once(&[])?;
    ensure!(unsigned.status.code() == Some(10) && said(&unsigned).contains("signature_missing"), "{}", said(&unsigned));
    let run = once(&["--signatures", "shop.yaml.sig"])?;
    ensure!(run.status.success(), "{}", said(&run));
    Ok(())
}
