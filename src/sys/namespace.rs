//! Trying something out in a child process, so that this one stays as it is.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

/// How many threads this process has.
pub(crate) fn threads() -> Result<usize, Errno> {
    let tasks = std::fs::read_dir("/proc/self/task").map_err(|error| errno(&error))?;
    Ok(tasks.count())
}

/// Runs `work` in a child process and gives what it says: nothing, or a number (a step) with an errno.
///
/// Whatever it changes is gone with the child. Fails with EINVAL if this process has more than one thread.
pub(crate) fn in_child(
    work: impl FnOnce() -> Result<(), (u8, Errno)>,
) -> Result<Result<(), (u8, Errno)>, Errno> {
    if threads()? != 1 {
        return Err(Errno::EINVAL);
    }
    let (mut answer, mut question) = std::io::pipe().map_err(|error| errno(&error))?;
    // SAFETY: this process has one thread, so the child inherits no lock that another thread holds; and it never returns
    // from here: it ends with _exit, which runs no handlers and writes no buffers of the parent's.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(answer);
            let said = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err((0, Errno::ECHILD)));
            let (step, errno) = said.err().unwrap_or((0, Errno::from_raw(0)));
            let [a, b, c, d] = (errno as i32).to_ne_bytes();
            // If this fails, the parent reads nothing and knows.
            let _ = question.write_all(&[step, a, b, c, d]);
            // SAFETY: takes no memory and does not return.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(question);
            let mut bytes = [0; 5];
            let read = answer.read_exact(&mut bytes);
            waitpid(child, None)?;
            read.map_err(|_| Errno::ECHILD)?;
            let [step, a, b, c, d] = bytes;
            Ok(match i32::from_ne_bytes([a, b, c, d]) {
                0 => Ok(()),
                errno => Err((step, Errno::from_raw(errno))),
            })
        }
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
