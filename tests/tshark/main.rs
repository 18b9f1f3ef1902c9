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

/// Compares recordings and prints what differs. `LAYERWISE_TSHARK_EXAMPLES` says how many examples of each key.
fn compared(recordings: &[(String, Recording)]) -> Report {
    let mut all = Report::default();
    for (name, recording) in recordings {
        let path = folder().join(format!("{name}.pcap"));
        net::write(&path, recording);
        let report = compare::compare(&path, None).unwrap();
        let (cells, differ) = report.total(|_| true);
        println!(
            "{name}: {} frames, {cells} cells, {differ} differ",
            report.frames
        );
        all.add(&report);
    }
    println!("{}", all.table(4));
    all
}

/// At least so much agrees: 97 % of the observer's guesses, 99.5 % of everything else, key by key and together.
fn agrees(report: &Report) {
    let share = |(cells, differ): (usize, usize)| 1.0 - differ as f64 / cells.max(1) as f64;
    assert!(share(report.total(compare::is_analysis)) >= 0.97);
    assert!(share(report.total(|key| !compare::is_analysis(key))) >= 0.995);
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
    agrees(&compared(&recordings));
}
