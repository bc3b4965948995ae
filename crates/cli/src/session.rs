//! Which orchestrator a command speaks to, whom it trusts there, and the login that it goes on with.
//!
//! Logins stand in `~/.config/waybill/login.json`, mode 0600, one per orchestrator; no password is ever kept. An
//! orchestrator on this machine is found by its state directory, which holds its address and the CA to trust.

mod keep;
mod place;

use waybill_api::Timestamp;
use waybill_api::account::{Confidential, Tokens};
use waybill_api::client::{Client, Trust};
use waybill_model::Micros;

use keep::Kept;
pub(crate) use keep::{Login, Logins};
pub(crate) use place::{Place, find};

use crate::args::Target;
use crate::exit::{Exit, Failure, Result};

/// A client that is logged in, and where.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) place: Place,
}

/// A client without a login.
pub(crate) fn client(place: &Place) -> Result<Client> {
    let trust = place.ca.as_deref().map_or(Trust::System, |pem| Trust::Pinned(pem.as_bytes()));
    Ok(Client::new(&place.url, &trust)?)
}

/// Keeps the tokens of a login at this place.
pub(crate) fn begin(place: &Place, tokens: Tokens) -> Result<()> {
    let login =
        Login { url: place.url.clone(), state: place.state.clone(), ca: place.ca.clone(), tokens, at: Micros::now() };
    Logins::add(&place.key, login)
}

/// Goes on with the login of the orchestrator that is meant.
pub(crate) fn connect(target: &Target) -> Result<Session> {
    let logins = Logins::read()?;
    let place = find(target, &logins)?;
    if let Some(token) = &target.token {
        let client = client(&place)?.with_tokens(bare(token));
        return Ok(Session { client, place });
    }
    let Some(login) = logins.of(&place.key) else {
        return Err(Failure::new(Exit::Login, "not_logged_in", format!("not logged in at {}", place.url))
            .next(format!("waybill login {}", place.options())));
    };
    let client = client(&place)?.with_tokens(login.tokens.clone()).kept_by(Kept::at(&place.key));
    Ok(Session { client, place })
}

/// An access token that came from outside can't be renewed.
fn bare(token: &str) -> Tokens {
    Tokens {
        access_token: Confidential::new(token),
        access_expires_in_ms: 0,
        refresh_token: Confidential::new(""),
        refresh_expires_at: Timestamp(Micros(0)),
    }
}
