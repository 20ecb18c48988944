//! TLS towards another server: whom we trust, and the handshake. Who is called and what is said is the caller's.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// Whose certificates are believed. Cheap to clone.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Nothing can be called over TLS until the machine has certificates.
    #[error("this machine has no certificates of authorities: install ca-certificates, or set SSL_CERT_FILE")]
    NoRoots,
    #[error("the host has no name that a certificate can be for")]
    Name,
    /// The host's name is not repeated: where it is a secret, this text may still be shown.
    #[error("the certificate is for another name")]
    OtherName,
    #[error("{0}")]
    Handshake(std::io::Error),
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Trust {
    /// What this machine trusts: `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, else the system's own store.
    /// A certificate there that can't be read is left out.
    pub fn system() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "certificates of authorities could not be read");
        }
        Self::of(found.certs)
    }

    /// These certificates (DER) and no others.
    pub fn only(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, TlsError> {
        Self::of(certificates.into_iter().map(CertificateDer::from))
    }

    fn of(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(TlsError::NoRoots);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands with a server that has to prove that it is `name`, a host name or an IP address without brackets.
    pub async fn connect<S>(&self, name: &str, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // RFC 6066 3: the name is sent without the dot at its end.
        let plain = name.strip_suffix('.').unwrap_or(name);
        let server = ServerName::try_from(plain.to_owned()).map_err(|_| TlsError::Name)?;
        TlsConnector::from(Arc::clone(&self.0)).connect(server, stream).await.map_err(named)
    }
}

fn named(error: std::io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => TlsError::OtherName,
        _ => TlsError::Handshake(error),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    use super::*;

    struct Server {
        certificate: Vec<u8>,
        acceptor: TlsAcceptor,
    }

    fn server(name: &str) -> Server {
        let made = generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        Server { certificate: made.cert.der().to_vec(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    async fn shaken(server: Server, trust: &Trust, name: &str) -> Result<Vec<u8>, TlsError> {
        let (ours, theirs) = duplex(1 << 16);
        let serving = tokio::spawn(async move {
            if let Ok(mut stream) = server.acceptor.accept(theirs).await {
                let _ = stream.write_all(b"hello").await;
                let _ = stream.shutdown().await;
            }
        });
        let shaken = trust.connect(name, ours).await;
        let mut said = Vec::new();
        let result = match shaken {
            Ok(mut stream) => stream.read_to_end(&mut said).await.map(|_| said).map_err(TlsError::Handshake),
            Err(error) => Err(error),
        };
        serving.await.unwrap();
        result
    }

    #[tokio::test]
    async fn a_server_that_is_trusted_is_heard() {
        for (name, called) in [("hooks.example", "hooks.example"), ("hooks.example", "hooks.example."), ("::1", "::1")]
        {
            let server = server(name);
            let trust = Trust::only([server.certificate.clone()]).unwrap();
            assert_eq!(shaken(server, &trust, called).await.unwrap(), b"hello", "{called}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_trusted_or_has_another_name_is_not_heard() {
        let (one, other) = (server("hooks.example"), server("hooks.example"));
        let trust = Trust::only([other.certificate]).unwrap();
        assert!(matches!(shaken(one, &trust, "hooks.example").await, Err(TlsError::Handshake(_))));
        let one = server("hooks.example");
        let trust = Trust::only([one.certificate.clone()]).unwrap();
        assert!(matches!(shaken(one, &trust, "other.example").await, Err(TlsError::OtherName)));
    }

    #[tokio::test]
    async fn what_is_no_host_name_is_not_called() {
        let one = server("hooks.example");
        let trust = Trust::only([one.certificate.clone()]).unwrap();
        for name in ["", ".", "a b", "[::1]"] {
            let (ours, _theirs) = duplex(16);
            assert!(matches!(trust.connect(name, ours).await, Err(TlsError::Name)), "{name}");
        }
    }

    #[test]
    fn without_certificates_there_is_no_trust() {
        assert!(matches!(Trust::only([]), Err(TlsError::NoRoots)));
        assert!(matches!(Trust::only([b"no certificate".to_vec()]), Err(TlsError::NoRoots)));
    }
}
