//! Root rights are needed to open packet sockets, and for nothing after that: they are given up before the first packet is
//! decoded, since what is decoded may be written by anybody.

use std::io;

use crate::sys::privilege;

/// The user and the group that own nothing.
const NOBODY: u32 = 65534;

/// What was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Root: from now on this user.
    Root {
        /// The user's number.
        uid: u32,
    },
    /// Capabilities alone; the user was an ordinary one before, or is root only in a namespace without other users.
    Capabilities,
}

/// Gives up all rights beyond an ordinary user's, for good. Must be called before the first thread is started.
///
/// # Errors
/// The step that failed, and why; the process must not go on then.
pub(super) fn give_up() -> Result<GivenUp, (&'static str, io::Error)> {
    let mut given_up = GivenUp::Capabilities;
    if privilege::is_root() {
        let (uid, gid) = caller().unwrap_or((NOBODY, NOBODY));
        if is_mapped("/proc/self/uid_map", uid) && is_mapped("/proc/self/gid_map", gid) {
            privilege::become_user(uid, gid)?;
            given_up = GivenUp::Root { uid };
        }
    }
    privilege::drop_capabilities()?;
    Ok(given_up)
}

/// The user and the group that called sudo.
fn caller() -> Option<(u32, u32)> {
    let number = |name| std::env::var(name).ok()?.parse().ok().filter(|id| *id != 0);
    Some((number("SUDO_UID")?, number("SUDO_GID")?))
}

/// Whether root runs this in its own name, not for somebody who called sudo.
pub(super) fn root_is_itself() -> bool {
    privilege::is_root() && caller().is_none()
}

/// Whether there is such a user in this user namespace. Where that cannot be told, there is.
fn is_mapped(map: &str, id: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(map) else {
        return true;
    };
    text.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|n| n.parse::<u64>());
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}
