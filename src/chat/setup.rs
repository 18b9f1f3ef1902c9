//! What both sides agree on before a chat begins: the configurations of TLS, and where its secrets are told.

use core::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, KeyLog, NoKeyLog, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};

use super::ChatError;
use crate::certs::Identity;

/// What both sides of a chat agree on before it begins; makes the configurations for [`Peer::client`] and [`Peer::server`].
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
        let builder =
            ClientConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.clock));
        let mut config = builder
            .with_protocol_versions(self.versions)?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.key_log = Arc::clone(&self.key_log);
        Ok(Arc::new(config))
    }

    /// A client that believes whatever certificate it is shown (`InsecureSkipVerify`, `verify=False`, `-k`): for lessons
    /// and for the memory wire alone, so it is not public.
    pub(crate) fn client_that_believes_anybody(&self) -> Result<Arc<ClientConfig>, ChatError> {
        let builder =
            ClientConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.clock));
        let mut config = builder
            .with_protocol_versions(self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible(Arc::clone(&self.provider))))
            .with_no_client_auth();
        config.key_log = Arc::clone(&self.key_log);
        Ok(Arc::new(config))
    }

    /// A server that shows the certificate of `identity`.
    ///
    /// # Errors
    /// When certificate or key cannot be read or do not belong together.
    pub fn server(&self, identity: &Identity) -> Result<Arc<ServerConfig>, ChatError> {
        let builder =
            ServerConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.clock));
        let mut config = builder
            .with_protocol_versions(self.versions)?
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key().into())?;
        config.key_log = Arc::clone(&self.key_log);
        Ok(Arc::new(config))
    }
}

/// Says yes to every certificate. The signature over the handshake is still checked: it proves that the other side has
/// the certificate's key, but not who that is.
#[derive(Debug)]
struct Gullible(Arc<CryptoProvider>);

impl ServerCertVerifier for Gullible {
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
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
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
        let mut line = String::from(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
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
