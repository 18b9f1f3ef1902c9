//! From the words of a filter to what is meant.

use std::net::IpAddr;

use super::{Direction, Expr, Filter, FilterError, Primitive, Protocol};

/// So many primitives one filter may have, and so deep parentheses and `not` may stand in one another.
const MAX_PRIMITIVES: usize = 500;
const MAX_DEPTH: usize = 100;

/// Everything a primitive may begin with.
const BEGINNINGS: &str = "possible: tcp, udp, icmp, icmp6, arp, ip, ip6, host ADDRESS, net ADDRESS/BITS, port NUMBER, \
                          portrange FROM-TO (with src or dst before it), not, (";

/// Reads a filter.
///
/// # Errors
/// Where it is not understood, and what would be possible there.
pub fn parse(text: &str) -> Result<Filter, FilterError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        primitives: 0,
        last: None,
    };
    let expr = parser.expression(0)?;
    match parser.peek() {
        None => Ok(Filter {
            text: text.to_owned(),
            expr,
        }),
        Some(token) if token.word == ")" => Err(parser.error_at(
            token,
            "this parenthesis closes nothing: take it away, or open it before".to_owned(),
        )),
        Some(token) => Err(parser.error_at(
            token,
            format!("{:?} cannot follow here: possible: and, or", token.word),
        )),
    }
}

/// One word or sign, and where it stands.
#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    word: &'t str,
    at: usize,
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let len = if rest.starts_with(char::is_whitespace) {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        } else if rest.starts_with("&&") || rest.starts_with("||") {
            2
        } else if rest.starts_with(['(', ')', '!']) {
            1
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || ".:/-_%".contains(c);
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        };
        if len == 0 {
            let odd = rest.chars().next().unwrap_or(' ');
            return Err(FilterError {
                text: text.to_owned(),
                at,
                len: odd.len_utf8(),
                message: format!("{odd:?} has no meaning here; {BEGINNINGS}"),
            });
        }
        tokens.push(Token {
            word: rest.get(..len).unwrap_or(rest),
            at,
        });
        at += len;
    }
    Ok(tokens)
}

/// What a value is a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Host,
    Net,
    Port,
    PortRange,
}

/// The words before a value.
#[derive(Debug, Clone, Copy, Default)]
struct Words {
    protocol: Option<Protocol>,
    direction: Option<Direction>,
    kind: Option<Type>,
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    next: usize,
    primitives: usize,
    /// The words of the primitive before, for a value that has none.
    last: Option<Words>,
}

impl<'t> Parser<'t> {
    fn expression(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut left = self.term(depth)?;
        loop {
            let and = match self.peek().map(|token| token.word) {
                Some("and" | "&&") => true,
                Some("or" | "||") => false,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = Box::new(self.term(depth)?);
            left = if and {
                Expr::And(Box::new(left), right)
            } else {
                Expr::Or(Box::new(left), right)
            };
        }
    }

    fn term(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let token = self.peek();
        if let Some(token) = token.filter(|_| depth > MAX_DEPTH) {
            let message = format!("more than {MAX_DEPTH} parentheses in one another");
            return Err(self.error_at(token, message));
        }
        match token.map(|token| token.word) {
            Some("not" | "!") => {
                self.next += 1;
                Ok(Expr::Not(Box::new(self.term(depth + 1)?)))
            }
            Some("(") => {
                self.next += 1;
                let expr = self.expression(depth + 1)?;
                match self.peek() {
                    Some(token) if token.word == ")" => {
                        self.next += 1;
                        Ok(expr)
                    }
                    _ => Err(self.error_here("a parenthesis is still open: possible: ), and, or")),
                }
            }
            _ => self.primitive().map(Expr::Is),
        }
    }

    fn primitive(&mut self) -> Result<Primitive, FilterError> {
        self.primitives += 1;
        if self.primitives > MAX_PRIMITIVES {
            return Err(self.error_here(&format!("more than {MAX_PRIMITIVES} conditions")));
        }
        let begin = self.peek();
        let mut words = Words {
            protocol: self.take(protocol),
            direction: self.take(direction),
            kind: self.take(kind),
        };
        let bare = words.protocol.is_none() && words.direction.is_none() && words.kind.is_none();
        if let (Some(protocol), None, None) = (words.protocol, words.direction, words.kind) {
            self.last = None;
            return Ok(Primitive::Protocol(protocol));
        }
        if bare && let Some(last) = self.last {
            words = last;
        }
        let Some(value) = self.peek() else {
            return Err(self.error_here(&self.wanted(words, bare)));
        };
        let kind = words.kind.or_else(|| guess(value.word));
        let Some(kind) = kind else {
            let message = format!(
                "{:?} is not understood; {}",
                value.word,
                self.wanted(words, bare)
            );
            return Err(self.error_at(value, message));
        };
        self.suits(begin, words.protocol, kind)?;
        let primitive = self.value(value, words, kind)?;
        self.next += 1;
        self.last = Some(Words {
            kind: Some(kind),
            ..words
        });
        Ok(primitive)
    }

    /// What may stand where a value is missing.
    fn wanted(&self, words: Words, bare: bool) -> String {
        match words.kind {
            _ if bare => BEGINNINGS.to_owned(),
            Some(kind) => format!("{} wants {}", kind.word(), kind.wants()),
            None => {
                "possible: host ADDRESS, net ADDRESS/BITS, port NUMBER, portrange FROM-TO".into()
            }
        }
    }

    /// Whether a protocol has such values.
    fn suits(
        &self,
        begin: Option<Token<'t>>,
        protocol: Option<Protocol>,
        kind: Type,
    ) -> Result<(), FilterError> {
        use Protocol::{Arp, Ip, Ip6, Tcp, Udp};
        let (Some(token), Some(protocol)) = (begin, protocol) else {
            return Ok(());
        };
        let (fits, possible) = match kind {
            Type::Host | Type::Net => (matches!(protocol, Ip | Ip6 | Arp), "ip, ip6, arp"),
            Type::Port | Type::PortRange => (matches!(protocol, Tcp | Udp), "tcp, udp"),
        };
        if fits {
            return Ok(());
        }
        let (name, kind) = (token.word, kind.word());
        Err(self.error_at(
            token,
            format!("{name} has no {kind}: write \"{name} and {kind} …\"; before {kind} are possible: {possible}"),
        ))
    }

    fn value(&self, token: Token<'t>, words: Words, kind: Type) -> Result<Primitive, FilterError> {
        let Words {
            protocol: within,
            direction,
            ..
        } = words;
        let error = || {
            let message = format!(
                "{:?} is none: {} wants {}",
                token.word,
                kind.word(),
                kind.wants()
            );
            self.error_at(token, message)
        };
        let port = |text: &str| text.parse::<u16>().map_err(|_| error());
        let primitive = match kind {
            Type::Host => {
                let address: IpAddr = token.word.parse().map_err(|_| error())?;
                let bits = if address.is_ipv4() { 32 } else { 128 };
                Primitive::Net {
                    within,
                    direction,
                    address,
                    bits,
                }
            }
            Type::Net => {
                let (address, bits) = token.word.split_once('/').ok_or_else(error)?;
                let address: IpAddr = address.parse().map_err(|_| error())?;
                let bits: u8 = bits.parse().map_err(|_| error())?;
                if bits > if address.is_ipv4() { 32 } else { 128 } {
                    return Err(error());
                }
                if has_bits_beyond(address, bits) {
                    let message = format!(
                        "the address has bits set beyond the first {bits}: clear them, or take more bits"
                    );
                    return Err(self.error_at(token, message));
                }
                Primitive::Net {
                    within,
                    direction,
                    address,
                    bits,
                }
            }
            Type::Port => {
                let port = port(token.word)?;
                Primitive::Port {
                    within,
                    direction,
                    ports: port..=port,
                }
            }
            Type::PortRange => {
                let (from, to) = token.word.split_once('-').ok_or_else(error)?;
                let (from, to) = (port(from)?, port(to)?);
                if from > to {
                    return Err(error());
                }
                Primitive::Port {
                    within,
                    direction,
                    ports: from..=to,
                }
            }
        };
        if let Primitive::Net {
            within: Some(within),
            address,
            ..
        } = primitive
            && (within == Protocol::Ip6) != address.is_ipv6()
        {
            let message = format!(
                "{} is not an address of the protocol named before it",
                token.word
            );
            return Err(self.error_at(token, message));
        }
        Ok(primitive)
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.next).copied()
    }

    fn take<T>(&mut self, meaning: fn(&str) -> Option<T>) -> Option<T> {
        let taken = meaning(self.peek()?.word)?;
        self.next += 1;
        Some(taken)
    }

    fn error_here(&self, message: &str) -> FilterError {
        let end = Token {
            word: "",
            at: self.text.len(),
        };
        self.error_at(self.peek().unwrap_or(end), message.to_owned())
    }

    fn error_at(&self, token: Token<'t>, message: String) -> FilterError {
        FilterError {
            text: self.text.to_owned(),
            at: token.at,
            len: token.word.len(),
            message,
        }
    }
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Net => "net",
            Self::Port => "port",
            Self::PortRange => "portrange",
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Self::Host => "an IPv4 or IPv6 address in figures, such as 1.2.3.4 or ::1",
            Self::Net => {
                "an address and how many of its bits count, such as 10.0.0.0/8 or fe80::/10"
            }
            Self::Port => "a number from 0 to 65535",
            Self::PortRange => "two numbers from 0 to 65535, the smaller first, such as 8000-8099",
        }
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    Some(match word {
        "ip" => Protocol::Ip,
        "ip6" => Protocol::Ip6,
        "arp" => Protocol::Arp,
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "icmp" => Protocol::Icmp,
        "icmp6" => Protocol::Icmp6,
        _ => return None,
    })
}

fn direction(word: &str) -> Option<Direction> {
    Some(match word {
        "src" => Direction::Source,
        "dst" => Direction::Destination,
        _ => return None,
    })
}

fn kind(word: &str) -> Option<Type> {
    Some(match word {
        "host" => Type::Host,
        "net" => Type::Net,
        "port" => Type::Port,
        "portrange" => Type::PortRange,
        _ => return None,
    })
}

/// A value without its type: an address is a host's, with a length a network's.
fn guess(word: &str) -> Option<Type> {
    let (address, kind) = match word.split_once('/') {
        Some((address, _)) => (address, Type::Net),
        None => (word, Type::Host),
    };
    address.parse::<IpAddr>().ok().map(|_| kind)
}

fn has_bits_beyond(address: IpAddr, bits: u8) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.to_bits() & u32::MAX.checked_shr(bits.into()).unwrap_or(0) != 0
        }
        IpAddr::V6(address) => {
            address.to_bits() & u128::MAX.checked_shr(bits.into()).unwrap_or(0) != 0
        }
    }
}
