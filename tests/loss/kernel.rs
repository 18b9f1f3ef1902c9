//! One bad wire, looked at from four sides: what this program says of its packets, what the kernel of each host has counted,
//! what the kernel knows about the connection, and what tshark says of the capture that is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use layerwise::file::{WriteOptions, Writer};
use layerwise::layers::ipv4::{self, checksum_status};
use layerwise::layers::tcp;
use layerwise::packet::Frame;
use layerwise::session::Session;
use layerwise::wire::fault::Rule;
use layerwise::wire::tun::{Config, Tun};
use layerwise::wire::{Host, Link, Packet, Seen, Wire};

use super::{chat, namespace};

/// Packets spoilt on purpose, so that it is known who has to notice, and others lost by chance.
/// (Never several in a row: the kernel doubles its timeout each time. And another address on nothing that may have been sent
/// again: of that, whoever looks at the wire cannot know what it was.)
const RULES: [&str; 8] = [
    "flip tcp.payload stale where tcp.len > 0 && ip.src == 1.2.3.4 times 2 after 9",
    "flip tcp.window_size_value stale where tcp && ip.src == 1.2.3.4 after 25",
    "flip tcp.checksum stale where tcp && ip.src == 5.6.7.8 after 10",
    "flip tcp.payload stale where tcp.len > 0 && ip.src == 5.6.7.8 times 2 after 14",
    "flip ip.id stale where ip.src == 5.6.7.8 after 18",
    "flip ip.dst stale where ip.src == 1.2.3.4 && tcp.len == 0 && tcp.flags == 0x10 after 10",
    "random reordering 3%",
    "random loss 5%",
];

/// What our notes and tshark's may say of a packet, and both must say of the same.
const ANALYSIS: [&str; 6] = [
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order",
    "tcp.analysis.duplicate_ack",
    "tcp.analysis.lost_segment",
];

/// By key, the frames that it is said of.
type Said = BTreeMap<String, BTreeSet<u64>>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Segments with a wrong checksum, by the host they have come to.
    wrong_tcp: BTreeMap<char, u64>,
    /// The same for IP headers.
    wrong_ip: BTreeMap<char, u64>,
    /// Segments sent again, by the host that sent them.
    again: BTreeMap<char, u64>,
}

fn add(counts: &mut BTreeMap<char, u64>, host: Host, n: u64) {
    *counts
        .entry(if host == Host::A { 'A' } else { 'B' })
        .or_default() += n;
}

#[test]
fn the_kernel_and_tshark_count_what_our_notes_say() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: the_kernel_and_tshark_count_what_our_notes_say: not root");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Side by side, since most of the time is waiting.
    std::thread::scope(|scope| {
        for (seed, link) in [(1, Link::Ip), (2, Link::Ethernet)] {
            scope.spawn(move || {
                compare(seed, link, &folder.join(format!("bad-wire-{seed}.pcapng")));
            });
        }
    });
}

fn compare(seed: u64, link: Link, file: &Path) {
    let config = Config {
        link,
        ..Config::default()
    };
    let rules = RULES.map(|rule| Rule::parse(rule).unwrap()).into();
    let script = chat(200_000, 10, true);
    let making = namespace::alone();
    let before = namespace::held();
    let mut wire = Tun::with_faults(&config, &script, rules, seed).unwrap();
    let mut hosts = Vec::new();
    for (name, namespace) in namespace::held() {
        if !before.contains_key(&name)
            && let Some(host) = namespace::host(&namespace)
        {
            hosts.push((host, namespace));
        }
    }
    drop(making);
    assert_eq!(hosts.len(), 2);

    let mut session = Session::new();
    let options = WriteOptions {
        force: true,
        ..WriteOptions::default()
    };
    let mut writer = Writer::create(file, options).unwrap();
    let interface = writer.interface("wire", link.link_type()).unwrap();
    let (mut ours, mut counted, mut info) = (Said::new(), Counted::default(), Counted::default());
    let mut held: BTreeMap<u64, (Host, bool, bool)> = BTreeMap::new();
    for seen in wire.by_ref() {
        let arrived = match seen.unwrap() {
            Seen::Key { line, .. } => {
                session.keylog_line(&line).unwrap();
                None
            }
            Seen::Packet(packet) => {
                let verdicts = note(&mut session, &packet, &mut ours, &mut counted);
                writer.packet(interface, &frame(&packet), []).unwrap();
                held.insert(packet.id, verdicts);
                packet.arrives.map(|_| packet.id)
            }
            Seen::Released { id, .. } => Some(id),
            Seen::Kernel {
                host, info: known, ..
            } => {
                let again = &mut info.again;
                again.insert(
                    if host == Host::A { 'A' } else { 'B' },
                    known.total_retrans.into(),
                );
                None
            }
            Seen::Chat { .. } => None,
        };
        if let Some((to, ip, tcp)) = arrived.and_then(|id| held.get(&id)) {
            add(&mut counted.wrong_ip, *to, u64::from(*ip));
            add(&mut counted.wrong_tcp, *to, u64::from(*tcp));
        }
    }
    writer.flush().unwrap();
    drop(writer);
    assert_eq!(wire.unseen(), 0);
    let (fates, reports) = wire.faults().unwrap();
    assert!(
        fates.add_up() && reports.iter().all(|r| r.fired > 0),
        "{reports:?}"
    );

    // The kernel's counters.
    let mut kernel = Counted::default();
    for (host, namespace) in &hosts {
        let count = |protocol, name| namespace::counter(namespace, protocol, name);
        add(&mut kernel.wrong_tcp, *host, count("Tcp", "InCsumErrors"));
        add(&mut kernel.wrong_ip, *host, count("Ip", "InHdrErrors"));
        add(&mut kernel.again, *host, count("Tcp", "RetransSegs"));
    }
    assert_eq!(counted, kernel, "{link:?}: ours, the kernel's");
    assert_eq!(counted.again, info.again, "{link:?}: ours, TCP_INFO's");
    assert!(counted.again.values().sum::<u64>() > 8, "{counted:?}");
    assert_eq!(ours, tshark(file), "{link:?}");
}

fn frame(packet: &Packet) -> Frame<'_> {
    Frame {
        number: packet.id,
        time: packet.sent,
        link: packet.link.link_type(),
        data: &packet.bytes,
        wire_len: packet.bytes.len() as u32,
    }
}

/// Puts down what our notes say of a packet, and gives to whom it goes and whether the checksums of IP and TCP are wrong.
fn note(
    session: &mut Session,
    packet: &Packet,
    ours: &mut Said,
    counted: &mut Counted,
) -> (Host, bool, bool) {
    let event = session.push_with(frame(packet), packet.kernel.as_ref());
    for note in event.notes {
        if ANALYSIS.contains(&note.def.key) {
            let said = ours.entry(note.def.key.to_owned()).or_default();
            said.insert(packet.id);
        }
    }
    let is_wrong = |def| {
        event
            .note(def)
            .is_some_and(|note| note.value == checksum_status::BAD)
    };
    let (ip, tcp) = (
        is_wrong(&ipv4::CHECKSUM_STATUS),
        is_wrong(&tcp::CHECKSUM_STATUS),
    );
    for (key, wrong) in [("ip.checksum.status", ip), ("tcp.checksum.status", tcp)] {
        if wrong {
            ours.entry(key.to_owned()).or_default().insert(packet.id);
        }
    }
    // Within a round trip of the gap, what fills it is called out of order, as Wireshark does: a capture on the way could not
    // tell. Here all is seen where it is sent, so that it can only have been sent again.
    let again = [&tcp::ANALYSIS_RETRANSMISSION, &tcp::ANALYSIS_OUT_OF_ORDER];
    if again.iter().any(|def| event.note(def).is_some()) {
        add(&mut counted.again, packet.from, 1);
    }
    // Whose header is wrong, nobody looks into.
    (packet.from.other(), ip, tcp && !ip)
}

/// What tshark says of the capture.
fn tshark(file: &Path) -> Said {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-r"]).arg(file);
    for preference in ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE"] {
        command.args(["-o", preference]);
    }
    let sums = ["ip.checksum.status", "tcp.checksum.status"];
    command.args(["-e", "frame.number"]);
    for key in sums.iter().chain(&ANALYSIS) {
        command.args(["-e", key]);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut said = Said::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut cells = line.split('\t');
        let number = cells.next().unwrap().parse().unwrap();
        for (key, cell) in sums.iter().chain(&ANALYSIS).zip(cells) {
            // 0 is bad, 1 good, 2 unverified.
            let is_said = if sums.contains(key) {
                cell == "0"
            } else {
                !cell.is_empty()
            };
            if is_said {
                said.entry((*key).to_owned()).or_default().insert(number);
            }
        }
    }
    said
}
