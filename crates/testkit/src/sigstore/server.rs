//! One service's socket and thread. Knows nothing of what it answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What was asked.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Bytes,
}

/// What is answered; nothing closes the connection.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Option<Self> {
        Some(Self { status, headers: HeaderMap::new(), body: body.into() })
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Option<Self> {
        self.headers.insert(name, value.parse().expect("a header's value"));
        Some(self)
    }
}

/// Ends when dropped.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(super) fn start(
        requests: Arc<AtomicU64>,
        answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (listening, is_listening) = std::sync::mpsc::channel();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener =
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
                listening.send(listener.local_addr().expect("a bound socket")).expect("someone who waits");
                let accept = async {
                    loop {
                        // An error here is a connection that went away before it was taken.
                        let Ok((socket, _)) = listener.accept().await else { continue };
                        let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                        let service = service_fn(move |request: http::Request<Incoming>| {
                            let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                            async move { respond(request, &*answer, &requests).await }
                        });
                        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: is_listening.recv().expect("a server that listens"), stop: Some(stop) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

async fn respond(
    request: http::Request<Incoming>,
    answer: &(dyn Fn(&Asked) -> Option<Answer> + Send + Sync),
    requests: &AtomicU64,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    requests.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.collect().await?.to_bytes(),
    };
    let Some(answer) = answer(&asked) else { return Err("no answer, on purpose".into()) };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status.try_into()?;
    *response.headers_mut() = answer.headers;
    Ok(response)
}
