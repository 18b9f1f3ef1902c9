//! A bar on standard error that says how far a long reading has come: only for somebody who waits at a terminal and sees
//! nothing else of it, only when it takes long, and gone at the end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::text::counted;

/// Before that nobody misses it.
const AFTER: Duration = Duration::from_millis(500);
/// How often it is drawn anew.
const EVERY: Duration = Duration::from_millis(100);
/// How many packets go by before the clock is asked again.
const PACKETS: u64 = 1024;
/// How wide the bar itself is, in columns.
const WIDTH: u64 = 30;

/// The bar.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    next: Duration,
    /// Of packets: when to ask the clock again.
    ask: u64,
    drawn: bool,
    ascii: bool,
}

impl Progress {
    /// A bar, if one can be seen and is wanted.
    #[must_use]
    pub fn new(ascii: bool) -> Option<Self> {
        // Where the packets themselves appear on a terminal, they are the progress.
        (io::stderr().is_terminal() && !io::stdout().is_terminal()).then(|| Self {
            began: Instant::now(),
            next: AFTER,
            ask: PACKETS,
            drawn: false,
            ascii,
        })
    }

    /// So many packets have been read, in so many bytes of how many (if that is known).
    #[inline]
    pub fn at(&mut self, packets: u64, progress: impl FnOnce() -> (u64, Option<u64>)) {
        if packets >= self.ask {
            self.ask = packets + PACKETS;
            self.look(packets, progress());
        }
    }

    #[cold]
    fn look(&mut self, packets: u64, progress: (u64, Option<u64>)) {
        let since = self.began.elapsed();
        if since < self.next {
            return;
        }
        self.next = since + EVERY;
        self.drawn = true;
        let text = bar(packets, progress, since, self.ascii);
        // Where the bar cannot be written, nothing is lost.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

/// The bar as it is drawn over the one before.
fn bar(packets: u64, (done, size): (u64, Option<u64>), since: Duration, ascii: bool) -> String {
    let Some(size) = size.filter(|size| *size > 0) else {
        let packets = counted(packets, "packet|packets");
        return format!("\r{packets}, {} MB\x1b[K", done / 1_000_000);
    };
    let done = done.min(size);
    let filled = (u128::from(done) * u128::from(WIDTH) / u128::from(size)) as usize;
    let (full, empty) = if ascii { ("#", ".") } else { ("█", "░") };
    let left = since.as_secs_f64() * (size - done) as f64 / done.max(1) as f64;
    format!(
        "\r{}{} {:3} %  {}  {left:.0} s left\x1b[K",
        full.repeat(filled),
        empty.repeat(WIDTH as usize - filled),
        u128::from(done) * 100 / u128::from(size),
        counted(packets, "packet|packets"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_far_it_has_come_and_how_long_it_takes() {
        let since = Duration::from_secs(2);
        assert_eq!(
            bar(1000, (25, Some(100)), since, true),
            "\r#######.......................  25 %  1000 packets  6 s left\x1b[K"
        );
        assert_eq!(
            bar(7, (3_000_000, None), since, true),
            "\r7 packets, 3 MB\x1b[K"
        );
        // A file that grows while it is read.
        assert!(bar(7, (300, Some(100)), since, false).contains("100 %  7 packets  0 s left"));
    }
}
