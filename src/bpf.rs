//! Capture filters: a small language, compiled to classic BPF, which the kernel runs on every packet before anybody copies it.
//!
//! The language is a part of pcap-filter(7), with the same meaning as in tcpdump:
//!
//! ```text
//! expression = term { ("and" | "&&" | "or" | "||") term }      equal in rank, from left to right
//! term       = ("not" | "!") term | "(" expression ")" | primitive
//! primitive  = [protocol] [direction] [type] value | protocol
//! protocol   = "ip" | "ip6" | "arp" | "tcp" | "udp" | "icmp" | "icmp6"
//! direction  = "src" | "dst"
//! type       = "host" | "net" | "port" | "portrange"
//! ```
//!
//! A value without any of the words before it takes those of the primitive before: `tcp port 80 or 443`.
//!
//! ```
//! use layerwise::bpf::{self, Link};
//! let filter = bpf::parse("tcp port 443 and host 1.2.3.4")?;
//! assert!(filter.compile(Link::Ethernet).is_ok());
//! let error = bpf::parse("tcp prot 443").unwrap_err();
//! assert_eq!((error.at, error.len), (4, 4));
//! # Ok::<(), bpf::FilterError>(())
//! ```

mod code;
mod parse;

use core::ops::RangeInclusive;
use std::fmt;
use std::net::IpAddr;

pub use code::{Instruction, Program};
pub use parse::parse;

/// What a frame begins with, as far as a filter must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// An IPv4 or an IPv6 header.
    Raw,
}

/// A filter as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    expr: Expr,
}

impl Filter {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The program that accepts the whole of a packet that fits, and nothing of any other.
    ///
    /// # Errors
    /// When it would be longer than the kernel takes.
    pub fn compile(&self, link: Link) -> Result<Program, FilterError> {
        code::compile(&self.expr, link).ok_or_else(|| FilterError {
            text: self.text.clone(),
            at: 0,
            len: self.text.len(),
            message: format!(
                "it is too long: the kernel takes programs of at most {} instructions",
                code::MAX_INSTRUCTIONS
            ),
        })
    }
}

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The filter.
    pub text: String,
    /// Where in it the trouble begins, in bytes.
    pub at: usize,
    /// How many bytes it concerns; 0 at the end.
    pub len: usize,
    /// What is wrong, and what would be possible.
    pub message: String,
}

impl fmt::Display for FilterError {
    /// Three lines: the message, the filter, and marks under the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text.get(..self.at).unwrap_or(&self.text);
        let place = self.text.get(self.at..self.at + self.len).unwrap_or("");
        let printable = |text: &str| -> String {
            let harmless = |c: char| if c.is_control() { '?' } else { c };
            text.chars().map(harmless).collect()
        };
        let column = before.chars().count();
        writeln!(
            f,
            "the filter, from character {}: {}",
            column + 1,
            self.message
        )?;
        writeln!(f, "  {}", printable(&self.text))?;
        let marks = place.chars().count().max(1);
        write!(f, "  {}{}", " ".repeat(column), "^".repeat(marks))
    }
}

impl std::error::Error for FilterError {}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expr {
    Is(Primitive),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Primitive {
    Protocol(Protocol),
    /// An address in a network; a host is a network of one.
    Net {
        /// Which headers are looked into; all that have such addresses if none is named.
        within: Option<Protocol>,
        direction: Option<Direction>,
        address: IpAddr,
        /// How many bits of the address count.
        bits: u8,
    },
    Port {
        /// TCP or UDP; all that have ports if none is named.
        within: Option<Protocol>,
        direction: Option<Direction>,
        ports: RangeInclusive<u16>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Ip,
    Ip6,
    Arp,
    Tcp,
    Udp,
    Icmp,
    Icmp6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Source,
    Destination,
}
