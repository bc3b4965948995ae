//! The one-time token that an agent enrols with: an HMAC over organization, agent and the invitation's number under a key
//! outside the database, so that no token is stored and a repeated request shows the same one.
//!
//! That it is used once, and in time, is the store's to hold; here only its origin is checked.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waybill_model::{AgentId, OrgId};
use zeroize::Zeroizing;

use crate::ticket::TicketKey;

const PREFIX: &str = "wba";

/// The token was not made here. The agent learns only that it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was not made here")]
pub struct InvitationError;

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The tenant.
    pub org: OrgId,
    /// The agent that may enrol with it.
    pub agent: AgentId,
    /// Which one of that agent's invitations: an earlier one is void.
    pub number: i64,
}

impl Invitation {
    /// The token: the same for the same invitation.
    #[must_use]
    pub fn token(&self, key: &TicketKey) -> Zeroizing<String> {
        let text = self.text();
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(key.invitations(), text.as_bytes()));
        Zeroizing::new(format!("{PREFIX}.{text}.{mac}"))
    }

    /// What a presented token stands for, if it was made here.
    pub fn check(token: &str, key: &TicketKey) -> Result<Self, InvitationError> {
        let read = || {
            let (text, mac) = token.strip_prefix(PREFIX)?.strip_prefix('.')?.rsplit_once('.')?;
            let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
            // Compares in constant time.
            hmac::verify(key.invitations(), text.as_bytes(), &mac).ok()?;
            let mut fields = text.split('.');
            let (org, agent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Self { org, agent, number: fields.next()?.parse().ok()? })
        };
        read().ok_or(InvitationError)
    }

    fn text(&self) -> String {
        format!("{}.{}.{}", self.org, self.agent, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_was_made_for_and_every_change_makes_it_void() {
        let key = TicketKey::from_secret(&[7; 32]);
        let invitation = Invitation { org: OrgId::generate(), agent: AgentId::generate(), number: 3 };
        let token = invitation.token(&key);
        assert_eq!(Invitation::check(&token, &key), Ok(invitation));
        assert_eq!(*invitation.token(&key), *token, "the same each time");
        assert_eq!(Invitation::check(&token, &TicketKey::from_secret(&[8; 32])), Err(InvitationError));
        for place in 0..token.len() {
            let mut bytes = token.as_bytes().to_vec();
            bytes[place] ^= 1;
            if let Ok(text) = String::from_utf8(bytes) {
                // The last digit of base64 holds bits that stand for nothing.
                let same = Invitation::check(&text, &key).is_ok();
                assert!(!same || place + 1 == token.len(), "{place}");
            }
            assert_eq!(Invitation::check(&token[..place], &key), Err(InvitationError), "{place}");
        }
        let other = Invitation { number: 4, ..invitation }.token(&key);
        let mixed = format!("{}.{}", token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
        assert_eq!(Invitation::check(&mixed, &key), Err(InvitationError));
    }
}
