//! What a power cut may leave of a directory: a program's calls are recorded by strace, and played again with all that was never synced
//! kept, lost or half done.
//!
//! The rules are those of POSIX and no more, as in "All File Systems Are Not Created Equal" (Pillai et al., OSDI 2014): bytes are safe once
//! their file was synced, a name once its directory was. What a certain file system does besides is not relied on.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use calls::{Call, What};

/// A directory as it was, and every call that has changed it since.
pub struct Recording {
    root: PathBuf,
    before: Disk,
    calls: Vec<Call>,
}

/// A directory as a power cut may have left it.
pub struct Left {
    /// How many calls came before.
    pub after: usize,
    /// Of how many in all.
    pub of: usize,
    names: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

#[derive(Clone, Default)]
struct Disk {
    root: PathBuf,
    files: Vec<File>,
    /// What is safe.
    names: BTreeMap<PathBuf, Node>,
    /// What has no synced directory yet, in its order.
    open: Vec<Change>,
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    safe: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Clone)]
struct Change {
    /// When it was done.
    at: u128,
    directory: PathBuf,
    puts: Option<(PathBuf, Node)>,
    takes: Option<PathBuf>,
}

/// What becomes of bytes that were never synced.
#[derive(Clone, Copy)]
enum Bytes {
    Kept,
    Half,
    Lost,
}

impl Recording {
    /// Runs a program and records what it does below `root`, whose parent directory is there and safe.
    ///
    /// # Errors
    /// Where strace can't be run, or the program changes the directory by a call that is not known here.
    pub fn of(command: &Command, root: &Path) -> Result<(Self, Output)> {
        let before = Disk::of(root)?;
        let traces = tempfile::tempdir()?;
        let mut traced = Command::new("strace");
        traced.args(["-ff", "-qq", "-y", "-xx", "-s", "100000000", "-e", calls::TRACED]);
        traced.args(["--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns", "-o"]);
        traced.arg(traces.path().join("trace")).arg(command.get_program()).args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            traced.current_dir(directory);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => traced.env(name, value),
                None => traced.env_remove(name),
            };
        }
        let output = traced.output().context("strace")?;
        let calls = calls::read(traces.path(), root)?;
        ensure!(!calls.is_empty(), "nothing was changed: {}", String::from_utf8_lossy(&output.stderr));
        Ok((Self { root: root.to_owned(), before, calls }, output))
    }

    /// Everything that a cut at any moment may have left; twice the same is told once, however its temporary files are called.
    pub fn every(&self, temporary: &str) -> Result<Vec<Left>> {
        let (mut disk, mut seen, mut all) = (self.before.clone(), BTreeSet::new(), Vec::new());
        for after in 0..=self.calls.len() {
            if let Some(call) = after.checked_sub(1).map(|last| &self.calls[last]) {
                disk.apply(call)?;
            }
            for names in disk.after_a_cut() {
                let last = after == self.calls.len();
                if seen.insert((last, digest(&names, temporary))) {
                    all.push(Left { after, of: self.calls.len(), names });
                }
            }
        }
        Ok(all)
    }

    /// Lays it down in place of what is there.
    pub fn lay(&self, left: &Left) -> Result<()> {
        if self.root.exists() {
            std::fs::remove_dir_all(&self.root)?;
        }
        for (path, bytes) in &left.names {
            match bytes {
                None => std::fs::create_dir(path)?,
                Some(bytes) => std::fs::File::create_new(path)?.write_all(bytes)?,
            }
        }
        Ok(())
    }
}

impl Disk {
    /// All of a directory, safe.
    fn of(root: &Path) -> Result<Self> {
        let mut disk = Self { root: root.to_owned(), ..Self::default() };
        if root.exists() {
            disk.add(root)?;
        }
        Ok(disk)
    }

    fn add(&mut self, directory: &Path) -> Result<()> {
        self.names.insert(directory.to_owned(), Node::Directory);
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                self.add(&path)?;
            } else {
                let bytes = std::fs::read(&path)?;
                self.names.insert(path, Node::File(self.files.len()));
                self.files.push(File { safe: bytes.clone(), bytes });
            }
        }
        Ok(())
    }

    /// All names as the program sees them.
    fn seen(&self) -> BTreeMap<PathBuf, Node> {
        let mut names = self.names.clone();
        self.open.iter().for_each(|change| change.apply(&mut names));
        names
    }

    fn file(&self, path: &Path) -> Result<usize> {
        match self.seen().get(path) {
            Some(Node::File(file)) => Ok(*file),
            _ => anyhow::bail!("no file is called {}", path.display()),
        }
    }

    fn change(&mut self, at: u128, puts: Option<(&Path, Node)>, takes: Option<&Path>) {
        let path = puts.map(|(path, _)| path).or(takes).unwrap_or(Path::new("/"));
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let puts = puts.map(|(path, node)| (path.to_owned(), node));
        self.open.push(Change { at, directory, puts, takes: takes.map(Path::to_owned) });
    }

    fn apply(&mut self, call: &Call) -> Result<()> {
        match &call.what {
            What::Create(path) => {
                self.files.push(File::default());
                self.change(call.end, Some((path, Node::File(self.files.len() - 1))), None);
            }
            What::Directory(path) => self.change(call.end, Some((path, Node::Directory)), None),
            What::Write(path, bytes) => {
                let file = self.file(path)?;
                self.files[file].bytes.extend_from_slice(bytes);
            }
            What::Link(from, to) => {
                let file = self.file(from)?;
                self.change(call.end, Some((to, Node::File(file))), None);
            }
            What::Rename(from, to) => {
                ensure!(from.parent() == to.parent(), "a rename into another directory");
                let file = self.file(from)?;
                self.change(call.end, Some((to, Node::File(file))), Some(from));
            }
            What::Unlink(path) => self.change(call.end, None, Some(path)),
            What::Sync(path) => match self.seen().get(path) {
                Some(Node::File(file)) => self.files[*file].safe = self.files[*file].bytes.clone(),
                // Of the parent of the root only the root itself is known.
                _ => self.sync(path, call.start),
            },
        }
        Ok(())
    }

    /// What was done in a directory before this moment is safe.
    fn sync(&mut self, directory: &Path, before: u128) {
        let (safe, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|change| change.directory == directory && change.at <= before);
        self.open = open;
        let safe: Vec<Change> = safe;
        safe.iter().for_each(|change| change.apply(&mut self.names));
    }

    /// With none of the open changes, all of them, each alone and all but each; and their bytes kept, in part and lost.
    fn after_a_cut(&self) -> Vec<BTreeMap<PathBuf, Option<Vec<u8>>>> {
        let open = self.open.len();
        let mut choices: Vec<Vec<bool>> = vec![vec![false; open], vec![true; open]];
        for one in 0..open {
            choices.push((0..open).map(|at| at == one).collect());
            choices.push((0..open).map(|at| at != one).collect());
        }
        let mut all = Vec::new();
        for choice in choices {
            let mut names = self.names.clone();
            let chosen = self.open.iter().zip(choice).filter(|(_, is_chosen)| *is_chosen);
            chosen.for_each(|(change, _)| change.apply(&mut names));
            for bytes in [Bytes::Kept, Bytes::Half, Bytes::Lost] {
                all.push(self.laid(&names, bytes));
            }
        }
        all
    }

    /// What is reachable: a name in a directory that is lost is lost with it.
    fn laid(&self, names: &BTreeMap<PathBuf, Node>, bytes: Bytes) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut laid: BTreeMap<PathBuf, Option<Vec<u8>>> = BTreeMap::new();
        for (path, node) in names {
            let parent = path.parent().and_then(|parent| laid.get(parent));
            if *path != self.root && !matches!(parent, Some(None)) {
                continue;
            }
            laid.insert(
                path.clone(),
                match node {
                    Node::Directory => None,
                    Node::File(file) => Some(self.files[*file].after_a_cut(bytes)),
                },
            );
        }
        laid
    }
}

impl File {
    fn after_a_cut(&self, bytes: Bytes) -> Vec<u8> {
        let half = self.safe.len() + (self.bytes.len() - self.safe.len()) / 2;
        match bytes {
            Bytes::Kept => self.bytes.clone(),
            Bytes::Half => self.bytes[..half].to_vec(),
            Bytes::Lost => self.safe.clone(),
        }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(path) = &self.takes {
            names.remove(path);
        }
        if let Some((path, node)) = &self.puts {
            names.insert(path.clone(), *node);
        }
    }
}

fn digest(names: &BTreeMap<PathBuf, Option<Vec<u8>>>, temporary: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (path, bytes) in names.iter().filter(|(path, _)| !path.to_string_lossy().contains(temporary)) {
        let bytes = bytes.as_deref();
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update([0, u8::from(bytes.is_some())]);
        digest.update(bytes.map_or(0, <[u8]>::len).to_le_bytes());
        digest.update(bytes.unwrap_or_default());
    }
    digest.finalize().into()
}
