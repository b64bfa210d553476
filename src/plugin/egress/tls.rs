//! Which certificate authorities are trusted, and the one TLS configuration of an account. The
//! crypto provider is given explicitly: there is no process-wide default to rely on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore, crypto};
use thiserror::Error;

/// Why TLS cannot be spoken.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The configured file cannot be read.
    #[error("the certificate authorities in {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A certificate is not one.
    #[error("a certificate authority in {path} is refused: {source}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// There is nobody to trust.
    #[error("there is no certificate authority in {0}")]
    Empty(String),
    /// The crypto provider cannot do it.
    #[error("tls cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The configuration for reads and spends alike: HTTP/1.1, because a spend is one request on one
/// connection, and reads gain nothing that would be worth a second configuration.
pub(super) fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca_file {
        Some(path) => configured(path)?,
        None => of_the_system()?,
    };
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn configured(path: &Path) -> Result<RootCertStore, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        roots
            .add(certificate.map_err(read)?)
            .map_err(|source| TlsError::Certificate { path: path.to_owned(), source })?;
    }
    if roots.is_empty() {
        return Err(TlsError::Empty(path.display().to_string()));
    }
    Ok(roots)
}

fn of_the_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_added, ignored) = roots.add_parsable_certificates(found.certs);
    if ignored > 0 {
        tracing::warn!(ignored, "certificate authorities of the system were ignored");
    }
    if roots.is_empty() {
        return Err(TlsError::Empty("the operating system".to_owned()));
    }
    Ok(roots)
}
