//! Sealing of TLS 1.3 records (RFC 8446, sections 5.2, 5.3 and 7.3) with the secrets of the seeds; their suite is
//! `TLS_AES_256_GCM_SHA384`. Written apart from the program's own opening, so that one can be wrong and the other right.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;

use crate::connection::KEY_LOG;

/// The records of ClientHello and ServerHello that the secrets belong to.
pub const HELLOS: [&[u8]; 2] = [
    include_bytes!("../seeds/client_hello"),
    include_bytes!("../seeds/server_hello"),
];

/// One direction.
pub struct Sealer {
    side: usize,
    secret: Vec<u8>,
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
}

impl Sealer {
    /// The handshake keys of the client (0) or the server (1).
    pub fn new(side: usize) -> Self {
        let label = [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        ][side];
        Self::with(side, secret(label))
    }

    /// Goes on with the application keys.
    pub fn application(&mut self) {
        let label = ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"][self.side];
        *self = Self::with(self.side, secret(label));
    }

    /// Goes on with the next generation of keys.
    pub fn update(&mut self) {
        *self = Self::with(self.side, expand(&self.secret, "traffic upd", 48));
    }

    fn with(side: usize, secret: Vec<u8>) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &expand(&secret, "key", 32))
            .expect("the key is long enough");
        let iv = expand(&secret, "iv", 12);
        Self {
            side,
            secret,
            key: LessSafeKey::new(key),
            iv,
            sequence: 0,
        }
    }

    /// A whole record around the inner plaintext (content, type, padding), which is cut to what a record can hold.
    pub fn seal(&mut self, inner: &[u8]) -> Vec<u8> {
        let inner = &inner[..inner.len().min(1 << 14)];
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.sequence.to_be_bytes());
        for (byte, iv) in nonce.iter_mut().zip(&self.iv) {
            *byte ^= iv;
        }
        self.sequence += 1;
        let [high, low] = ((inner.len() + 16) as u16).to_be_bytes();
        let mut record = vec![23, 3, 3, high, low];
        let mut sealed = inner.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(&record), &mut sealed)
            .expect("it can be sealed");
        record.append(&mut sealed);
        record
    }
}

fn secret(label: &str) -> Vec<u8> {
    let line = KEY_LOG
        .lines()
        .find(|line| line.split(' ').next() == Some(label))
        .expect("the secret is there");
    let hex = line
        .split(' ')
        .nth(2)
        .expect("a key log line has three words");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// HKDF-Expand-Label with an empty context, for outputs of at most one block: HMAC(secret, HkdfLabel | 1).
fn expand(secret: &[u8], label: &str, len: u16) -> Vec<u8> {
    let mut info = len.to_be_bytes().to_vec();
    info.push(6 + label.len() as u8);
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.extend([0, 1]);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA384, secret), &info);
    tag.as_ref()[..usize::from(len)].to_vec()
}
