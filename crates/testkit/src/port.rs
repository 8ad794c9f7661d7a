//! Loopback addresses of which it is certain that nobody listens there, or that nobody answers.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use tokio::net::{TcpListener, TcpSocket};

/// An address where every connection is refused, for as long as this value lives: the port is bound
/// by us, so nobody else can start to listen on it, and we do not.
#[derive(Debug)]
pub struct ReservedPort(TcpSocket, SocketAddr);

impl ReservedPort {
    /// A port that the system picks.
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free loopback port");
        let address = socket.local_addr().expect("the address of a bound socket");
        Self(socket, address)
    }

    /// The same port as before, whose old connections may still be winding down.
    pub(crate) fn again(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option of a fresh socket");
        socket.bind(address).expect("the port we had a moment ago");
        Self(socket, address)
    }

    /// Where nobody listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.1
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.1)
    }

    /// The socket to listen on. Only from here on may the port be shared with connections that wind down:
    /// bound like that from the start, the system could hand it out twice.
    pub(crate) fn into_socket(self) -> TcpSocket {
        self.0.set_reuseaddr(true).expect("an option of a bound socket");
        self.0
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// An address where connections are neither made nor refused, for as long as this value lives: its queue is full and
/// nobody takes from it.
#[derive(Debug)]
pub struct SilentPort(TcpListener, #[expect(dead_code, reason = "it fills the queue")] TcpStream);

impl SilentPort {
    /// A port that the system picks. Needs a runtime.
    #[must_use]
    pub fn new() -> Self {
        let listener = ReservedPort::new().into_socket().listen(0).expect("a port that we hold");
        let address = listener.local_addr().expect("the address of a bound socket");
        let first = TcpStream::connect(address).expect("the one place in the queue");
        Self(listener, first)
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("the address of a bound socket"))
    }
}

impl Default for SilentPort {
    fn default() -> Self {
        Self::new()
    }
}

/// A loopback address that was free a moment ago, for a program under test that binds by itself.
#[must_use]
pub fn free_address() -> SocketAddr {
    ReservedPort::new().address()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_connections_and_listeners() {
        let reserved = ReservedPort::new();
        let refused = tokio::net::TcpStream::connect(reserved.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let taken = TcpListener::bind(reserved.address()).await.unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_silent_port_keeps_connections_waiting() {
        let silent = SilentPort::new();
        let address = silent.0.local_addr().unwrap();
        let late = tokio::time::timeout(Duration::from_millis(20), tokio::net::TcpStream::connect(address));
        assert!(late.await.is_err());
    }

    #[tokio::test]
    async fn a_free_address_can_be_bound() {
        TcpListener::bind(free_address()).await.unwrap();
    }
}
