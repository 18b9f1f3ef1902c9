//! What the kernel knows about a TCP connection (tcp(7), `TCP_INFO`; the layout is in linux/tcp.h).

use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use crate::layers::tcp_info::TcpInfo;

/// `struct tcp_info` up to and with `tcpi_total_retrans`, which every kernel since 2.6 has.
const LEN: usize = 104;

/// Asks the kernel for its view of a TCP socket.
pub(crate) fn tcp_info(socket: impl AsFd) -> Result<TcpInfo, Errno> {
    let mut bytes = [0_u8; LEN];
    let mut len = LEN as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `bytes`, and any bytes are valid there.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            bytes.as_mut_ptr().cast::<c_void>(),
            &raw mut len,
        )
    };
    Errno::result(result)?;
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let word = |at: usize| {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
        u32::from_ne_bytes(word.copied().unwrap_or([0; 4]))
    };
    Ok(TcpInfo {
        state: byte(0),
        ca_state: byte(1),
        backoff: byte(4),
        rto: word(8),
        snd_mss: word(16),
        unacked: word(24),
        sacked: word(28),
        lost: word(32),
        retrans: word(36),
        rtt: word(68),
        rttvar: word(72),
        snd_ssthresh: word(76),
        snd_cwnd: word(80),
        total_retrans: word(100),
    })
}
