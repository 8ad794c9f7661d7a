//! Streams of HTTP/2, each kept for as long as its client takes what it asked for.
//!
//! A client that opens no window holds its answers here and answers our pings all the same, so bytes that move say nothing.
//! One stream is given up, not the connection: a proxy has many clients on one. On HTTP/1 nothing here runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

/// How long a client may take for one piece of an answer.
pub(super) const STALL: Duration = Duration::from_secs(60);

tokio::task_local! {
    static PACE: Arc<Pace>;
}

/// How one answer is taken.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Of the stream that this is called on.
    pub(super) fn of_stream() -> Option<Arc<Self>> {
        PACE.try_with(Arc::clone).ok()
    }

    /// From now on the client is waited for, or something else is.
    pub(super) fn waits(&self, for_client: bool) {
        let since = for_client.then(Instant::now);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the client was waited for long enough.
    async fn stalled(&self) {
        loop {
            let now = Instant::now();
            let until = self.since().unwrap_or(now) + STALL;
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// Runs each stream as a task of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams;

impl<Stream> Executor<Stream> for Streams
where
    Stream: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: Stream) {
        let pace = Arc::new(Pace::default());
        tokio::spawn(PACE.scope(Arc::clone(&pace), async move {
            tokio::select! {
                _ended = stream => {}
                // What is dropped unfinished is reset.
                () = pace.stalled() => tracing::debug!("a client did not take its answer"),
            }
        }));
    }
}
