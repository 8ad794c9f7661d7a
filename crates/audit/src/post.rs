//! Sending something to a server: tried again after a hiccup, answered by a 2xx or by an error.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::Error;
use crate::source::{Http, first_line, is_passing, parse_url, read_bounded, setup, unreachable};

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 16 * 1024;

/// Where something is sent to.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    client: reqwest::Client,
    url: Url,
    settings: Http,
}

impl Post {
    /// To an http(s) URL; connects to nothing yet.
    pub(crate) fn to(url: &str, settings: &Http) -> Result<Self, Error> {
        let url = parse_url(url)?;
        let client = settings.builder(&url).build().map_err(|error| setup(&error))?;
        Ok(Self { client, url, settings: settings.clone() })
    }

    /// Where to, for people: path and query may be secrets.
    pub(crate) fn place(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Sends a body, a few times if it has to be.
    pub(crate) async fn send(&self, headers: &[(HeaderName, HeaderValue)], body: &str) -> Result<(), Error> {
        let headers: HeaderMap = headers.iter().cloned().collect();
        let mut wait = self.settings.backoff;
        for _try in 1..self.settings.tries {
            match self.once(&headers, body).await {
                Err(error) if is_passing(&error) => {
                    tracing::debug!(url = self.place(), %error, "sending again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                answer => return answer,
            }
        }
        self.once(&headers, body).await
    }

    async fn once(&self, headers: &HeaderMap, body: &str) -> Result<(), Error> {
        let request = self.client.post(self.url.clone()).headers(headers.clone()).body(body.to_owned());
        let response = request.send().await.map_err(|error| unreachable(&self.place(), &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let answer = read_bounded(response, &self.place(), MAX_ANSWER).await.unwrap_or_default();
        Err(Error::Status { url: self.place(), status: status.as_u16(), message: first_line(&answer) })
    }
}
