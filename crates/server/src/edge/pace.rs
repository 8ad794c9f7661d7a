//! Streams of HTTP/2, each kept for as long as its client takes what it asked for.
//!
//! A client that opens no window holds its answers here and answers our pings all the same, so bytes that move say nothing.
//! One stream is given up, not the connection: a proxy has many clients on one. On HTTP/1 nothing here runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

/// How long a client may take for one piece of an answer, whatever it took before.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// How long it may at most. Clients on nghttp2 open a window anew when half of it was used: a slow one takes much at once
/// and then nothing for as long as that lasts.
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Bytes taken that are good for a second more.
const SECOND: u64 = 4 * 1024;

tokio::task_local! {
    static PACE: Arc<Pace>;
}

/// How one answer is taken.
#[derive(Debug)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Whether the client is waited for, and not something else.
    waits: bool,
    /// Until when it is.
    until: Instant,
}

/// How long a client that took so many bytes may take none.
pub(super) fn patience(taken: u64) -> Duration {
    credit(taken).clamp(STALL, LONGEST)
}

fn credit(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SECOND)
}

impl Pace {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { waits: false, until: Instant::now() + STALL })))
    }

    /// Of the stream that this is called on.
    pub(super) fn of_stream() -> Option<Arc<Self>> {
        PACE.try_with(Arc::clone).ok()
    }

    /// So much was given to the client, which is waited for from now on.
    pub(super) fn gave(&self, bytes: usize) {
        let now = Instant::now();
        let credit = credit(u64::try_from(bytes).unwrap_or(u64::MAX));
        let mut state = self.lock();
        let until = state.until.max(now) + credit.min(LONGEST);
        *state = State { waits: true, until: until.clamp(now + STALL, now + LONGEST) };
    }

    /// From now on something else is waited for.
    pub(super) fn pauses(&self) {
        self.lock().waits = false;
    }

    /// Resolves when the client was waited for long enough.
    async fn stalled(&self) {
        loop {
            let now = Instant::now();
            let until = {
                let state = self.lock();
                if state.waits { state.until } else { now + STALL }
            };
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let pace = Pace::new();
        tokio::spawn(PACE.scope(Arc::clone(&pace), async move {
            tokio::select! {
                _ended = stream => {}
                // What is dropped unfinished is reset.
                () = pace.stalled() => tracing::debug!("a client did not take its answer"),
            }
        }));
    }
}
