//! A whole exchange with a registry: bounded in time and number, and counted when it fails.
//!
//! Knows not what is exchanged.

use crate::Error;
use crate::client::Client;
use crate::endpoint::Endpoint;

impl Client {
    /// Carries out `work` when it is its turn, unless the registry is left alone. Waiting takes the total time at most,
    /// and so does the work: a registry that answers in time is not to blame for the queue before it.
    pub(crate) async fn exchange<T>(
        &self,
        endpoint: &Endpoint,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let host = || endpoint.host.to_string();
        let leave = || endpoint.breaker.ask(self.now()).map_err(|wait| Error::Resting { host: host(), wait });
        // Those who wait for their turn would be told only then.
        drop(leave()?);
        let total = self.timeouts().total;
        let _turn = match tokio::time::timeout(total, endpoint.turns.acquire()).await {
            Ok(Ok(turn)) => turn,
            // Late; the semaphore is never closed.
            Ok(Err(_)) | Err(_) => return Err(Error::Busy { host: host() }),
        };
        // Dropped without a verdict when whoever asked gives up: how long clients wait says nothing of the registry, and
        // one who hangs up early would close it to all. Whether it is down our own time limits find out.
        let leave = leave()?;
        let outcome = tokio::time::timeout(total, work).await;
        let outcome = outcome.unwrap_or_else(|_late| Err(Error::TimedOut { host: host() }));
        match &outcome {
            Err(error) if error.is_outage() => leave.failed(self.now()),
            // Its name was never looked up.
            Err(Error::Busy { .. }) => drop(leave),
            _ => leave.answered(),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use oci::RegistryHost;

    use super::*;
    use crate::{Settings, Timeouts};

    #[tokio::test]
    async fn one_who_never_gets_a_turn_is_told_so_and_it_is_not_the_registrys_failure() {
        let timeouts = Timeouts { total: Duration::from_millis(1), ..Timeouts::default() };
        let client = Client::new(Settings { timeouts, ..Settings::default() }).unwrap();
        let endpoint = client.endpoint(&RegistryHost::docker_hub()).unwrap();
        let taken = endpoint.turns.acquire_many(64).await.unwrap();
        for _ in 0..10 {
            let outcome = client.exchange(&endpoint, async { panic!("asked without a turn") }).await;
            assert!(matches!(outcome, Err::<(), _>(Error::Busy { .. })), "{outcome:?}");
        }
        drop(taken);
        assert_eq!(client.exchange(&endpoint, async { Ok(1) }).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_one_waited_for_its_turn_is_not_counted_against_the_registry() {
        let client = Client::new(Settings::default()).unwrap();
        let endpoint = client.endpoint(&RegistryHost::docker_hub()).unwrap();
        let total = client.timeouts().total;
        let taken = endpoint.turns.acquire_many(64).await.unwrap();
        let release = async {
            tokio::time::sleep(total * 3 / 4).await;
            drop(taken);
        };
        let answers = async {
            tokio::time::sleep(total / 2).await;
            Ok(1)
        };
        let (outcome, ()) = tokio::join!(client.exchange(&endpoint, answers), release);
        assert_eq!(outcome.unwrap(), 1);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_turn_at_a_registry_that_is_left_alone() {
        let client = Client::new(Settings::default()).unwrap();
        let endpoint = client.endpoint(&RegistryHost::docker_hub()).unwrap();
        for _ in 0..5 {
            let down = async { Err::<(), _>(Error::ServerError { status: 503 }) };
            assert!(client.exchange(&endpoint, down).await.is_err());
        }
        let _taken = endpoint.turns.acquire_many(64).await.unwrap();
        let outcome = client.exchange(&endpoint, async { panic!("asked though it is left alone") }).await;
        assert!(matches!(outcome, Err::<(), _>(Error::Resting { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_registry_whose_name_was_not_looked_up_has_neither_failed_nor_answered() {
        let client = Client::new(Settings::default()).unwrap();
        let endpoint = client.endpoint(&RegistryHost::docker_hub()).unwrap();
        for _ in 0..5 {
            let busy = Error::Busy { host: "registry-1.docker.io".to_owned() };
            assert!(client.exchange(&endpoint, async { Err::<(), _>(busy) }).await.is_err());
            let down = Error::ServerError { status: 503 };
            assert!(matches!(
                client.exchange(&endpoint, async { Err::<(), _>(down) }).await,
                Err(Error::ServerError { .. })
            ));
        }
        let outcome = client.exchange(&endpoint, async { Ok(1) }).await;
        assert!(matches!(outcome, Err(Error::Resting { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn one_who_gives_up_changes_nothing() {
        let client = Client::new(Settings::default()).unwrap();
        let endpoint = client.endpoint(&RegistryHost::docker_hub()).unwrap();
        for _ in 0..100 {
            let given_up = client.exchange::<()>(&endpoint, std::future::pending());
            assert!(tokio::time::timeout(Duration::ZERO, given_up).await.is_err());
        }
        assert_eq!(client.exchange(&endpoint, async { Ok(1) }).await.unwrap(), 1);
    }
}
