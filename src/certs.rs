//! A small certification authority, made on the spot: its own certificate, and the certificates it issues to servers.
//!
//! What stands in the certificates is what stands in real ones: version 3, a 16-byte random serial number, validity from
//! and until, key usage, extended key usage, subject alternative names, key identifiers (RFC 5280, section 4). The keys are
//! Ed25519 (RFC 8410), whose signatures always have the same length, so that certificates keep their size from run to run.

mod facts;
mod files;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;

pub use facts::Facts;
pub(crate) use files::create_new;
pub use files::{FileError, Files, load_chain, load_key, make, pem};

/// Whether one of these authorities has signed a server's certificate (in DER). That alone: `valid` is a time at which it
/// may be used, and the name is not looked at.
pub(crate) fn is_vouched_for(
    der: &[u8],
    trusted: &[CertificateDer<'static>],
    valid: Option<OffsetDateTime>,
) -> bool {
    let seconds = valid.and_then(|valid| u64::try_from(valid.unix_timestamp()).ok());
    let der = CertificateDer::from(der);
    let (Some(seconds), Ok(certificate)) = (seconds, ParsedCertificate::try_from(&der)) else {
        return false;
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let algorithms =
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], at, algorithms.all).is_ok()
}

/// From when until when a certificate may be used; both ends belong to it (RFC 5280, section 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: OffsetDateTime,
    /// The last second.
    pub until: OffsetDateTime,
}

/// What a server shows and what it keeps to itself.
pub struct Identity {
    /// The certificates in DER, the server's own first. The authority's own is not among them: who trusts it has it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key in PKCS #8 DER.
    pub key: PrivatePkcs8KeyDer<'static>,
}

/// An authority that issues certificates to servers.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The secret and the number a certificate is made of: 32 bytes for the Ed25519 key, 16 for the serial number.
pub(crate) struct Material {
    pub(crate) key: [u8; 32],
    pub(crate) serial: [u8; 16],
}

impl Authority {
    /// A new authority with the common name `name`, its key and serial number from the system's randomness.
    ///
    /// # Errors
    /// When the system gives no randomness, or the validity ends before it begins.
    pub fn new(name: &str, validity: Validity) -> Result<Self, CertError> {
        Self::from_material(name, validity, &Material::fresh()?)
    }

    /// The same from given material: the same material gives the same certificate.
    pub(crate) fn from_material(
        name: &str,
        validity: Validity,
        material: &Material,
    ) -> Result<Self, CertError> {
        let mut params = params(name, validity, material)?;
        // It may sign servers, but no further authorities (RFC 5280, section 4.2.1.9).
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, material.key_pair()?)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate: what a client must have to trust it.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    /// A certificate and key for a server known by `names`: DNS names and IP addresses, at least one.
    ///
    /// # Errors
    /// When there is no name, a name is neither a DNS name nor an IP address, the validity ends before it begins, or
    /// the system gives no randomness.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<Identity, CertError> {
        self.issue_from_material(names, validity, &Material::fresh()?)
    }

    /// The same from given material: the same material gives the same certificate.
    pub(crate) fn issue_from_material(
        &self,
        names: &[&str],
        validity: Validity,
        material: &Material,
    ) -> Result<Identity, CertError> {
        let mut params = server_params(names, validity, material)?;
        params.use_authority_key_identifier_extension = true;
        let key = material.key_pair()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }
}

impl Identity {
    /// A server's certificate that only its own key has signed.
    pub(crate) fn self_signed_from_material(
        names: &[&str],
        validity: Validity,
        material: &Material,
    ) -> Result<Self, CertError> {
        let params = server_params(names, validity, material)?;
        let key = material.key_pair()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

// The private key stays out of logs.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// Why a certificate could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertError {
    /// A server certificate was asked for, but for no name at all.
    NoName,
    /// The name is neither a DNS name nor an IP address.
    Name(String),
    /// The validity ends before it begins.
    Validity(Validity),
    /// The system gave no randomness, or the cryptographic library refused the key.
    Key,
    /// The certificate library refused.
    Library(Arc<rcgen::Error>),
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str(
                "a server certificate needs at least one name: give a DNS name or an IP address",
            ),
            Self::Name(name) => write!(
                f,
                "{name:?} cannot stand in a certificate: give a DNS name such as b.example, or an IP address"
            ),
            Self::Validity(Validity { from, until }) => write!(
                f,
                "a certificate valid from {from} until {until} would never be valid: exchange the two"
            ),
            Self::Key => f.write_str("no key could be made: the system gave no randomness"),
            Self::Library(error) => write!(f, "the certificate could not be made: {error}"),
        }
    }
}

impl core::error::Error for CertError {}

impl From<rcgen::Error> for CertError {
    fn from(error: rcgen::Error) -> Self {
        Self::Library(Arc::new(error))
    }
}

impl Material {
    pub(crate) fn fresh() -> Result<Self, CertError> {
        let random = SystemRandom::new();
        let (mut key, mut serial) = ([0; 32], [0; 16]);
        random.fill(&mut key).map_err(|_| CertError::Key)?;
        random.fill(&mut serial).map_err(|_| CertError::Key)?;
        Ok(Self { key, serial })
    }

    fn key_pair(&self) -> Result<KeyPair, CertError> {
        let key = Ed25519KeyPair::from_seed_unchecked(&self.key).map_err(|_| CertError::Key)?;
        let key = key.to_pkcs8v1().map_err(|_| CertError::Key)?;
        let key = PrivatePkcs8KeyDer::from(key.as_ref());
        Ok(KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)?)
    }

    /// A positive number of exactly 16 bytes in DER: the first bit is 0, the second 1 (RFC 5280, section 4.1.2.2).
    fn serial_number(&self) -> SerialNumber {
        let number = u128::from_be_bytes(self.serial) & (u128::MAX >> 1) | 1 << 126;
        SerialNumber::from(number.to_be_bytes().to_vec())
    }
}

fn params(
    name: &str,
    validity: Validity,
    material: &Material,
) -> Result<CertificateParams, CertError> {
    if validity.until < validity.from {
        return Err(CertError::Validity(validity));
    }
    let mut params = CertificateParams::default();
    params.not_before = validity.from;
    params.not_after = validity.until;
    params.serial_number = Some(material.serial_number());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// What stands in a server's certificate, whoever signs it.
fn server_params(
    names: &[&str],
    validity: Validity,
    material: &Material,
) -> Result<CertificateParams, CertError> {
    let first = names.first().ok_or(CertError::NoName)?;
    let mut params = params(first, validity, material)?;
    for name in names {
        params.subject_alt_names.push(alternative_name(name)?);
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn alternative_name(name: &str) -> Result<SanType, CertError> {
    match ServerName::try_from(name) {
        Ok(ServerName::DnsName(dns)) => Ok(SanType::DnsName(dns.as_ref().try_into()?)),
        Ok(ServerName::IpAddress(ip)) => Ok(SanType::IpAddress(ip.into())),
        _ => Err(CertError::Name(name.to_owned())),
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;

    fn validity() -> Validity {
        let from = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        Validity {
            from,
            until: from + time::Duration::days(90),
        }
    }

    #[test]
    fn a_name_alone_vouches_for_nothing() {
        let make = || Authority::new("CA", validity()).unwrap();
        let (known, namesake) = (make(), make());
        let trusted = [known.certificate().clone()];
        for (authority, is_it) in [(&known, true), (&namesake, false)] {
            let identity = authority.issue(&["b.example"], validity()).unwrap();
            let der = &identity.chain[0];
            let from = Facts::of(der).from;
            assert_eq!(is_vouched_for(der, &trusted, from), is_it);
            assert!(!is_vouched_for(der, &[], from));
            assert!(!is_vouched_for(&der[..der.len() - 1], &trusted, from));
        }
    }

    #[test]
    fn same_material_same_certificate() {
        let material = |n| Material {
            key: [n; 32],
            serial: [n; 16],
        };
        let make = |n| {
            let authority = Authority::from_material("CA", validity(), &material(1)).unwrap();
            let identity = authority
                .issue_from_material(&["b.example", "5.6.7.8"], validity(), &material(n))
                .unwrap();
            (authority.certificate().clone(), identity.chain[0].clone())
        };
        assert_eq!(make(2), make(2));
        assert_ne!(make(2).1, make(3).1);
        assert_eq!(make(2).1.len(), make(3).1.len());
        assert_eq!(make(0).1.len(), make(255).1.len());
    }

    #[test]
    fn fresh_authorities_differ() {
        let make = || Authority::new("CA", validity()).unwrap();
        assert_ne!(make().certificate(), make().certificate());
    }

    #[test]
    fn names_and_validity_are_checked() {
        let authority = Authority::new("CA", validity()).unwrap();
        let refused = |names: &[&str]| authority.issue(names, validity()).unwrap_err();
        assert_eq!(refused(&[]), CertError::NoName);
        assert_eq!(refused(&["b example"]), CertError::Name("b example".into()));
        let Validity { from, until } = validity();
        let backwards = Validity {
            from: until,
            until: from,
        };
        assert_eq!(
            authority.issue(&["b.example"], backwards).unwrap_err(),
            CertError::Validity(backwards)
        );
    }

    #[test]
    fn the_private_key_is_not_printed() {
        let authority = Authority::new("CA", validity()).unwrap();
        let identity = authority.issue(&["b.example"], validity()).unwrap();
        assert!(!format!("{identity:?}").contains("key"));
    }
}
