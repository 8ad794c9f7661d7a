//! The socket and the thread behind it: accepts, speaks HTTP/1.1, and can slam the door.
//! Knows nothing of registries.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::draft::Body;
use crate::port::ReservedPort;

/// No answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    Close,
    Reset,
}

/// A listening server on a thread of its own, so that tests may block, pause the time of their runtime, or
/// have no runtime. Ends, with all its connections, when dropped.
pub(super) struct Listening {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Listens before it returns; counts `connections` as they are taken.
    pub(super) fn start<F, A>(port: ReservedPort, connections: Arc<AtomicUsize>, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response<Body>, Silence>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let (listening, is_listening) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = port.into_socket().listen(1024).expect("a port that we hold");
                listening.send(()).expect("someone who waits for the server");
                tokio::select! {
                    () = accept(&listener, &connections, answer) => {}
                    _ = stopped => {}
                }
            });
        });
        is_listening.recv().expect("a server that listens");
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed there, and the test that waited for an answer has failed.
            drop(thread.join());
        }
    }
}

async fn accept<F, A>(listener: &TcpListener, taken: &AtomicUsize, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, Silence>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error here is a connection that went away before it was taken.
                if let Ok((socket, _)) = accepted {
                    taken.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(serve(socket, answer.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve<F, A>(socket: TcpStream, answer: F)
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Result<Response<Body>, Silence>>,
{
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Door { socket: TokioIo::new(socket), reset: Arc::clone(&reset) };
    let service = service_fn(|request| {
        let answered = answer(request);
        let reset = &reset;
        async move {
            answered.await.map_err(|silence| {
                reset.store(silence == Silence::Reset, Ordering::SeqCst);
                io::Error::other("no answer, on purpose")
            })
        }
    });
    // Every end of a connection is fine here: the tests look at what the client saw.
    drop(http1::Builder::new().auto_date_header(false).serve_connection(socket, service).await);
}

/// A socket that is reset instead of closed when it was told so.
struct Door {
    socket: TokioIo<TcpStream>,
    reset: Arc<AtomicBool>,
}

impl Drop for Door {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            self.socket.inner().set_zero_linger().expect("an option of an open socket");
        }
    }
}

impl Read for Door {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl Write for Door {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
