//! What this program says of captures is what tshark says: captures of many kinds are made here, with the kernel's own
//! TCP/IP and with openssl, curl, python and ncat, and compared cell by cell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod net;
mod scenes;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use compare::Report;
use net::{Policy, Recording};

/// A folder of these tests' own.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tshark");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Whether this machine lets the test make its networks; says so loudly when it does not.
fn unable(name: &str, why: &str) {
    eprintln!("SKIPPED: {name}: {why}");
}

type Scene = Box<dyn FnOnce() -> Result<Recording, String> + Send>;

fn scenes() -> Vec<(&'static str, Scene)> {
    let policy = Policy {
        delay: Duration::from_micros(300),
        ..Policy::default()
    };
    let ms = Duration::from_millis;
    let far = Policy {
        delay: ms(8),
        ..policy
    };
    let lossy = Policy {
        lost: [3, 3],
        seed: 1,
        ..policy
    };
    let far_lossy = Policy {
        lost: [3, 3],
        seed: 2,
        ..far
    };
    let reorder = Policy {
        late: [5, 5],
        late_by: ms(1),
        seed: 3,
        ..policy
    };
    let far_reorder = Policy {
        late: [5, 5],
        late_by: ms(5),
        seed: 4,
        ..far
    };
    let doubled = Policy {
        doubled: [4, 4],
        seed: 5,
        ..policy
    };
    let all = Policy {
        lost: [2, 2],
        doubled: [2, 2],
        late: [3, 3],
        late_by: ms(4),
        seed: 6,
        ..far
    };
    let bulk = |policy, v6, bytes| -> Scene { Box::new(move || scenes::bulk(policy, v6, bytes)) };
    vec![
        ("clean", bulk(policy, false, 300_000)),
        ("clean-v6", bulk(policy, true, 100_000)),
        ("lossy", bulk(lossy, false, 400_000)),
        ("lossy-v6", bulk(Policy { seed: 7, ..lossy }, true, 300_000)),
        ("far-lossy", bulk(far_lossy, false, 400_000)),
        ("reorder", bulk(reorder, false, 300_000)),
        ("far-reorder", bulk(far_reorder, false, 300_000)),
        ("doubled", bulk(doubled, false, 300_000)),
        ("everything", bulk(all, false, 300_000)),
        ("talk-lossy", Box::new(move || scenes::talk(lossy))),
        ("talk-everything", Box::new(move || scenes::talk(all))),
        ("slow-reader", Box::new(scenes::slow_reader)),
        ("keep-alive", Box::new(scenes::keep_alive)),
        ("endings", Box::new(scenes::endings)),
    ]
}

/// The recordings of which only parts are looked at as well.
const DERIVED: [&str; 4] = ["clean", "far-lossy", "talk-everything", "endings"];

/// What is left of a recording: from the middle on; one direction only; with every seventh packet missing; with sequence
/// numbers that wrap around; cut off.
fn derived(name: &str, recording: &Recording) -> Vec<(String, Recording)> {
    let keep = |what: &str, keep: &dyn Fn(usize, &[u8]) -> bool| {
        let kept = recording
            .iter()
            .enumerate()
            .filter(|(n, (_, packet))| keep(*n, packet));
        (
            format!("{name}-{what}"),
            kept.map(|(_, p)| p.clone()).collect::<Recording>(),
        )
    };
    let middle = recording.len() / 3;
    vec![
        keep("middle", &|n, _| n >= middle),
        keep("from-a", &|_, packet| packet[15] == 1),
        keep("from-b", &|_, packet| packet[15] == 2),
        keep("holes", &|n, _| n % 7 != 5),
    ]
}

fn wrapped(recording: &Recording) -> Recording {
    // So that the first direction wraps after some data, and the other a little later.
    let first = |by: u8| {
        recording
            .iter()
            .find(|(_, p)| p[15] == by)
            .map(|(_, p)| u32::from_be_bytes(p[24..28].try_into().unwrap()))
    };
    let shift = [1_u8, 2].map(|by| {
        0xffff_ffff_u32
            .wrapping_sub(20_000 * u32::from(by))
            .wrapping_sub(first(by).unwrap())
    });
    let change = |packet: &[u8]| {
        let mut packet = packet.to_vec();
        let by = usize::from(packet[15]) - 1;
        let add = |packet: &mut [u8], at: usize, by: u32| {
            let number = u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
            packet[at..at + 4].copy_from_slice(&number.wrapping_add(by).to_be_bytes());
        };
        add(&mut packet, 24, shift[by]);
        if packet[33] & 0x10 != 0 {
            add(&mut packet, 28, shift[1 - by]);
        }
        // Selective acknowledgments name sequence numbers, too.
        let end = 20 + usize::from(packet[32] >> 4) * 4;
        let mut at = 40;
        while at + 1 < end {
            let len = match packet[at] {
                0 => break,
                1 => 1,
                _ => usize::from(packet[at + 1]).max(2),
            };
            if packet[at] == 5 {
                for edge in (at + 2..at + len).step_by(4) {
                    add(&mut packet, edge, shift[1 - by]);
                }
            }
            at += len;
        }
        let checksum = {
            let headers = etherparse::Ipv4HeaderSlice::from_slice(&packet).unwrap();
            let tcp = etherparse::TcpSlice::from_slice(&packet[20..]).unwrap();
            tcp.calc_checksum_ipv4(headers.source(), headers.destination())
                .unwrap()
        };
        packet[36..38].copy_from_slice(&checksum.to_be_bytes());
        packet
    };
    recording
        .iter()
        .map(|(time, packet)| (*time, change(packet)))
        .collect()
}

/// Puts recordings into one capture, each with addresses of its own, compares it and prints what differs.
fn compared(name: &str, recordings: Vec<(String, Recording)>, keylog: Option<&Path>) -> Report {
    let mut all = Recording::new();
    for (net, (what, mut recording)) in (1..).zip(recordings) {
        println!("{what}: 10.9.{net}.0, frames from {}", all.len() + 1);
        net::readdress(&mut recording, net);
        all.extend(recording);
    }
    let path = folder().join(format!("{name}.pcap"));
    net::write(&path, &all);
    let report = compare::compare(&path, keylog, &[]).unwrap();
    println!("{}: {} frames", path.display(), report.frames);
    println!("{}", report.table(5));
    report
}

/// At least so much agrees: 97 % of the observer's guesses, 99.5 % of everything else, key by key and together.
fn agrees(report: &Report) {
    let share = |(cells, differ): (usize, usize)| 1.0 - differ as f64 / cells.max(1) as f64;
    assert!(share(report.total(compare::is_analysis)) >= 0.97);
    assert!(share(report.total(|key| !compare::is_analysis(key))) >= 0.995);
    let others = report
        .keys
        .iter()
        .filter(|(key, _)| !compare::is_analysis(key));
    let good = others
        .filter(|(_, tally)| share((tally.cells, tally.differ)) >= 0.995)
        .count();
    assert!(good >= 60, "{good} keys");
}

#[test]
fn tcp() {
    let running: Vec<_> = scenes()
        .into_iter()
        .map(|(name, scene)| (name, thread::spawn(scene)))
        .collect();
    let mut recordings = Vec::new();
    for (name, scene) in running {
        match scene.join().unwrap() {
            Ok(recording) => recordings.push((name.to_owned(), recording)),
            Err(why) => return unable("tcp", &why),
        }
    }
    let more: Vec<_> = recordings
        .iter()
        .filter(|(name, _)| DERIVED.contains(&name.as_str()))
        .flat_map(|(name, recording)| {
            let mut more = derived(name, recording);
            if name != "endings" {
                more.push((format!("{name}-wrapped"), wrapped(recording)));
            }
            more
        })
        .collect();
    recordings.extend(more);
    agrees(&compared("tcp", recordings, None));
}

const SUITES_12: [&str; 11] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256 -no_etm",
    "ECDHE-ECDSA-AES256-SHA384 -no_etm",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-CAMELLIA128-SHA256",
];

#[test]
fn tls() {
    let folder = folder();
    let openssl = |arguments: &str| {
        let command = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&folder)
            .output();
        assert!(
            command
                .expect("these tests need the program openssl")
                .status
                .success(),
            "{arguments}"
        );
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 7 -subj /CN=b.example",
    );
    let keylog = folder.join("keys.log");
    std::fs::write(&keylog, "").unwrap();
    std::fs::write(folder.join("early.txt"), "GET / HTTP/1.0\r\n\r\n").unwrap();
    std::fs::write(folder.join("big.bin"), vec![0x61; 200_000]).unwrap();
    let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect 10.9.0.2:443 -quiet -keylogfile";
    let server =
        "openssl s_server -accept 443 -cert c.pem -key k.pem -www -quiet -cipher ALL:@SECLEVEL=0";
    let lossy = Policy {
        lost: [2, 2],
        late: [2, 2],
        late_by: Duration::from_millis(2),
        delay: Duration::from_millis(1),
        seed: 11,
        ..Policy::default()
    };
    let clean = Policy::default();
    let curl = "SSLKEYLOGFILE=keys-c.log curl -sk --max-time 15 https://10.9.0.2/";
    let suites: Vec<String> = SUITES_12
        .iter()
        .map(|suite| format!("{ask} keys-a.log -tls1_2 -cipher {suite}"))
        .collect();
    let versions = [
        "-tls1_3",
        "-tls1_2",
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1 -cipher ALL:@SECLEVEL=0",
        "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        "-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256",
    ];
    let versions: Vec<String> = versions
        .iter()
        .map(|version| format!("{ask} keys-b.log {version}"))
        .collect();
    let talk = "(echo hello; sleep 0.3) | openssl s_client -connect 10.9.0.2:443 -keylogfile";
    let special = vec![
        // A ticket, resumed with early data; a retry; a session of TLS 1.2 resumed; a certificate of the client; refused.
        format!("{talk} keys-d.log -tls1_3 -sess_out t13.pem"),
        format!("{talk} keys-d.log -tls1_3 -sess_in t13.pem -early_data early.txt"),
        format!("{talk} keys-d.log -tls1_3 -groups X448:P-384"),
        format!("{talk} keys-d.log -tls1_2 -sess_out t12.pem"),
        format!("{talk} keys-d.log -tls1_2 -sess_in t12.pem"),
        format!("{talk} keys-d.log -tls1_2 -no_ticket"),
        format!("{talk} keys-d.log -tls1_3 -cert c.pem -key k.pem"),
        format!("{talk} keys-d.log -tls1_3 -groups X25519 -sigalgs RSA+SHA256"),
    ];
    let python = "python3 -c \"
import http.server, ssl
server = http.server.HTTPServer(('10.9.0.2', 443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('c.pem', 'k.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()\"";
    let urllib = |version: &str| {
        format!(
            "python3 -c \"
import ssl, urllib.request
context = ssl._create_unverified_context()
context.keylog_filename = 'keys-e.log'
context.maximum_version = ssl.TLSVersion.{version}
print(len(urllib.request.urlopen('https://10.9.0.2/big.bin', context=context).read()))\""
        )
    };
    let jobs: Vec<(&str, Policy, &str, Vec<String>)> = vec![
        ("suites", clean, server, suites),
        ("versions", clean, server, versions),
        (
            "curl",
            clean,
            server,
            vec![
                curl.to_owned(),
                format!("{curl} --tls-max 1.2"),
                format!("{curl} -T big.bin"),
            ],
        ),
        (
            "special",
            clean,
            "openssl s_server -accept 443 -cert c.pem -key k.pem -quiet -early_data -groups X25519:P-384:P-256 -verify 1",
            special,
        ),
        (
            "python",
            clean,
            python,
            vec![urllib("TLSv1_3"), urllib("TLSv1_2")],
        ),
        (
            "python-lossy",
            lossy,
            python,
            vec![urllib("TLSv1_3"), urllib("TLSv1_2")],
        ),
        (
            "ncat",
            clean,
            "ncat --ssl -l 443 --ssl-cert c.pem --ssl-key k.pem -k --exec /bin/cat",
            vec!["echo sealed | ncat --ssl -i 1 10.9.0.2 443".to_owned()],
        ),
    ];
    let running: Vec<_> = jobs
        .into_iter()
        .map(|(name, policy, server, clients)| {
            let (folder, server) = (folder.clone(), server.to_owned());
            let scene = thread::spawn(move || scenes::programs(&folder, policy, &server, &clients));
            (name.to_owned(), scene)
        })
        .collect();
    let mut recordings = Vec::new();
    for (name, scene) in running {
        match scene.join().unwrap() {
            Ok(recording) => recordings.push((name, recording)),
            Err(why) => return unable("tls", &why),
        }
    }
    let logs = ["a", "b", "c", "d", "e"]
        .map(|n| std::fs::read_to_string(folder.join(format!("keys-{n}.log"))).unwrap());
    std::fs::write(&keylog, logs.concat()).unwrap();
    let report = compared("tls", recordings, Some(&keylog));
    agrees(&report);
}
