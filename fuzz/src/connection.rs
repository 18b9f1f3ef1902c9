//! One connection between A and B: right IP and TCP headers around any payload, and the secrets of the memory wire with
//! seed 0, so that the records of the seeds open.

use etherparse::PacketBuilder;
use layerwise::session::Session;

/// The client random and the secrets of the seeds, as `examples/seeds.rs` found them.
pub const KEY_LOG: &str = include_str!("../seeds/key.log");

/// A session that knows them.
pub fn session() -> Session {
    let mut session = Session::new();
    for line in KEY_LOG.lines() {
        session
            .keylog_line(line)
            .expect("the key log is well-formed");
    }
    session
}

/// Writes the packets of one connection.
pub struct Connection {
    /// The next sequence number of A and of B.
    pub next: [u32; 2],
    packet: Vec<u8>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            next: [1, 0x8000_0000],
            packet: Vec::new(),
        }
    }
}

impl Connection {
    /// A segment with PSH and ACK that begins `ahead` bytes before or behind what comes next.
    pub fn segment(&mut self, from_b: bool, ahead: i32, payload: &[u8]) -> &[u8] {
        let (us, them) = (usize::from(from_b), usize::from(!from_b));
        let (src, dst) = if from_b {
            ([5, 6, 7, 8], [1, 2, 3, 4])
        } else {
            ([1, 2, 3, 4], [5, 6, 7, 8])
        };
        let (from, to) = if from_b { (8080, 49152) } else { (49152, 8080) };
        let seq = self.next[us].wrapping_add_signed(ahead);
        // What IPv4 can carry with headers of 20 bytes each.
        let payload = &payload[..payload.len().min(65_535 - 40)];
        if ahead == 0 {
            self.next[us] = seq.wrapping_add(payload.len() as u32);
        }
        self.packet.clear();
        PacketBuilder::ipv4(src, dst, 64)
            .tcp(from, to, seq, 65_535)
            .ack(self.next[them])
            .psh()
            .write(&mut self.packet, payload)
            .expect("the payload fits");
        &self.packet
    }
}
