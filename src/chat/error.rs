//! What goes wrong in a chat, in words.

use core::fmt;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};
use time::OffsetDateTime;

use crate::text::counted;

/// Why something cannot be said, or why a chat cannot go on.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatError {
    /// A text holds a newline, which would end it early.
    Newline {
        /// Where, in bytes.
        at: usize,
    },
    /// A text is longer than a line may be.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Too much waits to be sent already.
    QueueFull {
        /// How much, in bytes.
        waiting: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// One side has said goodbye already.
    Closed,
    /// The other side sent a line without end.
    LineTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The server's certificate was refused.
    Certificate(CertificateError),
    /// The other side broke off with a TLS alert.
    Alert(AlertDescription),
    /// The connection ended without a goodbye.
    Truncated {
        /// Whether the handshake was done.
        secured: bool,
        /// How many bytes of a begun line had come.
        unfinished: usize,
    },
    /// TCP broke off: what the operating system says.
    Lost(String),
    /// A private key does not belong to the certificate.
    KeyMismatch,
    /// Something else went wrong in TLS: what, in the words of rustls.
    Tls(String),
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newline { at } => write!(
                f,
                "a message is one line, but this one has a newline at byte {at}: say each line as a message of its own"
            ),
            Self::TooLong { len, limit } => write!(
                f,
                "the message has {len} bytes, more than the {limit} a line may have: say it in parts"
            ),
            Self::QueueFull { waiting, limit } => write!(
                f,
                "{waiting} bytes wait to be sent and only {limit} may: wait until the other side has read"
            ),
            Self::Closed => f.write_str("the chat is over: one side has said goodbye"),
            Self::LineTooLong { limit } => write!(
                f,
                "the other side sent more than {limit} bytes without a newline: the chat was ended"
            ),
            // Of which of the two, TLS's library does not say.
            Self::Certificate(CertificateError::BadSignature) => f.write_str(
                "a signature of the server's does not verify: the one on its certificate, or the one that it made with the \
                 certificate's key in the handshake. Something was changed or forged",
            ),
            Self::Certificate(error) => {
                f.write_str("the server's certificate was refused: ")?;
                certificate_words(f, error)
            }
            Self::Alert(alert) => {
                f.write_str("the other side broke off: ")?;
                alert_words(f, *alert)
            }
            Self::Truncated { secured: false, .. } => {
                f.write_str("the other side ended the connection before the handshake was done")
            }
            Self::Truncated { unfinished, .. } => {
                f.write_str("the connection ended without a goodbye (close_notify): something may be missing")?;
                if *unfinished > 0 {
                    let forms = "byte of a begun line is|bytes of a begun line are";
                    write!(f, ", {}", counted(*unfinished as u64, forms))?;
                }
                Ok(())
            }
            Self::Lost(error) => write!(f, "the connection was lost: {error}"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Tls(error) => write!(f, "TLS cannot go on: {error}"),
        }
    }
}

impl core::error::Error for ChatError {}

impl From<rustls::Error> for ChatError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::Certificate(error),
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            other => Self::Tls(other.to_string()),
        }
    }
}

fn certificate_words(f: &mut fmt::Formatter<'_>, error: &CertificateError) -> fmt::Result {
    match error {
        CertificateError::UnknownIssuer => {
            f.write_str("no authority that is trusted here has signed it (unknown issuer)")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => write!(
            f,
            "it is not for {}, only for: {}",
            expected.to_str(),
            presented
                .iter()
                .map(|name| bare(name))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        CertificateError::NotValidForName => f.write_str("it is for another name"),
        CertificateError::ExpiredContext { time, not_after } => write!(
            f,
            "it expired on {}, and now it is {}",
            Date(*not_after),
            Date(*time)
        ),
        CertificateError::Expired => f.write_str("it has expired"),
        CertificateError::NotValidYetContext { time, not_before } => write!(
            f,
            "it is valid only from {}, and now it is {}",
            Date(*not_before),
            Date(*time)
        ),
        CertificateError::NotValidYet => f.write_str("it is not valid yet"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            f.write_str("it is not meant for a server (extended key usage)")
        }
        CertificateError::BadEncoding => f.write_str("it cannot be read"),
        CertificateError::Revoked => f.write_str("it was revoked"),
        // Not among rustls's own words: only webpki's says it.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => f
            .write_str(
                "it is an authority's own, which may not serve as a server's (CaUsedAsEndEntity)",
            ),
        other => write!(f, "{other}"),
    }
}

/// A name of a certificate without what webpki puts around it: `DnsName("b.example")`.
fn bare(name: &str) -> &str {
    let inside = name.strip_prefix("DnsName(\"");
    inside
        .and_then(|inside| inside.strip_suffix("\")"))
        .unwrap_or(name)
}

fn alert_words(f: &mut fmt::Formatter<'_>, alert: AlertDescription) -> fmt::Result {
    let words = match alert {
        AlertDescription::UnknownCA => {
            "it does not trust the authority that signed the certificate"
        }
        AlertDescription::CertificateExpired => "to it, the certificate is out of date",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it refuses the certificate"
        }
        AlertDescription::BadRecordMac => "a record did not open, so it was changed on the way",
        AlertDescription::HandshakeFailure => "no cipher suite or group suits both sides",
        AlertDescription::ProtocolVersion => "no version of TLS suits both sides",
        AlertDescription::UserCanceled => "its user gave up",
        _ => "it gave a TLS alert",
    };
    write!(f, "{words} (alert {}", u8::from(alert))?;
    match alert {
        AlertDescription::Unknown(_) => f.write_str(")"),
        AlertDescription::UnrecognisedName => f.write_str(", unrecognized_name)"),
        AlertDescription::EncryptedClientHelloRequired => f.write_str(", ech_required)"),
        _ => write!(f, ", {})", snake_case(&format!("{alert:?}"))),
    }
}

/// A name as RFC 8446, section 6 writes it: `unknown_ca`, which is `UnknownCA` to rustls.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for c in name.chars() {
        if after_small && c.is_ascii_uppercase() {
            snake.push('_');
        }
        after_small = c.is_ascii_lowercase();
        snake.push(c.to_ascii_lowercase());
    }
    // The one name in which an abbreviation stands in the middle.
    snake.replace("pskidentity", "psk_identity")
}

/// A day and time of day in UTC.
struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match OffsetDateTime::from_unix_timestamp(seconds) {
            Ok(date) => write!(f, "{} {} UTC", date.date(), date.time()),
            Err(_) => write!(f, "second {seconds}"),
        }
    }
}
