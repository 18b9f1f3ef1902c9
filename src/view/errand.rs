//! What a packet does that is not TCP's own business: a question to all on the link, a ping, a name looked up, a page
//! asked for. The words are in the glossary, under `say.packet.*`.

use super::paint::Out;
use super::value;
use super::words::{Deed, fact, uint};
use crate::layers::{arp, data, dns, http, icmp, icmpv6, ipv4, ipv6, udp};
use crate::packet::{Event, Field, FieldDef, Layer, Value};
use crate::text::Glossary;

/// So much of a text from the wire is said, in columns.
const SAID: usize = 48;

/// What this packet does, if it is one of these.
pub(super) fn of(event: &Event<'_>) -> Option<Deed> {
    let is = |layer: &Layer, def: &'static FieldDef| core::ptr::eq(layer.def, def);
    // What an ICMP error quotes stands behind it, and so the first that is known counts.
    event.layers.iter().find_map(|layer| match layer {
        layer if is(layer, &arp::ARP) => Some(of_arp(event)),
        layer if is(layer, &icmp::ICMP) => Some(of_icmp(event)),
        layer if is(layer, &icmpv6::ICMPV6) => Some(of_icmpv6(event)),
        layer if is(layer, &dns::DNS) => Some(of_dns(event)),
        layer if is(layer, &http::HTTP) => Some(of_http(event)),
        layer if is(layer, &udp::UDP) && !tells_more(event) => {
            let len = uint(event, &udp::LENGTH).unwrap_or(0);
            Some(deed("say.packet.datagram", len.saturating_sub(8)))
        }
        layer if is(layer, &data::DATA) => of_fragment(event),
        _ => None,
    })
}

fn deed(key: &'static str, number: u64) -> Deed {
    Deed {
        key,
        number,
        and_fin: false,
        bulk: false,
    }
}

/// Whether something is known of what a datagram carries.
fn tells_more(event: &Event<'_>) -> bool {
    let last = event.layers.last();
    last.is_some_and(|layer| core::ptr::eq(layer.def, &raw const dns::DNS))
}

fn of_arp(event: &Event<'_>) -> Deed {
    let key = match uint(event, &arp::OPCODE) {
        _ if fact(event, &arp::ISPROBE).is_some() => "say.packet.arp.probe",
        _ if fact(event, &arp::ISGRATUITOUS).is_some() => "say.packet.arp.announcement",
        Some(1) => "say.packet.arp.request",
        Some(2) => "say.packet.arp.reply",
        _ => "say.packet.arp.other",
    };
    deed(key, 0)
}

fn of_icmp(event: &Event<'_>) -> Deed {
    use icmp::kind;
    let code = uint(event, &icmp::CODE).unwrap_or(0);
    let kind = uint(event, &icmp::TYPE).and_then(|kind| u8::try_from(kind).ok());
    match (kind, code) {
        (Some(kind::ECHO), _) => deed("say.packet.echo", uint(event, &icmp::SEQ).unwrap_or(0)),
        (Some(kind::ECHO_REPLY), _) => deed(
            "say.packet.echo_reply",
            uint(event, &icmp::SEQ).unwrap_or(0),
        ),
        (Some(kind::UNREACHABLE), 3) => deed("say.packet.port_closed", quoted_port(event)),
        (Some(kind::UNREACHABLE), 4) => {
            deed("say.packet.too_big", uint(event, &icmp::MTU).unwrap_or(0))
        }
        (Some(kind::UNREACHABLE), _) => deed("say.packet.unreachable", 0),
        (Some(kind::TIME_EXCEEDED), _) => deed("say.packet.time_exceeded", 0),
        (Some(kind::REDIRECT), _) => deed("say.packet.redirect", 0),
        _ => deed("say.packet.icmp", kind.unwrap_or(0).into()),
    }
}

fn of_icmpv6(event: &Event<'_>) -> Deed {
    use icmpv6::kind;
    let code = uint(event, &icmpv6::CODE).unwrap_or(0);
    let kind = uint(event, &icmpv6::TYPE).and_then(|kind| u8::try_from(kind).ok());
    let sequence = || uint(event, &icmpv6::ECHO_SEQUENCE_NUMBER).unwrap_or(0);
    match (kind, code) {
        (Some(kind::ECHO), _) => deed("say.packet.echo", sequence()),
        (Some(kind::ECHO_REPLY), _) => deed("say.packet.echo_reply", sequence()),
        (Some(kind::UNREACHABLE), 4) => deed("say.packet.port_closed", quoted_port(event)),
        (Some(kind::UNREACHABLE), _) => deed("say.packet.unreachable", 0),
        (Some(kind::TOO_BIG), _) => {
            deed("say.packet.too_big", uint(event, &icmpv6::MTU).unwrap_or(0))
        }
        (Some(kind::TIME_EXCEEDED), _) => deed("say.packet.time_exceeded", 0),
        // RFC 4862, section 5.4.2: who has no address yet asks whether one is free.
        (Some(kind::NEIGHBOR_SOLICITATION), _) if is_nobody(event) => {
            deed("say.packet.neighbor.probe", 0)
        }
        (Some(kind::NEIGHBOR_SOLICITATION), _) => deed("say.packet.neighbor.asks", 0),
        (Some(kind::NEIGHBOR_ADVERTISEMENT), _) => deed("say.packet.neighbor.answers", 0),
        (Some(kind::ROUTER_SOLICITATION), _) => deed("say.packet.router.asks", 0),
        (Some(kind::ROUTER_ADVERTISEMENT), _) => deed("say.packet.router.answers", 0),
        (Some(kind::LISTENER_QUERY), _) => deed("say.packet.listeners.asks", 0),
        (Some(131 | kind::LISTENER_REPORT_2), _) => deed("say.packet.listeners.answers", 0),
        _ => deed("say.packet.icmpv6", kind.unwrap_or(0).into()),
    }
}

fn is_nobody(event: &Event<'_>) -> bool {
    let source = event.field(&ipv6::SRC);
    source.is_some_and(|field| event.field_bytes(field).iter().all(|byte| *byte == 0))
}

/// The port that the quoted packet was sent to.
fn quoted_port(event: &Event<'_>) -> u64 {
    let port = uint(event, &udp::DSTPORT);
    port.or_else(|| uint(event, &crate::layers::tcp::DSTPORT))
        .unwrap_or(0)
}

fn of_dns(event: &Event<'_>) -> Deed {
    if uint(event, &dns::RESPONSE) != Some(1) {
        let kind = uint(event, &dns::QRY_TYPE).unwrap_or(0);
        let key = match kind {
            1 | 28 => "say.packet.dns.asks_address",
            12 => "say.packet.dns.asks_name",
            _ => "say.packet.dns.asks",
        };
        return deed(key, kind);
    }
    let answers = uint(event, &dns::COUNT_ANSWERS).unwrap_or(0);
    let asks_for_this = matches!(uint(event, &dns::QRY_TYPE), Some(1 | 12 | 28));
    match uint(event, &dns::RCODE).unwrap_or(0) {
        3 => deed("say.packet.dns.no_such_name", 0),
        0 if uint(event, &dns::TRUNCATED) == Some(1) => deed("say.packet.dns.truncated", 0),
        0 if answers == 0 => deed("say.packet.dns.nothing", 0),
        0 if asks_for_this && answer(event).is_some() => {
            deed("say.packet.dns.answers_address", answers)
        }
        0 => deed("say.packet.dns.answers", answers),
        code => deed("say.packet.dns.fails", code),
    }
}

/// The first address in an answer, or the first name.
fn answer<'e>(event: &Event<'e>) -> Option<&'e Field> {
    let wanted = [&dns::A, &dns::AAAA, &dns::PTR];
    wanted.into_iter().find_map(|def| event.field(def))
}

fn of_http(event: &Event<'_>) -> Deed {
    if event.field(&http::METHOD).is_some() {
        return deed("say.packet.http.request", 0);
    }
    match uint(event, &http::CODE) {
        Some(code) => deed("say.packet.http.response", code),
        None => {
            let bytes = event.field(&http::FILE_DATA).map_or(0, |f| f.bytes().len());
            Deed {
                bulk: true,
                ..deed("say.packet.http.body", bytes as u64)
            }
        }
    }
}

/// A fragment whose packet is not whole yet.
fn of_fragment(event: &Event<'_>) -> Option<Deed> {
    let v4 = uint(event, &ipv4::FLAG_MF) == Some(1) || uint(event, &ipv4::FRAG_OFFSET) > Some(0);
    let v6 = event.field(&ipv6::FRAGHDR).is_some();
    let bytes = event.field(&data::DATA_DATA)?.bytes().len();
    (v4 || v6).then(|| deed("say.packet.fragment", bytes as u64))
}

/// Writes what a placeholder of these sentences stands for.
pub(super) fn fill(out: &mut Out, glossary: &Glossary, event: &Event<'_>, deed: Deed, name: &str) {
    match name {
        "sender" => address(out, event, &arp::SRC_PROTO_IPV4),
        "target" => match event
            .field(&icmpv6::NS_TARGET)
            .or(event.field(&icmpv6::NA_TARGET))
        {
            Some(field) => value(out, event, field),
            None => address(out, event, &arp::DST_PROTO_IPV4),
        },
        "mac" => address(
            out,
            event,
            match event.field(&icmpv6::OPT_TARGET_LINKADDR) {
                Some(_) => &icmpv6::OPT_TARGET_LINKADDR,
                None => &arp::SRC_HW_MAC,
            },
        ),
        "port" => out.number(uint(event, &udp::DSTPORT).unwrap_or(0)),
        "name" => match event.field(&dns::QRY_NAME) {
            Some(field) => value(out, event, field),
            None => out.byte(b'?'),
        },
        "type" => named(out, glossary, &dns::QRY_TYPE, uint(event, &dns::QRY_TYPE)),
        "rcode" => named(out, glossary, &dns::RCODE, Some(deed.number)),
        "answer" => {
            if let Some(field) = answer(event) {
                value(out, event, field);
            }
        }
        "message" => {
            let v6 = event.field(&icmpv6::TYPE).is_some();
            let def = if v6 { &icmpv6::TYPE } else { &icmp::TYPE };
            named(out, glossary, def, Some(deed.number));
        }
        "operation" => named(out, glossary, &arp::OPCODE, uint(event, &arp::OPCODE)),
        "method" => address(out, event, &http::METHOD),
        "uri" => address(out, event, &http::URI),
        "phrase" => address(out, event, &http::PHRASE),
        _ => {}
    }
}

/// The name of a value, or the number.
fn named(out: &mut Out, glossary: &Glossary, def: &'static FieldDef, number: Option<u64>) {
    let number = number.unwrap_or(0);
    match glossary.of(def).value(number) {
        Some(named) => out.text(&named.name),
        None => out.number(number),
    }
}

/// The value of the first field of that name.
fn address(out: &mut Out, event: &Event<'_>, def: &'static FieldDef) {
    match event.field(def) {
        Some(field) => value(out, event, field),
        None => out.byte(b'?'),
    }
}

fn value(out: &mut Out, event: &Event<'_>, field: &Field) {
    let value = field.value(event.bytes(field.buf));
    match value {
        Value::Text(text) => {
            if !out.wire(text, SAID) {
                out.glyph(out.glyphs().ellipsis);
            }
        }
        value => value::bare(out, value, SAID),
    }
}

/// Writes the label of a packet that is not TCP's; gives `false` if there is none for it.
pub(super) fn label(out: &mut Out, glossary: &Glossary, event: &Event<'_>) -> bool {
    let is = |layer: &Layer, def: &'static FieldDef| core::ptr::eq(layer.def, def);
    for layer in event.layers {
        let (def, before) = match layer {
            layer if is(layer, &arp::ARP) => (&arp::OPCODE, "ARP "),
            layer if is(layer, &icmp::ICMP) => (&icmp::TYPE, ""),
            layer if is(layer, &icmpv6::ICMPV6) => (&icmpv6::TYPE, ""),
            layer if is(layer, &dns::DNS) => (&dns::QRY_TYPE, "DNS "),
            layer if is(layer, &udp::UDP) && !tells_more(event) => {
                out.text("UDP");
                return true;
            }
            layer if is(layer, &data::DATA) && of_fragment(event).is_some() => {
                out.text(&glossary.of(&ipv4::FRAGMENT).name);
                return true;
            }
            _ => continue,
        };
        out.text(before);
        named(out, glossary, def, uint(event, def));
        return true;
    }
    false
}
