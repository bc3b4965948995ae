//! The calls that strace wrote down, as far as they change a directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// All that can change a file or a name, or make it safe.
pub(super) const TRACED: &str = "trace=open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,\
copy_file_range,sendfile,splice,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,\
fsync,fdatasync,sync_file_range,io_uring_setup";

pub(super) struct Call {
    /// In nanoseconds.
    pub(super) start: u128,
    pub(super) end: u128,
    pub(super) what: What,
}

pub(super) enum What {
    Create(PathBuf),
    Directory(PathBuf),
    Write(PathBuf, Vec<u8>),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    Sync(PathBuf),
}

/// One line: `1795469978.800959102 fsync(3<path>) = 0 <0.005937565>`.
struct Line<'t> {
    name: &'t str,
    arguments: &'t str,
    /// What stands in angle brackets and in quotes, in their order.
    paths: Vec<PathBuf>,
    texts: Vec<Vec<u8>>,
    answer: &'t str,
}

/// All calls below `root` and of its parent, in the order in which they ended.
pub(super) fn read(traces: &Path, root: &Path) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for file in std::fs::read_dir(traces)? {
        for line in std::fs::read_to_string(file?.path())?.lines() {
            calls.extend(call(line, root).with_context(|| line.chars().take(300).collect::<String>())?);
        }
    }
    calls.sort_by_key(|call: &Call| call.end);
    Ok(calls)
}

fn call(text: &str, root: &Path) -> Result<Option<Call>> {
    let Some((line, start, took)) = line(text)? else { return Ok(None) };
    let Some(what) = what(&line, root)? else { return Ok(None) };
    Ok(Some(Call { start, end: start + took, what }))
}

fn line(text: &str) -> Result<Option<(Line<'_>, u128, u128)>> {
    let (start, rest) = text.split_once(' ').context("a time")?;
    // A signal, an exit, or a thread that ended before its next call.
    if rest.starts_with(['-', '+', '?']) {
        return Ok(None);
    }
    let Some((rest, took)) = rest.strip_suffix('>').and_then(|rest| rest.rsplit_once(" <")) else {
        return Ok(None); // it never came back: the program was ended
    };
    let (call, answer) = rest.rsplit_once(") = ").context("an answer")?;
    let (name, arguments) = call.split_once('(').context("arguments")?;
    let texts = within(arguments, '"', '"')?;
    let paths =
        within(rest, '<', '>')?.into_iter().map(|path| PathBuf::from(String::from_utf8_lossy(&path).into_owned()));
    let line = Line { name, arguments, paths: paths.collect(), texts, answer };
    Ok(Some((line, nanos(start)?, nanos(took)?)))
}

fn nanos(text: &str) -> Result<u128> {
    Ok(text.replace('.', "").parse()?)
}

/// What stands between these marks. All of it is in hex, so neither stands within.
fn within(text: &str, from: char, to: char) -> Result<Vec<Vec<u8>>> {
    let (mut rest, mut found) = (text, Vec::new());
    while let Some((_, behind)) = rest.split_once(from) {
        let (inner, after) = behind.split_once(to).context("an end")?;
        found.push(hex::decode(inner.replace("\\x", "")).context("hex")?);
        rest = after;
    }
    Ok(found)
}

fn what(line: &Line<'_>, root: &Path) -> Result<Option<What>> {
    if line.answer.starts_with("-1") {
        return Ok(None);
    }
    let named = |at: usize| -> Result<PathBuf> {
        let name = line.texts.get(at).context("a name")?;
        let place = line.paths.get(at).map_or(Path::new("/"), PathBuf::as_path);
        Ok(place.join(String::from_utf8_lossy(name).as_ref()))
    };
    let what = match line.name {
        "open" | "openat" if !line.arguments.contains("O_CREAT") && !line.arguments.contains("O_TRUNC") => {
            return Ok(None);
        }
        "openat" if line.arguments.contains("O_EXCL") => What::Create(named(0)?),
        "write" => {
            let mut bytes = line.texts.first().context("bytes")?.clone();
            // What was taken, which may be less than was given.
            bytes.truncate(line.answer.parse()?);
            What::Write(line.paths.first().context("a file")?.clone(), bytes)
        }
        "mkdir" | "mkdirat" => What::Directory(named(0)?),
        "linkat" => What::Link(named(0)?, named(1)?),
        "renameat" | "renameat2" => What::Rename(named(0)?, named(1)?),
        "unlinkat" => What::Unlink(named(0)?),
        "fsync" => What::Sync(line.paths.first().context("a file")?.clone()),
        _ => {
            let is_ours = line.paths.iter().any(|path| path.starts_with(root)) || line.name == "io_uring_setup";
            let texts = line.texts.iter().map(|text| PathBuf::from(String::from_utf8_lossy(text).into_owned()));
            if is_ours || texts.into_iter().any(|path| path.starts_with(root)) {
                bail!("a call that is not known here");
            }
            return Ok(None);
        }
    };
    Ok(what.is_about(root).then_some(what))
}

impl What {
    fn is_about(&self, root: &Path) -> bool {
        match self {
            Self::Create(path) | Self::Directory(path) | Self::Write(path, _) | Self::Unlink(path) => {
                path.starts_with(root)
            }
            Self::Link(_, path) | Self::Rename(_, path) => path.starts_with(root),
            Self::Sync(path) => path.starts_with(root) || root.parent() == Some(path),
        }
    }
}
