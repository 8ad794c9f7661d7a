//! Accepts connections, bounds them, and lets them finish on shutdown.
//!
//! Header size and time, streams, connections and their age are limited here. Knows nothing of routes.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Answer};
use super::body::Body;
use super::crowd::Crowd;
use super::idle::Idle;
use super::pace::Streams;

/// How long a client may take to shake hands, to say what it speaks, and to send a request's headers.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection is kept on which nothing is asked.
const QUIET: Duration = Duration::from_secs(60);
/// How long nothing may move while something is answered; longer than any answer takes to begin.
const IDLE: Duration = Duration::from_secs(150);
/// After this long a connection takes no more requests: a client that goes on makes a new one, perhaps elsewhere. What was
/// answered to the end by then may be taken for as long again.
const AGE: Duration = Duration::from_secs(60 * 60);
/// Between two questions whether a client of HTTP/2 is still there.
const PING: Duration = Duration::from_secs(30);
/// How long it has to answer: before a slow link the question waits behind all that was sent before.
const PONG: Duration = Duration::from_secs(120);
/// Bytes of request line and headers.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Header lines of one request.
const MAX_HEADERS: usize = 64;
/// Requests at one time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Streams that a client may open and reset before its connection is closed.
const MAX_RESET_STREAMS: usize = 32;
/// Streams of a client that we may have to reset before its connection is closed.
const MAX_ERROR_STREAMS: usize = 64;
/// How long open answers may take after a shutdown began.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// Who gets in, and how they speak.
#[derive(Clone)]
pub(crate) struct Place {
    /// Connections at one time; 0: any number.
    pub(crate) connections: u32,
    /// How many of them one client may have.
    pub(crate) crowd: Option<Arc<Crowd>>,
    /// For clients that speak TLS; without it none do.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves `listener` until `stop` resolves, then drains open connections for at most [`DRAIN`].
pub(crate) async fn serve<Handle, Handled>(
    listener: TcpListener,
    place: Place,
    handle: Handle,
    stop: impl Future<Output = ()>,
) where
    Handle: Fn(Request<Incoming>, IpAddr) -> Handled + Clone + Send + Sync + 'static,
    Handled: Future<Output = Response<Body>> + Send + 'static,
{
    let builder = builder();
    let bound = usize::try_from(place.connections).ok().filter(|bound| *bound != 0);
    let permits = Arc::new(Semaphore::new(bound.unwrap_or(Semaphore::MAX_PERMITS)));
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
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
        let peer = peer.ip().to_canonical();
        let seat = match &place.crowd {
            None => None,
            Some(crowd) => match crowd.seat(peer) {
                None => continue,
                seat => seat,
            },
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed before it was served");
            continue;
        }
        let (builder, handle, stopped) = (builder.clone(), handle.clone(), stopped.clone());
        let tls = place.tls.clone();
        tokio::spawn(async move {
            let handle = move |request| handle(request, peer);
            match tls {
                None => converse(&builder, socket, handle, stopped).await,
                Some(tls) => {
                    if let Some(stream) = shake_hands(&tls, socket).await {
                        converse(&builder, stream, handle, stopped).await;
                    }
                }
            }
            drop((permit, seat));
        });
    }
    drop((listener, stopped));
    // Everybody who holds the other end is told, and it is over when nobody does.
    stopping.send_replace(());
    if timeout(DRAIN, stopping.closed()).await.is_err() {
        tracing::warn!(
            seconds = DRAIN.as_secs(),
            "some answers were still open at the end of the grace period"
        );
    }
}

async fn shake_hands(
    tls: &TlsAcceptor,
    socket: TcpStream,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    match timeout(HEAD, tls.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client did not come to terms with us on TLS");
            None
        }
        Err(_late) => None,
    }
}

/// One connection, from its first byte to its end.
async fn converse<Io, Handle, Handled>(
    builder: &Builder<Streams>,
    io: Io,
    handle: Handle,
    mut stopped: watch::Receiver<()>,
) where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    Handle: Fn(Request<Incoming>) -> Handled + Send + Sync + 'static,
    Handled: Future<Output = Response<Body>> + Send + 'static,
{
    let activity = Activity::new();
    let requests = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let open = requests.begin();
        let answer = handle(request);
        async move { Ok::<_, Infallible>(answer.await.map(|body| Answer::new(body, open))) }
    });
    let io = TokioIo::new(Idle::new(io, Arc::clone(&activity), HEAD, IDLE));
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        // An error means that the sender is gone, which is the same.
        _stop = stopped.changed() => None,
        () = sleep(AGE) => None,
        () = activity.quiet_for(QUIET) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                // What was answered and is not taken would be waited for as long as the client likes. Nothing bounds
                // what is being answered and taken, however slowly.
                () = activity.idle() => Ok(()),
                () = activity.quiet_for(AGE) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn builder() -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Counts from the end of the request before.
        .header_read_timeout(QUIET)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_ERROR_STREAMS)
        .max_header_list_size(16 * 1024)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// Out of file descriptors, most likely: waiting lets connections end, spinning would not.
/// Without the pause a process that is out of file descriptors would spin.
pub(crate) async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests;
