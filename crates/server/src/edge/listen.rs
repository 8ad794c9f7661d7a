//! Accepts connections, bounds them, and lets them finish on shutdown.
//!
//! Header size and time, streams and connections are limited here. Knows nothing of routes.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::body::Body;
use super::idle::Idle;

/// How long a client may take to send a request's headers, and an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing may move on a connection; longer than any answer takes to begin.
const IDLE: Duration = Duration::from_secs(150);
/// Bytes of request line and headers.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Header lines of one request.
const MAX_HEADERS: usize = 64;
/// Requests at one time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Streams that a client may open and reset before its connection is closed.
const MAX_RESET_STREAMS: usize = 32;
/// How long open answers may take after a shutdown began.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// Serves `listener`, to at most so many `connections` at one time (0: any number), until `stop` resolves, then drains open connections for at most [`DRAIN`].
pub(crate) async fn serve<Handle, Answer>(
    listener: TcpListener,
    connections: u32,
    handle: Handle,
    stop: impl Future<Output = ()>,
) where
    Handle: Fn(Request<Incoming>, IpAddr) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Response<Body>> + Send + 'static,
{
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let bound = usize::try_from(connections).ok().filter(|bound| *bound != 0);
    let permits = Arc::new(Semaphore::new(bound.unwrap_or(Semaphore::MAX_PERMITS)));
    let mut stop = std::pin::pin!(stop);
    loop {
        let permit = tokio::select! {
            () = &mut stop => break,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        // The semaphore is never closed.
        let Ok(permit) = permit else { break };
        let (socket, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    accept_failed(&error).await;
                    continue;
                }
            },
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed before it was served");
            continue;
        }
        let handle = handle.clone();
        let address = peer.ip().to_canonical();
        let service = service_fn(move |request| {
            let answer = handle(request, address);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = builder
            .serve_connection(TokioIo::new(Idle::new(socket, HEADER_TIMEOUT, IDLE)), service)
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            seconds = DRAIN.as_secs(),
            "some answers were still open at the end of the grace period"
        );
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(16 * 1024)
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT);
    builder
}

/// Out of file descriptors, most likely: waiting lets connections end, spinning would not.
/// Without the pause a process that is out of file descriptors would spin.
pub(crate) async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::edge::body::full;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_gives_its_place_to_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = |_request, _client| async { Response::new(full("ok")) };
        let serving = tokio::spawn(serve(listener, 1, answer, std::future::pending()));
        for opening in ["", "PRI * HTTP/2.0\r", "GET / HTTP/1.1\r\nHost"] {
            let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
            silent.write_all(opening.as_bytes()).await.unwrap();
            let mut said = Vec::new();
            let cut = tokio::time::timeout(4 * HEADER_TIMEOUT, silent.read_to_end(&mut said)).await;
            assert!(cut.is_ok(), "{opening:?} holds the only place");
        }
        serving.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_nothing_is_no_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answer = |_request, _client| async { Response::new(full("ok")) };
        let serving = tokio::spawn(serve(listener, 0, answer, std::future::pending()));
        let reply = tokio::time::timeout(HEADER_TIMEOUT, testkit::wire::get(&url)).await;
        assert_eq!(reply.unwrap().status, 200);
        serving.abort();
    }
}
