//! Answers a registry's challenge: a token of its service, or configured credentials.
//!
//! The realm is bound to the registry before anything is sent there.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use oci::{Challenge, Name, Scheme, parse_challenges};
use url::Url;

use crate::body::read_bounded;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::send::retry_after;
use crate::token::{Token, TokenAnswer};
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
        if let Some((challenge, realm)) = bearer {
            return self.bearer(endpoint, name, challenge, realm).await;
        }
        let basic = challenges.iter().any(|challenge| challenge.scheme == Scheme::Basic);
        let credentials = endpoint.credentials().filter(|_| basic);
        credentials.and_then(|own| Token::basic(own, self.now())).ok_or_else(|| endpoint.denied())
    }

    /// `GET <realm>?service=…&scope=…` (distribution `docs/content/spec/auth/token.md`).
    async fn bearer(
        &self,
        endpoint: &Endpoint,
        name: &Name,
        challenge: &Challenge,
        realm: &str,
    ) -> Result<Token, Error> {
        let no_token = |why: String| Error::NoToken { host: endpoint.host.to_string(), why };
        let (mut url, reach) = realm::check(endpoint, realm)?;
        add_query(&mut url, name, challenge);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(credentials) = endpoint.credentials() {
            let basic = Token::basic(credentials, self.now());
            let basic = basic.ok_or_else(|| no_token("the credentials fit no header".to_owned()))?;
            headers.insert(AUTHORIZATION, basic.header().clone());
        }
        let response = self.send(endpoint.http.to(reach), &Method::GET, &url, &headers, &mut true).await?;
        let answer = match response.status() {
            StatusCode::OK => {
                let body = read_bounded(response, url.host_str().unwrap_or_default(), MAX_TOKEN_ANSWER).await;
                body.map_err(|error| match error {
                    Error::TooLarge { .. } => no_token("its answer is larger than 128 KiB".to_owned()),
                    error => error,
                })?
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(endpoint.denied()),
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(Error::TooManyRequests { retry_after: retry_after(response.headers()) });
            }
            status if status.is_redirection() => {
                return Err(no_token("it redirects, which is not followed".to_owned()));
            }
            status => return Err(no_token(format!("it answers {}", status.as_u16()))),
        };
        let answer: TokenAnswer = serde_json::from_slice(&answer)
            .map_err(|_why| no_token("its answer is not the JSON of a token".to_owned()))?;
        answer.into_token(self.now()).ok_or_else(|| no_token("its answer holds no usable token".to_owned()))
    }
}

/// Whom the token is for and what it has to allow, by the challenge's own word; added to what the realm has.
fn add_query(url: &mut Url, name: &Name, challenge: &Challenge) {
    let mut query = url.query_pairs_mut();
    if let Some(service) = challenge.service() {
        query.append_pair("service", service);
    }
    match challenge.scope() {
        Some(scopes) => {
            for scope in scopes.split_ascii_whitespace() {
                query.append_pair("scope", scope);
            }
        }
        None => {
            query.append_pair("scope", &format!("repository:{}:pull", name.repository()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(realm: &str, challenge: &str) -> String {
        let mut url = Url::parse(realm).unwrap();
        let name = Name::canonicalize("ghcr.io/org/app").unwrap();
        add_query(&mut url, &name, &parse_challenges([challenge])[0]);
        url.to_string()
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
