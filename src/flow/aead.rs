//! Opening TLS 1.3 records: from a traffic secret to a key, from a record number to a nonce (RFC 8446, sections 5.2, 5.3, 7.3).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, KeyType, Prk};

use crate::keylog::{MAX_SECRET, Secret};

/// The length of the authentication tag of every suite that TLS 1.3 makes mandatory or recommends.
pub(crate) const TAG_LEN: usize = 16;

/// A cipher suite of TLS 1.3 that can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    /// `TLS_AES_128_GCM_SHA256`.
    Aes128Gcm,
    /// `TLS_AES_256_GCM_SHA384`.
    Aes256Gcm,
    /// `TLS_CHACHA20_POLY1305_SHA256`.
    ChaCha20Poly1305,
}

impl Suite {
    /// Its number (RFC 8446, appendix B.4).
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Aes128Gcm => 0x1301,
            Self::Aes256Gcm => 0x1302,
            Self::ChaCha20Poly1305 => 0x1303,
        }
    }

    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    fn aead(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Aes256Gcm => hkdf::HKDF_SHA384,
            _ => hkdf::HKDF_SHA256,
        }
    }
}

/// The key and the IV of one direction, made from one traffic secret.
#[derive(Debug)]
pub(crate) struct Keys {
    suite: Suite,
    secret: Secret,
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
}

impl Keys {
    /// The keys that come from `secret`; `None` if it has not the length of the suite's hash.
    #[must_use]
    pub(crate) fn new(suite: Suite, secret: Secret) -> Option<Self> {
        if secret.bytes().len()
            != suite
                .hkdf()
                .hmac_algorithm()
                .digest_algorithm()
                .output_len()
        {
            return None;
        }
        let mut key = [0; 32];
        let key = key.get_mut(..suite.aead().key_len())?;
        expand_label(suite, secret, b"key", key)?;
        let mut iv = [0; NONCE_LEN];
        expand_label(suite, secret, b"iv", &mut iv)?;
        let key = LessSafeKey::new(UnboundKey::new(suite.aead(), key).ok()?);
        Some(Self {
            suite,
            secret,
            key,
            iv,
        })
    }

    /// The suite they are for.
    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// The keys after a KeyUpdate (RFC 8446, section 7.2).
    #[must_use]
    pub(crate) fn next_generation(&self) -> Option<Self> {
        let mut next = [0; MAX_SECRET];
        let next = next.get_mut(..self.secret.bytes().len())?;
        expand_label(self.suite, self.secret, b"traffic upd", next)?;
        Self::new(self.suite, Secret::new(next)?)
    }

    /// The nonce of a record: its number, padded on the left to the length of the IV, xor the IV (RFC 8446, section 5.3).
    #[must_use]
    pub(crate) fn nonce(&self, sequence: u64) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, number) in nonce
            .iter_mut()
            .rev()
            .zip(sequence.to_be_bytes().iter().rev())
        {
            *byte ^= number;
        }
        nonce
    }

    /// Opens the record `sequence` into `plain`, with its five header bytes as additional data. What is sealed is as long as
    /// what comes out, and a tag.
    ///
    /// Gives `None` when the tag does not fit; what is in `plain` is then of no use.
    pub(crate) fn open(
        &self,
        sequence: u64,
        header: &[u8],
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(self.nonce(sequence));
        let (sealed, tag) = sealed.split_at_checked(plain.len())?;
        self.key
            .open_separate_gather(nonce, Aad::from(header), sealed, tag, plain)
            .ok()
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446, section 7.1).
fn expand_label(suite: Suite, secret: Secret, label: &[u8], out: &mut [u8]) -> Option<()> {
    struct Len(usize);
    impl KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let len = (out.len() as u16).to_be_bytes();
    let label_len = [b"tls13 ".len() as u8 + label.len() as u8];
    let info: [&[u8]; 5] = [&len, &label_len, b"tls13 ", label, &[0]];
    let prk = Prk::new_less_safe(suite.hkdf(), secret.bytes());
    prk.expand(&info, Len(out.len())).ok()?.fill(out).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    /// RFC 8448, section 3: the server's handshake traffic secret, its key and its IV.
    #[test]
    fn key_and_iv_of_rfc_8448() {
        let secret = [
            0xb6, 0x7b, 0x7d, 0x69, 0x0c, 0xc1, 0x6c, 0x4e, 0x75, 0xe5, 0x42, 0x13, 0xcb, 0x2d,
            0x37, 0xb4, 0xe9, 0xc9, 0x12, 0xbc, 0xde, 0xd9, 0x10, 0x5d, 0x42, 0xbe, 0xfd, 0x59,
            0xd3, 0x91, 0xad, 0x38,
        ];
        let keys = Keys::new(Suite::Aes128Gcm, Secret::new(&secret).unwrap()).unwrap();
        assert_eq!(
            keys.iv,
            [
                0x5d, 0x31, 0x3e, 0xb2, 0x67, 0x12, 0x76, 0xee, 0x13, 0x00, 0x0b, 0x30
            ]
        );
        let mut key = [0; 16];
        expand_label(Suite::Aes128Gcm, keys.secret, b"key", &mut key).unwrap();
        assert_eq!(
            key,
            [
                0x3f, 0xce, 0x51, 0x60, 0x09, 0xc2, 0x17, 0x27, 0xd0, 0xf2, 0xe4, 0xe8, 0x6e, 0xe4,
                0x03, 0xbc
            ]
        );
    }

    #[test]
    fn the_nonce_is_the_iv_xor_the_record_number() {
        let keys = Keys::new(Suite::ChaCha20Poly1305, Secret::new(&[1; 32]).unwrap()).unwrap();
        let (zero, big) = (keys.nonce(0), keys.nonce(0x0102));
        assert_eq!(zero, keys.iv);
        assert_eq!(
            (big[11] ^ zero[11], big[10] ^ zero[10], &big[..10]),
            (2, 1, &zero[..10])
        );
    }

    #[test]
    fn a_secret_of_the_wrong_length_makes_no_keys() {
        assert!(Keys::new(Suite::Aes256Gcm, Secret::new(&[1; 32]).unwrap()).is_none());
        assert!(Keys::new(Suite::Aes128Gcm, Secret::new(&[1; 48]).unwrap()).is_none());
    }
}
