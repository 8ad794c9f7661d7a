//! Clients of HTTP/2 that ask for answers and do not take them.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::edge::pace::STALL;

const WINDOW_UPDATE: u8 = 8;
/// What each stream, and the connection, may send before the client opens more.
const WINDOW: usize = 65_535;

async fn client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

async fn opens(client: &mut (impl AsyncWrite + Unpin), stream: u32, by: usize) {
    let by = u32::try_from(by).unwrap().to_be_bytes();
    client.write_all(&frame(WINDOW_UPDATE, 0, stream, &by)).await.unwrap();
}

/// The answer of all requests, and a handle that counts how many of them are held.
fn answer(length: usize) -> (Arc<Vec<u8>>, impl Fn() -> Body + Clone + Send + Sync + 'static) {
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
async fn an_answer_that_is_taken_slowly_is_given_to_its_end() {
    let (_bytes, body) = answer(1_000_000);
    let (address, serving) = answering(place(1), body).await;
    let mut client = client(address).await;
    client.write_all(&request(1)).await.unwrap();
    let start = Instant::now();
    let (mut read, write) = client.into_split();
    let write = tokio::sync::Mutex::new(write);
    let slowly = async {
        loop {
            sleep(STALL / 3).await;
            for stream in [0, 1] {
                opens(&mut *write.lock().await, stream, WINDOW).await;
            }
        }
    };
    let taken = async {
        loop {
            let (kind, flags, payload) = whole(&mut read).await.unwrap();
            match (kind, flags & 1) {
                (DATA, 1) => break,
                (PING_FRAME, 0) => {
                    write.lock().await.write_all(&frame(PING_FRAME, 1, 0, &payload)).await.unwrap();
                }
                (kind, _) => assert!(kind != RESET && kind != GOAWAY, "{kind}"),
            }
        }
    };
    tokio::select! { () = slowly => {}, () = taken => {} }
    assert!(start.elapsed() > 3 * STALL, "{:?}", start.elapsed());
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
