//! Giving up rights that are no longer needed.

use std::io;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// From the kernel's `include/uapi/linux/capability.h`.
const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Becomes another user and group for good, with no further groups.
///
/// # Errors
/// The step that failed, and why: the process must not go on as if its rights were gone.
pub(crate) fn become_user(uid: u32, gid: u32) -> Result<(), (&'static str, io::Error)> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[]).map_err(|e| ("setgroups", e.into()))?;
    setresgid(gid, gid, gid).map_err(|e| ("setresgid", e.into()))?;
    setresuid(uid, uid, uid).map_err(|e| ("setresuid", e.into()))
}

/// Gives up every capability of this thread, and the way to get new ones by starting a program. Threads that it starts later
/// have none either, so this comes before the first.
///
/// # Errors
/// The step that failed, and why.
pub(crate) fn drop_capabilities() -> Result<(), (&'static str, io::Error)> {
    /// `struct __user_cap_header_struct`.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header {
        version: LINUX_CAPABILITY_VERSION_3,
        pid: 0,
    };
    // Twice effective, permitted, inheritable: 64 capabilities in two words each.
    let none = [0_u32; 6];
    nix::sys::prctl::set_no_new_privs().map_err(|e| ("prctl(PR_SET_NO_NEW_PRIVS)", e.into()))?;
    // SAFETY: version 3 reads the header and two `__user_cap_data_struct` of three words; both live until after the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const none) };
    if result == -1 {
        return Err(("capset", io::Error::last_os_error()));
    }
    Ok(())
}
