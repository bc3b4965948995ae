//! Listing a directory tree as a store lists keys: all of them, in order of their bytes.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType};
use waybill_model::FailureCode;
use waybill_pipeline::bucket::{BucketError, BucketResult, ObjectMeta};

use super::os;
use super::place::{self, Root, TEMP};

/// Directories within directories that are followed at most.
const DEPTH: usize = 64;

/// All files whose key begins with `prefix` and sorts after `after`.
pub(super) fn list(root: &Root, prefix: &str, after: Option<&str>) -> BucketResult<Vec<ObjectMeta>> {
    let mut walk = Walk { prefix, after, found: Vec::new() };
    walk.enter(&root.duplicate()?, "", 0)?;
    walk.found.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
    Ok(walk.found)
}

struct Walk<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    found: Vec<ObjectMeta>,
}

impl Walk<'_> {
    /// Takes what lies in a directory whose keys begin with `base`, which ends in a slash or is empty.
    fn enter(&mut self, dir: &OwnedFd, base: &str, depth: usize) -> BucketResult<()> {
        if depth > DEPTH {
            return Err(BucketError::new(FailureCode::BucketFailed, format!("{base} lies too deep")));
        }
        let failed = |errno| place::failure(&os(errno), "list", base);
        for entry in Dir::read_from(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str();
            if matches!(name, Ok("." | "..")) || name.is_ok_and(|name| name.starts_with(TEMP)) {
                continue;
            }
            let Ok(name) = name else {
                // Passing over it could mean that a source file is never read.
                let text = format!("a name below {base:?} is not UTF-8");
                return Err(BucketError::new(FailureCode::BucketFailed, text));
            };
            self.take(dir, &format!("{base}{name}"), name, depth)?;
        }
        Ok(())
    }

    fn take(&mut self, dir: &OwnedFd, key: &str, name: &str, depth: usize) -> BucketResult<()> {
        let below = format!("{key}/");
        let leads = below.starts_with(self.prefix) || self.prefix.starts_with(&below);
        if !leads && !key.starts_with(self.prefix) {
            return Ok(());
        }
        let failed = |errno| place::failure(&os(errno), "look at", key);
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Ok(()), // removed meanwhile
            Err(errno) => return Err(failed(errno)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if leads => match place::enter(dir, name) {
                Ok(inner) => self.enter(&inner, &below, depth + 1),
                Err(rustix::io::Errno::NOENT) => Ok(()),
                Err(errno) => Err(failed(errno)),
            },
            FileType::RegularFile if key.starts_with(self.prefix) => {
                if self.after.is_none_or(|after| key.as_bytes() > after.as_bytes()) {
                    self.found.push(place::of_stat(&stat, key));
                }
                Ok(())
            }
            FileType::Symlink if key.starts_with(self.prefix) => {
                let text = format!("{key} is a symbolic link, which is not followed; put the file itself there");
                Err(BucketError::new(FailureCode::BucketDenied, text))
            }
            _ => Ok(()),
        }
    }
}
