//! Golden frames: one frame in `tests/golden/NAME.hex`, and beside it in `tests/snapshots` the labels it gets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{check, tree, unhex};
use layerwise::packet::{Frame, LinkType};
use layerwise::session::Session;

/// The labels of a golden frame, as text; those of the layers in `full` one by one.
fn golden(text: &str, full: &[&str]) -> String {
    let data = unhex(text);
    let wire_len = text
        .lines()
        .find_map(|line| line.strip_prefix("# wire: "))
        .map_or(data.len() as u32, |len| len.parse().unwrap());
    let frame = Frame {
        wire_len,
        link: link(text),
        ..common::frame(1, &data)
    };
    let mut session = Session::new();
    let event = session.push(frame);
    check(&event);
    let tree = tree(&event, full);
    assert!(tree.lines().count() <= 60, "too long to read");
    tree
}

/// What the frame begins with: the number in a line of its file, or an IP header.
fn link(text: &str) -> LinkType {
    text.lines()
        .find_map(|line| line.strip_prefix("# link: "))
        .map_or(LinkType::RAW, |number| LinkType(number.parse().unwrap()))
}

/// Each golden frame is a line here: its test, its file, and the layers to be shown one by one.
macro_rules! golden {
    ($($test:ident $file:literal [$($layer:literal)+];)+) => {
        const FILES: &[&str] = &[$(include_str!(concat!("golden/", $file, ".hex"))),+];
    $(
        #[test]
        fn $test() {
            let text = include_str!(concat!("golden/", $file, ".hex"));
            insta::assert_snapshot!($file, golden(text, &[$($layer),+]));
        }
    )+};
}

golden! {
    tcp_syn_options "tcp-syn-options" ["tcp"];
    ipv4_options "ipv4-options" ["ip"];
    ipv6_extension_headers "ipv6-extension-headers" ["ipv6"];
    tcp_sack "tcp-sack" ["tcp"];
    tls_client_hello "tls-client-hello" ["tls"];
    tls_server_hello "tls-server-hello" ["tls"];
    cut_off "cut-off" ["ip" "tcp"];
    malformed "malformed" ["tcp"];
    chat "chat" ["chat"];
    data "data" ["data"];
    arp_announcement "arp-announcement" ["eth" "arp"];
    ethernet_length "ethernet-length" ["eth"];
    vlan_tags "vlan-tags" ["eth" "vlan" "ieee8021ad"];
    linux_cooked "linux-cooked" ["sll" "icmp"];
    linux_cooked_2 "linux-cooked-2" ["sll"];
    bsd_loopback "bsd-loopback" ["null" "udp"];
    icmp_unreachable "icmp-unreachable" ["icmp"];
    icmpv6_neighbor "icmpv6-neighbor" ["icmpv6"];
    icmpv6_listener "icmpv6-listener" ["icmpv6"];
    dns_response "dns-response" ["dns"];
    http_request "http-request" ["http"];
    http_response "http-response" ["http"];
}

#[test]
fn every_protocol_has_a_golden_frame() {
    let seen: Vec<&str> = FILES
        .iter()
        .flat_map(|text| {
            let data = unhex(text);
            let mut session = Session::new();
            let link = link(text);
            let event = session.push(Frame {
                link,
                ..common::frame(1, &data)
            });
            event
                .layers
                .iter()
                .map(|layer| layer.def.key)
                .collect::<Vec<_>>()
        })
        .collect();
    let missing: Vec<&str> = layerwise::layers::PROTOCOLS
        .iter()
        .map(|protocol| protocol.def.key)
        // What is known of a frame as a whole is no layer of it.
        .filter(|key| *key != "frame")
        .filter(|key| !seen.contains(key))
        .collect();
    assert!(
        missing.is_empty(),
        "no frame in tests/golden has these layers: {missing:?}"
    );
}
