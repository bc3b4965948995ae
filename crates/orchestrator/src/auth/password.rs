//! Passwords: Argon2id on threads of their own, and the rules that a new one must keep.
//!
//! Two threads and a short queue bound what a flood of logins can cost; whoever finds the queue full is told to come
//! back. The account's existence must not show: a login without an account hashes against a password that nobody has.

mod breached;

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::oneshot;
use waybill_api::account::Confidential;

const THREADS: usize = 2;
const QUEUE: usize = 64;
/// Fewest and most characters.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;

/// Why a password can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// Its length.
    #[error("a password has 12 to 128 characters")]
    Length,
    /// It stands on a list.
    #[error("this password is known to attackers; choose one that nobody else has")]
    Known,
    /// It is little more than the address, the organization's name or the product's, or it is one character only.
    #[error(
        "a password must not be made of the e-mail address, the organization's name, the word waybill or one character"
    )]
    Context,
}

/// The threads are busy; come back soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Whether a new password keeps the rules. `context`: e-mail address and organization; the product's name counts everywhere.
pub fn check_rules(password: &Confidential, context: &[&str]) -> Result<(), PasswordRefused> {
    let text = password.reveal();
    if !LENGTH.contains(&text.chars().count()) {
        return Err(PasswordRefused::Length);
    }
    let lower = text.to_lowercase();
    let first = lower.chars().next();
    let repeated = lower.chars().all(|c| Some(c) == first);
    let local = context.iter().chain(&["waybill"]).map(|word| word.split('@').next().unwrap_or(word).to_lowercase());
    let made_of = local.filter(|word| word.len() >= 4).any(|word| lower.replace(&word, "").len() < 8);
    // Before the list, which has many of these too: this reason says what to do otherwise.
    if repeated || made_of {
        return Err(PasswordRefused::Context);
    }
    if breached::is_known(&lower) { Err(PasswordRefused::Known) } else { Ok(()) }
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Work>,
    nobody: Arc<str>,
}

impl Passwords {
    /// Starts the threads; they end with the last clone of this.
    pub fn start() -> std::io::Result<Self> {
        let (queue, work) = sync_channel::<Work>(QUEUE);
        let work = Arc::new(Mutex::new(work));
        for n in 0..THREADS {
            let work = Arc::clone(&work);
            std::thread::Builder::new().name(format!("password-{n}")).spawn(move || {
                loop {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match next {
                        Ok(task) => task(),
                        Err(_) => return,
                    }
                }
            })?;
        }
        let nobody = hash(&hex::encode(crate::random::<32>())).ok_or(std::io::ErrorKind::Other)?;
        Ok(Self { queue, nobody: nobody.into() })
    }

    /// The hash of a new password, in PHC form.
    pub async fn hash(&self, password: &Confidential) -> Result<String, Busy> {
        let password = password.clone();
        self.run(move || hash(password.reveal())).await?.ok_or(Busy)
    }

    /// Whether the password fits the hash. Without a hash it takes as long, and does not.
    pub async fn verify(&self, password: &Confidential, stored: Option<&str>) -> Result<bool, Busy> {
        let (against, exists) = (stored.unwrap_or(&self.nobody).to_owned(), stored.is_some());
        let password = password.clone();
        let fits = self.run(move || verify(password.reveal(), &against)).await?;
        Ok(fits && exists)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        // The caller may have gone; then nobody waits for the answer.
        let work: Work = Box::new(move || drop(answer.send(work())));
        match self.queue.try_send(work) {
            Ok(()) => answered.await.map_err(|_| Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}

/// The default of the crate is Argon2id with 19 MiB, two passes and one lane.
fn hash(password: &str) -> Option<String> {
    Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string())
}

fn verify(password: &str, stored: &str) -> bool {
    let stored = PasswordHash::new(stored).ok();
    stored.is_some_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<(), PasswordRefused> {
        check_rules(&Confidential::new(text), &["ada@example.org", "Example"])
    }

    #[test]
    fn weak_passwords_are_refused_and_any_composition_is_fine() {
        assert_eq!(rules("short"), Err(PasswordRefused::Length));
        assert_eq!(rules(&"x".repeat(129)), Err(PasswordRefused::Length));
        assert_eq!(rules("Password1234"), Err(PasswordRefused::Known));
        assert_eq!(rules("aaaaaaaaaaaaaaaa"), Err(PasswordRefused::Context));
        assert_eq!(rules("ExampleExample1"), Err(PasswordRefused::Context));
        assert_eq!(rules("Waybill-2026!"), Err(PasswordRefused::Context));
        assert_eq!(rules("only lower case words"), Ok(()));
    }

    #[tokio::test]
    async fn hashes_are_argon2id_with_19_mib_and_verify() {
        let passwords = Passwords::start().expect("threads");
        let password = Confidential::new("only lower case words");
        let stored = passwords.hash(&password).await.expect("a hash");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(passwords.verify(&password, Some(&stored)).await, Ok(true));
        assert_eq!(passwords.verify(&Confidential::new("another"), Some(&stored)).await, Ok(false));
        assert_eq!(passwords.verify(&password, None).await, Ok(false));
    }
}
