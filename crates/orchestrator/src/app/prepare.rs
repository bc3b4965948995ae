//! What is made before a first start, and outside of one: the keys, and a token for the first owner.
//! Nothing here serves or listens.

use secrecy::ExposeSecret;
use waybill_identity::{Authority, KeyDirectory, TicketKey, TrustDomain};
use waybill_store::{Store, StoreOptions};

use super::StartError;
use crate::auth::token::TokenKeys;
use crate::config::Config;
use crate::http::Pager;
use crate::service::account;

/// Makes the keys that are missing in the key directory: certificate authority, tickets, access tokens, page cursors. Those
/// that are there stay as they are, so that any number of replicas may do it at once.
pub fn make_keys(config: &Config) -> Result<(), StartError> {
    let keys = KeyDirectory::created(&config.keys);
    Authority::open(&keys, TrustDomain::new(&config.server.trust_domain)?, config.bounds.worker_certificate)?;
    TicketKey::open(&keys)?;
    TokenKeys::open(&keys, &config.server.trust_domain, config.login.access)?;
    Pager::open(&keys)?;
    Ok(())
}

/// A new one-time setup token in place of the last one; none where somebody has an account already.
pub async fn setup_token(config: &Config) -> Result<Option<String>, StartError> {
    let options = StoreOptions { connections: config.database.connections, patience: config.database.patience };
    let store = Store::open_with(config.database.url.expose_secret(), &options).await?;
    let token = account::setup_token(&store, config.login.setup).await.map_err(|_| StartError::Setup);
    store.close().await;
    Ok(token?.map(|token| token.reveal().to_owned()))
}
