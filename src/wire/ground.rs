//! The ground real wires stand on: network namespaces of their own.
//!
//! With root's rights a namespace is there for the asking. Without, a user namespace gives them, for this process as a
//! whole, so it must be entered before there is a second thread. A namespace lives as long as something is open in it;
//! so nothing is left behind when the process ends, however it ends.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

use super::refusal::{Refusal, Step, probe};
use crate::sys::device::Device;

/// Devices that the kernel puts into every new namespace where certain modules are loaded: down, without an address.
const FALLBACK_TUNNELS: [&str; 9] = [
    "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0",
];

/// Makes sure that this process may make network namespaces and what is in them: by its own right, or by entering a user
/// namespace, in which it stays. In there, the user stays who it was.
///
/// # Errors
/// What is refused; then this process may be in a user namespace that gives no rights. [`gain_rights_safely`] tries first.
pub(super) fn gain_rights() -> Result<(), Refusal> {
    if has_rights() {
        return Ok(());
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(Refusal::at(Step::UserNamespace))?;
    // Without this an ordinary user may not write the group's map (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny").map_err(Refusal::at(Step::SetGroups))?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).map_err(Refusal::at(Step::UidMap))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).map_err(Refusal::at(Step::GidMap))
}

/// The same, but what is refused is found out in a child process first, so that this one stays as it was.
///
/// # Errors
/// What is refused.
pub(super) fn gain_rights_safely() -> Result<(), Refusal> {
    if has_rights() {
        return Ok(());
    }
    probe(|| {
        gain_rights()?;
        Network::new().map(drop)
    })?;
    gain_rights()
}

/// CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN (linux/capability.h).
const RIGHTS: u64 = 1 << 12 | 1 << 13 | 1 << 21;

/// Whether this thread has what making and filling a network namespace takes.
fn has_rights() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|rights| rights & RIGHTS == RIGHTS)
}

/// A network namespace of our own, with nothing in it but a loopback device that is up, and no IPv6.
#[derive(Debug)]
pub(super) struct Network(OwnedFd);

impl Network {
    /// A new one.
    ///
    /// # Errors
    /// What is refused.
    pub(super) fn new() -> Result<Self, Refusal> {
        elsewhere(|| {
            let before = fs::read_link(HERE).map_err(Refusal::at(Step::NetworkNamespace))?;
            unshare(CloneFlags::CLONE_NEWNET).map_err(Refusal::at(Step::NetworkNamespace))?;
            let after = fs::read_link(HERE).map_err(Refusal::at(Step::NetworkNamespace))?;
            if before == after {
                return Err(Refusal::new(Step::OwnNetwork, Errno::EEXIST));
            }
            nothing_but(&[])?;
            // What has lost its way shall not be sent on by a host.
            let _ = fs::write("/proc/sys/net/ipv4/ip_forward", "0");
            // IPv6 would speak up on every device by itself. Where /proc/sys cannot be written it does; the wires carry
            // nothing but IPv4 and ARP.
            for whom in ["default", "all"] {
                let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{whom}/disable_ipv6"), "1");
            }
            let lo = Device::named("lo").map_err(Refusal::at(Step::Device))?;
            lo.up(true).map_err(Refusal::at(Step::Device))?;
            let file = File::open(HERE).map_err(Refusal::at(Step::NetworkNamespace))?;
            Ok(Self(file.into()))
        })
    }

    /// Does something in it. What is made there (a socket, a device) stays there, wherever it is used afterwards.
    ///
    /// # Errors
    /// What is refused, to get there or there.
    pub(super) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send,
    ) -> Result<T, Refusal> {
        elsewhere(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)
                .map_err(Refusal::at(Step::NetworkNamespace))?;
            work()
        })
    }

    /// Makes sure that there is nothing in it but a loopback device and these: that whatever is sent in it, or done to what
    /// is sent, goes nowhere else.
    ///
    /// # Errors
    /// When there is something else.
    pub(super) fn holds_only(&self, devices: &[&str]) -> Result<(), Refusal> {
        self.within(|| nothing_but(devices))
    }

    /// The open file that stands for it.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

/// Makes sure that this thread's namespace holds nothing but a loopback device and these.
fn nothing_but(devices: &[&str]) -> Result<(), Refusal> {
    let found = nix::net::if_::if_nameindex().map_err(Refusal::at(Step::NetworkNamespace))?;
    let ours = found.iter().all(|device| {
        let name = device.name().to_str().unwrap_or_default();
        name == "lo" || devices.contains(&name) || FALLBACK_TUNNELS.contains(&name)
    });
    if ours {
        Ok(())
    } else {
        Err(Refusal::new(Step::OwnNetwork, Errno::EEXIST))
    }
}

/// The network namespace of the thread that asks. (`/proc/self` would be the main thread's.)
const HERE: &str = "/proc/thread-self/ns/net";

/// Does something in a thread that ends with it, so that the namespace of no other thread changes.
fn elsewhere<T: Send>(work: impl FnOnce() -> Result<T, Refusal> + Send) -> Result<T, Refusal> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work);
        thread
            .map_err(Refusal::at(Step::Child))?
            .join()
            .unwrap_or_else(|_| Err(Refusal::new(Step::Child, Errno::ECHILD)))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::wire::netlink::make_veth;

    #[test]
    fn a_namespace_with_something_else_in_it_is_refused() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: a_namespace_with_something_else_in_it_is_refused: not root");
            return;
        }
        let [here, there] = [Network::new().unwrap(), Network::new().unwrap()];
        here.holds_only(&[]).unwrap();
        here.within(|| make_veth("net0", "far", there.fd()))
            .unwrap();
        here.holds_only(&["net0"]).unwrap();
        for (network, known) in [(&here, &["net1", "lo"][..]), (&there, &["net0"])] {
            let refused = network.holds_only(known).unwrap_err();
            assert_eq!(refused.step, Step::OwnNetwork);
        }
        // The namespace that the test was started in is nobody's own.
        let refused = nothing_but(&[]).map_err(|refused| refused.step);
        let alone = nix::net::if_::if_nameindex().unwrap().iter().count() == 1;
        assert_eq!(refused, if alone { Ok(()) } else { Err(Step::OwnNetwork) });
    }
}
