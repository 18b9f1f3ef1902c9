//! The way from A to B: links, and routers between them, which this program plays. Pure: frames in, frames out.
//!
//! ```text
//!  A ──link 0──▶ router 1 ──link 1──▶ … router N ──link N──▶ B
//! ```
//!
//! A router takes one off the TTL, computes the header checksum anew (RFC 1812, section 5.2.2) and, on Ethernet, puts its
//! own address and that of the next hop on the frame. The first and the last answer for the gateways' addresses by ARP, and
//! the last asks by ARP for the host it delivers to. Between themselves the routers know each other.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use etherparse::checksum::Sum16BitWords;

use super::{ETHERNET_HEADER, Host, Link};

/// So many packets wait for an answer by ARP.
const MAX_HELD: usize = 64;

const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];

/// An Ethernet address.
pub(super) type Mac = [u8; 6];

/// The Ethernet address of a host: locally administered, with its IPv4 address in it.
pub(super) fn mac(host: Host) -> Mac {
    let [a, b, c, d] = host.address().octets();
    [0x02, 0, a, b, c, d]
}

/// The Ethernet address of router `router` (from 1 on) on the side of a host.
fn router_mac(router: usize, side: Host) -> Mac {
    [0x02, b'R', 0, 0, router as u8, u8::from(side == Host::B)]
}

/// The Ethernet address of the one in the middle on the link of a host.
pub(super) fn middle_mac(link_of: Host) -> Mac {
    [0x02, b'M', 0, 0, 0, u8::from(link_of == Host::B)]
}

/// What the one in the middle answers when a host asks for the other's Ethernet address: its own (ARP spoofing).
pub(super) fn spoof(frame: &[u8], host: Host) -> Option<Vec<u8>> {
    let asked = frame.get(12..14) == Some(&ARP);
    let arp = Arp::read(frame).filter(|arp| asked && arp.operation == 1)?;
    let target = host.other().address();
    (arp.sender == host.address() && arp.target == target)
        .then(|| arp_frame(2, (middle_mac(host), target), (arp.mac, arp.sender)))
}

/// The packet in a frame that a host sends to the one in the middle, whom it takes for the other host.
pub(super) fn spoofed(frame: &[u8], host: Host) -> Option<&[u8]> {
    let is_for_it = frame.starts_with(&middle_mac(host)) && frame.get(12..14) == Some(&IPV4);
    frame.get(ETHERNET_HEADER..).filter(|_| is_for_it)
}

/// The address of the router on the link of a host, if there is one.
pub(super) fn gateway(host: Host) -> Ipv4Addr {
    let [a, b, c, _] = host.address().octets();
    Ipv4Addr::new(a, b, c, 1)
}

/// A frame, and the number of the packet in it: the same on every link.
pub(super) type Numbered = (u64, Vec<u8>);

/// What a router does with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// It goes on, in the same direction.
    On(Numbered),
    /// It is answered, back on the link it came from.
    Back(Vec<u8>),
    /// Another frame goes on in its place (a question by ARP), and it waits.
    Asks(Vec<u8>),
    /// It is thrown away, and whoever sent it is told, back on the link it came from.
    Told(Vec<u8>),
    /// It was for the router itself.
    Taken,
    /// It is thrown away.
    Lost,
}

/// All routers between A and B.
#[derive(Debug)]
pub(super) struct Path {
    link: Link,
    hops: usize,
    /// The Ethernet addresses of the hosts, once they are known.
    known: [Option<Mac>; 2],
    /// What waits for the address of a host.
    held: [VecDeque<Numbered>; 2],
}

impl Path {
    pub(super) fn new(link: Link, hops: usize) -> Self {
        Self {
            link,
            hops,
            known: [None; 2],
            held: [const { VecDeque::new() }; 2],
        }
    }

    /// The link a host sends on.
    pub(super) fn first(&self, from: Host) -> usize {
        if from == Host::A { 0 } else { self.hops }
    }

    /// The link behind this one in the direction of a host; `None` if the host itself is next.
    pub(super) fn next(&self, link: usize, to: Host) -> Option<usize> {
        match to {
            Host::A => link.checked_sub(1),
            Host::B => Some(link + 1).filter(|next| *next <= self.hops),
        }
    }

    /// The router at the end of `link` in the direction `to` takes up a frame.
    pub(super) fn route(&mut self, link: usize, to: Host, (id, mut frame): Numbered) -> Routed {
        let router = if to == Host::B { link + 1 } else { link };
        if self.link == Link::Ip {
            return match forward(&mut frame) {
                Forward::On => Routed::On((id, frame)),
                Forward::Expired => match time_exceeded(self.address(router, to.other()), &frame) {
                    Some(told) => Routed::Told(told),
                    None => Routed::Lost,
                },
                Forward::Lost => Routed::Lost,
            };
        }
        let here = router_mac(router, to.other());
        let Some((header, packet)) = frame.split_at_mut_checked(ETHERNET_HEADER) else {
            return Routed::Lost;
        };
        match header.last_chunk() {
            Some(&ARP) => return self.arp(link, to, router, &frame),
            Some(&IPV4) if header.starts_with(&here) => {}
            _ => return Routed::Lost,
        }
        match forward(packet) {
            Forward::On => {}
            Forward::Expired => {
                let told = time_exceeded(self.address(router, to.other()), packet);
                // It was known by ARP, or by the router before, or it could not have come here.
                let source: Option<Mac> = header.get(6..12).and_then(|mac| mac.try_into().ok());
                return match (told, source) {
                    (Some(told), Some(source)) => Routed::Told(framed(&told, source, here)),
                    _ => Routed::Lost,
                };
            }
            Forward::Lost => return Routed::Lost,
        }
        let source = router_mac(router, to);
        let next = self.next(link, to);
        let delivers = next == Some(self.first(to));
        let destination = match (delivers, self.known(to)) {
            (false, _) if to == Host::B => router_mac(router + 1, Host::A),
            (false, _) => router_mac(router - 1, Host::B),
            (true, Some(mac)) => mac,
            (true, None) => {
                let held = self.held(to);
                if held.len() >= MAX_HELD {
                    return Routed::Lost;
                }
                held.push_back((id, frame));
                return Routed::Asks(question(source, gateway(to), to.address()));
            }
        };
        address(&mut frame, destination, source);
        Routed::On((id, frame))
    }

    /// The address of a router (from 1 on) on the side of a host: that of the host's gateway, or one of the private ones (RFC
    /// 1918) that the links between routers have.
    fn address(&self, router: usize, side: Host) -> Ipv4Addr {
        match side {
            Host::A if router == 1 => gateway(Host::A),
            Host::B if router == self.hops => gateway(Host::B),
            Host::A => Ipv4Addr::new(10, 0, router as u8 - 1, 2),
            Host::B => Ipv4Addr::new(10, 0, router as u8, 1),
        }
    }

    /// A frame of ARP: a question for a gateway is answered; an answer tells where a host is.
    fn arp(&mut self, link: usize, to: Host, router: usize, frame: &[u8]) -> Routed {
        let from = to.other();
        if link != self.first(from) {
            return Routed::Taken;
        }
        let Some(arp) = Arp::read(frame) else {
            return Routed::Taken;
        };
        if arp.sender != from.address() {
            return Routed::Taken;
        }
        let here = router_mac(router, from);
        *self.place(from) = Some(arp.mac);
        match arp.operation {
            1 if arp.target == gateway(from) => {
                Routed::Back(arp_frame(2, (here, gateway(from)), (arp.mac, arp.sender)))
            }
            _ => Routed::Taken,
        }
    }

    /// What was held for a host whose address is known now, ready to be delivered on its link.
    pub(super) fn released(&mut self, to: Host) -> Vec<Numbered> {
        let Some(destination) = self.known(to) else {
            return Vec::new();
        };
        let source = router_mac(if to == Host::B { self.hops } else { 1 }, to);
        let mut frames: Vec<_> = self.held(to).drain(..).collect();
        for (_, frame) in &mut frames {
            address(frame, destination, source);
        }
        frames
    }

    fn place(&mut self, host: Host) -> &mut Option<Mac> {
        let [a, b] = &mut self.known;
        if host == Host::A { a } else { b }
    }

    fn known(&mut self, host: Host) -> Option<Mac> {
        *self.place(host)
    }

    fn held(&mut self, host: Host) -> &mut VecDeque<Numbered> {
        let [a, b] = &mut self.held;
        if host == Host::A { a } else { b }
    }
}

/// What becomes of a packet at a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forward {
    /// It goes on.
    On,
    /// It has no hop left.
    Expired,
    /// There is something wrong with it.
    Lost,
}

/// Takes one off the TTL of an IPv4 packet and computes its header checksum anew. One whose checksum is wrong must be thrown
/// away (RFC 1812, section 5.2.2): what is wrong with it would be covered up.
fn forward(packet: &mut [u8]) -> Forward {
    let first = packet.first().copied().unwrap_or(0);
    let Some(header) = packet.get_mut(..usize::from(first & 15) * 4) else {
        return Forward::Lost;
    };
    if header.len() < 20
        || first >> 4 != 4
        || Sum16BitWords::new().add_slice(header).ones_complement() != 0
    {
        return Forward::Lost;
    }
    match header.get_mut(8) {
        Some(ttl @ 2..) => *ttl -= 1,
        _ => return Forward::Expired,
    }
    sum_up(header, 10);
    Forward::On
}

/// Computes the checksum of all these bytes, and puts it there.
fn sum_up(bytes: &mut [u8], at: usize) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.fill(0);
    }
    let sum = Sum16BitWords::new().add_slice(bytes).ones_complement();
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_ne_bytes());
    }
}

/// The most bytes of a packet that says what was wrong with another (RFC 1812, section 4.3.2.3).
const LONGEST_ERROR: usize = 576;

/// Tells the sender of a packet that it had no hop left (RFC 792, Time Exceeded; RFC 1812, section 5.2.7.3):
///
/// ```text
/// |   type 11     |    code 0     |           checksum            |
/// |                            unused                             |
/// |  the packet's IP header and as much of its data as has room   |
/// ```
///
/// `None` where nobody may be told: an error about ICMP, or about a fragment but the first (section 4.3.2.7).
fn time_exceeded(from: Ipv4Addr, packet: &[u8]) -> Option<Vec<u8>> {
    const ICMP: u8 = 1;
    let later_fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff != 0;
    if packet.get(9) == Some(&ICMP) || later_fragment {
        return None;
    }
    let source = packet.get(12..16)?;
    let quoted = packet.get(..packet.len().min(LONGEST_ERROR - 28))?;
    let length = (28 + quoted.len()) as u16;
    // Precedence 6, as errors should have (section 4.3.2.5).
    let mut answer = vec![0x45, 0xc0];
    answer.extend(length.to_be_bytes());
    answer.extend([0, 0, 0, 0, 64, ICMP, 0, 0]);
    answer.extend(from.octets());
    answer.extend(source);
    sum_up(&mut answer, 10);
    let mut icmp = vec![11, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(quoted);
    sum_up(&mut icmp, 2);
    answer.extend(icmp);
    Some(answer)
}

/// Puts new addresses on an Ethernet frame.
pub(super) fn address(frame: &mut [u8], destination: Mac, source: Mac) {
    for (to, from) in frame.iter_mut().zip(destination.into_iter().chain(source)) {
        *to = from;
    }
}

/// An IPv4 packet in an Ethernet frame.
pub(super) fn framed(packet: &[u8], destination: Mac, source: Mac) -> Vec<u8> {
    [&destination[..], &source, &IPV4, packet].concat()
}

/// Whether a frame carries what the wires carry: IPv4, and ARP on Ethernet.
pub(super) fn is_carried(link: Link, frame: &[u8]) -> bool {
    match link {
        Link::Ip => frame.first().is_some_and(|first| first >> 4 == 4),
        Link::Ethernet => matches!(
            frame.get(12..14).and_then(|kind| kind.first_chunk()),
            Some(&IPV4 | &ARP)
        ),
    }
}

/// The fields of ARP for IPv4 on Ethernet that matter here (RFC 826).
struct Arp {
    operation: u8,
    mac: Mac,
    sender: Ipv4Addr,
    target: Ipv4Addr,
}

/// Hardware type Ethernet, protocol IPv4, addresses of 6 and 4 bytes.
const ARP_BEGINS: [u8; 6] = [0, 1, 8, 0, 6, 4];

impl Arp {
    fn read(frame: &[u8]) -> Option<Self> {
        let arp = frame.get(ETHERNET_HEADER..)?;
        let ip = |at: usize| {
            let bytes: &[u8; 4] = arp.get(at..)?.first_chunk()?;
            Some(Ipv4Addr::from(*bytes))
        };
        arp.starts_with(&ARP_BEGINS).then_some(())?;
        Some(Self {
            operation: *arp.get(7)?,
            mac: *arp.get(8..)?.first_chunk()?,
            sender: ip(14)?,
            target: ip(24)?,
        })
    }
}

/// "Who has `wanted`? Tell `address`."
fn question(mac: Mac, address: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    let mut frame = arp_frame(1, (mac, address), ([0; 6], wanted));
    self::address(&mut frame, [0xff; 6], mac);
    frame
}

fn arp_frame(operation: u8, from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)) -> Vec<u8> {
    [
        &to.0[..],
        &from.0,
        &ARP,
        &ARP_BEGINS,
        &[0, operation],
        &from.0,
        &from.1.octets(),
        &to.0,
        &to.1.octets(),
    ]
    .concat()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]
mod tests {
    use super::*;

    /// 20 bytes of IPv4, TTL 64, from A to B, with its checksum.
    const PACKET: [u8; 20] = [
        0x45, 0, 0, 20, 0, 0, 0x40, 0, 64, 6, 0x2a, 0xd1, 1, 2, 3, 4, 5, 6, 7, 8,
    ];

    fn sums_up(header: &[u8]) -> bool {
        Sum16BitWords::new().add_slice(header).ones_complement() == 0
    }

    #[test]
    fn a_router_takes_one_off_and_the_checksum_fits_again() {
        assert!(sums_up(&PACKET), "the sample");
        let mut path = Path::new(Link::Ip, 1);
        let Routed::On((7, frame)) = path.route(0, Host::B, (7, PACKET.to_vec())) else {
            unreachable!("it goes on");
        };
        assert_eq!(frame[8], 63);
        assert!(sums_up(&frame));
        // TTL 1, with its checksum.
        let mut last = PACKET;
        (last[8], last[10]) = (1, 0x69);
        assert!(sums_up(&last), "the sample");
        let Routed::Told(told) = path.route(0, Host::B, (1, last.to_vec())) else {
            unreachable!("the sender is told");
        };
        assert!(sums_up(&told[..20]) && sums_up(&told[20..]));
        assert_eq!(
            told[12..20],
            [1, 2, 3, 1, 1, 2, 3, 4],
            "from the gateway to A"
        );
        assert_eq!((told[20], told[21]), (11, 0), "time exceeded in transit");
        assert_eq!(told[28..], last);
        // No error about an error.
        let mut error = told;
        error[8] = 1;
        sum_up(&mut error[..20], 10);
        assert_eq!(path.route(0, Host::B, (1, error)), Routed::Lost);
        for len in 0..20 {
            let cut = PACKET[..len].to_vec();
            assert_eq!(path.route(0, Host::B, (1, cut)), Routed::Lost);
        }
    }

    #[test]
    fn a_router_covers_up_no_error() {
        let mut path = Path::new(Link::Ip, 1);
        for bit in 0..PACKET.len() * 8 {
            let mut wrong = PACKET;
            wrong[bit / 8] ^= 0x80 >> (bit % 8);
            let routed = path.route(0, Host::B, (1, wrong.to_vec()));
            assert_eq!(routed, Routed::Lost, "bit {bit}");
        }
    }

    #[test]
    fn links_are_counted_from_a_to_b() {
        let path = Path::new(Link::Ethernet, 2);
        assert_eq!((path.first(Host::A), path.first(Host::B)), (0, 2));
        assert_eq!(path.next(0, Host::B), Some(1));
        assert_eq!(path.next(2, Host::B), None);
        assert_eq!(path.next(2, Host::A), Some(1));
        assert_eq!(path.next(0, Host::A), None);
    }

    #[test]
    fn the_gateway_answers_and_the_last_router_asks() {
        let mut path = Path::new(Link::Ethernet, 2);
        let asked = question(mac(Host::A), Host::A.address(), gateway(Host::A));
        let Routed::Back(answer) = path.route(0, Host::B, (1, asked)) else {
            unreachable!("it is answered");
        };
        let first = router_mac(1, Host::A);
        assert_eq!(answer[..12], [mac(Host::A), first].concat());
        let answer = Arp::read(&answer).unwrap();
        assert_eq!((answer.operation, answer.mac), (2, first));
        assert_eq!(answer.sender, Ipv4Addr::new(1, 2, 3, 1));

        // From A to router 1, from it to router 2, which does not know B yet.
        let frame = framed(&PACKET, first, mac(Host::A));
        let Routed::On((2, frame)) = path.route(0, Host::B, (2, frame)) else {
            unreachable!("it goes on");
        };
        assert_eq!(
            frame[..12],
            [router_mac(2, Host::A), router_mac(1, Host::B)].concat()
        );
        let Routed::Asks(asked) = path.route(1, Host::B, (2, frame)) else {
            unreachable!("it asks");
        };
        let asked = Arp::read(&asked).unwrap();
        assert_eq!((asked.operation, asked.target), (1, Host::B.address()));
        assert!(path.released(Host::B).is_empty());
        let last = router_mac(2, Host::B);
        let answer = arp_frame(
            2,
            (mac(Host::B), Host::B.address()),
            (last, gateway(Host::B)),
        );
        assert_eq!(path.route(2, Host::A, (3, answer)), Routed::Taken);
        let (2, released) = path.released(Host::B).remove(0) else {
            unreachable!("the packet that waited");
        };
        assert_eq!(released[..12], [mac(Host::B), last].concat());
        assert_eq!(released[14 + 8], 62, "two routers");
        assert!(sums_up(&released[14..]));
        assert!(path.released(Host::B).is_empty());
    }

    #[test]
    fn nobody_else_is_answered() {
        let mut path = Path::new(Link::Ethernet, 1);
        let stranger = question(mac(Host::A), Ipv4Addr::new(9, 9, 9, 9), gateway(Host::A));
        assert_eq!(path.route(0, Host::B, (1, stranger)), Routed::Taken);
        let elsewhere = framed(&PACKET, mac(Host::B), mac(Host::A));
        assert_eq!(path.route(0, Host::B, (1, elsewhere)), Routed::Lost);
        let whole = question(mac(Host::A), Host::A.address(), gateway(Host::A));
        for len in 0..whole.len() {
            let routed = path.route(0, Host::B, (1, whole[..len].to_vec()));
            let nothing = matches!(routed, Routed::Taken | Routed::Lost);
            assert!(nothing, "{len} bytes");
        }
    }
}
