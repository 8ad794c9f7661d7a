//! TLS in front of anything that listens on loopback, with a certificate of a root that nobody else trusts.
//! Knows nothing of what passes through it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The root certificate as PEM. Of its key there is no copy.
pub const ROOT_PEM: &str = include_str!("../testdata/tls/root.pem");
/// The certificate for `localhost` and `127.0.0.1`, good until 2120, as PEM.
pub const SERVER_PEM: &str = include_str!("../testdata/tls/server.pem");
/// The key of that certificate: everybody has it, so it protects nothing.
pub const SERVER_KEY_PEM: &str = include_str!("../testdata/tls/server.key");

/// Another certificate for the same names, of its own root, as PEM.
pub const OTHER_PEM: &str = include_str!("../testdata/tls/other.pem");
/// The key of the other one.
pub const OTHER_KEY_PEM: &str = include_str!("../testdata/tls/other.key");

/// Speaks TLS to this address as `localhost`, offering these protocols, and believes either certificate.
///
/// # Errors
///
/// What the handshake says.
pub async fn connect(address: SocketAddr, protocols: &[&[u8]]) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for pem in [ROOT_PEM, OTHER_PEM] {
        roots.add(der(pem)).expect("a root");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

/// The first certificate of this PEM.
#[must_use]
pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

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
