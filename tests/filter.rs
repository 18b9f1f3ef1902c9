//! The expression language against Wireshark's own: the same packets, the same expressions, the same verdicts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::pcap::{Capture, capture};
use layerwise::filter::Filter;
use layerwise::packet::{Frame, LinkType, Time};
use layerwise::session::Session;

/// What Wireshark and this program shall agree on.
const AGREED: &[&str] = &[
    // Presence.
    "tcp",
    "tls",
    "ip",
    "ipv6",
    "frame",
    "tls.handshake",
    "tls.alert_message",
    "tcp.options.mss",
    "tcp.options.timestamp.tsval",
    "tcp.options.sack",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.ack_rtt",
    "tcp.payload",
    "tcp.flags.syn",
    "!tcp",
    "!tls",
    "not tls.handshake",
    // Numbers, flags, names of values.
    "tcp.port == 8080",
    "tcp.port eq 9000",
    "tcp.srcport == 8080",
    "tcp.dstport != 8080",
    "tcp.port != 8080",
    "!(tcp.port == 8080)",
    "tcp.port ne 8080",
    "tcp.port > 50000",
    "tcp.port >= 52028",
    "tcp.port lt 9000",
    "tcp.port <= 8080",
    "tcp.port == 0x1f90",
    "tcp.port == 017620",
    "tcp.flags.syn == 1",
    "tcp.flags.syn == True",
    "tcp.flags.syn == False",
    "tcp.flags.syn == \"Set\"",
    "tcp.flags == 0x18",
    "tcp.flags == 0x012",
    "tcp.flags & 0x02",
    "tcp.flags & 0x12 == 0x12",
    "tcp.flags & 2 == 0",
    "tcp.len > 0",
    "tcp.len == 0 && tcp.flags.ack == 1",
    "tcp.len >= 100 and tcp.len < 700",
    "tcp.seq == 1",
    "tcp.ack > 1000",
    "tcp.nxtseq > 1500",
    "tcp.stream == 1",
    "tcp.stream > 1",
    "tcp.hdr_len == 20",
    "tcp.hdr_len > 20",
    "tcp.window_size == 262144",
    "tcp.window_size_value < 65535",
    "tcp.window_size_scalefactor == 8",
    "tcp.options.mss_val == 1460",
    "tcp.options.wscale.shift == 3",
    "tcp.checksum.status == \"Good\"",
    "tcp.checksum.status == Bad",
    "ip.ttl == 64",
    "ip.ttl != 64",
    "!(ip.ttl == 64)",
    "ip.hdr_len == 20",
    "ip.hdr_len > 20",
    "ip.proto == 6",
    "ip.proto == TCP",
    "ip.version == 4",
    "ip.len > 1000",
    "ip.flags.df == 1",
    "ipv6.hlim == 64",
    "ip.id == 0x1c46",
    // Addresses.
    "ip.src == 1.2.3.4",
    "ip.addr == 1.2.3.4",
    "ip.addr != 1.2.3.4",
    "ip.src != 1.2.3.4",
    "ip.addr any_ne 1.2.3.4",
    "ip.addr === 1.2.3.4",
    "ip.addr !== 1.2.3.4",
    "ip.addr all_ne 9.9.9.9",
    "all ip.addr == 1.2.3.4",
    "all ip.addr == 0.0.0.0/5",
    "any ip.addr != 1.2.3.4",
    "all tcp.port > 8000",
    "any tcp.port > 60000",
    "ip.addr == 1.2.3.0/24",
    "ip.src == 5.0.0.0/8",
    "ip.src == 5.6.7.9/32",
    "ip.addr == 0.0.0.0/0",
    "ip.addr > 5.0.0.0",
    "ip.addr > 5.0.0.0/8",
    "ip.addr in {1.2.3.0/24}",
    "ip.src in {5.6.7.0..5.6.7.255}",
    "ipv6.addr == 2001:db8::1",
    "ipv6.src == 2001:db8::/32",
    "ipv6.dst == 2001:db9::/32",
    "ipv6.addr == ::1",
    // Sets.
    "tcp.port in {8080, 9000}",
    "tcp.port in {8000..8100}",
    "tcp.port not in {8000..8100}",
    "!(tcp.port in {80, 443, 8081..65535})",
    "tcp.len in {24, 40..60, 1..9}",
    "tls.handshake.type in {1, 2}",
    "frame.number in {1..3, 7}",
    // Bytes and slices.
    "tcp.payload[0:2] == 16:03",
    "tcp.payload[0:2] == 1603",
    "tcp.payload[0:2] == 16-03",
    "tcp.payload[0:4] == 16:03:01:05",
    "tcp.payload[0] == 16",
    "tcp.payload[0] == 0x17",
    "tcp.payload[0:1] != 17",
    "tcp.payload[0-1] == 17:03",
    "tcp.payload[:2] == 14:03",
    "tcp.payload[3:] contains 00:00",
    "tcp.payload[100:] contains 00",
    "tcp.payload[-1] == 0a",
    "tcp.payload[-4:2] == 6f:72",
    "tcp.payload[-4--3] == 6f:72",
    "tcp.payload[0:9] == \"hello in \"",
    "tcp.payload[0:10000] contains 16",
    "!(tcp.payload[0:10000] contains 16)",
    "tcp.payload[5000:]",
    "tcp.payload[0:4]",
    "tcp.payload[0:2] < 17:00",
    "tcp.payload[0:2] >= 17:03",
    "tcp.payload < 16:03",
    "tcp.payload > 16:03",
    "frame[0] == 45",
    "frame[0:1] == 60",
    "frame[-1] == 00",
    "frame[-4:4] == 02:04:05:94",
    "frame[0-3] == 45:00:00:28",
    "ip.src[0:2] == 01:02",
    "ip.src[3] == 8",
    "ipv6.src[0:2] == 20:01",
    "tcp[13] == 12",
    "tcp[0:2] == 1f:90",
    "tcp.options[0] == 02",
    "tcp.options.mss[2:2] == 05:b4",
    "tls.handshake.random[0:1] > 80",
    "tls.handshake.session_id contains 00",
    // Text.
    "tls.handshake.extensions_server_name == \"b.example\"",
    "tls.handshake.extensions_server_name == b.example",
    "tls.handshake.extensions_server_name == \"B.example\"",
    "tls.handshake.extensions_server_name != \"b.example\"",
    "tls.handshake.extensions_server_name contains \"exam\"",
    "tls.handshake.extensions_server_name contains exam",
    "tls.handshake.extensions_server_name > \"a\"",
    "tls.handshake.extensions_server_name < \"b.\"",
    "tls.handshake.extensions_server_name matches \"^B\\\\.EX\"",
    "tls.handshake.extensions_server_name matches r\"^b\\.ex.*e$\"",
    "tls.handshake.extensions_server_name matches \"(?-i)^B\"",
    "tls.handshake.extensions_server_name ~ \"xample\"",
    "upper(tls.handshake.extensions_server_name) == \"B.EXAMPLE\"",
    "lower(tls.handshake.extensions_server_name) contains \"EX\"",
    "upper(tls.handshake.extensions_server_name) contains \"EX\"",
    "x509ce.dNSName == \"b.example\"",
    "x509sat.uTF8String contains \"Demo\"",
    "frame contains \"hello\"",
    "frame contains 68:65:6c:6c:6f",
    "frame contains 68656c6c6f",
    "frame contains 'h'",
    "frame contains \"\\x68\\145llo\"",
    "frame matches \"HELLO, too\"",
    "frame matches \"(?-i)HELLO\"",
    "tcp.payload contains \"hello\"",
    "tcp.payload matches \"^\\\\x16\"",
    "tcp.payload matches \"^h.*\\\\n$\"",
    "tcp.payload matches \"hello|too\"",
    // Functions.
    "len(tcp.payload) > 100",
    "len(tcp.payload) == 24",
    "len(ip.src) == 4",
    "len(frame) == 40",
    "len(tls.handshake.extensions_server_name) == 9",
    "len(tls.handshake.session_id) == 32",
    "count(ip.addr) == 2",
    "count(tls.handshake.type) > 2",
    "count(tls.handshake.type) == 0",
    "count(tcp.port) != 2",
    // TLS, sealed and in the clear.
    "tls.record.content_type == 22",
    "tls.record.content_type == 21",
    "tls.record.version == 0x0301",
    "tls.record.version == \"TLS 1.2\"",
    "tls.record.length > 1000",
    "tls.handshake.type == 1",
    "tls.handshake.type == \"Client Hello\"",
    "tls.handshake.type != 1",
    "tls.handshake.ciphersuite == TLS_AES_256_GCM_SHA384",
    "tls.handshake.ciphersuite == 0x1302",
    "tls.handshake.extension.type == 43",
    "tls.handshake.extensions.supported_version == 0x0304",
    "tls.handshake.extensions_key_share_group == 4588",
    "tls.alert_message.desc == \"Close Notify\"",
    "tls.alert_message.desc == 0",
    "tls.alert_message.level == 1",
    "x509if.oid == 2.5.4.3",
    // Field against field.
    "tcp.srcport == tcp.dstport",
    "tcp.srcport != tcp.dstport",
    "tcp.srcport > tcp.dstport",
    "tcp.seq < tcp.ack",
    "tcp.port == tcp.srcport",
    "tcp.port != tcp.srcport",
    "ip.src == ip.dst",
    "ip.addr == ip.addr",
    "ip.addr != ip.addr",
    "ip.ttl > tcp.hdr_len",
    "tls.handshake.random == tls.handshake.random",
    "tcp.payload contains tls.handshake.random",
    // Time and frames.
    "frame.number == 5",
    "frame.number > 50",
    "frame.len > 1000",
    "frame.cap_len == 40",
    "frame.len == frame.cap_len",
    "frame.time_relative > 10.5",
    "frame.time_relative >= 10.5605",
    "frame.time_relative == 0",
    "frame.time_relative < 0.01",
    "frame.time_delta > 0.4",
    "frame.time_delta == 0.005",
    "frame.time_epoch > 1767268815",
    "frame.time > \"2026-01-01 12:00:20\"",
    "frame.time <= \"2026-01-01 12:00:20.015\"",
    "frame.protocols contains \"tls\"",
    "tcp.analysis.ack_rtt > 0.004",
    "tcp.analysis.ack_rtt > 4",
    "tcp.analysis.initial_rtt == 0.010000000 && tcp.len > 0",
    // Together.
    "tcp.flags.syn == 1 or tcp.flags.fin == 1 and tcp.flags.ack == 0",
    "(tcp.flags.syn == 1 or tcp.flags.fin == 1) and tcp.flags.ack == 0",
    "tcp.flags.syn == 1 || tcp.flags.fin == 1 && tcp.flags.ack == 0",
    "tls || tcp.len == 0",
    "not tcp.flags.syn == 1 and ip",
    "not (tcp.flags.syn == 1 or ip)",
    "!!tcp",
    "not not tls",
    "!tcp.port == 8080",
    "((tcp))",
    "tcp && (ip || ipv6) && !(tcp.port == 8080) && frame.len < 60",
];

/// What the expression of this program says.
fn judge(capture: &Capture, filters: &[&str]) -> Vec<Result<Vec<u64>, String>> {
    filters
        .iter()
        .map(|text| {
            let filter = Filter::parse(text).map_err(|error| error.to_string())?;
            let mut session = Session::new();
            for line in &capture.keys {
                session.keylog_line(line).unwrap();
            }
            let mut passed = Vec::new();
            for (number, (time, data)) in (1..).zip(&capture.packets) {
                let event = session.push(Frame {
                    number,
                    time: Time(*time),
                    link: LinkType::RAW,
                    data,
                    wire_len: data.len() as u32,
                });
                if filter.matches(&event) {
                    passed.push(number);
                }
            }
            Ok(passed)
        })
        .collect()
}

#[test]
fn verdicts_are_those_of_wireshark() {
    assert!(AGREED.len() >= 120);
    let capture = capture("filter-verdicts");
    let theirs = capture.verdicts(AGREED);
    let ours = judge(&capture, AGREED);
    let mut differences = Vec::new();
    for ((text, theirs), ours) in AGREED.iter().zip(theirs).zip(ours) {
        if theirs.is_err() || theirs != ours {
            differences.push(format!(
                "{text}\n  Wireshark {theirs:?}\n  layerwise {ours:?}"
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        AGREED.len(),
        differences.join("\n")
    );
}

/// What both refuse, and the words of ours: the sentence, and the place that is marked.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "tcp.prot == 443",
        "no such field: tcp.prot; did you mean tcp.port?",
        "tcp.prot",
    ),
    (
        "tcp.flag.syn == 1",
        "did you mean tcp.flags.syn?",
        "tcp.flag.syn",
    ),
    (
        "ssl.handshake.type == 1",
        "did you mean tls.handshake.type?",
        "ssl.handshake.type",
    ),
    (
        "tcp.retransmission",
        "did you mean tcp.analysis.retransmission?",
        "tcp.retransmission",
    ),
    ("ttl == 3", "did you mean ip.ttl or dns.resp.ttl?", "ttl"),
    (
        "nonsense",
        "no such field: nonsense; `layerwise fields` lists all there are",
        "nonsense",
    ),
    (
        "ip.ttl == \"abc\"",
        "ip.ttl is a number, and this is none; write a number",
        "\"abc\"",
    ),
    ("ip.ttl == 1e3", "this is no number", "1e3"),
    (
        "ip.ttl == 99999999999999999999",
        "this number is too large",
        "99999999999999999999",
    ),
    (
        "ip.src == 1.2.3.256",
        "ip.src is an IPv4 address, and this is none",
        "1.2.3.256",
    ),
    (
        "ip.src == 1.2.3.4/33",
        "ip.src is an IPv4 address",
        "1.2.3.4/33",
    ),
    (
        "ip.src == \"1.2.3.4\"",
        "without quotation marks",
        "\"1.2.3.4\"",
    ),
    ("ip.src == ::1", "ip.src is an IPv4 address", "::1"),
    (
        "ipv6.src == 2001:db8::/129",
        "ipv6.src is an IPv6 address",
        "2001:db8::/129",
    ),
    ("tcp.payload[0:2] == 0x1603", "a row of bytes", "0x1603"),
    ("tcp.payload == xyz", "a row of bytes", "xyz"),
    ("frame.time_relative > 1x", "give seconds", "1x"),
    ("frame.time > 12", "\"2026-01-01 12:00:00\"", "12"),
    (
        "tls.alert_message.desc == bad_record_mack",
        "did you mean bad_record_mac?",
        "bad_record_mack",
    ),
    (
        "tcp.analysis.retransmission == 1",
        "a mark without a value",
        "==",
    ),
    ("ip.src == tcp.srcport", "they cannot be compared", "=="),
    (
        "tcp.port contains 80",
        "contains searches bytes or text, and tcp.port is a number",
        "contains",
    ),
    (
        "tcp.port matches \"8\"",
        "matches searches bytes or text",
        "matches",
    ),
    (
        "tcp.payload matches 16",
        "a pattern between double quotation marks",
        "16",
    ),
    (
        "tcp.payload matches \"(\"",
        "this is no pattern: unclosed group",
        "\"(\"",
    ),
    (
        "tcp.port[0] == 1",
        "it has no bytes to take some of",
        "tcp.port",
    ),
    ("frame[0:0] == 45", "a slice has at least one byte", "0:0"),
    ("frame[x] == 45", "this is no slice", "x"),
    ("frame[0 == 45", "this bracket is never closed", "["),
    (
        "tcp.port = 80",
        "a single = compares nothing; write ==",
        "=",
    ),
    ("tcp.port == 80 | tcp", "write || or the word or", "|"),
    ("tcp.port == 80 443", "&& or || is missing before it", "443"),
    (
        "tcp AND ip",
        "the words of the language are written in small letters",
        "AND",
    ),
    ("(tcp", "a closing parenthesis is missing here", ""),
    ("tcp)", "no parenthesis was opened for this one", ")"),
    ("tcp.port ==", "something is missing", ""),
    ("tcp and", "something is missing", ""),
    ("\"tcp\"", "here stands a field, not a value", "\"tcp\""),
    ("1 == 1", "here stands a field, not a value", "1"),
    ("tcp.port in {}", "a value is missing here", "}"),
    ("tcp.port in {80,}", "a value is missing here", "}"),
    ("tcp.port in {80 443}", "a comma or a closing brace", "443"),
    ("tcp.port in 80", "behind in stands a set", "80"),
    ("tcp.port == {80}", "braces stand behind the word in", "{"),
    (
        "len(tcp.port[0:1]) == 2",
        "it has no bytes to take some of",
        "tcp.port",
    ),
    (
        "size(tcp.payload) == 2",
        "there is no function size()",
        "size",
    ),
    (
        "lower(tcp.port) == \"a\"",
        "lower() takes text, and tcp.port is a number",
        "tcp.port",
    ),
    ("len(tcp.payload)", "a comparison is missing", "len"),
    (
        "len(tcp.payload == 3",
        "a closing parenthesis is missing here",
        "==",
    ),
    (
        "frame contains \"abc",
        "this quotation mark is never closed",
        "\"",
    ),
    (
        "frame contains 'ab'",
        "between single quotation marks stands one byte",
        "'ab'",
    ),
    ("any tcp", "a comparison is missing here", ""),
    ("tcp.port == 80 == 80", "comparisons do not chain", "=="),
    ("tcp.port + 1 == 80", "does not calculate", "+"),
    (
        "ip.src#1 == 1.2.3.4 && ${ip.src} == ip.dst",
        "the layer operator # is not supported",
        "#",
    ),
];

#[test]
fn what_is_refused_says_where_and_what_to_do() {
    let mut wrong = Vec::new();
    for (text, says, marks) in REFUSED.iter() {
        match Filter::parse(text) {
            Ok(_) => wrong.push(format!("{text}: is accepted")),
            Err(error) => {
                let sentence = error.to_string();
                let marked = &text[error.place.clone()];
                if !sentence.contains(says) || marked != *marks {
                    wrong.push(format!(
                        "marks {marked:?} where {marks:?} was meant:\n{sentence}"
                    ));
                }
                assert!(
                    sentence.lines().count() == 3
                        && sentence.lines().nth(1) == Some(&format!("  {text}"))
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What this program takes beyond what Wireshark 4.0 does, and refuses though Wireshark takes it: the list is complete
/// as far as it is known, and each line of it is tried.
#[test]
fn where_the_two_languages_differ() {
    let capture = capture("filter-differences");
    // Taken here alone: the left side may be the value, names are spelled freely, and our own keys.
    let more = [
        ("1.2.3.4 == ip.src", "ip.src == 1.2.3.4"),
        ("60 < ip.ttl", "ip.ttl > 60"),
        (
            "tls.handshake.type == ClientHello",
            "tls.handshake.type == 1",
        ),
        (
            "tls.alert_message.desc == close_notify",
            "tls.alert_message.desc == 0",
        ),
        ("tcp.flags.syn == true", "tcp.flags.syn == 1"),
        ("x509if.oid == commonName", "x509if.oid == 2.5.4.3"),
        ("frame.time_relative < .01", "frame.time_relative < 0.01"),
        ("len(tcp.payload[2:]) == 7", "len(tcp.payload) == 9"),
        ("tcp.port == 0b1111110010000", "tcp.port == 8080"),
    ];
    let texts: Vec<&str> = more.iter().map(|(ours, _)| *ours).collect();
    let same: Vec<&str> = more.iter().map(|(_, theirs)| *theirs).collect();
    assert_eq!(judge(&capture, &texts), capture.verdicts(&same));
    for (text, theirs) in texts.iter().zip(capture.verdicts(&texts)) {
        let only_ours = theirs.is_err() || text.contains("0b");
        assert!(only_ours, "Wireshark has learnt {text}");
    }
    // Refused here, each with its sentence.
    let fewer = [
        (
            "ip.src#1 == 1.2.3.4",
            "the layer operator # is not supported",
        ),
        (
            "tcp.payload[0:2,0:1] == 16:03:16",
            "several slices in one are not supported",
        ),
        ("tcp.len + 1 == 25", "does not calculate"),
        ("ip.ttl == -1", "ip.ttl is never negative"),
        (
            "max(tcp.srcport, tcp.dstport) == 8080",
            "there is no function max()",
        ),
        ("ip.src == ${ip.dst}", "references"),
    ];
    let texts: Vec<&str> = fewer.iter().map(|(text, _)| *text).collect();
    for ((text, says), theirs) in fewer.iter().zip(capture.verdicts(&texts)) {
        assert!(theirs.is_ok(), "{text}: {theirs:?}");
        let error = Filter::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    for text in [
        "(".repeat(16_000),
        "!".repeat(16_000),
        format!("{}tcp", "not ".repeat(4_000)),
        "lower(".repeat(2_600),
        "tcp && ".repeat(3_000),
        format!("tcp.port in {{{}", "1,".repeat(8_000)),
        format!("frame matches \"{}\"", "(".repeat(8_000)),
        "frame matches \"((a{1000}){1000}){1000}\"".to_owned(),
    ] {
        let error = Filter::parse(&text).unwrap_err().to_string();
        assert!(
            error.lines().all(|line| line.chars().count() < 200),
            "{error}"
        );
    }
    let deep = format!("{}tcp{}", "(".repeat(90), ")".repeat(90));
    assert!(Filter::parse(&deep).is_ok());
    let wide = vec!["tcp"; 2_000].join(" && ");
    assert!(Filter::parse(&wide).is_ok());
}

#[test]
fn a_mark_stands_under_its_place_in_any_script() {
    let error = Filter::parse("chat.text == \"世界\" && tcp.prot").unwrap_err();
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    // Each of the two signs is two columns wide.
    assert_eq!(lines[2], format!("  {}{}", " ".repeat(23), "^".repeat(8)));
    let error = Filter::parse("tcp\n\u{1b}[2J.x").unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn a_number_that_a_field_cannot_hold_is_refused_as_wireshark_refuses_it() {
    let refused = Filter::parse("ip.ttl == 300").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this number is too large: ip.ttl is at most 255\n  ip.ttl == 300\n            ^^^"
    );
    for wrong in [
        "ip.ttl in {1..300}",
        "tcp.port == 0x10000",
        "!(udp.length < 65536)",
        "frame.number > 4294967296",
    ] {
        assert!(Filter::parse(wrong).is_err(), "{wrong}");
    }
    for right in [
        "ip.ttl == 255",
        "tcp.port == 65535",
        "tcp.payload[0] == ff",
        "frame.number == 4294967295",
    ] {
        assert!(Filter::parse(right).is_ok(), "{right}");
    }
    // Of each key, Wireshark's type says what it can hold.
    let output = std::process::Command::new("tshark")
        .args(["-G", "fields"])
        .output()
        .expect("this test needs the program `tshark` (Debian: apt-get install tshark)");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut types: std::collections::HashMap<&str, u64> = std::collections::HashMap::new();
    for line in text.lines() {
        let mut columns = line.split('\t').skip(2);
        let (Some(key), Some(kind)) = (columns.next(), columns.next()) else {
            continue;
        };
        let most = match kind {
            "FT_UINT8" => 0xff,
            "FT_UINT16" => 0xffff,
            "FT_UINT24" => 0xff_ffff,
            "FT_INT32" => 0x7fff_ffff,
            "FT_UINT32" | "FT_FRAMENUM" => 0xffff_ffff,
            "FT_UINT64" => u64::MAX,
            _ => continue,
        };
        // Some keys have several types; the widest counts.
        let known = types.entry(key).or_insert(most);
        *known = most.max(*known);
    }
    let mut compared = 0;
    for key in layerwise::filter::key::Key::all().map(|key| key.name) {
        if let Some(most) = types.get(key) {
            compared += 1;
            let ours = layerwise::filter::widths::most(key);
            assert_eq!(ours.unwrap_or(u64::MAX), *most, "{key}");
        }
    }
    assert!(compared > 300, "{compared}");
}
