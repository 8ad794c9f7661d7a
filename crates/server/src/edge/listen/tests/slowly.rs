//! Clients that take their answers slowly and to the end.

use bytes::Bytes;

use super::taking::{WINDOW, answer, client, opens, settles, speaks};
use super::*;
use crate::edge::pace::STALL;

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

/// A link that passes so many bytes a second, whatever its ends would like.
async fn slow_link(bytes_per_second: usize, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    sleep(Duration::from_secs(1)).await;
    let mut piece = vec![0; bytes_per_second];
    let read = from.read(&mut piece).await?;
    piece.truncate(read);
    Ok(piece)
}

#[tokio::test(start_paused = true)]
async fn a_large_blob_over_a_slow_link_is_given_to_its_end() {
    // 10 GB at 1 MB/s: 2 h 47 min, here a piece a second.
    const PIECES: usize = 10_000;
    let body = || {
        let pieces = futures_util::stream::unfold(0, |number| async move {
            (number < PIECES).then(|| (Ok(Bytes::from_static(&[7; 100])), number + 1))
        });
        crate::edge::body::stream(pieces)
    };
    let (mut client, _stopping, serving) = speaks(16 * 1024, body);
    let start = Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\nHost: tlog.example\r\n\r\n").await.unwrap();
    let mut received = 0;
    loop {
        let piece = slow_link(106, &mut client).await.unwrap();
        assert!(!piece.is_empty(), "cut after {:?} and {received} bytes", start.elapsed());
        received += piece.len();
        if piece.ends_with(b"0\r\n\r\n") {
            break;
        }
    }
    serving.abort();
}

async fn layers(count: u32, length: usize, rate: usize, on_the_way: usize) {
    let (_bytes, body) = answer(length);
    let (mut client, _stopping, serving) = speaks(on_the_way, body);
    let start = Instant::now();
    settles(&mut client, 4 << 20).await;
    for number in 0..count {
        client.write_all(&request(2 * number + 1)).await.unwrap();
    }
    let mut held = Vec::new();
    let (mut ended, mut data, mut away) = (0, 0, None);
    while ended < count {
        let piece = match slow_link(rate, &mut client).await {
            Ok(piece) if !piece.is_empty() => piece,
            gone => panic!(
                "cut after {:?}: {ended} of {count} were whole, {data} bytes, told at {away:?}, {:?}",
                start.elapsed(),
                gone.map(|p| p.len())
            ),
        };
        held.extend(piece);
        while held.len() >= 9 {
            let length = u32::from_be_bytes([0, held[0], held[1], held[2]]) as usize;
            if held.len() < 9 + length {
                break;
            }
            let frame_now: Vec<u8> = held.drain(..9 + length).collect();
            match (frame_now[3], frame_now[4] & 1) {
                (DATA, end) => {
                    data += length;
                    ended += u32::from(end);
                }
                (PING_FRAME, 0) => drop(client.write_all(&frame(PING_FRAME, 1, 0, &frame_now[9..])).await),
                (RESET, _) => panic!("reset after {:?}", start.elapsed()),
                (GOAWAY, _) => away = Some(start.elapsed()),
                _ => {}
            }
        }
    }
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn three_small_layers_over_a_slow_link_are_given_to_their_end() {
    layers(3, 420_000, 8_000, 16 * 1024).await;
}

#[tokio::test(start_paused = true)]
async fn three_large_layers_over_a_slow_link_are_given_to_their_end() {
    layers(3, 3_000_000, 8_000, 16 * 1024).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_answers_over_a_slow_link_are_given_to_their_end() {
    layers(128, 400_000, 400_000, 400_000).await;
}

/// A window that ends within a piece.
const WIDE: usize = (16 << 20) - 2_000;

/// As clients on nghttp2 do (Envoy, curl): a window is opened anew when half of it was used.
async fn by_halves(length: usize, rate: usize) {
    let (_bytes, body) = answer(length);
    let (mut client, _stopping, serving) = speaks(16 * 1024, body);
    settles(&mut client, WIDE).await;
    client.write_all(&request(1)).await.unwrap();
    let start = Instant::now();
    let (mut read, mut write) = tokio::io::split(client);
    let (frames, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::spawn(async move {
        while let Ok(frame) = whole(&mut read).await {
            frames.send(frame).unwrap();
        }
    });
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let (mut received, mut used, mut opened) = (0, 0, 0);
    while received < length {
        tokio::select! {
            biased;
            arrived = arrived.recv() => match arrived {
                Some((DATA, _, payload)) => received += payload.len(),
                Some((PING_FRAME, 0, payload)) => {
                    // Where all was given the connection may be gone.
                    let _gone = write.write_all(&frame(PING_FRAME, 1, 0, &payload)).await;
                }
                None | Some((RESET, ..)) => {
                    panic!("cut after {:?}: {received} received, {used} used", start.elapsed());
                }
                _ => {}
            },
            _ = second.tick() => {
                used = received.min(used + rate);
                if used - opened >= WIDE / 2 {
                    opened += WIDE / 2;
                    opens(&mut write, 1, WIDE / 2).await;
                }
            }
        }
    }
    reading.abort();
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_its_window_by_halves_is_given_the_answer_to_its_end() {
    by_halves(32 << 20, 100_000).await;
}

#[tokio::test(start_paused = true)]
async fn and_also_when_only_the_end_of_it_waits_for_the_window() {
    by_halves(WIDE + 1_000, 20_000).await;
}

/// Of routers and modems before a slow link, which hold what was sent for half a minute.
#[tokio::test(start_paused = true)]
async fn a_layer_behind_long_queues_is_given_to_its_end() {
    layers(1, 4_000_000, 30_000, 1_000_000).await;
}
