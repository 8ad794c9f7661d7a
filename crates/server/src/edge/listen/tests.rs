//! Who is cut off, and when, by a clock that runs when nobody has anything to do.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::config::TrustedProxies;
use crate::edge::body::full;

mod slowly;
mod taking;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING_FRAME: u8 = 6;
const GOAWAY: u8 = 7;

async fn serving(place: Place) -> (SocketAddr, JoinHandle<()>) {
    answering(place, || full("ok")).await
}

async fn answering(
    place: Place,
    body: impl Fn() -> Body + Clone + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |_request, _client| std::future::ready(Response::new(body()));
    (address, tokio::spawn(serve(listener, place, answer, std::future::pending())))
}

fn place(connections: u32) -> Place {
    Place { connections, crowd: None, tls: None }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The next frame: kind, flags and payload.
async fn whole(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap()];
    stream.read_exact(&mut payload).await?;
    Ok((head[3], head[4], payload))
}

/// The next frame, by kind and flags. Pings are answered: the client is there.
async fn next(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<(u8, u8)> {
    let (kind, flags, payload) = whole(stream).await?;
    if (kind, flags & 1) == (PING_FRAME, 0) {
        stream.write_all(&frame(PING_FRAME, 1, 0, &payload)).await?;
    }
    Ok((kind, flags))
}

/// A GET of `/`: all from the static table, but for the authority.
fn request(stream: u32) -> Vec<u8> {
    frame(HEADERS, 5, stream, &[&[0x82, 0x86, 0x84, 0x41, 4][..], b"tlog"].concat())
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_gives_its_place_to_another() {
    let (address, serving) = serving(place(1)).await;
    for opening in
        ["", "PRI * HTTP/2.0\r", "GET / HTTP/1.1\r\nHost", "GET / HTTP/1.1\r\nHost: a-long-name.example\r\n"]
    {
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(opening.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let cut = timeout(2 * HEAD, silent.read_to_end(&mut said)).await;
        assert!(cut.is_ok(), "{opening:?} holds the only place");
    }
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_byte_by_byte_is_cut_off() {
    let (address, serving) = serving(place(1)).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let start = Instant::now();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: tlog.example\r\n").await.unwrap();
    let (mut read, mut write) = slow.into_split();
    let drip = async move {
        loop {
            sleep(Duration::from_secs(1)).await;
            if write.write_all(b"X: y\r\n").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let cut = async {
        let mut said = Vec::new();
        // However it is told: reset, or closed.
        let _ended = read.read_to_end(&mut said).await;
    };
    tokio::select! { () = drip => {}, () = cut => {} }
    assert!(start.elapsed() < 2 * HEAD, "{:?}", start.elapsed());
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_another_request_for_a_minute() {
    let (address, serving) = serving(place(1)).await;
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut answer = [0; 1024];
    for _ in 0..3 {
        kept.write_all(b"GET / HTTP/1.1\r\nHost: tlog.example\r\n\r\n").await.unwrap();
        let read = kept.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        sleep(QUIET - Duration::from_secs(5)).await;
    }
    let start = Instant::now();
    assert_eq!(kept.read(&mut answer).await.unwrap(), 0);
    assert!(start.elapsed() <= QUIET);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn on_http_2_as_well_and_the_client_is_told() {
    let (address, serving) = serving(place(1)).await;
    let mut quiet = TcpStream::connect(address).await.unwrap();
    quiet.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let start = Instant::now();
    while next(&mut quiet).await.unwrap().0 != GOAWAY {}
    assert!(start.elapsed() >= QUIET && start.elapsed() < 2 * QUIET, "{:?}", start.elapsed());
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_takes_no_more_requests() {
    let (address, serving) = serving(place(1)).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let start = Instant::now();
    let mut answers = 0;
    'told: for stream in (1..).step_by(2) {
        busy.write_all(&request(stream)).await.unwrap();
        loop {
            match next(&mut busy).await.unwrap() {
                (GOAWAY, _) => break 'told,
                (DATA, 1) => break,
                _ => {}
            }
        }
        answers += 1;
        sleep(QUIET / 4).await;
    }
    assert!(answers > 100, "{answers}");
    assert!(start.elapsed() >= AGE && start.elapsed() < AGE + QUIET, "{:?}", start.elapsed());
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_opened_and_reset_without_end_close_the_connection() {
    let (address, serving) = serving(place(1)).await;
    let mut flood = TcpStream::connect(address).await.unwrap();
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (1..20_000).step_by(2) {
        bytes.extend(request(stream));
        bytes.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    // It may be closed before all was sent.
    let _cut = flood.write_all(&bytes).await;
    let mut said = Vec::new();
    let ended = timeout(HEAD, flood.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "the flood goes on");
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_is_no_limit() {
    let (address, serving) = serving(place(0)).await;
    let reply = timeout(HEAD, testkit::wire::get(&format!("http://{address}/"))).await;
    assert_eq!(reply.unwrap().status, 200);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn one_client_does_not_take_the_places_of_all() {
    let crowd = Arc::new(Crowd::new(2, TrustedProxies::default()));
    let (address, serving) = serving(Place { crowd: Some(Arc::clone(&crowd)), ..place(0) }).await;
    let get = b"GET / HTTP/1.1\r\nHost: tlog.example\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(get).await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        held.push(stream);
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    let _reset = third.write_all(get).await;
    assert!(matches!(third.read(&mut [0; 1024]).await, Ok(0) | Err(_)));
    assert_eq!(crowd.refused(), 1);
    serving.abort();
}
