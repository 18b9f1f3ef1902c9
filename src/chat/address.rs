//! Where to listen and whom to connect to, as people write it.

use std::net::{IpAddr, Ipv6Addr};

/// The port of the chat, if none is given.
pub(super) const PORT: u16 = 8080;

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// Reads `HOST:PORT`, `HOST`, `PORT`, `[IPV6]:PORT`, `IPV6`, `:PORT`; the host is localhost and the port 8080 if they are
    /// not given.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "{text:?} is no address to chat at: {what}; such as localhost:8080, 127.0.0.1:8080, [::1]:8080"
            )
        };
        let place = |host: &str, port: Option<&str>| {
            let port = match port {
                None => PORT,
                Some(port) => port
                    .parse()
                    .map_err(|_| wrong("the port is a number from 0 to 65535"))?,
            };
            let host = if host.is_empty() { "localhost" } else { host };
            let known = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
            match host.chars().all(known) {
                true => Ok(Self {
                    host: host.to_owned(),
                    port,
                }),
                false => Err(wrong("the host is a name or an address")),
            }
        };
        if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest
                .split_once(']')
                .ok_or_else(|| wrong("the bracket is not closed"))?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| wrong("in brackets stands an IPv6 address"))?;
            return match after.strip_prefix(':') {
                Some(port) => place(host, Some(port)),
                None if after.is_empty() => place(host, None),
                None => Err(wrong("after the bracket comes a colon and the port")),
            };
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return place(text, None);
        }
        match text.split_once(':') {
            Some((host, port)) => place(host, Some(port)),
            None if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                place("", Some(text))
            }
            None => place(text, None),
        }
    }

    /// Whether it is this machine itself, by a name or address that can mean nothing else.
    pub(super) fn is_here(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_people_write_them() {
        for (text, shown, here) in [
            ("localhost:8080", "localhost:8080", true),
            ("b.example", "b.example:8080", false),
            ("9000", "localhost:9000", true),
            (":0", "localhost:0", true),
            ("127.0.0.2:1", "127.0.0.2:1", true),
            ("[::1]:443", "[::1]:443", true),
            ("::1", "[::1]:8080", true),
            ("::", "[::]:8080", false),
            ("0.0.0.0:8080", "0.0.0.0:8080", false),
            ("", "localhost:8080", true),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!((place.to_string().as_str(), place.is_here()), (shown, here));
        }
        for (text, why) in [
            ("localhost:http", "the port"),
            ("localhost:65536", "the port"),
            ("[::1", "not closed"),
            ("[localhost]:1", "IPv6"),
            ("[::1]1", "colon"),
            ("a b:1", "the host"),
            ("https://localhost:8080", "the port"),
            ("\u{1b}[2J", "the host"),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
