//! Who may pull: names with passwords or tokens, both kept as hashes.
//!
//! Takes `Authorization` as `docker login`, skopeo, containerd and curl send it: Basic with a password or a token, or a
//! Bearer token. Nothing of it ever goes upstream. Passwords are slow to check by design, so what was right a moment ago
//! is remembered, what is wrong is counted per client, and only a few are checked at one time.

mod accounts;
mod header;
mod remembered;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderMap;
use tokio::sync::{Mutex, Semaphore};
use upstream::Clock;

pub(crate) use self::accounts::Accounts;
pub use self::accounts::AccountsError;
use self::accounts::Slow;
use self::header::Shown;
use self::remembered::{Fingerprint, Remembered};
use crate::edge::buckets::Buckets;
use crate::reload::Watched;

/// Wrong attempts of one client at once, and the time for one more.
const ATTEMPTS: u32 = 10;
const ATTEMPT_EACH: Duration = Duration::from_secs(10);
/// Passwords that are checked at one time; each takes a core for some 50 ms, argon2 some 20 MiB besides.
const AT_ONE_TIME: usize = 2;
/// How long a client waits for its password to be checked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Those who show the same wait for one check.
const QUEUES: usize = 16;

/// Why a client may not pull.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// It says not who it is.
    Unknown,
    /// It says so, and it is not so.
    Wrong,
    /// It was wrong too often.
    Slow { wait: Duration },
    /// Too many passwords are being checked.
    Busy,
}

/// All who may pull.
pub(crate) struct Auth {
    accounts: ArcSwap<Accounts>,
    remembered: Remembered,
    attempts: Buckets,
    work: Arc<Semaphore>,
    queues: [Mutex<()>; QUEUES],
}

impl Auth {
    pub(crate) fn new(accounts: Accounts, clock: Clock) -> Self {
        Self {
            accounts: ArcSwap::from_pointee(accounts),
            remembered: Remembered::new(clock.clone()),
            attempts: Buckets::new(ATTEMPT_EACH, ATTEMPTS, clock),
            work: Arc::new(Semaphore::new(AT_ONE_TIME)),
            queues: Default::default(),
        }
    }

    /// Whether the headers of this client's request show somebody who may pull.
    pub(crate) async fn admit(&self, headers: &HeaderMap, client: IpAddr) -> Result<(), Refused> {
        let shown = header::read(headers).ok_or(Refused::Unknown)?;
        let accounts = self.accounts.load_full();
        if let Some(token) = shown.token()
            && accounts.knows_token(shown.name(), token)
        {
            return Ok(());
        }
        let Shown::Password { name, password } = &shown else {
            self.attempt(client)?;
            return Err(Refused::Wrong);
        };
        let slow = accounts.slow(name);
        let fingerprint = self.remembered.fingerprint(name, password, &slow);
        if self.remembered.holds(&fingerprint) {
            return Ok(());
        }
        let patience = tokio::time::timeout(PATIENCE, self.check(client, password, slow, fingerprint));
        patience.await.unwrap_or(Err(Refused::Busy))
    }

    /// One at a time of those who show the same.
    async fn check(
        &self,
        client: IpAddr,
        password: &secrecy::SecretString,
        slow: Slow,
        fingerprint: Fingerprint,
    ) -> Result<(), Refused> {
        let queue = self.queues.get(fingerprint.place(QUEUES)).ok_or(Refused::Busy)?;
        let _first = queue.lock().await;
        if self.remembered.holds(&fingerprint) {
            return Ok(());
        }
        self.attempt(client)?;
        let Ok(turn) = Arc::clone(&self.work).acquire_owned().await else { return Err(Refused::Busy) };
        let password = password.clone();
        // A client that hangs up does not end the check, so its turn goes on as well.
        let right = tokio::task::spawn_blocking(move || {
            let right = slow.is(&password);
            drop(turn);
            right
        });
        let right = right.await;
        match right {
            Ok(true) => {
                self.attempts.give_back(client);
                self.remembered.keep(fingerprint);
                Ok(())
            }
            Ok(false) => Err(Refused::Wrong),
            Err(error) => {
                tracing::error!(%error, "checking a password ended in a panic");
                Err(Refused::Busy)
            }
        }
    }

    /// Counts as wrong until it turns out to be right.
    fn attempt(&self, client: IpAddr) -> Result<(), Refused> {
        self.attempts.take(client).map_err(|wait| Refused::Slow { wait })
    }

    /// Reads the files again; what cannot be used changes nothing.
    ///
    /// # Errors
    ///
    /// [`AccountsError`]
    pub(crate) fn reload(&self) -> Result<(), AccountsError> {
        let next = self.accounts.load().again()?;
        if next.is_empty() {
            tracing::error!(
                "nobody may pull any more: `[auth]` has neither a user nor a token left in its files"
            );
        }
        self.accounts.store(Arc::new(next));
        Ok(())
    }

    /// Whether the files name nobody, since they were read again.
    pub(crate) fn knows_nobody(&self) -> bool {
        self.accounts.load().is_empty()
    }

    /// The files.
    pub(crate) fn watched(&self) -> Arc<Watched> {
        self.accounts.load().watched()
    }
}

#[cfg(test)]
mod tests;
