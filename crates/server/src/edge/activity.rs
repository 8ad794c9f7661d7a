//! What a connection is busy with: whether requests are being answered, and since when the next one is being sent.
//!
//! Shared by the connection's bytes, its requests and its supervisor. Knows nothing of what they say.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::body::Body;
use super::pace::{self, Pace};

/// So much of an answer is given at one time: HTTP/2 keeps what it was given until the client takes it, however much it is.
const PIECE: usize = 64 * 1024;

/// Bytes that a client takes at least while it is waited for.
const TAKEN: u64 = 4 * 1024;

type Error = <Body as http_body::Body>::Error;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests that are not answered to the end.
    open: u32,
    /// Since when there are none.
    quiet: Instant,
    /// The first byte of a request that is not whole; never on HTTP/2, where many are in the air at one time.
    head: Option<Instant>,
    multiplexed: bool,
    /// Bytes that the client was sent.
    sent: u64,
}

/// A request until the last byte of its answer.
#[derive(Debug)]
pub(super) struct Open(Arc<Activity>);

/// An answer that holds its request open, and is given piece by piece.
pub(super) struct Answer {
    body: Body,
    /// What of the last frame was not given yet.
    rest: Bytes,
    pace: Option<Arc<Pace>>,
    _open: Open,
}

impl Activity {
    /// Of a connection that was just made.
    pub(super) fn new() -> Arc<Self> {
        let state = State { open: 0, quiet: Instant::now(), head: None, multiplexed: false, sent: 0 };
        Arc::new(Self(Mutex::new(state)))
    }

    /// A request is there as a whole.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        let mut state = self.lock();
        state.open += 1;
        state.head = None;
        Open(Arc::clone(self))
    }

    /// Bytes came.
    pub(super) fn received(&self) {
        let mut state = self.lock();
        if state.open == 0 && !state.multiplexed && state.head.is_none() {
            state.head = Some(Instant::now());
        }
    }

    /// Bytes went.
    pub(super) fn sent(&self, bytes: usize) {
        let mut state = self.lock();
        state.sent = state.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// It speaks HTTP/2.
    pub(super) fn multiplexes(&self) {
        let mut state = self.lock();
        (state.multiplexed, state.head) = (true, None);
    }

    /// Since when a request is being sent that is not whole.
    pub(super) fn head_since(&self) -> Option<Instant> {
        self.lock().head
    }

    /// Since when no request is being answered.
    fn quiet_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.open == 0).then_some(state.quiet)
    }

    /// Resolves when, from now on, nothing was asked or answered for so long.
    pub(super) async fn quiet_for(&self, long: Duration) {
        let start = Instant::now();
        loop {
            let now = Instant::now();
            let until = self.quiet_since().map_or(now, |since| since.max(start)) + long;
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Resolves when, from now on, nothing was asked or answered, and next to nothing was taken of what had been answered,
    /// for as long as the client is waited for: one that only says that it is there takes less.
    pub(super) async fn idle(&self) {
        let mut before = self.lock().sent;
        loop {
            self.quiet_for(pace::patience(before)).await;
            let sent = self.lock().sent;
            if sent.saturating_sub(before) < TAKEN {
                return;
            }
            before = sent;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = state.open.saturating_sub(1);
        state.quiet = Instant::now();
    }
}

impl Answer {
    pub(super) fn new(body: Body, open: Open) -> Self {
        Self { body, rest: Bytes::new(), pace: Pace::of_stream(), _open: open }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(bytes) => self.rest = bytes,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.poll_piece(context);
        if let Some(pace) = &self.pace {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => pace.gave(frame.data_ref().map_or(0, Bytes::len)),
                Poll::Ready(_) => pace.gave(0),
                Poll::Pending => pace.pauses(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (given, rest) = (self.body.size_hint(), u64::try_from(self.rest.len()).unwrap_or(u64::MAX));
        let mut hint = SizeHint::new();
        hint.set_lower(given.lower().saturating_add(rest));
        if let Some(upper) = given.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
