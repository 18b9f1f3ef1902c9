//! What a certificate says of itself, for the screens of the chat.

use std::fmt::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use time::{Date, Month, OffsetDateTime, Time};

use crate::cursor::Cursor;
use crate::layers::tls::certificate;
use crate::packet::{BufId, Context, Labels, Value, Why};

/// What stands in a certificate, as far as a user of the chat wants to know. It is read by the decoder that the views
/// use, which knows no trust: none of it is checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The DNS names and IP addresses it is for (RFC 5280, section 4.2.1.6); as they stand there, so they are hostile.
    pub names: Vec<String>,
    /// The first second it may be used, if that can be read.
    pub from: Option<OffsetDateTime>,
    /// The last second.
    pub until: Option<OffsetDateTime>,
    /// The common name, or whatever stands last, of who has signed it, and of whom it is about.
    pub issuer: Option<String>,
    /// The latter.
    pub subject: Option<String>,
    /// Whether it may sign others (RFC 5280, section 4.2.1.9).
    pub is_authority: bool,
    /// The SHA-256 of the whole certificate, in 64 hexadecimal digits: what two people compare to know they mean the
    /// same one.
    pub fingerprint: String,
}

impl Facts {
    /// Reads a certificate in DER; what cannot be read is missing.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let (mut labels, mut context) = (Labels::default(), Context::default());
        let mut cursor = Cursor::new(
            der,
            BufId(0),
            0..der.len(),
            Why::Short,
            &mut labels,
            &mut context,
        );
        // Fields that were read before a fault are good.
        let _ = certificate::decode(&mut cursor);
        let mut facts = Self {
            names: Vec::new(),
            from: None,
            until: None,
            issuer: None,
            subject: None,
            is_authority: false,
            fingerprint: fingerprint(der),
        };
        // Whose name is being read.
        let mut about = None;
        for field in &labels.fields {
            let is = |def| core::ptr::eq(field.def, def);
            for part in [
                &certificate::ISSUER,
                &certificate::SUBJECT,
                &certificate::VALIDITY,
            ] {
                if is(part) {
                    about = Some(part);
                }
            }
            if is(&certificate::SUBJECT_PUBLIC_KEY_INFO) {
                about = None;
            }
            match field.value(der) {
                Value::Text(name) if is(&certificate::DNS_NAME) => {
                    facts.names.push(String::from_utf8_lossy(name).into_owned())
                }
                Value::Text(name)
                    if is(&certificate::UTF8_STRING) || is(&certificate::PRINTABLE_STRING) =>
                {
                    let name = Some(String::from_utf8_lossy(name).into_owned());
                    match about {
                        Some(part) if core::ptr::eq(part, &raw const certificate::ISSUER) => {
                            facts.issuer = name;
                        }
                        Some(part) if core::ptr::eq(part, &raw const certificate::SUBJECT) => {
                            facts.subject = name;
                        }
                        _ => {}
                    }
                }
                Value::Ipv4(bytes) => facts.names.push(IpAddr::from(bytes).to_string()),
                Value::Ipv6(bytes) => facts.names.push(IpAddr::from(bytes).to_string()),
                Value::Bool(ca) if is(&certificate::CA) => facts.is_authority = ca,
                Value::Time(time) if is(&certificate::NOT_BEFORE) => facts.from = moment(time),
                Value::Time(time) if is(&certificate::NOT_AFTER) => facts.until = moment(time),
                _ => {}
            }
        }
        facts
    }
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, der).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5): two digits below 50 mean the years from 2000 on.
fn moment(time: &[u8]) -> Option<OffsetDateTime> {
    let digits = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
    let year: i32 = match (year.len(), year.parse().ok()?) {
        (2, year @ 0..50) => 2000 + year,
        (2, year) => 1900 + year,
        (_, year) => year,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(two(0)?).ok()?, two(2)?).ok()?;
    let time = Time::from_hms(two(4)?, two(6)?, two(8)?).ok()?;
    Some(date.with_time(time).assume_utc())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::certs::{Authority, Validity};

    #[test]
    fn what_was_put_in_is_read() {
        let from = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        // Beyond 2049 the time has four digits for the year.
        let validity = Validity {
            from,
            until: from + time::Duration::days(365 * 40),
        };
        let authority = Authority::new("CA", validity).unwrap();
        let names = ["b.example", "127.0.0.1", "::1"];
        let identity = authority.issue(&names, validity).unwrap();
        let facts = Facts::of(identity.chain.first().unwrap());
        assert_eq!(facts.names, names);
        assert_eq!(
            (facts.from, facts.until),
            (Some(validity.from), Some(validity.until))
        );
        assert!(!facts.is_authority);
        let named = (facts.issuer.as_deref(), facts.subject.as_deref());
        assert_eq!(named, (Some("CA"), Some("b.example")));
        assert!(Facts::of(authority.certificate()).is_authority);
        assert_eq!(
            fingerprint(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn rubbish_has_no_facts() {
        for bytes in [&b""[..], b"rubbish", b"0\x82\xff\xff"] {
            let facts = Facts::of(bytes);
            assert!(facts.names.is_empty() && facts.until.is_none());
        }
        for time in [
            "",
            "Z",
            "9913",
            "991332000000Z",
            "é0101000000Z",
            "4901010000Z",
        ] {
            assert_eq!(moment(time.as_bytes()), None, "{time}");
        }
        assert_eq!(moment(b"491231235959Z").unwrap().year(), 2049);
        assert_eq!(moment(b"500101000000Z").unwrap().year(), 1950);
    }
}
