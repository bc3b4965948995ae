//! Logging in: a token from beside the worker, an AppRole, or the worker's own AWS role.

use reqwest::Method;
use serde_json::{Value, json};

use super::settings::{Login, read};
use super::{Server, Token};
use crate::secret::{Aws, Problem, http, json};

const NO_TOKEN: &str = "can't be read: the server answered the log-in with something else than a token";

/// A token of the server.
pub(super) async fn log_in(server: &Server, aws: &Aws) -> Result<Token, Problem> {
    match &server.settings.login {
        Login::Token(reference) => read(reference).await,
        Login::AppRole { mount, role_id, secret_id } => {
            let (role, secret) = (read(role_id).await?, read(secret_id).await?);
            let body = json!({ "role_id": role.as_str(), "secret_id": secret.as_str() });
            ask(server, mount, &body).await
        }
        Login::Aws { mount, role, server_id, region } => {
            let body = proof(aws, role, server_id.as_deref(), region.as_deref()).await?;
            ask(server, mount, &body).await
        }
    }
}

async fn ask(server: &Server, mount: &str, body: &Value) -> Result<Token, Problem> {
    let request = server.request(Method::POST, &format!("auth/{mount}/login")).json(body);
    match http::exchange(request).await? {
        (200, answer) => {
            json::pick(&answer, &["auth", "client_token"], NO_TOKEN).map_err(|_| Problem::unusable(NO_TOKEN))
        }
        (400 | 401 | 403 | 404, _) => Err(Problem::denied(format!(
            "can't be read: the log-in at auth/{mount} was refused; check the role, its secret id and its bounds"
        ))),
        (status, _) => Err(super::unexpected(status)),
    }
}

#[cfg(feature = "aws")]
use super::proof::proof;

#[cfg(not(feature = "aws"))]
async fn proof(_: &Aws, _: &str, _: Option<&str>, _: Option<&str>) -> Result<Value, Problem> {
    Err(Problem::unusable("can't be read: this worker was built without the feature `aws`"))
}
