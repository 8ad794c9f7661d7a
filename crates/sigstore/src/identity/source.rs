//! Getting an identity token from wherever the service runs.
//!
//! Tokens are secrets until they end; none is kept or printed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::error::{Error, Service};
use crate::http::{Http, refusal};
use crate::settings::IdentitySource;

/// Characters of a token.
const MAX_TOKEN: usize = 16 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct GitHubToken {
    value: SecretString,
}

/// A token for `audience`.
pub(crate) async fn token(
    http: &Http,
    source: &IdentitySource,
    audience: &str,
) -> Result<SecretString, Error> {
    let token = match source {
        IdentitySource::GoogleMetadata { host } => google(http, host, audience).await?,
        IdentitySource::GitHubActions { url, token } => {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("audience", audience);
            github(http, url.as_str(), token).await?
        }
        IdentitySource::File(path) => file(path)?,
        IdentitySource::Token(token) => token.clone(),
        IdentitySource::Command(words) => command(words, audience).await?,
    };
    let text = token.expose_secret().trim();
    if text.is_empty() || text.len() > MAX_TOKEN || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(Error::Settings { why: "what was given as an identity token is none".to_owned() });
    }
    Ok(text.into())
}

async fn google(http: &Http, host: &str, audience: &str) -> Result<SecretString, Error> {
    let path = "computeMetadata/v1/instance/service-accounts/default/identity";
    let base = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
    // Without `format=full` there is no address in it, and Fulcio has nothing to name us by.
    let url = format!("{base}/{path}?audience={audience}&format=full");
    let answer = http
        .send(Service::Identity, &url, TIMEOUT, |client| client.get(&url).header("Metadata-Flavor", "Google"))
        .await?;
    if answer.status != 200 {
        return Err(refusal(Service::Identity, &url, &answer));
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned().into())
}

async fn github(http: &Http, url: &str, token: &SecretString) -> Result<SecretString, Error> {
    let answer = http
        .send(Service::Identity, url, TIMEOUT, |client| client.get(url).bearer_auth(token.expose_secret()))
        .await?;
    if answer.status != 200 {
        return Err(refusal(Service::Identity, url, &answer));
    }
    let token: GitHubToken = serde_json::from_slice(&answer.body).map_err(|_secret| Error::Answer {
        service: Service::Identity,
        url: url.to_owned(),
        why: "it is not `{\"value\": …}`".to_owned(),
    })?;
    Ok(token.value)
}

fn file(path: &Path) -> Result<SecretString, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::File { path: path.to_owned(), why: error.to_string() })?;
    Ok(text.into())
}

/// The last word but the audience's; the program gets `AUDIENCE` in its environment.
async fn command(words: &[String], audience: &str) -> Result<SecretString, Error> {
    let [program, arguments @ ..] = words else {
        return Err(Error::Settings { why: "`token_command` names no program".to_owned() });
    };
    let failed = |why: String| Error::Settings { why: format!("`token_command`: `{program}` {why}") };
    let running = tokio::process::Command::new(program)
        .args(arguments)
        .env("AUDIENCE", audience)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, running)
        .await
        .map_err(|_late| failed("does not end within 10 seconds".to_owned()))?
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned().into())
}
