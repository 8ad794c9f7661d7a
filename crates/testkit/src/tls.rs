//! TLS in front of anything that listens on loopback, with a certificate of a root that nobody else trusts.
//! Knows nothing of what passes through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The root certificate as PEM. Of its key there is no copy.
pub const ROOT_PEM: &str = include_str!("../testdata/tls/root.pem");
/// The certificate for `localhost` and `127.0.0.1`, good until 2120, as PEM.
pub const SERVER_PEM: &str = include_str!("../testdata/tls/server.pem");
/// The key of that certificate: everybody has it, so it protects nothing.
pub const SERVER_KEY_PEM: &str = include_str!("../testdata/tls/server.key");

/// Listens on a loopback port of its own for as long as it lives, and forwards what was encrypted.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl TlsFront {
    /// In front of this address; listens before it returns.
    pub async fn start(behind: SocketAddr) -> Self {
        let chain = CertificateDer::pem_slice_iter(SERVER_PEM.as_bytes()).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(SERVER_KEY_PEM.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates"), key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("the address of a bound socket");
        let accepting = tokio::spawn(async move {
            // An error here is a connection that went away before it was taken.
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(forward(acceptor.clone(), socket, behind));
            }
        });
        Self { address, accepting: accepting.abort_handle() }
    }

    /// `https://localhost:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The socket's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Every end of a connection is fine here: the tests look at what the client saw.
async fn forward(acceptor: TlsAcceptor, socket: TcpStream, behind: SocketAddr) {
    let Ok(mut clear) = acceptor.accept(socket).await else { return };
    let Ok(mut behind) = TcpStream::connect(behind).await else { return };
    drop(copy_bidirectional(&mut clear, &mut behind).await);
}
