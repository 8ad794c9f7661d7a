//! Answers a registry's challenge: a token of its service, or configured credentials.
//!
//! The realm is bound to the registry before anything is sent there.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use oci::{Challenge, Name, Scheme, parse_challenges};
use secrecy::ExposeSecret as _;
use url::{Url, form_urlencoded};

use crate::body::read_bounded;
use crate::client::Client;
use crate::endpoint::{Endpoint, Reach};
use crate::login::Login;
use crate::send::{Message, retry_after};
use crate::token::{Token, TokenAnswer, basic_header};
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
        name: &Name,
        challenge: &HeaderMap,
        tried: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        if let Some(tried) = tried {
            self.tokens().forget(name, tried);
        }
        let lines = challenge.get_all(WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
        let challenges = parse_challenges(lines);
        let header =
            self.tokens().obtain(name, || self.now(), self.token(endpoint, name, &challenges)).await?;
        if tried == Some(&header) {
            // The same again would be turned down again, and wrong passwords lock accounts.
            self.tokens().forget(name, &header);
            return Err(endpoint.denied());
        }
        Ok(header)
    }

    /// A token where one can be asked for, then Basic where there are credentials for it.
    async fn token(
        &self,
        endpoint: &Endpoint,
        name: &Name,
        challenges: &[Challenge],
    ) -> Result<Token, Error> {
        let bearer = challenges.iter().find_map(|challenge| {
            Some((challenge, challenge.realm().filter(|_| challenge.scheme == Scheme::Bearer)?))
        });
        let basic = challenges.iter().any(|challenge| challenge.scheme == Scheme::Basic);
        if bearer.is_none() && !basic {
            return Err(endpoint.denied());
        }
        match (bearer, endpoint.account.login(self.timeouts().headers).await?) {
            (Some(_), Some(Login::Token(own))) => {
                Token::own(&own, self.now()).ok_or_else(|| endpoint.unfit())
            }
            (Some((challenge, realm)), login) => {
                let (url, reach) = realm::check(endpoint, realm)?;
                let asked =
                    TokenQuestion::new(url, name, challenge, login).ok_or_else(|| endpoint.unfit())?;
                self.issue(endpoint, reach, &asked).await
            }
            (None, Some(Login::Password(own))) => {
                Token::basic(&own, self.now()).ok_or_else(|| endpoint.unfit())
            }
            (None, _) => Err(endpoint.denied()),
        }
    }

    async fn issue(&self, endpoint: &Endpoint, reach: Reach, asked: &TokenQuestion) -> Result<Token, Error> {
        let (url, form) = (&asked.url, asked.form.as_deref());
        let method = if form.is_some() { &Method::POST } else { &Method::GET };
        let message = Message { method, url, headers: &asked.headers, form };
        let response = self.send(endpoint.http.to(reach), message, &mut true).await?;
        let answer = match response.status() {
            StatusCode::OK => {
                let body = read_bounded(response, url.host_str().unwrap_or_default(), MAX_TOKEN_ANSWER).await;
                body.map_err(|error| match error {
                    Error::TooLarge { .. } => no_token(endpoint, "its answer is larger than 128 KiB"),
                    error => error,
                })?
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(endpoint.denied()),
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(Error::TooManyRequests { retry_after: retry_after(response.headers()) });
            }
            status if status.is_redirection() => {
                return Err(no_token(endpoint, "it redirects, which is not followed"));
            }
            status => return Err(no_token(endpoint, &format!("it answers {}", status.as_u16()))),
        };
        let answer: TokenAnswer = serde_json::from_slice(&answer)
            .map_err(|_why| no_token(endpoint, "its answer is not the JSON of a token"))?;
        answer.into_token(self.now()).ok_or_else(|| no_token(endpoint, "its answer holds no usable token"))
    }
}

fn no_token(endpoint: &Endpoint, why: &str) -> Error {
    Error::NoToken { host: endpoint.host.to_string(), why: why.to_owned() }
}

/// What a token service is asked.
struct TokenQuestion {
    url: Url,
    headers: HeaderMap,
    form: Option<String>,
}

impl TokenQuestion {
    /// `GET <realm>?service=…&scope=…`, anonymously or with Basic (distribution `docs/content/spec/auth/token.md`), or
    /// for an identity token `POST <realm>` (`oauth.md` there). Whom the token is for and what it has to allow is the
    /// challenge's own word. `None` for credentials that fit no header.
    fn new(mut url: Url, name: &Name, challenge: &Challenge, login: Option<Login>) -> Option<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let pull = || format!("repository:{}:pull", name.repository());
        let scope = challenge.scope().map_or_else(pull, str::to_owned);
        if let Some(Login::Identity(identity)) = login {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("client_id", "tlogistry");
            if let Some(service) = challenge.service() {
                form.append_pair("service", service);
            }
            form.append_pair("scope", &scope).append_pair("refresh_token", identity.expose_secret());
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            return Some(Self { url, headers, form: Some(form.finish()) });
        }
        if let Some(Login::Password(credentials)) = &login {
            headers.insert(AUTHORIZATION, basic_header(credentials)?);
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = challenge.service() {
                query.append_pair("service", service);
            }
            for scope in scope.split_ascii_whitespace() {
                query.append_pair("scope", scope);
            }
        }
        Some(Self { url, headers, form: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(realm: &str, challenge: &str) -> String {
        let (url, name) = (Url::parse(realm).unwrap(), Name::canonicalize("ghcr.io/org/app").unwrap());
        TokenQuestion::new(url, &name, &parse_challenges([challenge])[0], None).unwrap().url.to_string()
    }

    #[test]
    fn the_question_for_a_token_is_the_challenges_word_added_to_the_realms_query() {
        for (realm, challenge, url) in [
            (
                "https://x/t",
                r#"Bearer service="a b",scope="repository:x:pull,push""#,
                "https://x/t?service=a+b&scope=repository%3Ax%3Apull%2Cpush",
            ),
            ("https://x/t?y=1&z", r#"Bearer scope="aws""#, "https://x/t?y=1&z&scope=aws"),
            ("https://x/t", "Bearer a=b", "https://x/t?scope=repository%3Aorg%2Fapp%3Apull"),
            ("https://x/t", r#"Bearer scope="a b""#, "https://x/t?scope=a&scope=b"),
            ("https://x/t", r#"Bearer scope="&admin=1#""#, "https://x/t?scope=%26admin%3D1%23"),
        ] {
            assert_eq!(asked(realm, challenge), url);
        }
    }
}
