use super::super::samples::{self, Decoded, bytes};
use super::*;
use crate::packet::Value;

fn read(bytes: &[u8]) -> Decoded<()> {
    samples::decode(bytes, decode)
}

#[test]
fn every_byte_of_a_certificate_is_explained() {
    for hex in samples::CERTIFICATES {
        read(&bytes(hex)).assert_complete();
    }
}

#[test]
fn a_ca_with_an_ed25519_key() {
    let ca = read(&bytes(samples::ED25519));
    assert_eq!(ca.numbers(&VERSION), [2], "which means version 3");
    let id_ed25519 = Value::Oid(&[0x2b, 0x65, 0x70]);
    assert_eq!(ca.values(&ALGORITHM_ID), [id_ed25519; 3]);
    assert_eq!(ca.texts(&PRINTABLE_STRING), ["DE", "DE"]);
    assert_eq!(
        ca.texts(&UTF8_STRING),
        [
            "Layerwise",
            "Layerwise Test CA",
            "Layerwise",
            "Layerwise Test CA"
        ]
    );
    assert_eq!(ca.values(&CA), [Value::Bool(true)]);
    assert_eq!(ca.numbers(&PATH_LEN_CONSTRAINT), [1]);
    assert_eq!(ca.numbers(&KEY_CERT_SIGN), [1]);
    assert_eq!(ca.numbers(&DIGITAL_SIGNATURE), [0]);
    assert_eq!(ca.values(&CRITICAL), [Value::Bool(true); 2]);
    assert_eq!(ca.lengths(&SUBJECT_PUBLIC_KEY), [32]);
    assert_eq!(ca.notes(&SUBJECT_PUBLIC_KEY_BITS), [256]);
    assert_eq!(ca.lengths(&ENCRYPTED), [64]);
    assert_eq!(
        ca.texts(&NOT_AFTER)[0].len(),
        15,
        "after 2049 it is a GeneralizedTime"
    );
}

#[test]
fn a_servers_certificate_with_a_p256_key() {
    let leaf = read(&bytes(samples::P256));
    assert_eq!(
        leaf.values(&SERIAL_NUMBER),
        [Value::Bytes(&[
            0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef
        ])]
    );
    assert_eq!(leaf.texts(&DNS_NAME), ["b.layerwise.example"]);
    assert_eq!(leaf.values(&IP_ADDRESS_V4), [Value::Ipv4([5, 6, 7, 8])]);
    let v6 = "2001:db8::8".parse::<std::net::Ipv6Addr>().unwrap();
    assert_eq!(leaf.values(&IP_ADDRESS_V6), [Value::Ipv6(v6.octets())]);
    assert_eq!(leaf.texts(&RFC822_NAME), ["b@layerwise.example"]);
    assert_eq!(leaf.values(&REGISTERED_ID), [Value::Oid(&[0x2a, 3, 4])]);
    assert_eq!(
        leaf.texts(&URI),
        [
            "https://layerwise.example/",
            "http://layerwise.example/ca.crl",
            "http://layerwise.example/ocsp"
        ]
    );
    assert_eq!(leaf.fields(&DIRECTORY_NAME).len(), 2);
    assert_eq!(leaf.numbers(&DIGITAL_SIGNATURE), [1]);
    assert_eq!(leaf.numbers(&DECIPHER_ONLY), [1]);
    assert_eq!(leaf.fields(&KEY_PURPOSE_ID).len(), 2);
    assert_eq!(leaf.lengths(&SUBJECT_KEY_IDENTIFIER), [20]);
    assert_eq!(leaf.lengths(&KEY_IDENTIFIER), [20]);
    assert_eq!(leaf.lengths(&AUTHORITY_CERT_SERIAL_NUMBER), [20]);
    assert_eq!(leaf.fields(&POLICY_IDENTIFIER).len(), 1);
    assert_eq!(
        leaf.values(&EXTENSION_VALUE),
        [Value::Bytes(&[1, 2, 3, 4, 5])]
    );
    assert_eq!(leaf.lengths(&SUBJECT_PUBLIC_KEY), [65]);
    assert_eq!(leaf.notes(&SUBJECT_PUBLIC_KEY_BITS), [256]);
    assert!(leaf.texts(&NOT_BEFORE)[0].starts_with("261122"));
}

#[test]
fn an_rsa_key_and_an_rsa_pss_signature() {
    let rsa = read(&bytes(samples::RSA_PSS));
    assert_eq!(rsa.notes(&SUBJECT_PUBLIC_KEY_BITS), [1024]);
    assert_eq!(rsa.lengths(&RSA_MODULUS), [129], "a zero keeps it positive");
    assert_eq!(rsa.numbers(&RSA_PUBLIC_EXPONENT), [65537]);
    assert_eq!(rsa.fields(&PARAMETERS).len(), 2);
    assert_eq!(rsa.lengths(&ENCRYPTED), [128]);
}

#[test]
fn a_raw_public_key_is_recognised() {
    let ca = read(&bytes(samples::ED25519));
    let key = ca.fields(&SUBJECT_PUBLIC_KEY_INFO)[0];
    let raw = read(&ca.bytes[key.bytes()]);
    raw.assert_complete();
    assert_eq!(raw.lengths(&SUBJECT_PUBLIC_KEY), [32]);
    assert_eq!(raw.notes(&SUBJECT_PUBLIC_KEY_BITS), [256]);
}

#[test]
fn signed_certificate_timestamps_of_an_unknown_version() {
    // The extension of RFC 6962 with a list of one timestamp, which is the single byte 1.
    let extension = bytes("3015060a2b06010401d679020402040704050003000101");
    let decoded = samples::decode(&extension, |c| {
        group(c, &EXTENSION, tag::SEQUENCE, super::extension).map(drop)
    });
    assert_eq!(decoded.stops(), [(SCT_VERSION.key, 23, 0, 0, Why::Value)]);
    assert_eq!(decoded.numbers(&SCT_VERSION), [1]);
}

#[test]
fn an_indefinite_length_is_no_der() {
    let mut ca = bytes(samples::ED25519);
    ca[1] = 0x80;
    let stop = read(&ca).result.unwrap_err();
    assert_eq!(
        (stop.def.key, stop.offset, stop.have, stop.why),
        (SIGNED_CERTIFICATE.key, 0, 391, Why::Value)
    );
}

#[test]
fn lengths_that_lie() {
    let stop = |bytes: &[u8]| {
        let stop = read(bytes).result.unwrap_err();
        (stop.def.key, stop.offset, stop.need, stop.have, stop.why)
    };
    let key = SIGNED_CERTIFICATE.key;
    let ca = bytes(samples::ED25519);
    assert_eq!(stop(&ca[..390]), (key, 0, 391, 390, Why::Short));
    assert_eq!(stop(&ca[..3]), (key, 0, 4, 3, Why::Short));
    assert_eq!(stop(&[]), (key, 0, 2, 0, Why::Short));
    // Not the shortest form, and more octets of length than any certificate needs.
    assert_eq!(stop(&[0x30, 0x81, 0x01, 0x00]), (key, 0, 0, 4, Why::Value));
    assert_eq!(
        stop(&[0x30, 0x85, 0, 0, 0, 0, 1, 0]),
        (key, 0, 0, 8, Why::Value)
    );
    assert_eq!(
        stop(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        (key, 0, 0xffff_ffff, 6, Why::Short)
    );
}

#[test]
fn a_fault_inside_leaves_the_rest_readable() {
    let mut ca = bytes(samples::ED25519);
    let time = read(&ca).fields(&NOT_BEFORE)[0].bytes();
    ca[time.start] = b'x';
    let decoded = read(&ca);
    let at = time.start as u32;
    // To the end of the validity: this time, and a GeneralizedTime of 17 bytes.
    let left = 13 + 17;
    assert_eq!(
        decoded.stops(),
        [(NOT_BEFORE.key, at, 13, left, Why::Value)]
    );
    assert_eq!(decoded.result, Ok(()));
    assert_eq!(decoded.lengths(&SUBJECT_PUBLIC_KEY), [32]);
    assert_eq!(decoded.lengths(&ENCRYPTED), [64]);
}

#[test]
fn bytes_after_the_certificate() {
    let mut message = vec![11, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut ca = bytes(samples::ED25519);
    ca.extend([9, 9]);
    let put = |message: &mut [u8], len: usize| {
        message.copy_from_slice(&(len as u32).to_be_bytes()[1..]);
    };
    put(&mut message[1..4], ca.len() + 6);
    put(&mut message[4..7], ca.len() + 3);
    put(&mut message[7..10], ca.len());
    message.extend(&ca);
    let decoded = samples::decode(&message, |c| super::super::handshake::message(c, false));
    assert_eq!(
        decoded.stops(),
        [("tls.handshake.certificate", 10 + 391, 0, 2, Why::Trailing)]
    );
}

#[test]
fn a_certificate_beyond_the_cap() {
    let decoded = read(&vec![0x30; MAX_LEN + 1]);
    assert_eq!(decoded.result.unwrap_err().why, Why::Cap);
}
