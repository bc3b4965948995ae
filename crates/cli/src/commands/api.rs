//! `api`: one request as it is, for operations that have no command.

use std::path::Path;

use http::Method;

use crate::args::{Request, Target};
use crate::commands::validate::read;
use crate::exit::{Exit, Failure, Result};
use crate::output::Output;
use crate::session;

pub(crate) async fn api(target: &Target, request: Request, output: &Output) -> Result<Exit> {
    let Request { method, path, body, if_match } = request;
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let wanted = method.to_ascii_uppercase();
    let Some(method) = known.into_iter().find(|known| known.as_str() == wanted) else {
        return Err(Failure::new(Exit::Usage, "method_unknown", "the method is GET, POST, PUT, PATCH or DELETE")
            .next("waybill api GET /v1/runs?limit=5"));
    };
    if !path.starts_with("/v1/") {
        return Err(
            Failure::new(Exit::Usage, "path_unknown", "the path begins with /v1/").next("waybill api GET /v1/whoami")
        );
    }
    let body = match body.as_deref() {
        Some("-") => Some(read(Path::new("-"))?),
        other => other.map(str::to_owned),
    };
    let client = session::connect(target)?.client;
    let mut answer = client.raw(&method, &path, body.as_deref(), if_match.as_deref()).await?;
    if !answer.is_empty() && !answer.ends_with('\n') {
        answer.push('\n');
    }
    output.text(&answer)?;
    Ok(Exit::Done)
}
