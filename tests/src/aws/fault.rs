//! Faults on demand, one by one or at random from a seed. Each that is met is counted, so that a test can show it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::task::Ending;

/// What a call meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `ThrottlingException`, without effect.
    Throttle,
    /// A 500, without effect.
    ServerError,
    /// `AccessDeniedException`, without effect.
    Denied,
    /// `ExpiredTokenException`, without effect.
    Expired,
    /// The connection breaks before the call has its effect.
    BrokenBefore,
    /// The call has its effect; the answer breaks off.
    LostAnswer,
    /// The call has its effect and is never answered.
    Silence,
    /// RunTask: no room, no task.
    NoRoom,
    /// RunTask: the task stays in PROVISIONING until it is released.
    Held,
    /// RunTask: the task ends like this before it ran.
    Ends(Ending),
    /// RunTask: the next so many looks and lists don't show the task yet.
    Hidden(u32),
    /// RunTask: both, the answer breaks off and the next so many looks and lists don't show the task yet.
    LostAndHidden(u32),
    /// DescribeTasks: the first of them vanishes for good, though it may run.
    Vanish,
}

impl Fault {
    /// Its kind, for counts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Throttle => "throttled",
            Self::ServerError => "server error",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::BrokenBefore => "broken before",
            Self::LostAnswer => "answer lost",
            Self::Silence => "silence",
            Self::NoRoom => "no room",
            Self::Held => "held",
            Self::Ends(_) => "ended at once",
            Self::Hidden(_) => "hidden",
            Self::LostAndHidden(_) => "answer lost and hidden",
            Self::Vanish => "vanished",
        }
    }
}

/// Random faults from a seed.
pub struct Chaos {
    random: StdRng,
    /// Of a thousand calls, how many meet a fault.
    per_mille: u32,
}

impl Chaos {
    /// With this seed.
    #[must_use]
    pub fn new(seed: u64, per_mille: u32) -> Self {
        Self { random: StdRng::seed_from_u64(seed), per_mille }
    }

    fn draw(&mut self, action: &str) -> Option<Fault> {
        if self.random.random_range(0..1000) >= self.per_mille {
            return None;
        }
        let ending =
            Ending { stop_code: "SpotInterruption", reason: "Your Spot Task was interrupted.", container: None };
        let own: &[Fault] = match action {
            "RunTask" => &[
                Fault::LostAnswer,
                Fault::LostAnswer,
                Fault::Hidden(3),
                Fault::Hidden(3),
                Fault::NoRoom,
                Fault::Ends(ending),
            ],
            "DescribeTasks" => &[Fault::Vanish],
            _ => &[],
        };
        let any = [Fault::Throttle, Fault::Throttle, Fault::ServerError, Fault::BrokenBefore, Fault::LostAnswer];
        let at = self.random.random_range(0..own.len() + any.len());
        Some(own.get(at).cloned().unwrap_or_else(|| any[at - own.len()].clone()))
    }
}

/// What is still to be met.
#[derive(Default)]
pub(crate) struct Script {
    queued: HashMap<&'static str, VecDeque<Fault>>,
    pub(crate) chaos: Option<Chaos>,
    fired: BTreeMap<(String, &'static str), usize>,
}

impl Script {
    pub(crate) fn push(&mut self, action: &'static str, fault: Fault, times: usize) {
        self.queued.entry(action).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// What this call meets.
    pub(crate) fn take(&mut self, action: &str) -> Option<Fault> {
        let scripted = self.queued.get_mut(action).and_then(VecDeque::pop_front);
        let fault = scripted.or_else(|| self.chaos.as_mut().and_then(|chaos| chaos.draw(action)))?;
        *self.fired.entry((action.to_owned(), fault.kind())).or_default() += 1;
        Some(fault)
    }

    pub(crate) fn fired(&self, action: &str) -> usize {
        self.fired.iter().filter(|((of, _), _)| of == action).map(|(_, n)| n).sum()
    }

    pub(crate) fn by_kind(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for ((_, kind), n) in &self.fired {
            *kinds.entry(*kind).or_default() += n;
        }
        kinds
    }
}
