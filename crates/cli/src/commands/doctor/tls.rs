//! The certificate that clients see at `public_url`: whether this machine trusts it, and how long it is good for; and the
//! one in `tls.cert_file`, which is the next that they will see.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::findings::Findings;
use super::log::chain;

const TIMEOUT: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Asks the service's public address; a service without TLS has no certificate.
pub(super) async fn check(public: &Url, findings: &mut Findings) {
    if public.scheme() != "https" {
        return;
    }
    match tokio::time::timeout(TIMEOUT, certificate(public)).await {
        Ok(Ok(der)) => judge("certificate", &der, SystemTime::now(), findings),
        Ok(Err(error)) => findings.fail(
            "certificate",
            format!("`{public}`: {}", chain(&error)),
            "clients that do not trust it need its CA: `tlogistry config client NAME --ca FILE`; an expired one has to be renewed",
        ),
        Err(_elapsed) => findings.fail("certificate", format!("`{public}` does not answer"), "check name and network"),
    }
}

/// The first certificate of `tls.cert_file`.
pub(super) fn file(path: &Path, findings: &mut Findings) {
    match CertificateDer::from_pem_file(path) {
        Ok(der) => judge("tls.cert_file", &der, SystemTime::now(), findings),
        Err(error) => findings.fail(
            "tls.cert_file",
            format!("`{}`: {}", path.display(), chain(&error)),
            "it holds a certificate and those that lead to its root, as PEM",
        ),
    }
}

/// The first certificate of a handshake that this machine accepts.
async fn certificate(public: &Url) -> std::io::Result<Vec<u8>> {
    let host = public.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = public.port_or_known_default().unwrap_or(443);
    let config = ClientConfig::with_platform_verifier().map_err(std::io::Error::other)?;
    let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (_, session) = stream.get_ref();
    let first = session.peer_certificates().and_then(<[_]>::first);
    Ok(first.map(|certificate| certificate.as_ref().to_vec()).unwrap_or_default())
}

fn judge(subject: &str, der: &[u8], now: SystemTime, findings: &mut Findings) {
    let certificate = match Certificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(error) => {
            findings.fail(subject, format!("does not parse: {error}"), "renew it");
            return;
        }
    };
    let end = UNIX_EPOCH + certificate.tbs_certificate.validity.not_after.to_unix_duration();
    let renew = "renew it; clients refuse an expired one, so nothing is pulled";
    match end.duration_since(now) {
        Err(_past) => findings.fail(subject, "has expired", renew),
        Ok(left) if left < SOON => {
            findings.warn(subject, format!("expires in {} days", left.as_secs() / 86_400), renew);
        }
        Ok(left) => findings.ok(subject, format!("is good for {} days", left.as_secs() / 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    /// Made once with `openssl req -x509`; only its dates matter.
    const DER: &[u8] = include_bytes!("../../../testdata/certificate.der");
    const END: u64 = 2_110_967_876;

    #[test]
    fn a_certificate_that_ends_is_found_before_it_does() {
        let levels = |der: &[u8], seconds: u64| {
            let mut findings = Findings::default();
            judge("certificate", der, UNIX_EPOCH + Duration::from_secs(seconds), &mut findings);
            findings.levels()
        };
        let day = 86_400;
        assert_eq!(levels(DER, END - 14 * day), [Level::Ok]);
        assert_eq!(levels(DER, END - 14 * day + 1), [Level::Warn]);
        assert_eq!(levels(DER, END + 1), [Level::Fail]);
        assert_eq!(levels(&[], END), [Level::Fail]);
    }
}
