//! The certificate that clients are shown, exchanged while the service runs.
//!
//! A pair that cannot be used never takes the place of one that can. Knows no requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::respond::rfc3339;
use crate::config::TlsConfig;
use crate::reload::Watched;

/// Bytes of a chain or key.
const MAX_FILE: u64 = 1024 * 1024;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of the files.
    #[error("`tls.{key}`: `{}` cannot be used: {why}", path.display())]
    File {
        /// Which key of `[tls]`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// In short.
        why: String,
    },
    /// The two do not go together, or this TLS cannot use them.
    #[error("`tls.cert_file` and `tls.key_file` cannot be used together: {why}")]
    Pair {
        /// In short.
        why: String,
    },
}

/// What is shown now, and where the next comes from.
pub(crate) struct Certificates {
    files: TlsConfig,
    shown: Arc<Shown>,
    server: Arc<ServerConfig>,
    pub(crate) watched: Watched,
}

#[derive(Debug)]
struct Shown(ArcSwap<Pair>);

#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    /// Unix seconds.
    not_after: u64,
}

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]
    pub(crate) fn load(files: &TlsConfig) -> Result<Self, CertificateError> {
        let watched = Watched::new([files.cert_file.clone(), files.key_file.clone()]);
        let shown = Arc::new(Shown(ArcSwap::from_pointee(pair(files)?)));
        let unusable = |error: rustls::Error| CertificateError::Pair { why: error.to_string() };
        let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Shown>::clone(&shown));
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files: files.clone(), shown, server: Arc::new(server), watched })
    }

    /// For connections; shows whatever is newest then.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    /// Reads the files again; what cannot be used `now` (Unix seconds) changes nothing.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]
    pub(crate) fn reload(&self, now: u64) -> Result<(), CertificateError> {
        let next = pair(&self.files)?;
        if next.not_after <= now {
            let (path, why) =
                (self.files.cert_file.clone(), format!("it ended at {}", rfc3339(next.not_after)));
            return Err(CertificateError::File { key: "cert_file", path, why });
        }
        self.shown.0.store(Arc::new(next));
        Ok(())
    }

    /// When the certificate that is shown ends, in Unix seconds.
    pub(crate) fn not_after(&self) -> u64 {
        self.shown.0.load().not_after
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}

fn pair(files: &TlsConfig) -> Result<Pair, CertificateError> {
    let file = |key, path: &Path, why: String| CertificateError::File { key, path: path.to_owned(), why };
    let wrong_chain = |why: String| file("cert_file", &files.cert_file, why);
    let wrong_key = |why: String| file("key_file", &files.key_file, why);
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&files.cert_file).map_err(wrong_chain)?)
            .collect::<Result<_, _>>()
            .map_err(|_why| wrong_chain("it is not PEM".to_owned()))?;
    let Some(first) = chain.first() else { return Err(wrong_chain("it holds no certificate".to_owned())) };
    let certificate = Certificate::from_der(first).map_err(|error| wrong_chain(error.to_string()))?;
    let not_after = certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
    // Says nothing of the content: it is a key.
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key_file).map_err(wrong_key)?)
        .map_err(|_why| wrong_key("it holds no private key as PEM".to_owned()))?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| CertificateError::Pair { why: error.to_string() })?;
    Ok(Pair { key: Arc::new(key), not_after })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE).read_to_end(&mut content).map_err(|error| error.to_string())?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use testkit::tls::{ROOT_PEM, SERVER_KEY_PEM, SERVER_PEM};

    use super::*;

    fn files(chain: &str, key: &str) -> (tempfile::TempDir, TlsConfig) {
        let directory = tempfile::tempdir().unwrap();
        let (cert_file, key_file) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        std::fs::write(&cert_file, chain).unwrap();
        std::fs::write(&key_file, key).unwrap();
        (directory, TlsConfig { cert_file, key_file })
    }

    #[test]
    fn when_a_certificate_ends_is_known() {
        let (_directory, files) = files(SERVER_PEM, SERVER_KEY_PEM);
        let certificates = Certificates::load(&files).unwrap();
        assert_eq!(rfc3339(certificates.not_after()), "2120-01-01T00:00:00Z");
    }

    #[test]
    fn what_cannot_be_used_is_told_with_the_key_of_the_configuration() {
        for (chain, key, words) in [
            ("", SERVER_KEY_PEM, ["`tls.cert_file`", "no certificate"]),
            (SERVER_KEY_PEM, SERVER_KEY_PEM, ["`tls.cert_file`", "no certificate"]),
            (SERVER_PEM, "", ["`tls.key_file`", "no private key"]),
            (SERVER_PEM, SERVER_PEM, ["`tls.key_file`", "no private key"]),
            (ROOT_PEM, SERVER_KEY_PEM, ["`tls.cert_file` and `tls.key_file`", ""]),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                SERVER_KEY_PEM,
                ["`tls.cert_file`", ""],
            ),
        ] {
            let (_directory, files) = files(chain, key);
            let message = Certificates::load(&files).err().unwrap().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        let (directory, files) = files(SERVER_PEM, SERVER_KEY_PEM);
        drop(directory);
        assert!(Certificates::load(&files).err().unwrap().to_string().contains("No such file"));
    }

    #[test]
    fn a_bad_pair_does_not_take_the_place_of_a_good_one() {
        let (_directory, files) = files(SERVER_PEM, SERVER_KEY_PEM);
        let certificates = Certificates::load(&files).unwrap();
        let before = certificates.not_after();
        std::fs::write(&files.cert_file, ROOT_PEM).unwrap();
        assert!(certificates.reload(0).is_err());
        assert_eq!(certificates.not_after(), before);
        std::fs::write(&files.cert_file, SERVER_PEM).unwrap();
        certificates.reload(0).unwrap();
    }
}
