//! A witness killed in the middle of its work: what it answered is what it holds afterwards.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use testkit::wire::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::log::Log;
use crate::running::Place;

/// With this set, the test is the process that is to be killed.
const VICTIM: &str = "WITNESS_TO_BE_KILLED";
const READY: &str = "listening on ";

/// When the kill comes, counted from the request that is under way.
#[derive(Clone, Copy, Debug)]
enum Kill {
    HalfSent,
    Sent,
    FirstByteOfAnswer,
    Answered,
}

#[tokio::test]
async fn a_kill_never_loses_what_was_answered() {
    if let Ok(directory) = std::env::var(VICTIM) {
        return serve_until_killed(directory.as_ref()).await;
    }
    let (place, log) = (Place::new(), Log::new());
    let (mut promised, mut attempted) = (0, 0);
    for round in 0..3 {
        for kill in [Kill::HalfSent, Kill::Sent, Kill::FirstByteOfAnswer, Kill::Answered] {
            let (mut victim, address) = start(&place);
            let held = if attempted == 0 { 0 } else { held(address, &log).await };
            assert!(
                (promised..=attempted).contains(&held),
                "{round} {kill:?}: {promised} {held} {attempted}"
            );
            assert_eq!(add(address, &log.request(held, held + 2)).await, 200);
            promised = held + 2;
            attempted = promised + 1;
            if kill_during(address, &log.request(promised, attempted).to_string(), kill, &mut victim).await {
                promised = attempted;
            }
            victim.wait().unwrap();
        }
    }
    let (mut victim, address) = start(&place);
    assert!(held(address, &log).await >= promised);
    victim.kill().unwrap();
    victim.wait().unwrap();
}

/// Whether the whole answer, a cosignature, was there before the kill.
async fn kill_during(address: SocketAddr, body: &str, kill: Kill, victim: &mut Child) -> bool {
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body.as_bytes()].concat();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let sent = if matches!(kill, Kill::HalfSent) { &request[..request.len() / 2] } else { &request[..] };
    stream.write_all(sent).await.unwrap();
    let mut answer = vec![0; 1];
    match kill {
        Kill::HalfSent | Kill::Sent => {}
        Kill::FirstByteOfAnswer => drop(stream.read_exact(&mut answer).await.unwrap()),
        Kill::Answered => drop(stream.read_to_end(&mut answer).await.unwrap()),
    }
    victim.kill().unwrap();
    // One byte of an answer is one byte too many if nothing was stored.
    !matches!(kill, Kill::HalfSent | Kill::Sent)
}

async fn add(address: SocketAddr, request: &tlog::AddCheckpoint) -> u16 {
    let url = format!("http://{address}/add-checkpoint");
    Request::new("POST", &url).body(request.to_string()).send().await.status
}

/// The size that the witness says it holds; asked so that it signs nothing.
async fn held(address: SocketAddr, log: &Log) -> u64 {
    let url = format!("http://{address}/add-checkpoint");
    let reply = Request::new("POST", &url).body(log.request(0, 99).to_string()).send().await;
    assert_eq!(reply.status, 409);
    tlog::decimal(reply.text().trim_end()).unwrap()
}

fn start(place: &Place) -> (Child, SocketAddr) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_kill_never_loses_what_was_answered", "--nocapture"])
        .env(VICTIM, place.directory())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| Some(line.unwrap().split_once(READY)?.1.parse().unwrap()));
    (victim, address.unwrap())
}

async fn serve_until_killed(directory: &std::path::Path) {
    let running = Place::existing(directory).start().await;
    println!("{READY}{}", running.address);
    std::future::pending().await
}
