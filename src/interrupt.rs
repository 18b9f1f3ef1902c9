//! Being asked to end: Ctrl-C and `kill`, taken up where the program looks for them, so that a file it has begun is complete.

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};

    /// SIGINT and SIGTERM no longer end the process; they wait here.
    #[derive(Debug)]
    pub(crate) struct Interrupts(SignalFd);

    impl Interrupts {
        /// Must come before the first thread, so that no other one takes them.
        ///
        /// # Errors
        /// When the system has no room for one more descriptor.
        pub(crate) fn new() -> io::Result<Self> {
            let mut set = SigSet::empty();
            set.add(Signal::SIGINT);
            set.add(Signal::SIGTERM);
            set.thread_block()?;
            let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
            Ok(Self(SignalFd::with_flags(&set, flags)?))
        }

        /// Whether one has come; each is said once.
        pub(crate) fn came(&self) -> bool {
            matches!(self.0.read_signal(), Ok(Some(_)))
        }

        /// Waits so long; whether one came before that.
        pub(crate) fn came_within(&self, time: Duration) -> bool {
            let mut list = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut list, timeout);
            self.came()
        }

        /// Waits until there is something to read; whether one came before that.
        pub(crate) fn came_before(&self, input: impl AsFd) -> bool {
            let mut list = [
                PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
                PollFd::new(input.as_fd(), PollFlags::POLLIN),
            ];
            // Where it cannot be waited, reading waits.
            let _ = poll(&mut list, PollTimeout::NONE);
            self.came()
        }
    }

    impl AsFd for Interrupts {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::time::Duration;

    /// Nothing is taken up: they end the process.
    #[derive(Debug)]
    pub(crate) struct Interrupts;

    impl Interrupts {
        /// Never fails.
        ///
        /// # Errors
        /// None.
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Never.
        pub(crate) fn came(&self) -> bool {
            false
        }

        /// Never.
        pub(crate) fn came_within(&self, time: Duration) -> bool {
            std::thread::sleep(time);
            false
        }

        /// Never.
        pub(crate) fn came_before(&self, _: impl Sized) -> bool {
            false
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Interrupts;
#[cfg(target_os = "linux")]
pub(crate) use linux::Interrupts;
