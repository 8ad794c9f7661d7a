//! A connection on which nothing moves for too long is an error, and so is a request that does not become whole: each
//! holds one of the few places that there are.
//!
//! Bytes of either direction count. Knows nothing of what they mean, but that HTTP/2 begins with a preface.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;

/// Until a client has sent this much, what it speaks is not known, and no other clock runs; the preface of HTTP/2.
const OPENING: u64 = 24;
/// No request of HTTP/1 begins so.
const PREFACE: &[u8] = b"PRI ";

/// Wraps a connection.
pub(super) struct Idle<Io> {
    io: Io,
    activity: Arc<Activity>,
    head: Duration,
    limit: Duration,
    /// When bytes last moved; while a client opens, when it connected.
    moved: Instant,
    received: u64,
    /// Wakes at least as often as a request may be incomplete, so that none need be announced to it.
    timer: Pin<Box<Sleep>>,
}

impl<Io> Idle<Io> {
    /// A client has `head` to say what it speaks, and for each request from its first byte to its last; otherwise
    /// `limit` may pass without a byte.
    pub(super) fn new(io: Io, activity: Arc<Activity>, head: Duration, limit: Duration) -> Self {
        let moved = Instant::now();
        Self { io, activity, head, limit, moved, received: 0, timer: Box::pin(sleep_until(moved + head)) }
    }

    /// Called wherever the connection makes one wait; wakes the task when it has waited long enough.
    fn patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let head = self.activity.head_since().map(|since| since + self.head);
            let until = head.map_or(self.moved + self.limit, |head| head.min(self.moved + self.limit));
            if self.received < OPENING || until <= now {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(until.min(now + self.head));
        }
        Ok(())
    }

    fn sent(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.activity.sent(*bytes);
        }
        self.wait_or(context, polled)
    }

    fn wait_or<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            self.patience(context)?;
        } else if self.received >= OPENING {
            self.moved = Instant::now();
        }
        polled
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Idle<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            // Too short a first piece is taken for HTTP/1, which has less time.
            if self.received == 0 && read.starts_with(PREFACE) {
                self.activity.multiplexes();
            }
            self.activity.received();
        }
        self.received = self.received.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
        ready!(self.wait_or(context, polled))?;
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Idle<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.sent(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.sent(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS writes here what it could not write before.
        let polled = Pin::new(&mut self.io).poll_flush(context);
        if polled.is_pending() {
            self.patience(context)?;
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        if polled.is_pending() {
            self.patience(context)?;
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pair() -> (Idle<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (Idle::new(ours, Activity::new(), 30 * SECOND, 120 * SECOND), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_it_speaks_is_cut_off_however_slowly_it_begins() {
        let (mut ours, mut theirs) = pair();
        let start = Instant::now();
        let slow = async {
            for byte in b"PRI * HTTP/2.0\r\n" {
                theirs.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(10 * SECOND).await;
            }
        };
        let mut preface = [0; 24];
        let cut = async {
            let error = ours.read_exact(&mut preface).await.unwrap_err();
            assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, 30 * SECOND));
        };
        tokio::select! { () = slow => panic!("never cut off"), () = cut => {} }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_something_moves_stays() {
        let (mut ours, mut theirs) = pair();
        let _request = ours.activity.begin();
        let talk = async {
            for _ in 0..10 {
                theirs.write_all(&[0; 24]).await.unwrap();
                tokio::time::sleep(119 * SECOND).await;
            }
            theirs
        };
        let mut received = [0; 240];
        let (read, theirs) = tokio::join!(ours.read_exact(&mut received), talk);
        read.unwrap();
        let silence = ours.read_exact(&mut received).await.unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_request_byte_by_byte_is_cut_off() {
        let (mut ours, mut theirs) = pair();
        for round in 0..3 {
            let request = async {
                theirs.write_all(&[b'a'; 30]).await.unwrap();
            };
            let (read, ()) = tokio::join!(async { ours.read_exact(&mut [0; 30]).await.map(drop) }, request);
            read.unwrap();
            drop(ours.activity.begin());
            // Between requests nothing is due.
            tokio::time::sleep(100 * SECOND).await;
            assert!(ours.activity.head_since().is_none(), "round {round}");
        }
        let start = Instant::now();
        let slow = async {
            loop {
                theirs.write_all(b"a").await.unwrap();
                tokio::time::sleep(7 * SECOND).await;
            }
        };
        let cut = async {
            let error = ours.read_exact(&mut [0; 50]).await.unwrap_err();
            assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, 30 * SECOND));
        };
        tokio::select! { () = slow => {}, () = cut => {} }
    }

    #[tokio::test(start_paused = true)]
    async fn on_http_2_frames_come_whenever_they_come() {
        let (mut ours, mut theirs) = pair();
        let talk = async {
            theirs.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            for _ in 0..10 {
                tokio::time::sleep(29 * SECOND).await;
                theirs.write_all(&[0; 9]).await.unwrap();
            }
        };
        let (read, ()) = tokio::join!(async { ours.read_exact(&mut [0; 24 + 90]).await.map(drop) }, talk);
        read.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_its_answer_is_cut_off() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&[0; 24]).await.unwrap();
        ours.read_exact(&mut [0; 24]).await.unwrap();
        let _request = ours.activity.begin();
        let start = Instant::now();
        let error = ours.write_all(&[0; 1_000]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, 120 * SECOND));
    }
}
