//! A server that answers with exactly these bytes, for answers that no HTTP library would send.
//! Knows nothing of registries.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Listens on a loopback port of its own for as long as it lives. Each connection is answered once, as soon as the
/// headers of a request are there, and closed.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl RawServer {
    /// Listens before it returns.
    pub async fn start(answer: impl Into<Bytes>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("the address of a bound socket");
        let (answer, connections) = (answer.into(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            // An error here is a connection that went away before it was taken.
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer_once(socket, answer.clone()));
            }
        });
        Self { address, connections, accepting: accepting.abort_handle() }
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were taken so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer_once(mut socket: TcpStream, answer: Bytes) {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        // A client that goes away is not answered.
        if !matches!(socket.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    // Clients may have seen enough before the end.
    drop(socket.write_all(&answer).await);
    drop(socket.shutdown().await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[tokio::test]
    async fn every_connection_is_answered_with_the_same_bytes() {
        let server = RawServer::start("HTTP/1.0 299 What\r\nX: 1\r\n\r\nbody").await;
        for count in 1..=2 {
            let reply = wire::get(&server.url()).await;
            assert_eq!((reply.status, reply.header("x"), reply.text()), (299, Some("1"), "body"));
            assert_eq!(server.connections(), count);
        }
    }
}
