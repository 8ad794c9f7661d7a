//! What a connection is busy with: whether requests are being answered, and since when the next one is being sent.
//!
//! Shared by the connection's bytes, its requests and its supervisor. Knows nothing of what they say.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::body::Body;

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
}

/// A request until the last byte of its answer.
#[derive(Debug)]
pub(super) struct Open(Arc<Activity>);

/// An answer that holds its request open.
pub(super) struct Answer {
    body: Body,
    _open: Open,
}

impl Activity {
    /// Of a connection that was just made.
    pub(super) fn new() -> Arc<Self> {
        let state = State { open: 0, quiet: Instant::now(), head: None, multiplexed: false };
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
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.open == 0).then_some(state.quiet)
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
        Self { body, _open: open }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
