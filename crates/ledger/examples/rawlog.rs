//! The ledger's engine under leaves of any bytes, for load generators that know no tags, such as Tessera's hammer:
//! `POST /add` answers with the index of the leaf, the rest is the C2SP tlog-tiles read API. Uniqueness is off, every
//! leaf is new. Never the product: `rawlog EMPTY-DIRECTORY [ADDRESS]` prints the log's key and serves until it is ended.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to whoever started it")]

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use ledger::{AppendError, Budgets, Ledger, Options};
use tokio::net::TcpListener;

const ORIGIN: &str = "rawlog.example/log";
const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";
const FOR_EVER: &str = "max-age=31536000, immutable";
const NEVER: &str = "no-cache";

type Answer = Response<Full<Bytes>>;
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: rawlog EMPTY-DIRECTORY [ADDRESS]")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:2024".to_owned());
    let options =
        Options { origin: Some(ORIGIN.to_owned()), limits: Budgets::UNLIMITED, ..Options::new(directory) };
    let key = Ledger::init(&options)?;
    let ledger = Ledger::open(options)?;
    let listener = TcpListener::bind(&address).await?;
    println!("{key}");
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(ledger.clone(), request));
            let served = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

async fn answer(ledger: Ledger, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let answered = match (request.method(), request.uri().path()) {
        (&Method::POST, "/add") => add(&ledger, request.into_body()).await,
        (&Method::GET, path) => get(&ledger, path.trim_start_matches('/')),
        _ => Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET, and POST of /add")),
    };
    Ok(answered.unwrap_or_else(|error| {
        eprintln!("{error}");
        plain(StatusCode::INTERNAL_SERVER_ERROR, "the log could not answer")
    }))
}

async fn add(ledger: &Ledger, body: Incoming) -> Result<Answer, Failure> {
    let Ok(leaf) = Limited::new(body, tlog::MAX_ENTRY).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "at most 65535 bytes"));
    };
    match ledger.append_raw(leaf.to_bytes()).await {
        Ok(index) => Ok(plain(StatusCode::OK, &index.to_string())),
        Err(AppendError::Busy { .. }) => {
            let mut busy = plain(StatusCode::SERVICE_UNAVAILABLE, "busy");
            busy.headers_mut().insert(RETRY_AFTER, 1.into());
            Ok(busy)
        }
        Err(error) => Err(error.into()),
    }
}

fn get(ledger: &Ledger, path: &str) -> Result<Answer, Failure> {
    if path == "checkpoint" {
        let published = ledger.published()?;
        return Ok(with(TEXT, NEVER, Bytes::copy_from_slice(published.note.as_bytes())));
    }
    let found = if let Ok(id) = path.parse() {
        ledger.entries(id)?
    } else if let Ok(id) = path.parse() {
        ledger.tile(id)?
    } else {
        None
    };
    Ok(found
        .map_or_else(|| plain(StatusCode::NOT_FOUND, "no such file"), |file| with(BINARY, FOR_EVER, file)))
}

fn with(kind: &'static str, caching: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static(caching));
    answer
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = with(TEXT, NEVER, Bytes::copy_from_slice(text.as_bytes()));
    *answer.status_mut() = status;
    answer
}
