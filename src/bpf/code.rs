//! From what is meant to instructions of classic BPF.
//!
//! All jumps go forward, so the program is made from its end: where a jump leads to is known before the jump is written. The
//! order of the tests is tcpdump's, because a read beyond the end of a packet ends the program there and then.

use std::net::IpAddr;

use super::{Direction, Expr, Link, Primitive, Protocol};

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

/// The codes of the instructions used here (`linux/filter.h`, `linux/bpf_common.h`).
mod op {
    /// Load a word, half a word, a byte from a fixed place.
    pub(super) const LD_W: u16 = 0x20;
    pub(super) const LD_H: u16 = 0x28;
    pub(super) const LD_B: u16 = 0x30;
    /// Load half a word from a place counted from X.
    pub(super) const LD_H_X: u16 = 0x48;
    /// X = four times the low half of a byte: the length of an IPv4 header.
    pub(super) const LDX_HEADER: u16 = 0xb1;
    pub(super) const AND: u16 = 0x54;
    pub(super) const JUMP: u16 = 0x05;
    pub(super) const IF_EQUAL: u16 = 0x15;
    pub(super) const IF_GREATER: u16 = 0x25;
    pub(super) const IF_AT_LEAST: u16 = 0x35;
    pub(super) const IF_ANY_BIT: u16 = 0x45;
    pub(super) const RETURN: u16 = 0x06;
}

const ETHERTYPE_IP: u32 = 0x0800;
const ETHERTYPE_ARP: u32 = 0x0806;
const ETHERTYPE_RARP: u32 = 0x8035;
const ETHERTYPE_IPV6: u32 = 0x86dd;
const TCP: u32 = 6;
const UDP: u32 = 17;
const SCTP: u32 = 132;
const ICMP: u32 = 1;
const ICMPV6: u32 = 58;
/// The fragment header of IPv6 (RFC 8200, section 4.5).
const FRAGMENT: u32 = 44;

/// One instruction: what to do, how far to jump if a test holds and if it does not, and a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip when the test holds.
    pub jt: u8,
    /// How many to skip when it does not.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

/// A program that says for each packet how many of its bytes are wanted: all, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Instruction>);

pub(super) fn compile(expr: &Expr, link: Link) -> Option<Program> {
    let mut code = Code {
        reversed: Vec::new(),
        link,
    };
    let refuse = code.emit(op::RETURN, 0);
    let accept = code.emit(op::RETURN, u32::MAX);
    let entry = code.expression(expr, accept, refuse);
    // Where the whole of the filter is a constant, the entry is one of the two ends.
    code.go_to(entry);
    code.reversed.reverse();
    (code.reversed.len() <= MAX_INSTRUCTIONS).then_some(Program(code.reversed))
}

/// An instruction, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

struct Code {
    reversed: Vec<Instruction>,
    link: Link,
}

impl Code {
    /// Puts an instruction before all others.
    fn emit(&mut self, code: u16, k: u32) -> Label {
        self.push(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        })
    }

    fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    /// How many instructions stand between the next one to be emitted and that label.
    fn distance(&self, to: Label) -> usize {
        self.reversed.len() - 1 - to.0
    }

    /// What is emitted next falls through to that label.
    fn go_to(&mut self, to: Label) -> Label {
        match u32::try_from(self.distance(to)) {
            Ok(0) => to,
            Ok(distance) => self.emit(op::JUMP, distance),
            Err(_) => to,
        }
    }

    /// A conditional jump. Its two distances have eight bits each; beyond that it goes by way of a plain jump.
    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let [yes, no] = [yes, no].map(|to| {
            // Two jumps may still come between.
            if self.distance(to) > 253 {
                self.go_to(to)
            } else {
                to
            }
        });
        let jt = u8::try_from(self.distance(yes)).unwrap_or(u8::MAX);
        let jf = u8::try_from(self.distance(no)).unwrap_or(u8::MAX);
        self.push(Instruction { code, jt, jf, k })
    }

    fn expression(&mut self, expr: &Expr, yes: Label, no: Label) -> Label {
        match expr {
            Expr::Is(primitive) => self.primitive(primitive, yes, no),
            Expr::Not(inner) => self.expression(inner, no, yes),
            Expr::And(left, right) => {
                let right = self.expression(right, yes, no);
                self.expression(left, right, no)
            }
            Expr::Or(left, right) => {
                let right = self.expression(right, yes, no);
                self.expression(left, yes, right)
            }
        }
    }

    fn primitive(&mut self, primitive: &Primitive, yes: Label, no: Label) -> Label {
        match primitive {
            Primitive::Protocol(protocol) => self.protocol(*protocol, yes, no),
            Primitive::Net {
                within,
                direction,
                address: IpAddr::V4(address),
                bits,
            } => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                // EtherType, and where source and destination stand behind the link-layer header.
                let places = [
                    (Protocol::Ip, ETHERTYPE_IP, 12, 16),
                    (Protocol::Arp, ETHERTYPE_ARP, 14, 24),
                    (Protocol::Arp, ETHERTYPE_RARP, 14, 24),
                ];
                let mut no = no;
                for (protocol, ethertype, source, destination) in places.into_iter().rev() {
                    let asked = match within {
                        Some(within) => *within == protocol && ethertype != ETHERTYPE_RARP,
                        None => true,
                    };
                    if asked {
                        no = self.either(
                            *direction,
                            source,
                            destination,
                            yes,
                            no,
                            |code, at, yes, no| {
                                let found = code.word(at, address.to_bits(), mask, yes, no);
                                code.ethertype(ethertype, found, no)
                            },
                        );
                    }
                }
                no
            }
            Primitive::Net {
                direction,
                address: IpAddr::V6(address),
                bits,
                ..
            } => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                self.either(*direction, 8, 24, yes, no, |code, at, yes, no| {
                    let mut found = yes;
                    for word in (0..4).rev() {
                        let part = |bits: u128| (bits >> (96 - 32 * word)) as u32;
                        let (value, mask) = (part(address.to_bits()), part(mask));
                        found = code.word(at + 4 * word, value, mask, found, no);
                    }
                    code.ethertype(ETHERTYPE_IPV6, found, no)
                })
            }
            Primitive::Port {
                within,
                direction,
                ports,
            } => {
                let protocols: &[u32] = match within {
                    Some(Protocol::Tcp) => &[TCP],
                    Some(Protocol::Udp) => &[UDP],
                    _ => &[TCP, UDP, SCTP],
                };
                let (from, to) = (u32::from(*ports.start()), u32::from(*ports.end()));
                let no = {
                    let mut no_v4 = no;
                    for protocol in protocols.iter().rev() {
                        no_v4 = self.port_v4(*protocol, *direction, (from, to), yes, no_v4);
                    }
                    self.ethertype(ETHERTYPE_IP, no_v4, no)
                };
                let mut no_v6 = no;
                for protocol in protocols.iter().rev() {
                    no_v6 = self.port_v6(*protocol, *direction, (from, to), yes, no_v6);
                }
                self.ethertype(ETHERTYPE_IPV6, no_v6, no)
            }
        }
    }

    fn protocol(&mut self, protocol: Protocol, yes: Label, no: Label) -> Label {
        match protocol {
            Protocol::Ip => self.ethertype(ETHERTYPE_IP, yes, no),
            Protocol::Ip6 => self.ethertype(ETHERTYPE_IPV6, yes, no),
            Protocol::Arp => self.ethertype(ETHERTYPE_ARP, yes, no),
            Protocol::Tcp => self.over_ip(TCP, yes, no),
            Protocol::Udp => self.over_ip(UDP, yes, no),
            Protocol::Icmp => self.over_v4(ICMP, yes, no),
            Protocol::Icmp6 => self.over_v6(ICMPV6, yes, no),
        }
    }

    fn over_ip(&mut self, number: u32, yes: Label, no: Label) -> Label {
        let no = self.over_v4(number, yes, no);
        self.over_v6(number, yes, no)
    }

    fn over_v4(&mut self, number: u32, yes: Label, no: Label) -> Label {
        let found = self.byte(9, number, yes, no);
        self.ethertype(ETHERTYPE_IP, found, no)
    }

    /// Directly, or behind one fragment header.
    fn over_v6(&mut self, number: u32, yes: Label, no: Label) -> Label {
        let fragment = self.byte(40, number, yes, no);
        let fragment = self.byte(6, FRAGMENT, fragment, no);
        let found = self.byte(6, number, yes, fragment);
        self.ethertype(ETHERTYPE_IPV6, found, no)
    }

    /// The first fragment alone has the ports (RFC 791, section 3.1: the fragment offset is 13 bits).
    fn port_v4(
        &mut self,
        protocol: u32,
        direction: Option<Direction>,
        (from, to): (u32, u32),
        yes: Label,
        no: Label,
    ) -> Label {
        let network = self.network();
        let found = self.either(direction, 0, 2, yes, no, |code, at, yes, no| {
            code.between(from, to, yes, no);
            code.emit(op::LD_H_X, network + at);
            code.emit(op::LDX_HEADER, network)
        });
        self.branch(op::IF_ANY_BIT, 0x1fff, no, found);
        let first = self.emit(op::LD_H, network + 6);
        self.byte(9, protocol, first, no)
    }

    fn port_v6(
        &mut self,
        protocol: u32,
        direction: Option<Direction>,
        (from, to): (u32, u32),
        yes: Label,
        no: Label,
    ) -> Label {
        let network = self.network();
        let found = self.either(direction, 40, 42, yes, no, |code, at, yes, no| {
            code.between(from, to, yes, no);
            code.emit(op::LD_H, network + at)
        });
        self.byte(6, protocol, found, no)
    }

    /// What was loaded lies between the two.
    fn between(&mut self, from: u32, to: u32, yes: Label, no: Label) -> Label {
        if from == to {
            return self.branch(op::IF_EQUAL, from, yes, no);
        }
        let small = self.branch(op::IF_GREATER, to, no, yes);
        self.branch(op::IF_AT_LEAST, from, small, no)
    }

    /// A test at the place of the source, of the destination, or at either.
    fn either(
        &mut self,
        direction: Option<Direction>,
        source: u32,
        destination: u32,
        yes: Label,
        no: Label,
        test: impl Fn(&mut Self, u32, Label, Label) -> Label,
    ) -> Label {
        match direction {
            Some(Direction::Source) => test(self, source, yes, no),
            Some(Direction::Destination) => test(self, destination, yes, no),
            None => {
                let no = test(self, destination, yes, no);
                test(self, source, yes, no)
            }
        }
    }

    /// What the link layer carries.
    fn ethertype(&mut self, ethertype: u32, yes: Label, no: Label) -> Label {
        match (self.link, ethertype) {
            (Link::Ethernet, _) => {
                self.branch(op::IF_EQUAL, ethertype, yes, no);
                self.emit(op::LD_H, 12)
            }
            (Link::Raw, ETHERTYPE_IP) => self.version(0x40, yes, no),
            (Link::Raw, ETHERTYPE_IPV6) => self.version(0x60, yes, no),
            (Link::Raw, _) => no,
        }
    }

    fn version(&mut self, version: u32, yes: Label, no: Label) -> Label {
        self.branch(op::IF_EQUAL, version, yes, no);
        self.emit(op::AND, 0xf0);
        self.emit(op::LD_B, 0)
    }

    /// A byte of the network-layer header.
    fn byte(&mut self, at: u32, value: u32, yes: Label, no: Label) -> Label {
        self.branch(op::IF_EQUAL, value, yes, no);
        let at = at + self.network();
        self.emit(op::LD_B, at)
    }

    /// The bits under the mask in a word of the network-layer header.
    fn word(&mut self, at: u32, value: u32, mask: u32, yes: Label, no: Label) -> Label {
        self.branch(op::IF_EQUAL, value & mask, yes, no);
        if mask != u32::MAX {
            self.emit(op::AND, mask);
        }
        let at = at + self.network();
        self.emit(op::LD_W, at)
    }

    /// Where the network layer begins.
    fn network(&self) -> u32 {
        match self.link {
            Link::Ethernet => 14,
            Link::Raw => 0,
        }
    }
}

impl Program {
    /// Accepts everything.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Instruction {
            code: op::RETURN,
            jt: 0,
            jf: 0,
            k: u32::MAX,
        }])
    }

    /// The same, but of what is not IPv4 or IPv6 it accepts nothing: for where the kernel takes off the header that says
    /// what a packet is, and only the kernel still knows.
    #[must_use]
    pub fn of_ip_alone(self) -> Self {
        /// `SKF_AD_OFF + SKF_AD_PROTOCOL`: not a place in the packet, but the kernel's note of its EtherType.
        const PROTOCOL: u32 = 0xffff_f000;
        let test = |ethertype, jt| Instruction {
            code: op::IF_EQUAL,
            jt,
            jf: 0,
            k: ethertype,
        };
        let plain = |code, k| Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        };
        let mut program = vec![
            plain(op::LD_W, PROTOCOL),
            test(ETHERTYPE_IP, 2),
            test(ETHERTYPE_IPV6, 1),
            plain(op::RETURN, 0),
        ];
        program.extend(self.0);
        Self(program)
    }
}
