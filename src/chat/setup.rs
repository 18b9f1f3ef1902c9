//! What both sides agree on before a chat begins: the configurations of TLS, and where its secrets are told.

use core::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, KeyLog, NoKeyLog, RootCertStore,
    ServerConfig, SignatureScheme, SupportedProtocolVersion, WantsVerifier,
};

use super::ChatError;
use crate::certs::Identity;

/// What both sides of a chat agree on before it begins; makes the configurations for a
/// [`Peer`](super::Peer).
///
/// By default: TLS 1.3 alone, X25519MLKEM768 preferred, the system's randomness and clock, no key log.
#[derive(Debug, Clone)]
pub struct Setup {
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn TimeProvider>,
    key_log: Arc<dyn KeyLog>,
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
}

static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&TLS13];
static TLS13_OR_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

impl Default for Setup {
    fn default() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            clock: Arc::new(DefaultTimeProvider),
            key_log: Arc::new(NoKeyLog {}),
            versions: TLS13_ALONE,
        }
    }
}

impl Setup {
    /// Tells every secret to `key_log` as soon as it is known, as `SSLKEYLOGFILE` does in a browser.
    #[must_use]
    pub fn key_log(self, key_log: Arc<dyn KeyLog>) -> Self {
        Self { key_log, ..self }
    }

    /// Accepts TLS 1.2 as well where the other side has nothing better.
    #[must_use]
    pub fn allow_tls12(self) -> Self {
        Self {
            versions: TLS13_OR_12,
            ..self
        }
    }

    /// Takes randomness and the clock from elsewhere. Not public: a chat over real sockets must not be predictable.
    pub(crate) fn deterministic(
        self,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn TimeProvider>,
    ) -> Self {
        Self {
            provider,
            clock,
            ..self
        }
    }

    /// A client that trusts the authorities `roots`, given as DER certificates, and no others.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn client(
        &self,
        roots: &[CertificateDer<'static>],
    ) -> Result<Arc<ClientConfig>, ChatError> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.clone())?;
        }
        self.client_with(store)
    }

    /// A client that trusts those of the system's authorities that can be read: and how many they are. (Old ones that
    /// cannot be read are common.)
    pub(super) fn client_of_system(
        &self,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<(Arc<ClientConfig>, usize), ChatError> {
        let mut store = RootCertStore::empty();
        let (count, _) = store.add_parsable_certificates(roots);
        Ok((self.client_with(store)?, count))
    }

    fn client_with(&self, roots: RootCertStore) -> Result<Arc<ClientConfig>, ChatError> {
        let mut config = self
            .client_builder()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.key_log = Arc::clone(&self.key_log);
        Ok(Arc::new(config))
    }

    /// A client that does not ask who the server is: whatever certificate it shows, the client goes on. The server must
    /// still prove that it has the certificate's key.
    ///
    /// # Errors
    /// When the provider has no suite for the versions.
    pub fn client_unverified(&self) -> Result<Arc<ClientConfig>, ChatError> {
        let verifier = Arc::new(AnyCertificate(
            self.provider.signature_verification_algorithms,
        ));
        let mut config = self
            .client_builder()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.key_log = Arc::clone(&self.key_log);
        Ok(Arc::new(config))
    }

    fn client_builder(&self) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, ChatError> {
        let builder =
            ClientConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.clock));
        Ok(builder.with_protocol_versions(self.versions)?)
    }

    /// A server that shows the certificate of `identity`.
    ///
    /// # Errors
    /// When certificate or key cannot be read or do not belong together.
    pub fn server(&self, identity: &Identity) -> Result<Arc<ServerConfig>, ChatError> {
        self.server_with(identity.chain.clone(), identity.key.clone_key().into())
    }

    /// A server that shows these certificates, its own first, and has this private key.
    ///
    /// # Errors
    /// When certificate or key cannot be read or do not belong together.
    pub fn server_with(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Arc<ServerConfig>, ChatError> {
        let builder =
            ServerConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.clock));
        let mut config = builder
            .with_protocol_versions(self.versions)?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.key_log = Arc::clone(&self.key_log);
        Ok(Arc::new(config))
    }
}

/// Takes any certificate, and checks only that the server has its key (RFC 8446, section 4.4.3).
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Collects secrets as lines of an NSS key log (`LABEL client-random secret`), for a decoder to open records with.
#[derive(Default)]
pub struct KeyLines(Mutex<Vec<String>>);

impl KeyLines {
    /// The lines that have come since the last call, in order, without newlines.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeyLog for KeyLines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(key_line(label, client_random, secret));
    }
}

/// One line of a key log, without a newline.
pub(super) fn key_line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let mut line = String::from(label);
    for bytes in [client_random, secret] {
        line.push(' ');
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(line, "{byte:02x}");
        }
    }
    line
}

/// Tells each secret to two.
#[derive(Debug)]
pub(super) struct Both(pub(super) Arc<dyn KeyLog>, pub(super) Arc<dyn KeyLog>);

impl KeyLog for Both {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0.log(label, client_random, secret);
        self.1.log(label, client_random, secret);
    }

    fn will_log(&self, label: &str) -> bool {
        self.0.will_log(label) || self.1.will_log(label)
    }
}

// The secrets stay out of logs.
impl fmt::Debug for KeyLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLines").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_lines_are_of_nss_form() {
        let lines = KeyLines::default();
        lines.log("CLIENT_RANDOM", &[0x01, 0xab], &[0xff]);
        assert_eq!(lines.take(), ["CLIENT_RANDOM 01ab ff"]);
        assert!(lines.take().is_empty());
        lines.log("X", &[1], &[2]);
        assert!(!format!("{lines:?}").contains("01"));
    }
}
