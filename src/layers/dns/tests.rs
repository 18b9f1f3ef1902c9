use etherparse::PacketBuilder;

use super::super::testing::{Decoded, decoded, show, with_any_byte_changed};
use super::*;
use crate::packet::{BufId, Context, Labels};

const HEADER: &[u8] = b"\x12\x34\x85\x80\0\x01\0\x01\0\0\0\0";
const QUESTION: &[u8] = b"\x07example\x03com\0\0\x01\0\x01";

/// A message in a datagram from port 53.
fn packet(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([5, 6, 7, 8], [1, 2, 3, 4], 64)
        .udp(53, 40000)
        .write(&mut bytes, message)
        .unwrap();
    bytes
}

/// A response with one record, owned by the name that is asked about.
fn response(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut message = [HEADER, QUESTION, b"\xc0\x0c"].concat();
    message.extend(kind.to_be_bytes());
    message.extend(b"\0\x01\0\0\x01\x2c");
    message.extend((data.len() as u16).to_be_bytes());
    message.extend(data);
    packet(&message)
}

/// The lines about the data of the record.
fn data(d: &Decoded) -> Vec<String> {
    let layer = d.layer("dns");
    let lines = layer
        .lines()
        .skip_while(|line| !line.contains("dns.resp.len"));
    lines
        .skip(1)
        .map(|line| line.trim_start().to_owned())
        .collect()
}

fn fine(kind: u16, bytes: &[u8], expected: &[&str]) {
    let packet = response(kind, bytes);
    let d = decoded(&packet);
    assert_eq!(data(&d), expected);
    assert!(
        d.stops().is_empty() && d.gap().is_empty(),
        "{:?}",
        d.stops()
    );
    with_any_byte_changed(&packet);
}

#[test]
fn every_field_of_a_question() {
    let message = [b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0".as_slice(), QUESTION].concat();
    let d = decoded(&packet(&message));
    assert_eq!(d.layers(), ["ip", "udp", "dns"]);
    assert_eq!(
        d.layer("dns"),
        "dns.id 0x1234\ndns.flags 0x120\n  dns.flags.response 0\n  dns.flags.opcode 0\n  \
         dns.flags.unused 0\n  dns.flags.truncated 0\n  dns.flags.recdesired 1\n  \
         dns.flags.unused 0\n  dns.flags.z 0\n  dns.flags.authenticated 1\n  \
         dns.flags.checkdisable 0\n  dns.flags.unused 0\ndns.count.queries 1\n\
         dns.count.answers 0\ndns.count.auth_rr 0\ndns.count.add_rr 0\ndns.question\n  \
         dns.qry.name example.com\n  dns.qry.type 1\n  dns.qry.class 0x1\n"
    );
    assert_eq!(d.note("dns.qry.name.len"), Some(Fact::Uint(11)));
    assert_eq!(d.note("dns.count.labels"), Some(Fact::Uint(2)));
    assert!(d.stops().is_empty());
}

#[test]
fn records_of_many_kinds() {
    fine(kind::A, &[5, 6, 7, 8], &["dns.a 5.6.7.8"]);
    fine(kind::NS, b"\x02ns\xc0\x0c", &["dns.ns ns.example.com"]);
    fine(kind::CNAME, b"\x01w\xc0\x14", &["dns.cname w.com"]);
    fine(kind::PTR, b"\xc0\x0c", &["dns.ptr.domain_name example.com"]);
    fine(
        kind::MX,
        b"\0\x0a\x04mail\xc0\x0c",
        &[
            "dns.mx.preference 10",
            "dns.mx.mail_exchange mail.example.com",
        ],
    );
    fine(
        kind::TXT,
        b"\x02hi\x05there",
        &[
            "dns.txt.length 2",
            "dns.txt hi",
            "dns.txt.length 5",
            "dns.txt there",
        ],
    );
    fine(
        kind::SRV,
        b"\0\x01\0\x05\x01\xbb\xc0\x0c",
        &[
            "dns.srv.priority 1",
            "dns.srv.weight 5",
            "dns.srv.port 443",
            "dns.srv.target example.com",
        ],
    );
    fine(
        kind::HTTPS,
        b"\0\x01\0\0\x01\0\x03\x02h2\0\x04\0\x04\x05\x06\x07\x08\0\x07\0\x01x",
        &[
            "dns.svcb.svcpriority 1",
            "dns.svcb.targetname",
            "dns.svcb.svcparam",
            "dns.svcb.svcparam.key 1",
            "dns.svcb.svcparam.value.length 3",
            "dns.svcb.svcparam.alpn.length 2",
            "dns.svcb.svcparam.alpn h2",
            "dns.svcb.svcparam",
            "dns.svcb.svcparam.key 4",
            "dns.svcb.svcparam.value.length 4",
            "dns.svcb.svcparam.ipv4hint.ip 5.6.7.8",
            "dns.svcb.svcparam",
            "dns.svcb.svcparam.key 7",
            "dns.svcb.svcparam.value.length 1",
            "dns.svcb.svcparam.value 78",
        ],
    );
    fine(
        kind::CAA,
        b"\x80\x05issueca.example",
        &[
            "dns.caa.flags 0x80",
            "dns.caa.flags.issuer_critical 1",
            "dns.caa.flags.reserved 0",
            "dns.caa.tag_length 5",
            "dns.caa.tag issue",
            "dns.caa.value ca.example",
        ],
    );
    fine(1234, b"\x01\x02", &["dns.data 0102"]);
}

#[test]
fn a_record_of_another_length_does_not_hide_the_next() {
    let d = decoded(&response(kind::A, &[5, 6, 7]));
    assert_eq!(d.stops(), [("dns.a", 69, 4, 3, Why::Length)]);
    let d = decoded(&response(kind::A, &[5, 6, 7, 8, 9]));
    assert_eq!(d.stops(), [("dns.record", 73, 0, 1, Why::Trailing)]);
    assert_eq!(d.gap(), [9]);
}

#[test]
fn names_end_and_point_only_backwards() {
    // To itself, forwards, in a circle of two, to a length byte that is none.
    for data in [
        b"\xc0\x29".as_slice(),
        b"\xc0\x60",
        b"\x01a\xc0\x29",
        b"\xc0\x01",
    ] {
        let d = decoded(&response(kind::NS, data));
        let stops = d.stops();
        assert_eq!(
            (stops.len(), stops[0].0, stops[0].4),
            (1, "dns.ns", Why::Value),
            "{data:?}"
        );
    }
    let d = decoded(&response(kind::NS, b"\x40abc\0"));
    assert_eq!(d.stops()[0].4, Why::Value, "bits that no length has");
    let d = decoded(&response(kind::NS, b"\x05abc"));
    assert_eq!(d.stops(), [("dns.ns", 69, 7, 4, Why::Length)]);
}

#[test]
fn a_name_is_not_too_long_and_its_pointers_are_not_too_many() {
    let mut message = HEADER.to_vec();
    for _ in 0..4 {
        message.push(63);
        message.extend([b'x'; 63]);
    }
    message.extend(b"\0\0\x01\0\x01");
    let d = decoded(&packet(&message));
    assert_eq!(
        (d.stops()[0].0, d.stops()[0].4),
        ("dns.qry.name", Why::Value),
        "257 bytes"
    );
    assert_eq!(
        d.one("dns.qry.type"),
        "1",
        "what follows is read all the same"
    );

    // A chain of pointers, each to the one before it.
    let mut chain = vec![0];
    chain.extend((0..1000_u16).flat_map(|n| {
        let to = if n == 0 { 0 } else { n * 2 - 1 };
        (0xc000 | to).to_be_bytes()
    }));
    let name = |at| Name {
        message: &chain,
        at,
    };
    assert!(name(1).is_whole() && name(1 + 100 * 2).is_whole());
    assert!(!name(1 + 999 * 2).is_whole());
}

#[test]
fn counts_that_lie_and_bytes_left_over() {
    let mut message = [HEADER, QUESTION].concat();
    message[4..6].copy_from_slice(&[0xff, 0xff]);
    let d = decoded(&packet(&message));
    assert_eq!(d.stops().len(), 1);
    let mut message = [HEADER, QUESTION, b"xyz"].concat();
    message[7] = 0;
    let d = decoded(&packet(&message));
    assert_eq!(d.stops(), [("dns", 57, 0, 3, Why::Trailing)]);
    assert_eq!(d.gap(), b"xyz");
}

#[test]
fn multicast_dns_has_its_own_bit() {
    let mut message = [HEADER, QUESTION].concat();
    message[7] = 0;
    let last = message.len() - 2;
    message[last] = 0x80;
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([5, 6, 7, 8], [224, 0, 0, 251], 255)
        .udp(5353, 5353)
        .write(&mut bytes, &message)
        .unwrap();
    let d = decoded(&bytes);
    assert_eq!(
        (d.one("dns.qry.qu"), d.one("dns.qry.class")),
        ("1".into(), "0x1".into())
    );
}

#[test]
fn on_a_stream_the_length_stands_before_the_message() {
    let mut message = vec![0, 29];
    message.extend([HEADER, QUESTION].concat());
    message[9] = 0;
    let talk = &mut Talk::default();
    assert_eq!(next(&message, 0, talk), Framing::Whole(31));
    assert_eq!(next(&message[..30], 0, talk), Framing::More);
    assert_eq!(next(&message[..1], 0, talk), Framing::More);
    assert_eq!(next(&[0, 11, 1], 0, talk), Framing::NotMine);

    // Pointers count from the message, not from its length.
    message.splice(14..27, *b"\x01a\xc0\x0e\0\0\0\0\0\0\0\0\0");
    let (mut labels, mut context) = (Labels::default(), Context::default());
    let mut c = Cursor::new(
        &message,
        BufId::FRAME,
        0..message.len(),
        Why::Short,
        &mut labels,
        &mut context,
    );
    let _ = segment(&mut c);
    let name = labels
        .fields
        .iter()
        .find(|f| f.def.key == "dns.qry.name")
        .unwrap();
    assert_eq!(name.back, 12);
    assert_eq!(show(name.value(&message), QRY_NAME.kind), "a");
}
