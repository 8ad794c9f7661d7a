//! Tokens of registries: one cached for each repository, renewed before they end.
//!
//! Any number of requests that need the same token wait for one question to the token service; a
//! failure is told to those who waited and not kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use oci::RegistryHost;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// Repositories remembered.
const CAPACITY: usize = 4_096;
/// What a token lives where nothing is said, and at least.
const SHORTEST_LIFE: u64 = 60;
/// No token is kept longer, whatever is said.
const LONGEST_LIFE: u64 = 3_600;
/// How long a Basic header is taken to be wanted without asking again.
const BASIC_LIFE: Duration = Duration::from_secs(300);

/// Whom a token is for; everything that a token service could tell apart.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TokenKey {
    pub(crate) host: RegistryHost,
    pub(crate) repository: String,
}

/// A header that was accepted or issued, and until when it is used.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    header: HeaderValue,
    until: Instant,
}

/// All tokens of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    known: Arc<Mutex<HashMap<TokenKey, Token>>>,
    /// One lock for each token that is being asked for.
    asking: Arc<Mutex<HashMap<TokenKey, Arc<tokio::sync::Mutex<()>>>>>,
}

/// What a token service answers; either name is in use.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<f64>,
}

impl Tokens {
    /// The header for a repository, while it lives.
    pub(crate) fn get(&self, key: &TokenKey, now: Instant) -> Option<HeaderValue> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|token| now < token.until).map(|token| token.header.clone())
    }

    /// Keeps a header.
    pub(crate) fn put(&self, key: TokenKey, token: Token, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.retain(|_, token| now < token.until);
            if known.len() >= CAPACITY {
                known.clear();
            }
        }
        known.insert(key, token);
    }

    /// Forgets a header that was turned down, unless another has taken its place.
    pub(crate) fn forget(&self, key: &TokenKey, turned_down: &HeaderValue) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(key).is_some_and(|token| token.header == *turned_down) {
            known.remove(key);
        }
    }

    /// Waits for the turn to ask for a token; whoever comes second finds it known.
    pub(crate) async fn turn(&self, key: &TokenKey) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            // Locks that nobody holds or waits for are of the map alone.
            if asking.len() >= CAPACITY {
                asking.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(asking.entry(key.clone()).or_default())
        };
        lock.lock_owned().await
    }
}

impl Token {
    /// A Basic header of these credentials.
    pub(crate) fn basic(username: &str, password: &SecretString, now: Instant) -> Option<Self> {
        use base64::Engine as _;
        let pair = format!("{username}:{}", password.expose_secret());
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        Some(Self { header: sensitive(&format!("Basic {pair}"))?, until: now + BASIC_LIFE })
    }

    /// The header's value.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl TokenAnswer {
    /// The token, used for four fifths of its life as counted from `now`; `None` without a usable one.
    pub(crate) fn into_token(self, now: Instant) -> Option<Token> {
        let token = self.token.or(self.access_token)?;
        let said = self.expires_in.filter(|seconds| seconds.is_finite()).unwrap_or_default();
        // Saturates; a negative number is none.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped on both ends")]
        let life = (said.max(0.0) as u64).clamp(SHORTEST_LIFE, LONGEST_LIFE);
        let header = sensitive(&format!("Bearer {}", token.expose_secret()))?;
        Some(Token { header, until: now + Duration::from_secs(life) * 4 / 5 })
    }
}

/// Never printed by anything that prints headers.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Option<Token> {
        serde_json::from_str::<TokenAnswer>(json).unwrap().into_token(Instant::now())
    }

    fn key(repository: &str) -> TokenKey {
        TokenKey { host: RegistryHost::docker_hub(), repository: repository.to_owned() }
    }

    #[test]
    fn either_name_of_the_token_is_taken() {
        assert_eq!(answer(r#"{"token":"a"}"#).unwrap().header, "Bearer a");
        assert_eq!(answer(r#"{"access_token":"b","expires_in":300}"#).unwrap().header, "Bearer b");
        assert_eq!(answer(r#"{"token":"a","access_token":"a"}"#).unwrap().header, "Bearer a");
        assert!(answer(r#"{"expires_in":300}"#).is_none());
        assert!(answer("{\"token\":\"a\\nb\"}").is_none());
    }

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life() {
        let now = Instant::now();
        let life = |json: &str| {
            serde_json::from_str::<TokenAnswer>(json).unwrap().into_token(now).unwrap().until - now
        };
        assert_eq!(life(r#"{"token":"a","expires_in":300}"#), Duration::from_secs(240));
        for short in
            [r#"{"token":"a"}"#, r#"{"token":"a","expires_in":5}"#, r#"{"token":"a","expires_in":-1}"#]
        {
            assert_eq!(life(short), Duration::from_secs(48), "{short}");
        }
        assert_eq!(life(r#"{"token":"a","expires_in":1e99}"#), Duration::from_secs(2_880));
    }

    #[test]
    fn tokens_are_never_printed() {
        let token = answer(r#"{"token":"secret-token"}"#).unwrap();
        assert!(!format!("{token:?}").contains("secret"));
        let basic = Token::basic("u", &"hunter2".into(), Instant::now()).unwrap();
        assert!(!format!("{basic:?}").contains("Basic"));
    }

    #[test]
    fn a_token_is_forgotten_only_by_who_was_turned_down_with_it() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        tokens.put(key("a"), answer(r#"{"token":"old"}"#).unwrap(), now);
        let old = tokens.get(&key("a"), now).unwrap();
        tokens.put(key("a"), answer(r#"{"token":"new"}"#).unwrap(), now);
        tokens.forget(&key("a"), &old);
        assert_eq!(tokens.get(&key("a"), now).unwrap(), "Bearer new");
        assert!(tokens.get(&key("b"), now).is_none());
        assert!(tokens.get(&key("a"), now + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn memory_is_bounded_whatever_is_pulled() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        for number in 0..3 * CAPACITY {
            tokens.put(key(&number.to_string()), answer(r#"{"token":"a"}"#).unwrap(), now);
        }
        assert!(tokens.known.lock().unwrap().len() <= CAPACITY);
    }
}
