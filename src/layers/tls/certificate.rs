//! X.509 certificates (RFC 5280), down to the last byte of their DER encoding (ITU-T X.690).
//!
//! ```text
//! Certificate  ::=  SEQUENCE  {                          (RFC 5280, section 4.1)
//!      tbsCertificate       TBSCertificate,
//!      signatureAlgorithm   AlgorithmIdentifier,
//!      signatureValue       BIT STRING  }
//!
//! TBSCertificate  ::=  SEQUENCE  {
//!      version         [0]  EXPLICIT Version DEFAULT v1,
//!      serialNumber         CertificateSerialNumber,
//!      signature            AlgorithmIdentifier,
//!      issuer               Name,
//!      validity             Validity,
//!      subject              Name,
//!      subjectPublicKeyInfo SubjectPublicKeyInfo,
//!      issuerUniqueID  [1]  IMPLICIT UniqueIdentifier OPTIONAL,
//!      subjectUniqueID [2]  IMPLICIT UniqueIdentifier OPTIONAL,
//!      extensions      [3]  EXPLICIT Extensions OPTIONAL  }
//! ```
//!
//! Every DER value is a tag, a length and its content. The first two are labelled together, as `ber.header`. Nothing
//! here calls itself, so the depth of what is followed is fixed by the code, whatever the bytes say.

use super::opaque;
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Why};

fields! {
    // The tag and the length in front of every DER value.
    HEADER = "ber.header" Bytes;
    UNUSED_BITS = "ber.bitstring.padding" Uint;
    UNUSED = "ber.bitstring.unused" Uint;
    // The certificate
    SIGNED_CERTIFICATE = "x509af.signedCertificate_element" Group;
    VERSION_ELEMENT = "x509af.version_element" Group;
    VERSION = "x509af.version" Uint;
    SERIAL_NUMBER = "x509af.serialNumber" Bytes;
    SIGNATURE = "x509af.signature_element" Group;
    ALGORITHM_ID = "x509af.algorithm.id" Oid;
    PARAMETERS = "x509af.parameters_element" Bytes;
    ISSUER = "x509af.issuer" Group;
    VALIDITY = "x509af.validity_element" Group;
    NOT_BEFORE = "x509af.notBefore" Time;
    NOT_AFTER = "x509af.notAfter" Time;
    SUBJECT = "x509af.subject" Group;
    SUBJECT_PUBLIC_KEY_INFO = "x509af.subjectPublicKeyInfo_element" Group;
    ALGORITHM = "x509af.algorithm_element" Group;
    NAMED_CURVE = "pkcs1.namedCurve" Oid;
    SUBJECT_PUBLIC_KEY_ELEMENT = "x509af.subjectPublicKey_element" Group;
    SUBJECT_PUBLIC_KEY = "x509af.subjectPublicKey" Bytes;
    SUBJECT_PUBLIC_KEY_BITS = "x509af.subjectPublicKey.bits" Uint;
    RSA_MODULUS = "pkcs1.modulus" Bytes;
    RSA_PUBLIC_EXPONENT = "pkcs1.publicExponent" Uint;
    ISSUER_UNIQUE_IDENTIFIER = "x509af.issuerUniqueIdentifier" Bytes;
    SUBJECT_UNIQUE_IDENTIFIER = "x509af.subjectUniqueIdentifier" Bytes;
    EXTENSIONS = "x509af.extensions" Group;
    EXTENSION = "x509af.Extension_element" Group;
    EXTENSION_ID = "x509af.extension.id" Oid;
    CRITICAL = "x509af.critical" Bool;
    EXTENSION_VALUE = "x509af.extnValue" Bytes;
    ALGORITHM_IDENTIFIER = "x509af.algorithmIdentifier_element" Group;
    ENCRYPTED_ELEMENT = "x509af.encrypted_element" Group;
    ENCRYPTED = "x509af.encrypted" Bytes;
    // Names
    NAME = "x509if.rdnSequence" Group;
    RDN = "x509if.RDNSequence_item" Group;
    ATTRIBUTE = "x509if.RelativeDistinguishedName_item_element" Group;
    ATTRIBUTE_TYPE = "x509if.oid" Oid;
    UTF8_STRING = "x509sat.uTF8String" Text;
    PRINTABLE_STRING = "x509sat.printableString" Text;
    IA5_STRING = "x509sat.IA5String" Text;
    TELETEX_STRING = "x509sat.teletexString" Text;
    BMP_STRING = "x509sat.bmpString" Bytes;
    UNIVERSAL_STRING = "x509sat.universalString" Bytes;
    ANY_STRING = "x509if.any.String" Bytes;
    // Extensions
    GENERAL_NAMES = "x509ce.GeneralNames" Group;
    GENERAL_NAME = "x509ce.GeneralName" Bytes;
    RFC822_NAME = "x509ce.rfc822Name" Text;
    DNS_NAME = "x509ce.dNSName" Text;
    DIRECTORY_NAME = "x509ce.directoryName" Group;
    URI = "x509ce.uniformResourceIdentifier" Text;
    IP_ADDRESS = "x509ce.iPAddress" Bytes;
    IP_ADDRESS_V4 = "x509ce.IPAddress.ipv4" Ipv4;
    IP_ADDRESS_V6 = "x509ce.IPAddress.ipv6" Ipv6;
    REGISTERED_ID = "x509ce.registeredID" Oid;
    BASIC_CONSTRAINTS = "x509ce.BasicConstraintsSyntax_element" Group;
    CA = "x509ce.cA" Bool;
    PATH_LEN_CONSTRAINT = "x509ce.pathLenConstraint" Uint;
    KEY_USAGE = "x509ce.KeyUsage" Group;
    DIGITAL_SIGNATURE = "x509ce.KeyUsage.digitalSignature" Bool;
    CONTENT_COMMITMENT = "x509ce.KeyUsage.contentCommitment" Bool;
    KEY_ENCIPHERMENT = "x509ce.KeyUsage.keyEncipherment" Bool;
    DATA_ENCIPHERMENT = "x509ce.KeyUsage.dataEncipherment" Bool;
    KEY_AGREEMENT = "x509ce.KeyUsage.keyAgreement" Bool;
    KEY_CERT_SIGN = "x509ce.KeyUsage.keyCertSign" Bool;
    CRL_SIGN = "x509ce.KeyUsage.cRLSign" Bool;
    ENCIPHER_ONLY = "x509ce.KeyUsage.encipherOnly" Bool;
    DECIPHER_ONLY = "x509ce.KeyUsage.decipherOnly" Bool;
    KEY_PURPOSE_IDS = "x509ce.KeyPurposeIDs" Group;
    KEY_PURPOSE_ID = "x509ce.KeyPurposeId" Oid;
    SUBJECT_KEY_IDENTIFIER = "x509ce.SubjectKeyIdentifier" Bytes;
    AUTHORITY_KEY_IDENTIFIER = "x509ce.AuthorityKeyIdentifier_element" Group;
    KEY_IDENTIFIER = "x509ce.keyIdentifier" Bytes;
    AUTHORITY_CERT_ISSUER = "x509ce.authorityCertIssuer" Group;
    AUTHORITY_CERT_SERIAL_NUMBER = "x509ce.authorityCertSerialNumber" Bytes;
    CERTIFICATE_POLICIES = "x509ce.CertificatePoliciesSyntax" Group;
    POLICY_INFORMATION = "x509ce.PolicyInformation_element" Group;
    POLICY_IDENTIFIER = "x509ce.policyIdentifier" Oid;
    POLICY_QUALIFIERS = "x509ce.policyQualifiers" Bytes;
    CRL_DIST_POINTS = "x509ce.CRLDistPointsSyntax" Group;
    DISTRIBUTION_POINT = "x509ce.DistributionPoint_element" Group;
    DISTRIBUTION_POINT_NAME = "x509ce.distributionPoint" Group;
    FULL_NAME = "x509ce.fullName" Group;
    AUTHORITY_INFO_ACCESS = "pkix1implicit.AuthorityInfoAccessSyntax" Group;
    ACCESS_DESCRIPTION = "pkix1implicit.AccessDescription_element" Group;
    ACCESS_METHOD = "pkix1implicit.accessMethod" Oid;
    // Signed certificate timestamps (RFC 6962), in a certificate or beside it
    SCTS = "tls.sct.scts" Group;
    SCTS_LENGTH = "tls.sct.scts_length" Uint;
    SCT = "tls.sct.sct" Group;
    SCT_LENGTH = "tls.sct.sct_length" Uint;
    SCT_VERSION = "tls.sct.sct_version" Uint;
    SCT_LOGID = "tls.sct.sct_logid" Bytes;
    SCT_TIMESTAMP = "tls.sct.sct_timestamp" Uint;
    SCT_EXTENSIONS_LENGTH = "tls.sct.sct_extensions_length" Uint;
    SCT_EXTENSIONS = "tls.sct.sct_extensions" Bytes;
    SCT_SIGNATURE_ALGORITHM = "tls.sct.sct_signature_algorithm" Hex;
    SCT_SIGNATURE_LENGTH = "tls.sct.sct_signature_length" Uint;
    SCT_SIGNATURE = "tls.sct.sct_signature" Bytes;
}

/// The longest certificate that is looked into, in bytes.
pub const MAX_LEN: usize = 1 << 16;

/// DER tags (X.690, section 8.1.2): universal ones, and those of a context, primitive (`0x80`) or not (`0xa0`).
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const BIT_STRING: u8 = 0x03;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const OID: u8 = 0x06;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
}

/// Decodes one certificate, which must fill what the cursor may read. A raw public key (RFC 7250) is recognised, too.
///
/// # Errors
/// A [`crate::packet::Stop`] where the bytes are not DER, or not a certificate's. Most faults inside do not come out:
/// they are recorded, and what follows is decoded.
pub fn decode(c: &mut Cursor<'_, '_>) -> Read<()> {
    if c.left() > MAX_LEN {
        return Err(c.stop(&SIGNED_CERTIFICATE, Why::Cap, MAX_LEN));
    }
    if is_raw_public_key(c.ahead()) {
        return subject_public_key_info(c);
    }
    open(c, &SIGNED_CERTIFICATE, tag::SEQUENCE)?;
    group(c, &SIGNED_CERTIFICATE, tag::SEQUENCE, to_be_signed)?;
    algorithm(c, &ALGORITHM_IDENTIFIER)?;
    group(c, &ENCRYPTED_ELEMENT, tag::BIT_STRING, |c| {
        unused_bits(c)?;
        c.rest(&ENCRYPTED);
        Ok(())
    })
    .map(drop)
}

/// Decodes a distinguished name (RFC 5280, section 4.1.2.4).
pub(super) fn name(c: &mut Cursor<'_, '_>) -> Read<()> {
    name_as(c, &NAME)
}

/// An object identifier of `len` bytes, tag and length included; bytes that are not one are labelled all the same.
pub(super) fn object_identifier(
    c: &mut Cursor<'_, '_>,
    def: &'static FieldDef,
    len: usize,
) -> Read<()> {
    match c.ahead() {
        [tag::OID, short, ..] if len >= 2 && usize::from(*short) == len - 2 => {
            c.bytes(&HEADER, 2)?;
            opaque(c, def, len - 2)
        }
        _ => opaque(c, def, len),
    }
}

/// A list of signed certificate timestamps with its length in front (RFC 6962, section 3.3).
pub(super) fn sct_list(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = c.u16(&SCTS_LENGTH)?;
    c.sub(&SCTS, len.into(), |c| {
        c.until_end(|c| {
            let len = c.u16(&SCT_LENGTH)?;
            c.sub(&SCT, len.into(), sct).map(drop)
        })
    })
    .map(drop)
}

/// RFC 6962, section 3.2.
fn sct(c: &mut Cursor<'_, '_>) -> Read<()> {
    if c.u8(&SCT_VERSION)? != 0 {
        return Err(c.stop(&SCT_VERSION, Why::Value, 0));
    }
    c.bytes(&SCT_LOGID, 32)?;
    c.u64(&SCT_TIMESTAMP)?;
    let len = c.u16(&SCT_EXTENSIONS_LENGTH)?;
    opaque(c, &SCT_EXTENSIONS, len.into())?;
    c.u16(&SCT_SIGNATURE_ALGORITHM)?;
    let len = c.u16(&SCT_SIGNATURE_LENGTH)?;
    opaque(c, &SCT_SIGNATURE, len.into())
}

/// A SubjectPublicKeyInfo has an algorithm, that is a sequence with an identifier, where a certificate has a version or
/// a serial number.
fn is_raw_public_key(bytes: &[u8]) -> bool {
    let inside = |bytes: &[u8]| {
        let tlv = tlv(bytes).ok().filter(|tlv| tlv.tag == tag::SEQUENCE)?;
        Some(tlv.header)
    };
    let Some(outer) = inside(bytes) else {
        return false;
    };
    let bytes = bytes.get(outer..).unwrap_or(&[]);
    inside(bytes).is_some_and(|inner| bytes.get(inner) == Some(&tag::OID))
}

fn to_be_signed(c: &mut Cursor<'_, '_>) -> Read<()> {
    if next_tag(c) == Some(0xa0) {
        group(c, &VERSION_ELEMENT, 0xa0, |c| integer(c, &VERSION))?;
    }
    leaf(c, &SERIAL_NUMBER, tag::INTEGER)?;
    algorithm(c, &SIGNATURE)?;
    name_as(c, &ISSUER)?;
    group(c, &VALIDITY, tag::SEQUENCE, |c| {
        time(c, &NOT_BEFORE)?;
        time(c, &NOT_AFTER)
    })?;
    name_as(c, &SUBJECT)?;
    group(
        c,
        &SUBJECT_PUBLIC_KEY_INFO,
        tag::SEQUENCE,
        public_key_of_algorithm,
    )?;
    if next_tag(c) == Some(0x81) {
        leaf(c, &ISSUER_UNIQUE_IDENTIFIER, 0x81)?;
    }
    if next_tag(c) == Some(0x82) {
        leaf(c, &SUBJECT_UNIQUE_IDENTIFIER, 0x82)?;
    }
    if next_tag(c) == Some(0xa3) {
        group(c, &EXTENSIONS, 0xa3, |c| {
            open(c, &EXTENSIONS, tag::SEQUENCE)?;
            c.until_end(|c| group(c, &EXTENSION, tag::SEQUENCE, extension).map(drop))
        })?;
    }
    Ok(())
}

/// What an AlgorithmIdentifier names, and the curve if its parameters name one.
#[derive(Clone, Copy)]
struct Algorithm<'b> {
    id: &'b [u8],
    curve: &'b [u8],
}

/// RFC 5280, section 4.1.1.2; the parameters of elliptic curves: RFC 5480, section 2.1.1.
fn algorithm<'b>(c: &mut Cursor<'b, '_>, def: &'static FieldDef) -> Read<Option<Algorithm<'b>>> {
    group(c, def, tag::SEQUENCE, |c| {
        let id = leaf(c, &ALGORITHM_ID, tag::OID)?;
        let mut curve: &[u8] = &[];
        match next_tag(c) {
            None => {}
            Some(tag::NULL) => open(c, &PARAMETERS, tag::NULL)?,
            Some(tag::OID) => curve = leaf(c, &NAMED_CURVE, tag::OID)?,
            Some(_) => {
                c.rest(&PARAMETERS);
            }
        }
        Ok(Algorithm { id, curve })
    })
}

fn subject_public_key_info(c: &mut Cursor<'_, '_>) -> Read<()> {
    group(
        c,
        &SUBJECT_PUBLIC_KEY_INFO,
        tag::SEQUENCE,
        public_key_of_algorithm,
    )
    .map(drop)
}

/// RFC 5280, section 4.1.2.7.
fn public_key_of_algorithm(c: &mut Cursor<'_, '_>) -> Read<()> {
    /// rsaEncryption and id-RSASSA-PSS: 1.2.840.113549.1.1.1 and .10 (RFC 8017, appendix A).
    const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    let algorithm = algorithm(c, &ALGORITHM)?;
    group(c, &SUBJECT_PUBLIC_KEY_ELEMENT, tag::BIT_STRING, |c| {
        unused_bits(c)?;
        let bits = match algorithm {
            Some(Algorithm {
                id: RSA | RSA_PSS, ..
            }) => Some(rsa_public_key(c)?),
            Some(other) => {
                c.rest(&SUBJECT_PUBLIC_KEY);
                key_bits(other)
            }
            None => {
                c.rest(&SUBJECT_PUBLIC_KEY);
                None
            }
        };
        if let Some(bits) = bits {
            c.note(&SUBJECT_PUBLIC_KEY_BITS, Fact::Uint(bits));
        }
        Ok(())
    })
    .map(drop)
}

/// RFC 8017, appendix A.1.1. Gives the length of the modulus in bits.
fn rsa_public_key(c: &mut Cursor<'_, '_>) -> Read<u64> {
    open(c, &SUBJECT_PUBLIC_KEY, tag::SEQUENCE)?;
    let modulus = leaf(c, &RSA_MODULUS, tag::INTEGER)?;
    integer(c, &RSA_PUBLIC_EXPONENT)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros());
    Ok(((modulus.len() - zeros) * 8) as u64 - u64::from(first))
}

/// The size of a key by its algorithm or its curve: the curves of RFC 5480, section 2.1.1.1, and those of RFC 8410 with
/// the size of RFC 8032, sections 5.1 and 5.2.
fn key_bits(algorithm: Algorithm<'_>) -> Option<u64> {
    match (algorithm.id, algorithm.curve) {
        // id-ecPublicKey with secp256r1, secp384r1, secp521r1.
        (b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x03\x01\x07") => Some(256),
        (b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2b\x81\x04\x00\x22") => Some(384),
        (b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2b\x81\x04\x00\x23") => Some(521),
        // Ed25519, Ed448.
        (b"\x2b\x65\x70", _) => Some(256),
        (b"\x2b\x65\x71", _) => Some(456),
        _ => None,
    }
}

/// A Name: a sequence of sets (mostly of one) of an attribute's type and its value.
fn name_as(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    group(c, def, tag::SEQUENCE, |c| {
        c.until_end(|c| {
            group(c, &RDN, tag::SET, |c| {
                c.until_end(|c| group(c, &ATTRIBUTE, tag::SEQUENCE, attribute).map(drop))
            })
            .map(drop)
        })
    })
    .map(drop)
}

fn attribute(c: &mut Cursor<'_, '_>) -> Read<()> {
    leaf(c, &ATTRIBUTE_TYPE, tag::OID)?;
    let (def, tag) = match next_tag(c).unwrap_or(0) {
        tag @ 12 => (&UTF8_STRING, tag),
        tag @ 19 => (&PRINTABLE_STRING, tag),
        tag @ 20 => (&TELETEX_STRING, tag),
        tag @ 22 => (&IA5_STRING, tag),
        tag @ 28 => (&UNIVERSAL_STRING, tag),
        tag @ 30 => (&BMP_STRING, tag),
        tag => (&ANY_STRING, tag),
    };
    leaf(c, def, tag).map(drop)
}

/// RFC 5280, section 4.1.2.5: `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, nothing else.
fn time(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    let (tag, digits) = match next_tag(c) {
        Some(tag::GENERALIZED_TIME) => (tag::GENERALIZED_TIME, 14),
        _ => (tag::UTC_TIME, 12),
    };
    let tlv = expect(c, def, tag)?;
    c.bytes(&HEADER, tlv.header)?;
    match c.ahead().get(..tlv.len) {
        Some([number @ .., b'Z'])
            if number.len() == digits && number.iter().all(u8::is_ascii_digit) =>
        {
            c.bytes(def, tlv.len).map(drop)
        }
        _ => Err(c.stop(def, Why::Value, digits + 1)),
    }
}

/// RFC 5280, section 4.2: an identifier, whether it must be understood, and an octet string that holds more DER.
fn extension(c: &mut Cursor<'_, '_>) -> Read<()> {
    let id = leaf(c, &EXTENSION_ID, tag::OID)?;
    if next_tag(c) == Some(tag::BOOLEAN) {
        boolean(c, &CRITICAL)?;
    }
    open(c, &EXTENSION_VALUE, tag::OCTET_STRING)?;
    match id {
        // id-ce, 2.5.29 (RFC 5280, section 4.2.1).
        b"\x55\x1d\x0e" => leaf(c, &SUBJECT_KEY_IDENTIFIER, tag::OCTET_STRING).map(drop),
        b"\x55\x1d\x0f" => group(c, &KEY_USAGE, tag::BIT_STRING, key_usage).map(drop),
        b"\x55\x1d\x11" | b"\x55\x1d\x12" => {
            group(c, &GENERAL_NAMES, tag::SEQUENCE, general_names).map(drop)
        }
        b"\x55\x1d\x13" => group(c, &BASIC_CONSTRAINTS, tag::SEQUENCE, basic_constraints).map(drop),
        b"\x55\x1d\x1f" => group(c, &CRL_DIST_POINTS, tag::SEQUENCE, |c| {
            c.until_end(|c| {
                group(c, &DISTRIBUTION_POINT, tag::SEQUENCE, distribution_point).map(drop)
            })
        })
        .map(drop),
        b"\x55\x1d\x20" => group(c, &CERTIFICATE_POLICIES, tag::SEQUENCE, |c| {
            c.until_end(|c| {
                group(c, &POLICY_INFORMATION, tag::SEQUENCE, |c| {
                    leaf(c, &POLICY_IDENTIFIER, tag::OID)?;
                    c.rest(&POLICY_QUALIFIERS);
                    Ok(())
                })
                .map(drop)
            })
        })
        .map(drop),
        b"\x55\x1d\x23" => group(
            c,
            &AUTHORITY_KEY_IDENTIFIER,
            tag::SEQUENCE,
            authority_key_identifier,
        )
        .map(drop),
        b"\x55\x1d\x25" => group(c, &KEY_PURPOSE_IDS, tag::SEQUENCE, |c| {
            c.until_end(|c| leaf(c, &KEY_PURPOSE_ID, tag::OID).map(drop))
        })
        .map(drop),
        // id-pe-authorityInfoAccess, 1.3.6.1.5.5.7.1.1 (RFC 5280, section 4.2.2.1).
        b"\x2b\x06\x01\x05\x05\x07\x01\x01" => {
            group(c, &AUTHORITY_INFO_ACCESS, tag::SEQUENCE, |c| {
                c.until_end(|c| {
                    group(c, &ACCESS_DESCRIPTION, tag::SEQUENCE, |c| {
                        leaf(c, &ACCESS_METHOD, tag::OID)?;
                        general_name(c)
                    })
                    .map(drop)
                })
            })
            .map(drop)
        }
        // Embedded timestamps, 1.3.6.1.4.1.11129.2.4.2 (RFC 6962, section 3.3): an octet string in the octet string.
        b"\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02" => {
            open(c, &SCTS, tag::OCTET_STRING)?;
            sct_list(c)
        }
        _ => {
            c.rest(&EXTENSION_VALUE);
            Ok(())
        }
    }
}

/// RFC 5280, section 4.2.1.3: bit 0 is the first byte's most significant.
fn key_usage(c: &mut Cursor<'_, '_>) -> Read<()> {
    unused_bits(c)?;
    if c.left() > 0 {
        for flag in [
            &DIGITAL_SIGNATURE,
            &CONTENT_COMMITMENT,
            &KEY_ENCIPHERMENT,
            &DATA_ENCIPHERMENT,
            &KEY_AGREEMENT,
            &KEY_CERT_SIGN,
            &CRL_SIGN,
            &ENCIPHER_ONLY,
        ] {
            c.flag(flag)?;
        }
    }
    if c.left() > 0 {
        c.flag(&DECIPHER_ONLY)?;
        c.bits(&UNUSED, 7)?;
    }
    Ok(())
}

/// RFC 5280, section 4.2.1.9.
fn basic_constraints(c: &mut Cursor<'_, '_>) -> Read<()> {
    if next_tag(c) == Some(tag::BOOLEAN) {
        boolean(c, &CA)?;
    }
    if next_tag(c) == Some(tag::INTEGER) {
        integer(c, &PATH_LEN_CONSTRAINT)?;
    }
    Ok(())
}

/// RFC 5280, section 4.2.1.1.
fn authority_key_identifier(c: &mut Cursor<'_, '_>) -> Read<()> {
    if next_tag(c) == Some(0x80) {
        leaf(c, &KEY_IDENTIFIER, 0x80)?;
    }
    if next_tag(c) == Some(0xa1) {
        group(c, &AUTHORITY_CERT_ISSUER, 0xa1, general_names)?;
    }
    if next_tag(c) == Some(0x82) {
        leaf(c, &AUTHORITY_CERT_SERIAL_NUMBER, 0x82)?;
    }
    Ok(())
}

/// RFC 5280, section 4.2.1.13, the form in common use: a full name. What else there may be is labelled as bytes.
fn distribution_point(c: &mut Cursor<'_, '_>) -> Read<()> {
    if next_tag(c) == Some(0xa0) {
        group(c, &DISTRIBUTION_POINT_NAME, 0xa0, |c| {
            if next_tag(c) == Some(0xa0) {
                group(c, &FULL_NAME, 0xa0, general_names)?;
            }
            c.rest(&EXTENSION_VALUE);
            Ok(())
        })?;
    }
    c.rest(&EXTENSION_VALUE);
    Ok(())
}

fn general_names(c: &mut Cursor<'_, '_>) -> Read<()> {
    c.until_end(general_name)
}

/// RFC 5280, section 4.2.1.6.
fn general_name(c: &mut Cursor<'_, '_>) -> Read<()> {
    let tlv = peek(c, &GENERAL_NAME)?;
    let def = match (tlv.tag, tlv.len) {
        (0x81, _) => &RFC822_NAME,
        (0x82, _) => &DNS_NAME,
        (0xa4, _) => return group(c, &DIRECTORY_NAME, tlv.tag, name).map(drop),
        (0x86, _) => &URI,
        (0x87, 4) => &IP_ADDRESS_V4,
        (0x87, 16) => &IP_ADDRESS_V6,
        (0x87, _) => &IP_ADDRESS,
        (0x88, _) => &REGISTERED_ID,
        _ => &GENERAL_NAME,
    };
    leaf(c, def, tlv.tag).map(drop)
}

/// What stands in front of a DER value's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tlv {
    tag: u8,
    /// How many bytes tag and length take.
    header: usize,
    /// How many the content takes.
    len: usize,
}

/// Why there is no DER value at the front.
enum NotDer {
    /// It needs so many bytes.
    Short(usize),
    /// DER rules it out.
    Value,
}

/// X.690, sections 8.1 and 10.1: the length is below 128, or so many bytes that hold it, in the shortest way. `0x80`,
/// an indefinite length, is not allowed in DER; nor does any tag of a certificate need a second byte.
fn tlv(bytes: &[u8]) -> Result<Tlv, NotDer> {
    let [tag, first, rest @ ..] = bytes else {
        return Err(NotDer::Short(2));
    };
    let (header, len) = match first {
        0..=0x7f => (2, usize::from(*first)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let octets = rest.get(..count).ok_or(NotDer::Short(2 + count))?;
            let len = octets
                .iter()
                .fold(0, |len, byte| len << 8 | u64::from(*byte));
            if octets.first() == Some(&0) || len < 0x80 {
                return Err(NotDer::Value);
            }
            (2 + count, len as usize)
        }
        _ => return Err(NotDer::Value),
    };
    if tag & 0x1f == 0x1f {
        return Err(NotDer::Value);
    }
    if rest.len() - (header - 2) < len {
        return Err(NotDer::Short(header.saturating_add(len)));
    }
    let tag = *tag;
    Ok(Tlv { tag, header, len })
}

fn next_tag(c: &Cursor<'_, '_>) -> Option<u8> {
    c.ahead().first().copied()
}

fn peek(c: &Cursor<'_, '_>, def: &'static FieldDef) -> Read<Tlv> {
    tlv(c.ahead()).map_err(|why| match why {
        NotDer::Short(need) => c.missing(def, need),
        NotDer::Value => c.stop(def, Why::Value, 0),
    })
}

fn expect(c: &Cursor<'_, '_>, def: &'static FieldDef, tag: u8) -> Read<Tlv> {
    let tlv = peek(c, def)?;
    if tlv.tag == tag {
        Ok(tlv)
    } else {
        Err(c.stop(def, Why::Value, 0))
    }
}

/// Reads tag and length, and lets no more than the content be read from now on.
fn open(c: &mut Cursor<'_, '_>, def: &'static FieldDef, tag: u8) -> Read<()> {
    let tlv = expect(c, def, tag)?;
    c.bytes(&HEADER, tlv.header)?;
    c.limit(tlv.len);
    Ok(())
}

/// Puts a whole DER value under a heading.
fn group<'b, T>(
    c: &mut Cursor<'b, '_>,
    def: &'static FieldDef,
    tag: u8,
    read: impl FnOnce(&mut Cursor<'b, '_>) -> Read<T>,
) -> Read<Option<T>> {
    let tlv = expect(c, def, tag)?;
    c.sub(def, tlv.header + tlv.len, |c| {
        c.bytes(&HEADER, tlv.header)?;
        read(c)
    })
}

/// Reads a DER value whose content has one label.
fn leaf<'b>(c: &mut Cursor<'b, '_>, def: &'static FieldDef, tag: u8) -> Read<&'b [u8]> {
    let tlv = expect(c, def, tag)?;
    c.bytes(&HEADER, tlv.header)?;
    if tlv.len == 0 {
        return Ok(&[]);
    }
    c.bytes(def, tlv.len)
}

/// Reads a whole number of at most 64 bits.
fn integer(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    let tlv = expect(c, def, tag::INTEGER)?;
    if !(1..=8).contains(&tlv.len) {
        return Err(c.stop(def, Why::Value, 0));
    }
    c.bytes(&HEADER, tlv.header)?;
    c.bits(def, tlv.len as u32 * 8).map(drop)
}

fn boolean(c: &mut Cursor<'_, '_>, def: &'static FieldDef) -> Read<()> {
    let tlv = expect(c, def, tag::BOOLEAN)?;
    if tlv.len != 1 {
        return Err(c.stop(def, Why::Value, 0));
    }
    c.bytes(&HEADER, tlv.header)?;
    c.bits(def, 8).map(drop)
}

/// The first byte of a bit string: how many bits of its last byte do not count (X.690, section 8.6.2).
fn unused_bits(c: &mut Cursor<'_, '_>) -> Read<()> {
    if c.ahead().first().is_some_and(|unused| *unused > 7) {
        return Err(c.stop(&UNUSED_BITS, Why::Value, 0));
    }
    c.u8(&UNUSED_BITS).map(drop)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests;
