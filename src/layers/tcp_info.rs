//! The kernel's view of a TCP connection: what Linux tells of it under `TCP_INFO`. No header carries these numbers; they
//! are what the sender reckons with. Keys are the names in linux/tcp.h after `tcp_info.`, with `cwnd` and `ssthresh`
//! as everyone calls them.

use crate::packet::{Fact, FieldDef};

fields! {
    STATE = "tcp_info.state" Uint;
    CA_STATE = "tcp_info.ca_state" Uint;
    CWND = "tcp_info.cwnd" Uint;
    SSTHRESH = "tcp_info.ssthresh" Uint;
    RTT = "tcp_info.rtt" Uint;
    RTTVAR = "tcp_info.rttvar" Uint;
    RTO = "tcp_info.rto" Uint;
    BACKOFF = "tcp_info.backoff" Uint;
    SND_MSS = "tcp_info.snd_mss" Uint;
    UNACKED = "tcp_info.unacked" Uint;
    SACKED = "tcp_info.sacked" Uint;
    LOST = "tcp_info.lost" Uint;
    RETRANS = "tcp_info.retrans" Uint;
    TOTAL_RETRANS = "tcp_info.total_retrans" Uint;
}

/// What the kernel of one host knows about its end of a connection, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpInfo {
    /// The state of the connection, as Linux numbers them: see [`state`].
    pub state: u8,
    /// The state of congestion control: 0 open, 1 disorder, 2 window reduced, 3 recovery, 4 loss.
    pub ca_state: u8,
    /// How often the retransmission timeout was doubled since the last acknowledgment.
    pub backoff: u8,
    /// The retransmission timeout, in microseconds.
    pub rto: u32,
    /// The most bytes of data in a segment it sends.
    pub snd_mss: u32,
    /// Segments that were sent and not acknowledged.
    pub unacked: u32,
    /// Of these, segments that were acknowledged selectively.
    pub sacked: u32,
    /// Of these, segments that are taken for lost.
    pub lost: u32,
    /// Of these, segments that were sent again.
    pub retrans: u32,
    /// The smoothed round-trip time, in microseconds; 0 before the first measurement.
    pub rtt: u32,
    /// Its mean deviation, in microseconds.
    pub rttvar: u32,
    /// The slow-start threshold, in segments; [`UNLIMITED`] before the first loss.
    pub snd_ssthresh: u32,
    /// The congestion window, in segments.
    pub snd_cwnd: u32,
    /// Segments that were sent again since the connection began.
    pub total_retrans: u32,
}

/// The slow-start threshold of a connection that has not lost anything yet.
pub const UNLIMITED: u32 = 0x7fff_ffff;

/// The states of a connection, as Linux numbers them (net/tcp_states.h).
pub mod state {
    /// Both sides have agreed.
    pub const ESTABLISHED: u8 = 1;
    /// No connection any more (or TIME-WAIT, which the kernel keeps apart from the socket).
    pub const CLOSE: u8 = 7;
}

impl TcpInfo {
    /// All of it, as facts under their keys.
    #[must_use]
    pub fn facts(&self) -> [(&'static FieldDef, Fact); 14] {
        let fact = |n: u32| Fact::Uint(u64::from(n));
        [
            (&STATE, fact(self.state.into())),
            (&CA_STATE, fact(self.ca_state.into())),
            (&CWND, fact(self.snd_cwnd)),
            (&SSTHRESH, fact(self.snd_ssthresh)),
            (&RTT, fact(self.rtt)),
            (&RTTVAR, fact(self.rttvar)),
            (&RTO, fact(self.rto)),
            (&BACKOFF, fact(self.backoff.into())),
            (&SND_MSS, fact(self.snd_mss)),
            (&UNACKED, fact(self.unacked)),
            (&SACKED, fact(self.sacked)),
            (&LOST, fact(self.lost)),
            (&RETRANS, fact(self.retrans)),
            (&TOTAL_RETRANS, fact(self.total_retrans)),
        ]
    }

    /// Whether something is worth showing since `before`: windows, losses and timeouts count, and times only when they
    /// change by more than a quarter (they differ a little with each acknowledgment).
    #[must_use]
    pub fn differs(&self, before: &Self) -> bool {
        let steady = |info: &Self| Self {
            unacked: 0,
            sacked: 0,
            rtt: 0,
            rttvar: 0,
            rto: 0,
            ..*info
        };
        let moved = |a: u32, b: u32| a.abs_diff(b) > b / 4;
        steady(self) != steady(before) || moved(self.rtt, before.rtt) || moved(self.rto, before.rto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_changes_of_time_are_not_worth_a_line() {
        let before = TcpInfo {
            rtt: 10_000,
            rto: 210_000,
            snd_cwnd: 10,
            ..TcpInfo::default()
        };
        let with = |change: fn(&mut TcpInfo)| {
            let mut info = before;
            change(&mut info);
            info.differs(&before)
        };
        assert!(!with(|_| ()));
        assert!(!with(|info| info.rtt = 12_000));
        assert!(!with(|info| info.unacked = 3));
        assert!(with(|info| info.rtt = 13_000));
        assert!(with(|info| info.rto = 420_000));
        assert!(with(|info| info.snd_cwnd = 11));
        assert!(with(|info| info.total_retrans = 1));
    }

    #[test]
    fn every_key_has_a_fact() {
        let keys: Vec<_> = TcpInfo::default()
            .facts()
            .iter()
            .map(|(def, _)| def.key)
            .collect();
        let all: Vec<_> = FIELDS.iter().map(|def| def.key).collect();
        assert_eq!(keys, all);
    }
}
