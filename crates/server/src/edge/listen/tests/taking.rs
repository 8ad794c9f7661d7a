//! Clients of HTTP/2 that ask for answers and do not take them.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::edge::pace::{LONGEST, STALL};

const WINDOW_UPDATE: u8 = 8;
/// What each stream, and the connection, may send before the client opens more.
pub(super) const WINDOW: usize = 65_535;

pub(super) async fn client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

pub(super) async fn opens(client: &mut (impl AsyncWrite + Unpin), stream: u32, by: usize) {
    let by = u32::try_from(by).unwrap().to_be_bytes();
    client.write_all(&frame(WINDOW_UPDATE, 0, stream, &by)).await.unwrap();
}

/// Begins with so much for each stream, and 1 GiB for the connection, as Go does.
pub(super) async fn settles(client: &mut (impl AsyncWrite + Unpin), window: usize) {
    let window = [&4_u16.to_be_bytes()[..], &u32::try_from(window).unwrap().to_be_bytes()].concat();
    client.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &window)].concat()).await.unwrap();
    opens(client, 0, 1 << 30).await;
}

/// The answer of all requests, and a handle that counts how many of them are held.
pub(super) fn answer(length: usize) -> (Arc<Vec<u8>>, impl Fn() -> Body + Clone + Send + Sync + 'static) {
    let bytes = Arc::new(vec![7; length]);
    // Whoever has the closure shares one.
    let given = Arc::new(Arc::clone(&bytes));
    let body = move || {
        struct Counted(Arc<Vec<u8>>);
        impl AsRef<[u8]> for Counted {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        full(Bytes::from_owner(Counted(Arc::clone(&*given))))
    };
    (bytes, body)
}

/// A connection on which so many bytes may be on the way.
pub(super) fn speaks(
    on_the_way: usize,
    body: impl Fn() -> Body + Clone + Send + Sync + 'static,
) -> (tokio::io::DuplexStream, watch::Sender<()>, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(on_the_way);
    let (stopping, stopped) = watch::channel(());
    let handle = move |_request| std::future::ready(Response::new(body()));
    let serving = tokio::spawn(async move { converse(&builder(), ours, handle, stopped).await });
    (theirs, stopping, serving)
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_are_dropped_and_the_connection_stays() {
    let (bytes, body) = answer(1_000_000);
    let (address, serving) = answering(place(1), body).await;
    let mut client = client(address).await;
    for stream in [1, 3, 5] {
        client.write_all(&request(stream)).await.unwrap();
    }
    let start = Instant::now();
    let mut reset = 0;
    while reset < 3 {
        assert!(start.elapsed() <= 2 * STALL, "{reset} of 3 were given up after {:?}", start.elapsed());
        reset += u32::from(next(&mut client).await.unwrap().0 == RESET);
    }
    assert!(start.elapsed() >= STALL, "{:?}", start.elapsed());
    assert_eq!(Arc::strong_count(&bytes), 2, "what was given up is held");
    opens(&mut client, 0, 2_000_000).await;
    client.write_all(&request(7)).await.unwrap();
    opens(&mut client, 7, 2_000_000).await;
    while next(&mut client).await.unwrap() != (DATA, 1) {}
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_a_client_never_takes_a_byte_is_dropped() {
    let (bytes, body) = answer(1_000_000);
    let (mut client, _stopping, serving) = speaks(16 * 1024, body);
    settles(&mut client, 0).await;
    client.write_all(&request(1)).await.unwrap();
    let start = Instant::now();
    while next(&mut client).await.unwrap().0 != RESET {
        assert!(start.elapsed() <= 2 * STALL, "held for {:?}", start.elapsed());
    }
    assert_eq!(Arc::strong_count(&bytes), 2, "what was given up is held");
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_piece_now_and_then_has_no_credit_left_for_it_in_the_end() {
    let (_bytes, body) = answer(20 << 20);
    let (mut client, _stopping, serving) = speaks(16 * 1024, body);
    settles(&mut client, 8 << 20).await;
    client.write_all(&request(1)).await.unwrap();
    let start = Instant::now();
    let (mut read, write) = tokio::io::split(client);
    let write = tokio::sync::Mutex::new(write);
    let seldom = async {
        loop {
            sleep(2 * STALL).await;
            opens(&mut *write.lock().await, 1, 64 * 1024).await;
        }
    };
    let reset = async {
        loop {
            match whole(&mut read).await.unwrap() {
                (RESET, ..) => break,
                (PING_FRAME, 0, payload) => {
                    write.lock().await.write_all(&frame(PING_FRAME, 1, 0, &payload)).await.unwrap();
                }
                _ => {}
            }
        }
    };
    tokio::select! { () = seldom => {}, () = reset => {} }
    assert!(start.elapsed() < 2 * LONGEST, "{:?}", start.elapsed());
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_answers_that_nobody_takes_do_not_hold_a_connection() {
    // The last byte is beyond the window, and our own part in the answer is over.
    let (bytes, body) = answer(WINDOW + 1);
    let (address, serving) = answering(place(1), body).await;
    let mut client = client(address).await;
    client.write_all(&request(1)).await.unwrap();
    let start = Instant::now();
    let told = async { while next(&mut client).await.unwrap().0 != GOAWAY {} };
    timeout(2 * QUIET, told).await.unwrap();
    let ended = async { while next(&mut client).await.is_ok() {} };
    timeout(2 * QUIET, ended).await.unwrap();
    assert!(start.elapsed() < 3 * QUIET, "{:?}", start.elapsed());
    assert_eq!(Arc::strong_count(&bytes), 2);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_hundred_streams_that_stall_leave_the_connection_to_others() {
    let (_bytes, body) = answer(1_000_000);
    let (address, serving) = answering(place(1), body).await;
    let mut client = client(address).await;
    for number in 0..120 {
        client.write_all(&request(2 * number + 1)).await.unwrap();
    }
    let mut reset = 0;
    while reset < 120 {
        let (kind, _) = next(&mut client).await.unwrap();
        assert!(kind != GOAWAY, "after {reset}");
        reset += u32::from(kind == RESET);
    }
    opens(&mut client, 0, 2_000_000).await;
    client.write_all(&request(301)).await.unwrap();
    opens(&mut client, 301, 2_000_000).await;
    while next(&mut client).await.unwrap() != (DATA, 1) {}
    serving.abort();
}
