//! A witness that says what a test tells it to, one answer after the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tlog::{AddCheckpoint, KeyAlgorithm, SigningKey, cosign};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use witness::{Client, Witness};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// A status and a body.
    Status(u16, Bytes),
    /// A status, a header, and no body.
    Header(u16, &'static str, &'static str),
    /// 200 with lines of strangers around a cosignature at this time.
    Cosign(u64),
    /// 200 with a cosignature at this time, once it is told to.
    CosignWhen(Arc<Notify>, u64),
    /// Nothing, for ever.
    Nothing,
}

impl Say {
    pub(crate) fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Status(status, body.into())
    }
}

/// A scripted witness; after the script it answers 500.
pub(crate) struct Fake {
    name: String,
    address: std::net::SocketAddr,
    requests: watch::Sender<Vec<AddCheckpoint>>,
    script: Arc<Mutex<VecDeque<Say>>>,
}

impl Fake {
    pub(crate) async fn new(name: &str, script: impl IntoIterator<Item = Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            name: name.to_owned(),
            address: listener.local_addr().unwrap(),
            requests: watch::Sender::new(Vec::new()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
        };
        let (name, requests, script) = (fake.name.clone(), fake.requests.clone(), Arc::clone(&fake.script));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                let (name, requests, script) = (name.clone(), requests.clone(), Arc::clone(&script));
                let service = service_fn(move |request| {
                    answer(request, name.clone(), requests.clone(), Arc::clone(&script))
                });
                tokio::spawn(
                    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        fake
    }

    /// How a log knows it.
    pub(crate) fn witness(&self) -> Witness {
        Witness::new(&self.name, key(&self.name).verifier(), &self.url()).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/prefix", self.address)
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<AddCheckpoint> {
        self.requests.borrow().clone()
    }

    /// Returns when it was asked that often.
    pub(crate) async fn asked(&self, count: usize) {
        self.requests.subscribe().wait_for(|requests| requests.len() >= count).await.unwrap();
    }

    /// Adds to the script.
    pub(crate) fn then(&self, say: Say) {
        self.script.lock().unwrap().push_back(say);
    }
}

/// One client for all tests, since reading the root certificates takes its time; a fake closes each
/// connection, so that none is left over for another test's runtime.
pub(crate) fn client() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::new(Client::TIMEOUT).unwrap());
    CLIENT.clone()
}

/// The key of the fake called `name`.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, tlog::Hash::of(name).as_bytes()).unwrap()
}

/// Signature lines that nobody knows.
pub(crate) fn grease(count: u8) -> String {
    let line = |number| tlog::SignatureLine::new("grease.example", [number; 4], vec![number; 76]).unwrap();
    (0..count).map(|number| format!("{}\n", line(number))).collect()
}

async fn answer(
    request: Request<Incoming>,
    name: String,
    requests: watch::Sender<Vec<AddCheckpoint>>,
    script: Arc<Mutex<VecDeque<Say>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == "GET" {
        let hash = tlog::Hash::of(crate::log::ORIGIN).to_hex();
        assert_eq!(request.uri().path(), format!("/prefix/{hash}/checkpoint"));
        let say = script.lock().unwrap().pop_front();
        let Some(Say::Status(status, body)) = say else { panic!("{say:?} is no answer to this") };
        return Ok(Response::builder().status(status).body(Full::new(body)).unwrap());
    }
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/prefix/add-checkpoint"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let request: AddCheckpoint = std::str::from_utf8(&body).unwrap().parse().unwrap();
    requests.send_modify(|all| all.push(request.clone()));
    let say = script.lock().unwrap().pop_front();
    let response = Response::builder();
    Ok(match say.unwrap_or(Say::status(500, "")) {
        Say::Status(status, body) => response.status(status).body(Full::new(body)).unwrap(),
        Say::Header(status, name, value) => {
            response.status(status).header(name, value).body(Full::default()).unwrap()
        }
        Say::Cosign(time) => {
            let line = cosign(request.note(), &key(&name), time).unwrap();
            response.body(format!("{}{line}\n{}", grease(10), grease(10)).into()).unwrap()
        }
        Say::CosignWhen(told, time) => {
            told.notified().await;
            response.body(format!("{}\n", cosign(request.note(), &key(&name), time).unwrap()).into()).unwrap()
        }
        Say::Nothing => pending().await,
    })
}
