//! Why the system refuses what a real wire needs, and the command that mends it: the one place where an errno becomes words.
//!
//! A [`Refusal`] is a step, an errno, and what is known about the surroundings. The probes take each step in a child
//! process, so that they leave nothing behind; they must be called before this process has a second thread.

use core::fmt;

use nix::errno::Errno;
use nix::unistd::geteuid;

use super::{ground, tun};
use crate::sys::namespace::in_child;

/// A step on the way to a real wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// A child process, to try the others in.
    Child,
    /// A user namespace of one's own (`unshare`).
    UserNamespace,
    /// Giving up the right to change groups (`/proc/self/setgroups`).
    SetGroups,
    /// The user in it (`/proc/self/uid_map`).
    UidMap,
    /// The group in it (`/proc/self/gid_map`).
    GidMap,
    /// A network namespace of one's own (`unshare`, `setns`).
    NetworkNamespace,
    /// Making sure that it holds nothing but its loopback device.
    OwnNetwork,
    /// Opening `/dev/net/tun`.
    OpenTun,
    /// Making a device with it (`TUNSETIFF`).
    MakeTun,
    /// A pair of virtual Ethernet devices (`RTM_NEWLINK`).
    Veth,
    /// Setting a device's address, MTU, … (`ioctl`).
    Device,
    /// A packet socket.
    PacketSocket,
    /// A TCP socket in the namespace.
    TcpSocket,
}

impl Step {
    const ALL: [Self; 13] = [
        Self::Child,
        Self::UserNamespace,
        Self::SetGroups,
        Self::UidMap,
        Self::GidMap,
        Self::NetworkNamespace,
        Self::OwnNetwork,
        Self::OpenTun,
        Self::MakeTun,
        Self::Veth,
        Self::Device,
        Self::PacketSocket,
        Self::TcpSocket,
    ];

    /// What is being done.
    fn words(self) -> &'static str {
        match self {
            Self::Child => "a child process to try things out in",
            Self::UserNamespace => "a user namespace",
            Self::SetGroups => "fixing the groups of a user namespace (/proc/self/setgroups)",
            Self::UidMap => "the user of a user namespace (/proc/self/uid_map)",
            Self::GidMap => "the group of a user namespace (/proc/self/gid_map)",
            Self::NetworkNamespace => "a network namespace",
            Self::OwnNetwork => "a network namespace with nothing in it",
            Self::OpenTun => "opening /dev/net/tun",
            Self::MakeTun => "a TUN device",
            Self::Veth => "a pair of virtual Ethernet devices (veth)",
            Self::Device => "setting up a network device",
            Self::PacketSocket => "a packet socket",
            Self::TcpSocket => "a TCP socket",
        }
    }
}

/// A step that the system refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub step: Step,
    /// The number of the error, as in errno(3).
    pub errno: i32,
    around: Around,
}

/// What tells apart refusals that look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Around {
    root: bool,
    /// `kernel.unprivileged_userns_clone` is 0 (Debian's own switch).
    no_userns_clone: bool,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1.
    apparmor: bool,
    /// `user.max_user_namespaces` is 0.
    no_user_namespaces: bool,
    /// `user.max_net_namespaces` is 0.
    no_net_namespaces: bool,
    /// The kernel was built without user namespaces.
    unknown_user_namespaces: bool,
}

impl Around {
    fn look() -> Self {
        let sysctl = |path: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/{path}")).unwrap_or_default();
            text.trim().parse::<u64>().ok()
        };
        Self {
            root: geteuid().is_root(),
            no_userns_clone: sysctl("kernel/unprivileged_userns_clone") == Some(0),
            apparmor: sysctl("kernel/apparmor_restrict_unprivileged_userns") == Some(1),
            no_user_namespaces: sysctl("user/max_user_namespaces") == Some(0),
            no_net_namespaces: sysctl("user/max_net_namespaces") == Some(0),
            unknown_user_namespaces: !std::path::Path::new("/proc/self/ns/user").exists(),
        }
    }
}

impl Refusal {
    pub(crate) fn new(step: Step, errno: Errno) -> Self {
        Self {
            step,
            errno: errno as i32,
            around: Around::look(),
        }
    }

    /// For `map_err`: what the system answered to a step, as a refusal.
    pub(crate) fn at<E: Into<std::io::Error>>(step: Step) -> impl Fn(E) -> Self {
        move |error| {
            let errno = error.into().raw_os_error();
            Self::new(step, errno.map_or(Errno::EIO, Errno::from_raw))
        }
    }

    /// Whether it is about TUN devices alone, so that another kind of device may serve.
    pub(crate) fn is_about_tun(&self) -> bool {
        matches!(self.step, Step::OpenTun | Step::MakeTun)
    }

    /// Why, and what mends it: a command, if there is one.
    fn explain(&self) -> (String, &'static str) {
        use Step::*;
        let Around {
            root,
            no_userns_clone,
            apparmor,
            no_user_namespaces,
            no_net_namespaces,
            unknown_user_namespaces,
        } = self.around;
        let errno = Errno::from_raw(self.errno);
        let (why, mend) = match (self.step, errno) {
            (OpenTun, Errno::EACCES) => (
                "no right to open the device, which most systems give to everyone (mode 0666)",
                "sudo chmod 0666 /dev/net/tun",
            ),
            (OpenTun, Errno::EPERM) => (
                "this container is not allowed to use the device",
                "docker run --device /dev/net/tun …",
            ),
            (OpenTun, Errno::ENOENT) => (
                "the device file is missing: the kernel's module is not loaded, or this container was not given the device",
                "sudo modprobe tun (in a container: docker run --device /dev/net/tun …)",
            ),
            (OpenTun, Errno::ENODEV | Errno::ENXIO) => (
                "the kernel has no driver for it: its module is not loaded",
                "sudo modprobe tun",
            ),
            (OpenTun | MakeTun, Errno::ENOTTY | Errno::EINVAL | Errno::EBADFD) => (
                "something else stands in its place",
                "sudo rm /dev/net/tun && sudo mknod -m 0666 /dev/net/tun c 10 200",
            ),
            (MakeTun | Veth | Device, Errno::EPERM) => (
                "this needs the right CAP_NET_ADMIN in a network namespace of its own",
                "sudo layerwise … (in a container: docker run --cap-add NET_ADMIN …)",
            ),
            (Veth, Errno::EOPNOTSUPP) => (
                "the kernel has no driver for it: its module is not loaded",
                "sudo modprobe veth",
            ),
            (PacketSocket, Errno::EPERM) => (
                "this needs the right CAP_NET_RAW",
                "sudo layerwise … (in a container: docker run --cap-add NET_RAW …)",
            ),
            (PacketSocket, Errno::EAFNOSUPPORT) => (
                "the kernel has no packet sockets: its module is not loaded",
                "sudo modprobe af_packet",
            ),
            (UserNamespace | NetworkNamespace, Errno::ENOSPC | Errno::EUSERS) => {
                if no_net_namespaces && self.step == NetworkNamespace {
                    (
                        "network namespaces are switched off (user.max_net_namespaces is 0)",
                        "sudo sysctl -w user.max_net_namespaces=15000",
                    )
                } else if no_user_namespaces {
                    (
                        "user namespaces are switched off (user.max_user_namespaces is 0)",
                        "sudo sysctl -w user.max_user_namespaces=15000",
                    )
                } else {
                    (
                        "the limit on namespaces is reached (user.max_user_namespaces, user.max_net_namespaces)",
                        "sudo sysctl -w user.max_user_namespaces=15000 user.max_net_namespaces=15000",
                    )
                }
            }
            (UserNamespace, Errno::EPERM) if no_userns_clone => (
                "this system allows user namespaces to root alone (kernel.unprivileged_userns_clone is 0)",
                "sudo sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (UserNamespace, Errno::EPERM | Errno::ENOSYS) => (
                "the policy of this container (seccomp), or a chroot, forbids it",
                "sudo layerwise … (in a container: docker run --security-opt seccomp=unconfined …)",
            ),
            (UserNamespace, Errno::EINVAL) if unknown_user_namespaces => {
                ("the kernel was built without it", "sudo layerwise …")
            }
            (Child, Errno::EINVAL) | (UserNamespace, Errno::EINVAL) => (
                "a second thread already runs in this process: a fault of the program, please report it",
                "sudo layerwise …",
            ),
            // Ubuntu's AppArmor lets the namespace be made, and then takes its rights away.
            (SetGroups | UidMap | GidMap | NetworkNamespace, Errno::EPERM | Errno::EACCES)
                if apparmor && !root =>
            {
                (
                    "AppArmor takes the rights from user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)",
                    "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
                )
            }
            (SetGroups | UidMap | GidMap, Errno::EPERM | Errno::EACCES) if root => (
                "you are root, but without root's capabilities, as in many containers",
                "docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN … (or run as an ordinary user)",
            ),
            (SetGroups | UidMap | GidMap, Errno::EPERM | Errno::EACCES) => (
                "a security module took the rights from the new namespace (AppArmor does so on Ubuntu)",
                "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (NetworkNamespace, Errno::EPERM) => (
                "this needs the right CAP_SYS_ADMIN, or a user namespace that gives it",
                "sudo layerwise … (in a container: docker run --cap-add SYS_ADMIN …)",
            ),
            (NetworkNamespace, Errno::EINVAL | Errno::ENOSYS) => (
                "the kernel was built without network namespaces",
                "layerwise demo --wire memory",
            ),
            (OwnNetwork, _) => (
                "the new network is not empty, so nothing is sent into it: it could be someone else's",
                "layerwise demo --wire memory",
            ),
            (_, Errno::EMFILE | Errno::ENFILE) => ("too many files are open", "ulimit -n 1024"),
            (_, Errno::ENOMEM | Errno::ENOBUFS | Errno::EAGAIN) => (
                "the system is short of memory or processes",
                "free -h; ulimit -u",
            ),
            _ => {
                return (
                    format!("the system says: {} ({errno:?})", errno.desc()),
                    "layerwise demo --wire memory",
                );
            }
        };
        (why.to_owned(), mend)
    }

    /// What is refused, and why.
    #[must_use]
    pub fn why(&self) -> String {
        format!("{} is refused: {}", self.step.words(), self.explain().0)
    }

    /// The command that mends it, or what to run instead.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        self.explain().1
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. Try: {}", self.why(), self.mend())
    }
}

impl core::error::Error for Refusal {}

/// Tries all that `work` does in a child process.
pub(crate) fn probe(work: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    let work = || work().map_err(|refusal| (refusal.step as u8, Errno::from_raw(refusal.errno)));
    in_child(work)
        .map_err(|errno| Refusal::new(Step::Child, errno))?
        .map_err(|(step, errno)| {
            let known = Step::ALL.iter().find(|known| **known as u8 == step);
            Refusal::new(known.copied().unwrap_or(Step::Child), errno)
        })
}

/// Whether this user has the rights that real wires need, or gets them in a user namespace of its own.
///
/// # Errors
/// What is refused.
pub fn probe_user_namespace() -> Result<(), Refusal> {
    probe(ground::gain_rights)
}

/// Whether this user gets a packet socket on the machine's own interfaces, as live capture does.
///
/// # Errors
/// What is refused.
pub fn probe_capture() -> Result<(), Refusal> {
    crate::sys::packet::open(false)
        .map(drop)
        .map_err(Refusal::at(Step::PacketSocket))
}

/// Whether this user gets a network namespace of its own: by right, or through a user namespace.
///
/// # Errors
/// What is refused.
pub fn probe_network() -> Result<(), Refusal> {
    probe(|| {
        ground::gain_rights()?;
        ground::Network::new().map(drop)
    })
}

/// Whether this user gets a TUN device in it.
///
/// # Errors
/// What is refused.
pub fn probe_tun() -> Result<(), Refusal> {
    probe(|| {
        ground::gain_rights()?;
        tun::try_tun()
    })
}

/// Whether this user gets a pair of virtual Ethernet devices and a packet socket on one of them.
///
/// # Errors
/// What is refused.
pub fn probe_veth() -> Result<(), Refusal> {
    probe(|| {
        ground::gain_rights()?;
        tun::try_veth()
    })
}

/// Whether this user gets a packet socket on the loopback device of a namespace of its own.
///
/// # Errors
/// What is refused.
pub fn probe_packet_socket() -> Result<(), Refusal> {
    probe(|| {
        ground::gain_rights()?;
        super::loopback::try_watch()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(step: Step, errno: Errno, around: Around) -> String {
        let refusal = Refusal {
            step,
            errno: errno as i32,
            around,
        };
        refusal.to_string()
    }

    #[test]
    fn each_refusal_has_its_reason_and_its_command() {
        let user = Around::default();
        let root = Around { root: true, ..user };
        let apparmor = Around {
            apparmor: true,
            ..user
        };
        let debian = Around {
            no_userns_clone: true,
            ..user
        };
        let no_users = Around {
            no_user_namespaces: true,
            ..user
        };
        let no_nets = Around {
            no_net_namespaces: true,
            ..user
        };
        let cases = [
            (
                Step::OpenTun,
                Errno::EACCES,
                user,
                "no right to open",
                "sudo chmod 0666 /dev/net/tun",
            ),
            (
                Step::OpenTun,
                Errno::ENOENT,
                user,
                "file is missing",
                "sudo modprobe tun",
            ),
            (
                Step::OpenTun,
                Errno::ENODEV,
                user,
                "no driver",
                "sudo modprobe tun",
            ),
            (
                Step::MakeTun,
                Errno::EPERM,
                user,
                "namespace of its own",
                "sudo layerwise",
            ),
            (
                Step::UserNamespace,
                Errno::ENOSPC,
                no_users,
                "max_user_namespaces is 0",
                "sudo sysctl -w user.max_user_namespaces=",
            ),
            (
                Step::NetworkNamespace,
                Errno::ENOSPC,
                no_nets,
                "max_net_namespaces is 0",
                "sudo sysctl -w user.max_net_namespaces=",
            ),
            (
                Step::UserNamespace,
                Errno::EPERM,
                user,
                "seccomp",
                "--security-opt",
            ),
            (
                Step::UserNamespace,
                Errno::EPERM,
                debian,
                "unprivileged_userns_clone is 0",
                "sudo sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (
                Step::SetGroups,
                Errno::EACCES,
                apparmor,
                "AppArmor",
                "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Step::UidMap,
                Errno::EPERM,
                apparmor,
                "AppArmor",
                "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Step::UidMap,
                Errno::EPERM,
                root,
                "without root's capabilities",
                "--cap-add SYS_ADMIN",
            ),
            (
                Step::UserNamespace,
                Errno::EINVAL,
                user,
                "second thread",
                "report it",
            ),
            (
                Step::Veth,
                Errno::EOPNOTSUPP,
                user,
                "no driver",
                "sudo modprobe veth",
            ),
            (
                Step::PacketSocket,
                Errno::EPERM,
                user,
                "CAP_NET_RAW",
                "--cap-add NET_RAW",
            ),
            (
                Step::OwnNetwork,
                Errno::EEXIST,
                user,
                "not empty",
                "--wire memory",
            ),
        ];
        let mut all = Vec::new();
        for (step, errno, around, why, mend) in cases {
            let text = said(step, errno, around);
            assert!(
                text.contains(why) && text.contains(mend),
                "{step:?} {errno:?}: {text}"
            );
            assert!(
                !text.contains(&format!("{errno:?}")),
                "a bare errno: {text}"
            );
            all.push(text);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), cases.len(), "each its own");
        let text = said(
            Step::UidMap,
            Errno::EPERM,
            Around {
                apparmor: true,
                ..root
            },
        );
        assert!(!text.contains("AppArmor"), "not where one is root: {text}");
    }

    #[test]
    fn what_nobody_foresaw_is_said_in_words_and_by_name() {
        let text = said(Step::Device, Errno::EXDEV, Around::default());
        assert!(
            text.contains(Errno::EXDEV.desc()) && text.contains("EXDEV"),
            "{text}"
        );
        assert!(text.contains("--wire memory"), "{text}");
    }

    #[test]
    fn steps_survive_the_way_through_a_pipe() {
        for (number, step) in (0..).zip(Step::ALL) {
            assert_eq!(step as u8, number);
        }
    }
}
