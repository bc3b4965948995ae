//! The keys of access tokens, each with the second from which it signs. Their states follow from that and the clock, so
//! that every replica agrees and a rotation is one replaced file: there is nothing between before and after.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;
use jsonwebtoken::{DecodingKey, EncodingKey};
use waybill_identity::KeyDirectory;
use waybill_identity::error::{IdentityError, IdentityResult};
use zeroize::Zeroizing;

/// Where the keys stand in the key directory: one line for each, `<kid> <second from which it signs> <128 hex digits>`.
pub const KEY_FILE: &str = "access-token.keys";
const KEY_BYTES: usize = 64;
/// Until a new key signs: longer than any replica takes to read it.
pub const SPREAD: Duration = Duration::from_secs(15);
/// How much longer than a token's life a superseded key is accepted: replicas' clocks differ.
const OVERLAP: Duration = Duration::from_secs(60);

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Known to every replica soon; does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// Signs no more; its tokens are still good.
    Retiring,
    /// Its tokens are refused; the next rotation removes it.
    Retired,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        })
    }
}

/// A key as `keys list` shows it: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name in the header of tokens.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// The second since 1970 from which it signs.
    pub from: u64,
}

struct Key {
    from: u64,
    /// When the next one takes over.
    until: Option<u64>,
    bytes: Zeroizing<Vec<u8>>,
    checks: DecodingKey,
}

/// All keys of the file.
pub(super) struct KeyRing {
    keys: BTreeMap<String, Key>,
    life: Duration,
}

impl KeyRing {
    /// Reads the file, or makes its first key where the directory makes keys.
    pub(super) fn open(directory: &KeyDirectory, life: Duration) -> IdentityResult<Self> {
        let text = directory.read_or_make(KEY_FILE, || Ok(line(0).into_bytes().into()))?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
        Self::read(text, life).ok_or_else(damaged)
    }

    pub(super) fn read(text: &str, life: Duration) -> Option<Self> {
        let mut keys = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (kid, from, bytes) = read_line(line)?;
            let checks = DecodingKey::from_secret(&bytes);
            if keys.insert(kid, Key { from, until: None, bytes, checks }).is_some() {
                return None;
            }
        }
        let starts: Vec<u64> = keys.values().map(|key| key.from).collect();
        for key in keys.values_mut() {
            key.until = starts.iter().copied().filter(|start| *start > key.from).min();
        }
        // Two keys that begin together would both sign.
        let alone = starts.iter().all(|start| starts.iter().filter(|other| *other == start).count() == 1);
        (alone && !keys.is_empty()).then_some(Self { keys, life })
    }

    fn state(&self, key: &Key, now: u64) -> KeyState {
        match key.until {
            _ if key.from > now => KeyState::Pending,
            Some(until) if until + (self.life + OVERLAP).as_secs() <= now => KeyState::Retired,
            Some(until) if until <= now => KeyState::Retiring,
            _ => KeyState::Active,
        }
    }

    /// The key that signs now, with its name. Where the clock says that none does yet, the first one.
    pub(super) fn signing(&self, now: u64) -> Option<(&str, EncodingKey)> {
        let begun = self.keys.iter().filter(|(_, key)| key.from <= now).max_by_key(|(_, key)| key.from);
        let (kid, key) = begun.or_else(|| self.keys.iter().min_by_key(|(_, key)| key.from))?;
        Some((kid, EncodingKey::from_secret(&key.bytes)))
    }

    /// What checks tokens of this name, unless it is retired.
    pub(super) fn checking(&self, kid: &str, now: u64) -> Option<&DecodingKey> {
        self.keys.get(kid).filter(|key| self.state(key, now) != KeyState::Retired).map(|key| &key.checks)
    }

    /// Every key, oldest first.
    pub(super) fn entries(&self, now: u64) -> Vec<KeyEntry> {
        let entry =
            |(kid, key): (&String, &Key)| KeyEntry { kid: kid.clone(), state: self.state(key, now), from: key.from };
        let mut entries: Vec<KeyEntry> = self.keys.iter().map(entry).collect();
        entries.sort_unstable_by_key(|entry| entry.from);
        entries
    }

    /// The file with one more key. `spread`: until it signs; none where every older key is to be refused at once.
    fn rotated(&self, now: u64, spread: Option<Duration>) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for (kid, key) in &self.keys {
            if spread.is_some() && self.state(key, now) != KeyState::Retired {
                text.push_str(&format!("{kid} {} {}\n", key.from, hex::encode(&key.bytes)));
            }
        }
        text.push_str(&line(now + spread.map_or(0, |spread| spread.as_secs())));
        text
    }
}

/// Adds a key that every replica takes up by itself. One that is pending already is left to take over first. `at_once`:
/// every older key is refused from now on, and everybody's access token with it.
pub fn rotate(directory: &KeyDirectory, life: Duration, now: u64, at_once: bool) -> IdentityResult<Vec<KeyEntry>> {
    let ring = KeyRing::open(directory, life)?;
    let pending = ring.entries(now).into_iter().any(|entry| entry.state == KeyState::Pending);
    if pending && !at_once {
        let what = "holds a pending key already; it signs in a moment, rotate again after that";
        return Err(IdentityError::KeyFile { path: KEY_FILE.into(), what });
    }
    let text = ring.rotated(now, (!at_once).then_some(SPREAD));
    directory.replace(KEY_FILE, text.as_bytes())?;
    list(directory, life, now)
}

/// Every key with its state, oldest first.
pub fn list(directory: &KeyDirectory, life: Duration, now: u64) -> IdentityResult<Vec<KeyEntry>> {
    Ok(KeyRing::open(directory, life)?.entries(now))
}

fn line(from: u64) -> String {
    let (mut kid, mut key) = ([0_u8; 8], [0_u8; KEY_BYTES]);
    rand::fill(&mut kid).expect("the system's random source");
    rand::fill(&mut key).expect("the system's random source");
    format!("{} {from} {}\n", hex::encode(kid), hex::encode(key))
}

/// A line; `active` in place of the second is the first form of the file and means from the beginning.
pub(super) fn read_line(line: &str) -> Option<(String, u64, Zeroizing<Vec<u8>>)> {
    let mut parts = line.split_whitespace();
    let (kid, from, key) = (parts.next()?, parts.next()?, Zeroizing::new(hex::decode(parts.next()?).ok()?));
    let from = if from == "active" { Some(0) } else { from.parse().ok().filter(|from| *from < 1 << 40) };
    let fits = key.len() == KEY_BYTES && parts.next().is_none();
    fits.then_some((kid.to_owned(), from?, key))
}

fn damaged() -> IdentityError {
    let what = "is damaged: each line is `<kid> <second from which it signs> <128 hex digits>`, no two from the same";
    IdentityError::KeyFile { path: KEY_FILE.into(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(600);

    fn states(ring: &KeyRing, now: u64) -> Vec<KeyState> {
        ring.entries(now).iter().map(|entry| entry.state).collect()
    }

    #[test]
    fn f24_a_key_is_pending_then_signs_then_only_checks_then_is_refused() {
        use KeyState::{Active, Pending, Retired, Retiring};
        let ring = KeyRing::read(&format!("{}{}", line(0), line(1_000)), LIFE).expect("a ring");
        let kids: Vec<String> = ring.entries(0).into_iter().map(|entry| entry.kid).collect();
        for (now, wanted, signs) in [
            (985, [Active, Pending], 0),
            (1_000, [Retiring, Active], 1),
            (1_000 + 659, [Retiring, Active], 1),
            (1_000 + 660, [Retired, Active], 1),
        ] {
            assert_eq!(states(&ring, now), wanted, "{now}");
            assert_eq!(ring.signing(now).expect("a key").0, kids[signs], "{now}");
            for (kid, state) in kids.iter().zip(wanted) {
                assert_eq!(ring.checking(kid, now).is_some(), state != Retired, "{now} {state}");
            }
        }
    }

    #[test]
    fn f43_a_rotation_is_one_replaced_file_that_keeps_what_is_still_good() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = KeyDirectory::created(dir.path());
        let first = list(&keys, LIFE, 1_000).expect("a list");
        let second = rotate(&keys, LIFE, 1_000, false).expect("rotated");
        assert_eq!((second.len(), &second[0]), (2, &first[0]));
        assert!(rotate(&keys, LIFE, 1_001, false).is_err(), "the pending one goes first");
        let third = rotate(&keys, LIFE, 2_000, false).expect("rotated");
        let kids = |list: &[KeyEntry]| list.iter().map(|entry| entry.kid.clone()).collect::<Vec<_>>();
        assert_eq!((third.len(), &kids(&third)[0]), (2, &second[1].kid), "the retired one is gone");
        let only = rotate(&keys, LIFE, 2_001, true).expect("rotated");
        assert_eq!((only.len(), only[0].state), (1, KeyState::Active));
        assert!(!kids(&third).contains(&only[0].kid));
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("the directory").collect();
        assert_eq!(left.len(), 1, "nothing is left aside");
    }

    #[test]
    fn a_damaged_file_is_refused_and_the_first_form_is_read() {
        let good = line(0);
        assert!(KeyRing::read(&good.replace(" 0 ", " active "), LIFE).is_some());
        for text in [
            String::new(),
            good.replace(" 0 ", " later "),
            good.replace(" 0 ", " -1 "),
            good.replace(" 0 ", " "),
            good[..good.len() - 3].to_owned(),
            format!("{good}{good}"),
            format!("{good}{}", line(0)),
        ] {
            assert!(KeyRing::read(&text, LIFE).is_none(), "{text}");
        }
    }
}
