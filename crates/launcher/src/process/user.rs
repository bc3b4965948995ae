//! Users of their own for workers, from a range of numbers that nobody else has: a worker can then neither read what another one
//! holds nor signal it, nor read what its launcher keeps.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use waybill_model::AttemptId;

use super::limit;

/// Most users of a range.
const MOST: u32 = 1_000;

/// Numbers of users, each with a group of the same number. Only root can start a process as another user here: whoever has
/// single capabilities would hand them on to its workers.
#[derive(Clone, Debug)]
pub struct Users {
    first: u32,
    last: u32,
    /// Users that were given to attempts whose end was not seen yet.
    given: Arc<Mutex<HashMap<AttemptId, u32>>>,
}

/// Why a range can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsersError(pub String);

impl FromStr for Users {
    type Err = UsersError;

    fn from_str(text: &str) -> Result<Self, UsersError> {
        let refused = |what: &str| UsersError(format!("{what}: two numbers such as 64000-64003"));
        let (first, last) = text.split_once('-').ok_or_else(|| refused("no range"))?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| refused("no number"));
        let (first, last) = (number(first)?, number(last)?);
        // The last number of all stands for "no user".
        if first == 0 || first > last || last == u32::MAX || last - first >= MOST {
            return Err(refused("from 1 on, first to last, at most 1000 users"));
        }
        Ok(Self { first, last, given: Arc::default() })
    }
}

impl Users {
    /// Whether this process may start others as these users, and has enough of them for so many workers.
    pub fn check(&self, workers: u32) -> Result<(), UsersError> {
        if !rustix::process::geteuid().is_root() {
            let what = "takes root: run the agent as root, with the capabilities that docs/agent.md lists";
            return Err(UsersError(what.into()));
        }
        let many = self.last - self.first + 1;
        if many < workers {
            return Err(UsersError(format!("{many} users are too few for {workers} workers at once (--slots)")));
        }
        Ok(())
    }

    /// One that no process has, for this attempt until it gives it back.
    pub(super) fn take(&self, attempt: AttemptId) -> io::Result<Option<u32>> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        // What an earlier launcher started is seen only; what this one just did may not be seen yet.
        let mut taken: BTreeSet<u32> = given.values().copied().collect();
        for entry in std::fs::read_dir("/proc")? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
                // A process that ended meanwhile has no user any more.
                taken.extend(std::fs::read_to_string(entry.path().join("status")).iter().flat_map(|text| users(text)));
            }
        }
        let free = (self.first..=self.last).find(|user| !taken.contains(user));
        given.extend(free.map(|user| (attempt, user)));
        Ok(free)
    }

    pub(super) fn give_back(&self, attempt: AttemptId) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt);
    }
}

/// Becomes this program as this user, in the group of the same number and in no other one, within the limits of a worker with
/// this memory: what a launcher with [`Users`] starts, since whoever is root sets limits for itself without further rights, and
/// for a process of another user only with some. Comes back where that fails.
#[must_use]
pub fn become_worker(user: u32, memory: Option<u64>, program: &str, args: &[String]) -> io::Error {
    if let Err(error) = limit(None, memory) {
        return error;
    }
    Command::new(program).args(args).uid(user).gid(user).exec()
}

/// The real, effective, saved and file user in a process's status.
fn users(status: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.into_iter().flat_map(str::split_whitespace).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_two_numbers_and_never_root() {
        let users: Users = "64000-64003".parse().expect("a range");
        assert_eq!((users.first, users.last), (64_000, 64_003));
        for bad in ["", "64000", "0-3", "5-4", "1-1001", "a-b", "1-4294967295", "-1-4"] {
            assert!(bad.parse::<Users>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_whose_process_lives_is_not_free() {
        let own = rustix::process::getuid().as_raw();
        let of = |first, last| Users { first, last, given: Arc::default() };
        assert_eq!(of(own, own).take(AttemptId::generate()).expect("looked"), None, "this process has it");
        let (users, attempt) = (of(own, own + 1), AttemptId::generate());
        assert_eq!(users.take(attempt).expect("looked"), Some(own + 1));
        assert_eq!(users.take(AttemptId::generate()).expect("looked"), None, "that one was given");
        users.give_back(attempt);
        assert_eq!(users.take(AttemptId::generate()).expect("looked"), Some(own + 1));
        assert_eq!(super::users("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\n"), [1, 2, 3, 4]);
    }
}
