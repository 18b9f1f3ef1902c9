//! Opening TLS 1.2 records: from the master secret to keys, from a record to its content (RFC 5246, sections 5, 6.2.3 and 6.3).
//!
//! ```text
//! AES-GCM            | nonce, 8 of 12 | encrypted content      | tag, 16 |            RFC 5288, section 3
//! ChaCha20-Poly1305                   | encrypted content      | tag, 16 |            RFC 7905, section 2
//! AES-CBC            | IV, 16         | encrypted content, MAC, padding |              RFC 5246, section 6.2.3.2
//! the same, encrypt-then-MAC          | IV, 16 | encrypted content, padding | MAC |    RFC 7366, section 3
//! ```

use core::ops::RangeInclusive;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, tls_prf};

use super::aead::TAG_LEN;
use crate::keylog::Secret;

/// The length of a master secret (RFC 5246, section 8.1).
const MASTER_LEN: usize = 48;
/// The length of an AES block, and of the IV in front of what CBC has encrypted.
const BLOCK_LEN: usize = 16;
/// The part of AES-GCM's nonce that stands in front of the record; the rest comes from the key block.
const EXPLICIT_LEN: usize = 8;

/// How a cipher suite seals records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// AES in Galois/counter mode, with a key of so many bytes.
    Gcm(usize),
    /// ChaCha20 and Poly1305.
    ChaCha20Poly1305,
    /// AES in cipher block chaining mode, with a key of so many bytes, and an HMAC.
    Cbc(usize, Mac),
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

impl Mac {
    /// How long it is, and its key.
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }
}

/// A cipher suite of TLS 1.2 that can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) number: u16,
    pub(crate) cipher: Cipher,
    /// Whether the pseudorandom function uses SHA-384 (otherwise SHA-256).
    sha384: bool,
}

/// The suites with AES-GCM, ChaCha20-Poly1305 or AES-CBC in the IANA registry, whatever their key exchange. In a range of
/// these, AES-128 with SHA-256 and AES-256 with SHA-384 take turns; [`Suite::find`] says which is which.
const GCM: [RangeInclusive<u16>; 3] = [0x009c..=0x00ad, 0xc02b..=0xc032, 0xd001..=0xd002];
const CHACHA: RangeInclusive<u16> = 0xcca8..=0xccae;
/// AES-128-CBC and AES-256-CBC with SHA-1.
const CBC_128_SHA: &[u16] = &[
    0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x008c, 0x0090, 0x0094, 0xc004, 0xc009, 0xc00e,
    0xc013, 0xc018, 0xc01d, 0xc01e, 0xc01f, 0xc035,
];
const CBC_256_SHA: &[u16] = &[
    0x0035, 0x0036, 0x0037, 0x0038, 0x0039, 0x003a, 0x008d, 0x0091, 0x0095, 0xc005, 0xc00a, 0xc00f,
    0xc014, 0xc019, 0xc020, 0xc021, 0xc022, 0xc036,
];
/// AES-128-CBC and AES-256-CBC with SHA-256.
const CBC_128_SHA256: &[u16] = &[
    0x003c, 0x003e, 0x003f, 0x0040, 0x0067, 0x006c, 0x00ae, 0x00b2, 0x00b6, 0xc023, 0xc025, 0xc027,
    0xc029, 0xc037,
];
const CBC_256_SHA256: &[u16] = &[0x003d, 0x0068, 0x0069, 0x006a, 0x006b, 0x006d];
/// AES-256-CBC with SHA-384.
const CBC_256_SHA384: &[u16] = &[
    0x00af, 0x00b3, 0x00b7, 0xc024, 0xc026, 0xc028, 0xc02a, 0xc038,
];

impl Suite {
    /// The suite of that number; `None` if this program cannot open it.
    pub(crate) fn find(number: u16) -> Option<Self> {
        let (cipher, sha384) = if let Some(range) = GCM.iter().find(|r| r.contains(&number)) {
            let long = (number - range.start()) % 2 == 1;
            (Cipher::Gcm(if long { 32 } else { 16 }), long)
        } else if CHACHA.contains(&number) {
            (Cipher::ChaCha20Poly1305, false)
        } else if CBC_128_SHA.contains(&number) {
            (Cipher::Cbc(16, Mac::Sha1), false)
        } else if CBC_256_SHA.contains(&number) {
            (Cipher::Cbc(32, Mac::Sha1), false)
        } else if CBC_128_SHA256.contains(&number) {
            (Cipher::Cbc(16, Mac::Sha256), false)
        } else if CBC_256_SHA256.contains(&number) {
            (Cipher::Cbc(32, Mac::Sha256), false)
        } else if CBC_256_SHA384.contains(&number) {
            (Cipher::Cbc(32, Mac::Sha384), true)
        } else {
            return None;
        };
        Some(Self {
            number,
            cipher,
            sha384,
        })
    }

    /// What stands in the clear in front of the encrypted bytes, and what follows them.
    pub(crate) fn layout(self, encrypt_then_mac: bool) -> Layout {
        let (head, tail) = match self.cipher {
            Cipher::Gcm(_) => (EXPLICIT_LEN, TAG_LEN),
            Cipher::ChaCha20Poly1305 => (0, TAG_LEN),
            Cipher::Cbc(_, mac) => (BLOCK_LEN, if encrypt_then_mac { mac.len() } else { 0 }),
        };
        Layout { head, tail }
    }
}

/// How many bytes of a sealed record stand before and behind the encrypted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The explicit part of the nonce, or the IV.
    pub(crate) head: usize,
    /// The tag, or the MAC over what was encrypted.
    pub(crate) tail: usize,
}

/// What the seal covers beside the content: the record's number, type and version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Covered {
    pub(crate) sequence: u64,
    pub(crate) content_type: u8,
    pub(crate) version: u16,
}

impl Covered {
    /// The 13 bytes that go into the tag or the MAC, with the length of what follows (RFC 5246, sections 6.2.3.1 and 6.2.3.3).
    fn bytes(self, len: usize) -> [u8; 13] {
        let [a, b, c, d, e, f, g, h] = self.sequence.to_be_bytes();
        let [major, minor] = self.version.to_be_bytes();
        let [high, low] = (len as u16).to_be_bytes();
        [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            self.content_type,
            major,
            minor,
            high,
            low,
        ]
    }
}

/// What was found inside, from the front: lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) content: usize,
    /// The MAC, where it was encrypted together with the content.
    pub(crate) mac: usize,
    /// The padding of CBC, its length byte included.
    pub(crate) padding: usize,
}

/// Why a record did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The tag or the MAC does not fit.
    Tag,
    /// What was decrypted does not end in padding.
    Padding,
}

/// The keys of one direction.
pub(crate) struct Keys {
    suite: Suite,
    encrypt_then_mac: bool,
    opener: Opener,
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Keys({:#06x})", self.suite.number)
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "the keys are boxed as a whole, and each connection has only two"
)]
enum Opener {
    /// The key, and the part of the nonce that never crosses the wire.
    Aead(LessSafeKey, [u8; NONCE_LEN]),
    Cbc(DecryptingKey, hmac::Key),
}

/// What the keys of a connection are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'o> {
    pub(crate) suite: Suite,
    pub(crate) master: Secret,
    pub(crate) client_random: &'o [u8; 32],
    pub(crate) server_random: &'o [u8; 32],
    pub(crate) encrypt_then_mac: bool,
}

impl Keys {
    /// The keys with which the client writes, or the server (RFC 5246, section 6.3); `None` if the secret has not the right length.
    #[must_use]
    pub(crate) fn new(origin: &Origin<'_>, client: bool) -> Option<Self> {
        let Origin { suite, master, .. } = *origin;
        if master.bytes().len() != MASTER_LEN {
            return None;
        }
        let (mac_len, key_len, iv_len) = match suite.cipher {
            Cipher::Gcm(key) => (0, key, NONCE_LEN - EXPLICIT_LEN),
            Cipher::ChaCha20Poly1305 => (0, 32, NONCE_LEN),
            Cipher::Cbc(key, mac) => (mac.len(), key, 0),
        };
        let hash = if suite.sha384 {
            &tls_prf::P_SHA384
        } else {
            &tls_prf::P_SHA256
        };
        let mut seed = [0; 64];
        let (server, of_client) = seed.split_at_mut(32);
        server.copy_from_slice(origin.server_random);
        of_client.copy_from_slice(origin.client_random);
        let block = tls_prf::Secret::new(hash, master.bytes())
            .and_then(|master| {
                master.derive(b"key expansion", &seed, 2 * (mac_len + key_len + iv_len))
            })
            .ok()?;
        // The block holds both MAC keys, then both keys, then both IVs; the client's comes first each time.
        let mut block = block.as_ref();
        let mut pair = |len: usize| {
            let (both, rest) = block.split_at_checked(2 * len)?;
            block = rest;
            let (of_client, of_server) = both.split_at_checked(len)?;
            Some(if client { of_client } else { of_server })
        };
        let (mac_key, key, iv) = (pair(mac_len)?, pair(key_len)?, pair(iv_len)?);
        let mut nonce = [0; NONCE_LEN];
        nonce.get_mut(..iv_len)?.copy_from_slice(iv);
        let aead = |algorithm| Some(LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?));
        let opener = match suite.cipher {
            Cipher::Gcm(16) => Opener::Aead(aead(&aead::AES_128_GCM)?, nonce),
            Cipher::Gcm(_) => Opener::Aead(aead(&aead::AES_256_GCM)?, nonce),
            Cipher::ChaCha20Poly1305 => Opener::Aead(aead(&aead::CHACHA20_POLY1305)?, nonce),
            Cipher::Cbc(len, mac) => {
                let aes = if len == 16 {
                    &cipher::AES_128
                } else {
                    &cipher::AES_256
                };
                let key = UnboundCipherKey::new(aes, key).ok()?;
                let key = DecryptingKey::cbc(key).ok()?;
                Opener::Cbc(key, hmac::Key::new(mac.algorithm(), mac_key))
            }
        };
        Some(Self {
            suite,
            encrypt_then_mac: origin.encrypt_then_mac,
            opener,
        })
    }

    /// The suite they are for.
    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// Where the parts of a sealed record are.
    pub(crate) fn layout(&self) -> Layout {
        self.suite.layout(self.encrypt_then_mac)
    }

    /// The nonce of a record: its number xor the IV, or, where a part of it stands in the record's head, IV and that part.
    /// CBC has none.
    #[must_use]
    pub(crate) fn nonce(&self, sequence: u64, head: &[u8]) -> Option<[u8; NONCE_LEN]> {
        let Opener::Aead(_, mut nonce) = self.opener else {
            return None;
        };
        let place = nonce.get_mut(NONCE_LEN - EXPLICIT_LEN..)?;
        if self.suite.cipher == Cipher::ChaCha20Poly1305 {
            for (byte, number) in place.iter_mut().zip(sequence.to_be_bytes()) {
                *byte ^= number;
            }
        } else {
            place.copy_from_slice(head.get(..EXPLICIT_LEN)?);
        }
        Some(nonce)
    }

    /// Opens a record in place: `sealed` is all that follows the head. What [`Inside`] counts is then at its front.
    ///
    /// # Errors
    /// The [`Fault`]; `sealed` is then of no further use.
    pub(crate) fn open(
        &self,
        covered: Covered,
        head: &[u8],
        sealed: &mut [u8],
    ) -> Result<Inside, Fault> {
        match &self.opener {
            Opener::Aead(key, _) => {
                let nonce = self.nonce(covered.sequence, head).ok_or(Fault::Tag)?;
                let nonce = Nonce::assume_unique_for_key(nonce);
                let len = sealed.len().checked_sub(TAG_LEN).ok_or(Fault::Tag)?;
                let aad = Aad::from(covered.bytes(len));
                let plain = key
                    .open_in_place(nonce, aad, sealed)
                    .map_err(|_| Fault::Tag)?;
                Ok(Inside {
                    content: plain.len(),
                    mac: 0,
                    padding: 0,
                })
            }
            Opener::Cbc(key, mac) => self.open_cbc(key, mac, covered, head, sealed),
        }
    }

    fn open_cbc(
        &self,
        key: &DecryptingKey,
        mac: &hmac::Key,
        covered: Covered,
        head: &[u8],
        sealed: &mut [u8],
    ) -> Result<Inside, Fault> {
        let fits = |parts: [&[u8]; 2], sum: &[u8]| {
            let mut context = hmac::Context::with_key(mac);
            context.update(&covered.bytes(parts.iter().map(|part| part.len()).sum()));
            parts.iter().for_each(|part| context.update(part));
            context.sign().as_ref() == sum
        };
        let mac_len = match self.suite.cipher {
            Cipher::Cbc(_, mac) => mac.len(),
            _ => 0,
        };
        let encrypted = if self.encrypt_then_mac {
            let len = sealed.len().checked_sub(mac_len).ok_or(Fault::Tag)?;
            let (encrypted, sum) = sealed.split_at_mut_checked(len).ok_or(Fault::Tag)?;
            if !fits([head, encrypted], sum) {
                return Err(Fault::Tag);
            }
            encrypted
        } else {
            sealed
        };
        let iv: [u8; BLOCK_LEN] = head.try_into().map_err(|_| Fault::Tag)?;
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        if encrypted.is_empty() || encrypted.len() % BLOCK_LEN != 0 {
            return Err(Fault::Padding);
        }
        let plain = key.decrypt(encrypted, context).map_err(|_| Fault::Tag)?;
        // The last byte says how many like itself stand before it.
        let inside_mac = if self.encrypt_then_mac { 0 } else { mac_len };
        let last = plain.last().copied().unwrap_or(0);
        let padding = usize::from(last) + 1;
        let content = plain
            .len()
            .checked_sub(padding + inside_mac)
            .ok_or(Fault::Padding)?;
        let (front, rest) = plain.split_at_checked(content).ok_or(Fault::Padding)?;
        let (sum, filler) = rest.split_at_checked(inside_mac).ok_or(Fault::Padding)?;
        if filler.iter().any(|byte| *byte != last) {
            return Err(Fault::Padding);
        }
        if !self.encrypt_then_mac && !fits([front, &[]], sum) {
            return Err(Fault::Tag);
        }
        Ok(Inside {
            content,
            mac: inside_mac,
            padding,
        })
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
    use crate::layers::tls::handshake;
    use crate::text::Glossary;

    /// The name of a suite says how it seals: every one that the glossary names is found, or rightly not.
    #[test]
    fn the_suites_are_what_their_names_say() {
        let glossary = Glossary::english().unwrap();
        let entry = glossary.entry(handshake::CIPHER_SUITE.key).unwrap();
        let mut found = 0;
        for (number, _, value) in entry.values() {
            let name = value.name.as_str();
            let has = |part: &str| name.contains(part) && name.contains("_WITH_");
            let key = if has("_AES_256_") { 32 } else { 16 };
            let expected = if has("_AES_128_GCM_") || has("_AES_256_GCM_") {
                Some(Cipher::Gcm(key))
            } else if has("CHACHA20_POLY1305") {
                Some(Cipher::ChaCha20Poly1305)
            } else if has("_AES_128_CBC_") || has("_AES_256_CBC_") {
                let mac = match name.rsplit('_').next().unwrap() {
                    "SHA" => Mac::Sha1,
                    "SHA256" => Mac::Sha256,
                    _ => Mac::Sha384,
                };
                Some(Cipher::Cbc(key, mac))
            } else {
                None
            };
            let suite = Suite::find(number as u16);
            assert_eq!(suite.map(|s| s.cipher), expected, "{name}");
            let sha384 = name.ends_with("_SHA384");
            assert!(suite.is_none_or(|s| s.sha384 == sha384), "{name}");
            found += usize::from(suite.is_some());
        }
        assert!(found > 40, "{found} suites");
    }

    fn keys(number: u16, encrypt_then_mac: bool) -> Keys {
        let origin = Origin {
            suite: Suite::find(number).unwrap(),
            master: Secret::new(&[7; 48]).unwrap(),
            client_random: &[1; 32],
            server_random: &[2; 32],
            encrypt_then_mac,
        };
        Keys::new(&origin, true).unwrap()
    }

    const COVERED: Covered = Covered {
        sequence: 1,
        content_type: 23,
        version: 0x0303,
    };

    /// Whatever the bytes and however few: an answer.
    #[test]
    fn nothing_that_does_not_fit_opens() {
        for number in [0xc02f, 0xc030, 0xcca8, 0x002f, 0xc027, 0xc028] {
            for etm in [false, true] {
                let keys = keys(number, etm);
                let head = vec![9; keys.layout().head];
                for len in 0..200 {
                    let mut sealed = vec![len as u8; len];
                    assert!(keys.open(COVERED, &head, &mut sealed).is_err());
                    assert!(keys.open(COVERED, &[], &mut sealed).is_err());
                }
            }
        }
    }

    #[test]
    fn a_secret_of_the_wrong_length_makes_no_keys() {
        let origin = Origin {
            suite: Suite::find(0xc02f).unwrap(),
            master: Secret::new(&[7; 32]).unwrap(),
            client_random: &[1; 32],
            server_random: &[2; 32],
            encrypt_then_mac: false,
        };
        assert!(Keys::new(&origin, true).is_none());
    }

    /// What CBC has encrypted, with padding and MAC that can be wrong one by one.
    #[test]
    fn padding_and_mac_are_told_apart() {
        use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
        let keys = keys(0xc013, false);
        let Opener::Cbc(_, mac) = &keys.opener else {
            unreachable!()
        };
        let content = b"hello";
        let mut plain = content.to_vec();
        let mut context = hmac::Context::with_key(mac);
        context.update(&COVERED.bytes(content.len()));
        context.update(content);
        plain.extend_from_slice(context.sign().as_ref());
        let padding = 6;
        plain.extend([padding; 7]);
        let seal = |plain: &[u8]| {
            // The client's key comes behind both MAC keys of 20 bytes.
            let master = tls_prf::Secret::new(&tls_prf::P_SHA256, &[7; 48]).unwrap();
            let seed = [[2; 32], [1; 32]].concat();
            let block = master.derive(b"key expansion", &seed, 72).unwrap();
            let key = UnboundCipherKey::new(&cipher::AES_128, &block.as_ref()[40..56]).unwrap();
            let mut sealed = plain.to_vec();
            let iv = EncryptionContext::Iv128(FixedLength::from([9; 16]));
            EncryptingKey::cbc(key)
                .unwrap()
                .less_safe_encrypt(&mut sealed, iv)
                .unwrap();
            sealed
        };
        let open = |plain: &[u8]| {
            let mut sealed = seal(plain);
            let inside = keys.open(COVERED, &[9; 16], &mut sealed)?;
            assert_eq!(&sealed[..inside.content], content);
            Ok(inside)
        };
        let inside = Inside {
            content: 5,
            mac: 20,
            padding: 7,
        };
        assert_eq!(open(&plain), Ok(inside));
        let changed = |at: usize| {
            let mut plain = plain.clone();
            plain[at] ^= 1;
            open(&plain)
        };
        assert_eq!(changed(0), Err(Fault::Tag));
        assert_eq!(changed(24), Err(Fault::Tag), "the MAC's last byte");
        assert_eq!(changed(25), Err(Fault::Padding));
        assert_eq!(changed(30), Err(Fault::Padding));
        assert_eq!(changed(31), Err(Fault::Padding), "the length byte");
        let other = Covered {
            sequence: 2,
            ..COVERED
        };
        let mut sealed = seal(&plain);
        assert_eq!(keys.open(other, &[9; 16], &mut sealed), Err(Fault::Tag));
    }
}
