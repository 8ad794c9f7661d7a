//! Answers a registry's challenge: a token of its service, or configured credentials.
//!
//! The realm is bound to the registry before anything is sent there.

use std::time::Instant;

use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use oci::{Challenge, Scheme, parse_challenges};

use crate::body::read_bounded;
use crate::client::Client;
use crate::endpoint::{Endpoint, Reach};
use crate::token::{Token, TokenAnswer, TokenKey};
use crate::{Error, realm};

/// Bytes of a token service's answer.
const MAX_TOKEN_ANSWER: usize = 128 * 1024;

impl Client {
    /// The header that answers a 401, or the error that there is none to give.
    ///
    /// `tried` is the header that was just turned down.
    pub(crate) async fn authorize(
        &self,
        endpoint: &Endpoint,
        key: &TokenKey,
        challenge: &HeaderMap,
        tried: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        if let Some(tried) = tried {
            self.tokens.forget(key, tried);
        }
        let lines = challenge.get_all(WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
        let challenges = parse_challenges(lines);
        let _turn = self.tokens.turn(key).await;
        if let Some(known) = self.tokens.get(key, Instant::now()) {
            // Asked for by another request while this one waited.
            return Ok(known);
        }
        let token = self.token(endpoint, key, &challenges).await?;
        let header = token.header().clone();
        self.tokens.put(key.clone(), token, Instant::now());
        Ok(header)
    }

    async fn token(
        &self,
        endpoint: &Endpoint,
        key: &TokenKey,
        challenges: &[Challenge],
    ) -> Result<Token, Error> {
        let had_credentials = endpoint.credentials().is_some();
        if let Some(bearer) = challenges.iter().find(|challenge| challenge.scheme == Scheme::Bearer) {
            return self.bearer(endpoint, key, bearer).await;
        }
        let basic = challenges.iter().any(|challenge| challenge.scheme == Scheme::Basic);
        match endpoint.credentials() {
            Some(credentials) if basic => {
                Token::basic(&credentials.username, &credentials.password, Instant::now())
                    .ok_or(Error::Denied { had_credentials })
            }
            _ => Err(Error::Denied { had_credentials }),
        }
    }

    /// `GET <realm>?service=…&scope=…` (distribution `docs/content/spec/auth/token.md`).
    async fn bearer(
        &self,
        endpoint: &Endpoint,
        key: &TokenKey,
        challenge: &Challenge,
    ) -> Result<Token, Error> {
        let host = || endpoint.host.to_string();
        let no_token = |why: &str| Error::NoToken { host: host(), why: why.to_owned() };
        let realm = challenge.realm().ok_or_else(|| no_token("its challenge names no realm"))?;
        let (mut url, reach) = realm::check(endpoint, realm)?;
        let scope =
            challenge.scope().map_or_else(|| format!("repository:{}:pull", key.repository), str::to_owned);
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = challenge.service() {
                query.append_pair("service", service);
            }
            query.append_pair("scope", &scope);
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(credentials) = endpoint.credentials() {
            let basic = Token::basic(&credentials.username, &credentials.password, Instant::now());
            let basic = basic.ok_or_else(|| no_token("the credentials fit no header"))?;
            headers.insert(AUTHORIZATION, basic.header().clone());
        }
        let client = self.http(reach);
        let asked = async {
            let response = client.get(url).headers(headers).send().await;
            let response = response.map_err(|error| Error::of_client(&host(), &error))?;
            match response.status() {
                StatusCode::OK => read_bounded(response, &host(), MAX_TOKEN_ANSWER).await,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                    Err(Error::Denied { had_credentials: endpoint.credentials().is_some() })
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    Err(Error::TooManyRequests { retry_after: crate::send::retry_after(response.headers()) })
                }
                status if status.is_redirection() => Err(no_token("it redirects, which is not followed")),
                status => Err(no_token(&format!("it answers {}", status.as_u16()))),
            }
        };
        let answer = tokio::time::timeout(self.settings().timeouts.total, asked)
            .await
            .map_err(|_late| Error::TimedOut { host: host() })??;
        let answer: TokenAnswer =
            serde_json::from_slice(&answer).map_err(|_why| no_token("its answer is not JSON of a token"))?;
        answer.into_token(Instant::now()).ok_or_else(|| no_token("its answer holds no token"))
    }

    /// The HTTP client for what may be reached.
    pub(crate) fn http(&self, reach: Reach) -> &reqwest::Client {
        match reach {
            Reach::Public => self.public(),
            Reach::Configured => self.configured(),
        }
    }
}
