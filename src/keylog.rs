//! TLS secrets as programs log them: the lines of an `SSLKEYLOGFILE` (RFC 9850), by client random.
//!
//! ```text
//! CLIENT_HANDSHAKE_TRAFFIC_SECRET <client random, 64 hex digits> <secret, hex>
//! ```

use std::collections::HashMap;
use std::fmt;

mod file;

pub use file::LogFile;

/// The most connections whose secrets are kept; the next one is refused. It takes some 400 MiB to get there.
pub const MAX_CONNECTIONS: usize = 1 << 20;

/// The same for the secrets that a capture file holds: whoever reads it need not trust whoever wrote it (some 25 MiB).
pub const MAX_FROM_CAPTURE: usize = 1 << 16;

/// The longest secret: the output of SHA-384.
pub const MAX_SECRET: usize = 48;

/// A secret of 32 or 48 bytes. It does not print itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    bytes: [u8; MAX_SECRET],
    len: u8,
}

impl Secret {
    /// A secret of these bytes; `None` when there are none or more than [`MAX_SECRET`].
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_SECRET];
        bytes
            .get_mut(..secret.len())
            .filter(|place| !place.is_empty())?
            .copy_from_slice(secret);
        Some(Self {
            bytes,
            len: secret.len() as u8,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len)
    }
}

/// What is known of one connection. Index 0 is the client's, 1 the server's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Secrets {
    /// `CLIENT_` and `SERVER_HANDSHAKE_TRAFFIC_SECRET`.
    pub handshake: [Option<Secret>; 2],
    /// `CLIENT_` and `SERVER_TRAFFIC_SECRET_0`.
    pub application: [Option<Secret>; 2],
    /// `CLIENT_EARLY_TRAFFIC_SECRET`.
    pub early: Option<Secret>,
    /// `CLIENT_RANDOM`: the master secret of TLS 1.2.
    pub master: Option<Secret>,
}

impl Secrets {
    /// The lines of a key log that say the same.
    pub fn lines(&self, client_random: &[u8; 32]) -> impl Iterator<Item = String> {
        let [client_handshake, server_handshake] = self.handshake;
        let [client, server] = self.application;
        let random = *client_random;
        [
            ("CLIENT_EARLY_TRAFFIC_SECRET", self.early),
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client_handshake),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", server_handshake),
            ("CLIENT_TRAFFIC_SECRET_0", client),
            ("SERVER_TRAFFIC_SECRET_0", server),
            ("CLIENT_RANDOM", self.master),
        ]
        .into_iter()
        .filter_map(move |(label, secret)| {
            let mut line = label.to_owned();
            for bytes in [&random[..], secret?.bytes()] {
                line.push(' ');
                for byte in bytes {
                    for digit in [byte >> 4, byte & 15] {
                        line.extend(char::from_digit(digit.into(), 16));
                    }
                }
            }
            Some(line)
        })
    }
}

/// All secrets known so far.
#[derive(Debug, Default)]
pub struct KeyLog {
    /// Boxed, since a table is half empty after it has grown.
    connections: HashMap<[u8; 32], Box<Secrets>>,
}

/// What is wrong with a line of a key log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLogError {
    /// Not three words: label, client random, secret.
    Words(usize),
    /// The client random is not 64 hexadecimal digits.
    Random,
    /// The secret is not hexadecimal digits for 1 to 48 bytes.
    Secret,
    /// There are secrets of so many connections already, and no more are kept.
    Full(usize),
}

impl fmt::Display for KeyLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(n) => write!(
                f,
                "a line is a label, the client random and the secret; this one has {n} words"
            ),
            Self::Random => write!(f, "the client random must be 64 hexadecimal digits"),
            Self::Secret => write!(
                f,
                "the secret must be hexadecimal digits, 1 to {MAX_SECRET} bytes"
            ),
            Self::Full(most) => write!(f, "secrets of {most} connections are kept already"),
        }
    }
}

impl std::error::Error for KeyLogError {}

impl KeyLog {
    /// Takes up one line. Empty lines, comments (`#`) and labels that open nothing are passed over.
    ///
    /// # Errors
    /// A [`KeyLogError`] when the line has not the form above; what was known before stays known.
    pub fn line(&mut self, line: &str) -> Result<(), KeyLogError> {
        self.line_among(line, MAX_CONNECTIONS)
    }

    /// The same, but another connection is refused once so many are known.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn line_among(&mut self, line: &str, most: usize) -> Result<(), KeyLogError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(label), Some(random), Some(secret), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyLogError::Words(line.split_ascii_whitespace().count()));
        };
        // An older form, by the encrypted premaster secret; whoever writes it writes CLIENT_RANDOM, too.
        if label == "RSA" {
            return Ok(());
        }
        let mut client_random = [0; 32];
        if hex(random, &mut client_random) != Some(32) {
            return Err(KeyLogError::Random);
        }
        let mut bytes = [0; MAX_SECRET];
        let secret = hex(secret, &mut bytes)
            .and_then(|len| Secret::new(bytes.get(..len)?))
            .ok_or(KeyLogError::Secret)?;
        let known = self.connections.contains_key(&client_random);
        let place: fn(&mut Secrets) -> &mut Option<Secret> = match label {
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => |s| &mut s.handshake[0],
            "SERVER_HANDSHAKE_TRAFFIC_SECRET" => |s| &mut s.handshake[1],
            "CLIENT_TRAFFIC_SECRET_0" => |s| &mut s.application[0],
            "SERVER_TRAFFIC_SECRET_0" => |s| &mut s.application[1],
            "CLIENT_EARLY_TRAFFIC_SECRET" => |s| &mut s.early,
            "CLIENT_RANDOM" => |s| &mut s.master,
            _ => return Ok(()),
        };
        if !known && self.connections.len() >= most {
            return Err(KeyLogError::Full(most));
        }
        *place(self.connections.entry(client_random).or_default()) = Some(secret);
        Ok(())
    }

    /// What is known of the connection with that client random.
    #[must_use]
    pub fn secrets(&self, client_random: &[u8; 32]) -> Option<&Secrets> {
        self.connections.get(client_random).map(|boxed| &**boxed)
    }
}

/// Which connection a line is about, by its client random; `None` for a line that names no secret.
#[must_use]
pub fn client_random(line: &str) -> Option<[u8; 32]> {
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|label| !label.starts_with('#'))?;
    let mut random = [0; 32];
    (hex(words.next()?, &mut random)? == 32).then_some(random)
}

/// Decodes hexadecimal digits into the front of `into`; gives how many bytes, or `None` if it is no hex or does not fit.
fn hex(text: &str, into: &mut [u8]) -> Option<usize> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(2) || text.len() / 2 > into.len() {
        return None;
    }
    for (place, pair) in into.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16);
        let &[high, low] = pair else { return None };
        *place = (digit(high)? * 16 + digit(low)?) as u8;
    }
    Some(text.len() / 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    const RANDOM: &str = "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7";

    #[test]
    fn a_line_is_found_again_by_its_client_random() {
        let mut log = KeyLog::default();
        log.line(&format!(
            "SERVER_TRAFFIC_SECRET_0 {RANDOM} {}",
            "0a".repeat(48)
        ))
        .unwrap();
        log.line("# a comment").unwrap();
        log.line("RSA 0123456789abcdef 0303aabb").unwrap();
        log.line(&format!("EXPORTER_SECRET {RANDOM} {}", "0b".repeat(32)))
            .unwrap();
        let mut random = [0; 32];
        hex(RANDOM, &mut random);
        let secrets = log.secrets(&random).unwrap();
        assert_eq!(secrets.application[1].unwrap().bytes(), [0x0a; 48]);
        assert_eq!(secrets.handshake, [None, None]);
        assert_eq!(log.secrets(&[0; 32]), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut log = KeyLog::default();
        assert_eq!(log.line("CLIENT_RANDOM abc"), Err(KeyLogError::Words(2)));
        assert_eq!(log.line("CLIENT_RANDOM abc def"), Err(KeyLogError::Random));
        assert_eq!(
            log.line(&format!("CLIENT_RANDOM {RANDOM} 0g")),
            Err(KeyLogError::Secret)
        );
        assert_eq!(
            log.line(&format!("CLIENT_RANDOM {RANDOM} {}", "00".repeat(49))),
            Err(KeyLogError::Secret)
        );
        assert_eq!(log.connections.len(), 0);
    }

    #[test]
    fn another_connection_than_are_kept_is_refused_and_those_kept_go_on() {
        let line = |label: &str, n: u8| format!("{label} {n:064x} {}", "0a".repeat(48));
        let mut log = KeyLog::default();
        log.line_among(&line("CLIENT_TRAFFIC_SECRET_0", 1), 1)
            .unwrap();
        let refused = log.line_among(&line("CLIENT_TRAFFIC_SECRET_0", 2), 1);
        assert_eq!(refused, Err(KeyLogError::Full(1)));
        log.line_among(&line("SERVER_TRAFFIC_SECRET_0", 1), 1)
            .unwrap();
        log.line(&line("CLIENT_TRAFFIC_SECRET_0", 2)).unwrap();
        assert_eq!(log.connections.len(), 2);
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(
            format!("{:?}", Secret::new(&[7; 32]).unwrap()),
            "Secret(32 bytes)"
        );
    }
}
