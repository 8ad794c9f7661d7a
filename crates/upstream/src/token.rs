//! Tokens of registries: one cached for each repository, renewed before they end.
//!
//! Any number of requests that need the same token wait for one question to the token service; a
//! failure is told to those who waited and not kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use oci::Name;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::Error;
use crate::settings::Credentials;

/// Repositories remembered. With [`MAX_TOKEN`] this bounds the memory at 32 MiB.
const CAPACITY: usize = 2_048;
/// Bytes of a token; servers take no longer headers.
const MAX_TOKEN: usize = 16 * 1024;
/// What a token lives where nothing is said, and at least, in seconds.
const SHORTEST_LIFE: u64 = 60;
/// No token is kept longer, whatever is said, in seconds.
const LONGEST_LIFE: u64 = 3_600;
/// How long a Basic header is taken to be wanted without asking again.
const BASIC_LIFE: Duration = Duration::from_secs(300);

/// A header that was accepted or issued, and until when it is used.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    header: HeaderValue,
    until: Instant,
}

/// All tokens of one client. A token is for one repository of one registry, with the one account that is configured
/// there: there is nothing more that a token service could tell apart.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: Mutex<HashMap<Name, Token>>,
    flights: Mutex<HashMap<Name, Flight>>,
}

/// One question to a token service, and how it ended, for all who wait.
type Flight = Arc<tokio::sync::Mutex<Option<Result<HeaderValue, Error>>>>;

/// What a token service answers; either name is in use.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<f64>,
}

impl Tokens {
    /// The header for a repository, while it lives.
    pub(crate) fn get(&self, name: &Name, now: Instant) -> Option<HeaderValue> {
        lock(&self.known).get(name).filter(|token| now < token.until).map(|token| token.header.clone())
    }

    /// Forgets a header that was turned down, unless another has taken its place.
    pub(crate) fn forget(&self, name: &Name, turned_down: &HeaderValue) {
        let mut known = lock(&self.known);
        if known.get(name).is_some_and(|token| token.header == *turned_down) {
            known.remove(name);
        }
    }

    /// The header that is known, or that `issue` gives: run by one of those who ask at the same time, for all. When
    /// that one gives up, the next one runs its own.
    pub(crate) async fn obtain(
        &self,
        name: &Name,
        now: impl Fn() -> Instant,
        issue: impl Future<Output = Result<Token, Error>>,
    ) -> Result<HeaderValue, Error> {
        let flight = self.board(name);
        let mut outcome = flight.lock().await;
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        let header = match self.get(name, now()) {
            Some(known) => Ok(known),
            None => issue.await.map(|token| {
                let header = token.header.clone();
                self.put(name.clone(), token, now());
                header
            }),
        };
        // Whoever comes from here on asks anew.
        self.land(name, &flight);
        *outcome = Some(header.clone());
        header
    }

    fn put(&self, name: Name, token: Token, now: Instant) {
        let mut known = lock(&self.known);
        if known.len() >= CAPACITY {
            known.retain(|_, token| now < token.until);
            if known.len() >= CAPACITY {
                known.clear();
            }
        }
        known.insert(name, token);
    }

    fn board(&self, name: &Name) -> Flight {
        let mut flights = lock(&self.flights);
        // Those whose last passenger gave up.
        if flights.len() >= CAPACITY {
            flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        }
        Arc::clone(flights.entry(name.clone()).or_default())
    }

    fn land(&self, name: &Name, flight: &Flight) {
        let mut flights = lock(&self.flights);
        if flights.get(name).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            flights.remove(name);
        }
    }
}

impl Token {
    /// A Basic header of these credentials; `None` where they fit no header.
    pub(crate) fn basic(credentials: &Credentials, now: Instant) -> Option<Self> {
        Some(Self { header: basic_header(credentials)?, until: now + BASIC_LIFE })
    }

    /// A token that was not issued to us here, for as short a time as any; `None` where it fits no header.
    pub(crate) fn own(token: &SecretString, now: Instant) -> Option<Self> {
        let header = sensitive(&format!("Bearer {}", token.expose_secret()))?;
        Some(Self { header, until: now + Duration::from_secs(SHORTEST_LIFE) })
    }
}

/// `Basic …`; `None` where the credentials fit no header.
pub(crate) fn basic_header(credentials: &Credentials) -> Option<HeaderValue> {
    let pair = format!("{}:{}", credentials.username, credentials.password.expose_secret());
    sensitive(&format!("Basic {}", STANDARD.encode(pair)))
}

impl TokenAnswer {
    /// The token, used for four fifths of its life as counted from `now`; `None` without a usable one.
    pub(crate) fn into_token(self, now: Instant) -> Option<Token> {
        let usable = |token: &SecretString| !token.expose_secret().is_empty();
        let token = self.token.filter(usable).or(self.access_token.filter(usable))?;
        if token.expose_secret().len() > MAX_TOKEN {
            return None;
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    fn answer(json: &str) -> Option<Token> {
        serde_json::from_str::<TokenAnswer>(json).unwrap().into_token(Instant::now())
    }

    fn name(repository: &str) -> Name {
        Name::new(oci::RegistryHost::docker_hub(), repository).unwrap()
    }

    #[test]
    fn either_name_of_the_token_is_taken() {
        assert_eq!(answer(r#"{"token":"a"}"#).unwrap().header, "Bearer a");
        assert_eq!(answer(r#"{"access_token":"b","expires_in":300}"#).unwrap().header, "Bearer b");
        assert_eq!(answer(r#"{"token":"a","access_token":"a"}"#).unwrap().header, "Bearer a");
        assert!(answer(r#"{"expires_in":300}"#).is_none());
        assert_eq!(answer(r#"{"token":"","access_token":"b"}"#).unwrap().header, "Bearer b");
        assert_eq!(answer(r#"{"token":null,"access_token":"b"}"#).unwrap().header, "Bearer b");
        assert!(answer(r#"{"token":""}"#).is_none());
        assert!(answer("{\"token\":\"a\\nb\"}").is_none());
        assert!(answer(&format!(r#"{{"token":"{}"}}"#, "a".repeat(MAX_TOKEN + 1))).is_none());
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
        let credentials = Credentials { username: "u".to_owned(), password: "hunter2".into() };
        let basic = Token::basic(&credentials, Instant::now()).unwrap();
        assert!(!format!("{basic:?}").contains("Basic"));
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[test]
    fn a_token_is_forgotten_only_by_who_was_turned_down_with_it() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        tokens.put(name("a"), answer(r#"{"token":"old"}"#).unwrap(), now);
        let old = tokens.get(&name("a"), now).unwrap();
        tokens.put(name("a"), answer(r#"{"token":"new"}"#).unwrap(), now);
        tokens.forget(&name("a"), &old);
        assert_eq!(tokens.get(&name("a"), now).unwrap(), "Bearer new");
        assert!(tokens.get(&name("b"), now).is_none());
        assert!(tokens.get(&name("a"), now + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn memory_is_bounded_whatever_is_pulled() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        for number in 0..3 * CAPACITY {
            tokens.put(name(&number.to_string()), answer(r#"{"token":"a"}"#).unwrap(), now);
        }
        assert!(tokens.known.lock().unwrap().len() <= CAPACITY);
    }

    fn waits<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(future).poll(&mut context).is_pending()
    }

    fn denied() -> Error {
        Error::Denied { had_credentials: false }
    }

    #[tokio::test]
    async fn a_failure_is_told_to_those_who_waited_and_not_kept() {
        let (tokens, gate) = (Tokens::default(), testkit::Gate::closed());
        let wanted = name("a");
        let leader = tokens.obtain(&wanted, Instant::now, async {
            gate.pass().await;
            Err(denied())
        });
        let follower = tokens.obtain(&wanted, Instant::now, async { panic!("asked a second time") });
        let open = async {
            gate.waiting(1).await;
            gate.release();
        };
        let (leader, follower, ()) = tokio::join!(leader, follower, open);
        assert!(matches!(leader, Err(Error::Denied { .. })));
        assert!(matches!(follower, Err(Error::Denied { .. })));
        let later = tokens.obtain(&wanted, Instant::now, async { Ok(answer(r#"{"token":"new"}"#).unwrap()) });
        assert_eq!(later.await.unwrap(), "Bearer new");
    }

    #[tokio::test]
    async fn when_the_one_who_asks_gives_up_the_next_one_asks() {
        let tokens = Tokens::default();
        let wanted = name("a");
        let mut leader = Box::pin(tokens.obtain(&wanted, Instant::now, std::future::pending()));
        assert!(waits(&mut leader));
        let mut follower =
            Box::pin(tokens.obtain(&wanted, Instant::now, async { Ok(answer(r#"{"token":"b"}"#).unwrap()) }));
        assert!(waits(&mut follower));
        drop(leader);
        assert_eq!(follower.await.unwrap(), "Bearer b");
    }

    #[tokio::test]
    async fn those_who_gave_up_leave_nothing_behind_for_ever() {
        let tokens = Tokens::default();
        for number in 0..3 * CAPACITY {
            let wanted = name(&number.to_string());
            let mut given_up = Box::pin(tokens.obtain(&wanted, Instant::now, std::future::pending()));
            assert!(waits(&mut given_up));
        }
        assert!(lock(&tokens.flights).len() <= CAPACITY);
    }
}
