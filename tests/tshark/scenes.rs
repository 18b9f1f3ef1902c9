//! What happens between the two hosts: each scene gives what was recorded at A.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use crate::net::{Net, Policy, Recording};

/// A port that no protocol has in tshark.
const PORT: u16 = 47_001;

fn b4() -> SocketAddr {
    (Ipv4Addr::new(10, 9, 0, 2), PORT).into()
}

/// A listens to no one; B to A, with room for so many bytes (as far as the kernel lets it choose).
fn pair(net: &Net, to: SocketAddr, room: Option<usize>) -> (TcpStream, TcpStream) {
    let listener = net.b.run(move || {
        let listener = TcpListener::bind(to).unwrap();
        if let Some(room) = room {
            setsockopt(&listener, sockopt::RcvBuf, &room).unwrap();
        }
        listener
    });
    let a = net.a.run(move || TcpStream::connect(to).unwrap());
    let b = listener.accept().unwrap().0;
    for end in [&a, &b] {
        end.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        end.set_write_timeout(Some(Duration::from_secs(30)))
            .unwrap();
    }
    (a, b)
}

/// Sends so many bytes, in pieces.
fn send(mut to: &TcpStream, bytes: usize, piece: usize) {
    let data = vec![0x5a; piece];
    for _ in 0..bytes.div_ceil(piece) {
        to.write_all(&data).unwrap();
    }
}

/// Reads to the end of the other side's data; gives how many bytes there were.
fn drain(mut from: &TcpStream) -> usize {
    let mut room = vec![0; 1 << 16];
    let mut all = 0;
    while let Ok(len @ 1..) = from.read(&mut room) {
        all += len;
    }
    all
}

/// Bulk one way, then the other, over a wire with that policy.
pub(crate) fn bulk(policy: Policy, v6: bool, bytes: usize) -> Result<Recording, String> {
    let net = Net::new(policy, v6)?;
    let to = if v6 {
        (Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2), PORT).into()
    } else {
        b4()
    };
    let (a, b) = pair(&net, to, None);
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&a, bytes, 10_000);
            a.shutdown(Shutdown::Write).unwrap();
            drain(&a);
        });
        scope.spawn(|| {
            drain(&b);
            send(&b, bytes, 3000);
            b.shutdown(Shutdown::Write).unwrap();
        });
    });
    Ok(net.finish())
}

/// Small messages to and fro at the same time, each way lossy.
pub(crate) fn talk(policy: Policy) -> Result<Recording, String> {
    let net = Net::new(policy, false)?;
    let (a, b) = pair(&net, b4(), None);
    for end in [&a, &b] {
        end.set_nodelay(true).unwrap();
    }
    let speak = |mut end: &TcpStream| {
        for n in 0..150_usize {
            end.write_all(&vec![0x41; 1 + n % 90]).unwrap();
            if n % 3 == 0 {
                thread::sleep(Duration::from_micros(700));
            }
        }
        end.shutdown(Shutdown::Write).unwrap();
        drain(end)
    };
    thread::scope(|scope| {
        scope.spawn(|| speak(&a));
        scope.spawn(|| speak(&b));
    });
    Ok(net.finish())
}

/// A reader that does not read for a while: the window closes, is asked about, and opens again.
pub(crate) fn slow_reader() -> Result<Recording, String> {
    let net = Net::new(Policy::default(), false)?;
    let (a, b) = pair(&net, b4(), Some(6000));
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&a, 120_000, 1000);
            a.shutdown(Shutdown::Write).unwrap();
            drain(&a);
        });
        // The kernel asks after 0.2 s, then after 0.4 s more: nothing to wait for but time.
        thread::sleep(Duration::from_millis(1500));
        let mut some = vec![0; 20_000];
        (&b).read_exact(&mut some).unwrap();
        thread::sleep(Duration::from_millis(700));
        drain(&b);
        b.shutdown(Shutdown::Write).ok();
    });
    Ok(net.finish())
}

/// Nobody says anything, but the kernel asks whether the other side is still there.
pub(crate) fn keep_alive() -> Result<Recording, String> {
    let net = Net::new(Policy::default(), false)?;
    let (a, b) = pair(&net, b4(), None);
    setsockopt(&a, sockopt::KeepAlive, &true).unwrap();
    setsockopt(&a, sockopt::TcpKeepIdle, &1).unwrap();
    setsockopt(&a, sockopt::TcpKeepInterval, &1).unwrap();
    send(&a, 100, 100);
    thread::sleep(Duration::from_millis(3300));
    send(&b, 100, 100);
    thread::sleep(Duration::from_millis(1200));
    a.shutdown(Shutdown::Write).unwrap();
    drain(&b);
    drop(b);
    drain(&a);
    Ok(net.finish())
}

/// Programs speak TLS: a server at B on port 443, where tshark looks for it, and clients at A, one after the other.
pub(crate) fn programs(
    folder: &Path,
    policy: Policy,
    server: &str,
    clients: &[String],
) -> Result<Recording, String> {
    let net = Net::new(policy, false)?;
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec {line}")])
            .current_dir(folder);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let mut serve = shell(server);
    serve.stdin(Stdio::piped());
    let mut serving = net.b.run(move || serve.spawn().unwrap());
    // It listens when a connection to it succeeds, from B itself, so that the wire does not see it.
    let ready = net.b.run(|| {
        (0..400).any(|_| {
            thread::sleep(Duration::from_millis(20));
            let listening = std::fs::read_to_string("/proc/thread-self/net/tcp")
                .unwrap_or_default()
                + &std::fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default();
            // Port 443, state LISTEN.
            listening
                .lines()
                .any(|line| line.contains(":01BB ") && line.contains(" 0A "))
        })
    });
    assert!(ready, "{server} does not listen");
    for client in clients {
        let mut command = Command::new("timeout");
        command.args(["20", "sh", "-c", client]).current_dir(folder);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // How it ends is no matter: some are refused on purpose.
        net.a.run(move || command.status().unwrap());
    }
    serving.kill().ok();
    serving.wait().ok();
    Ok(net.finish())
}

/// Connections that end in every way: refused, reset, half-closed, closed by both at once; and ports that are used again.
pub(crate) fn endings() -> Result<Recording, String> {
    let net = Net::new(Policy::default(), false)?;
    let refused = net
        .a
        .run(|| TcpStream::connect(("10.9.0.2", 47_002)).map(drop));
    assert!(refused.is_err());
    let listener = net.b.run(|| TcpListener::bind(b4()).unwrap());
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let connect = |from: u16| {
        let a = net.a.run(move || {
            use nix::sys::socket::{
                AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket,
            };
            let fd = socket(
                AddressFamily::Inet,
                SockType::Stream,
                SockFlag::empty(),
                None,
            )
            .unwrap();
            setsockopt(&fd, sockopt::ReuseAddr, &true).unwrap();
            let raw = std::os::fd::AsRawFd::as_raw_fd(&fd);
            bind(raw, &SockaddrIn::new(10, 9, 0, 1, from)).unwrap();
            connect(raw, &SockaddrIn::new(10, 9, 0, 2, PORT)).unwrap();
            TcpStream::from(fd)
        });
        (a, listener.accept().unwrap().0)
    };
    // The same port three times: each connection is broken off, so its port is free at once.
    for _ in 0..3 {
        let (a, b) = connect(40_000);
        send(&a, 3000, 1000);
        let mut some = [0; 3000];
        (&b).read_exact(&mut some).unwrap();
        setsockopt(&a, sockopt::Linger, &linger).unwrap();
        drop(a);
        drain(&b);
    }
    // Half closed: B goes on speaking after A's end.
    let (a, b) = connect(40_001);
    a.shutdown(Shutdown::Write).unwrap();
    drain(&b);
    send(&b, 5000, 700);
    drop(b);
    drain(&a);
    // Reset by the side that has not read everything.
    let (a, b) = connect(40_002);
    send(&a, 1000, 1000);
    let mut one = [0];
    (&b).read_exact(&mut one).unwrap();
    drop(b);
    drain(&a);
    // Both at once.
    let (a, b) = connect(40_003);
    thread::scope(|scope| {
        scope.spawn(|| a.shutdown(Shutdown::Write).unwrap());
        scope.spawn(|| b.shutdown(Shutdown::Write).unwrap());
    });
    drain(&a);
    drain(&b);
    // Many short ones.
    for port in 41_000..41_040 {
        let (a, b) = connect(port);
        send(&a, 50, 50);
        drop(a);
        drain(&b);
    }
    Ok(net.finish())
}
