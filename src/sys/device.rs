//! Network devices: their settings (`ioctl`), and packet sockets on them.
//!
//! A [`Device`] talks to the network namespace of the thread that made it. (netdevice(7), packet(7))

use std::ffi::{c_char, c_int, c_short, c_void};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Commands of `SIOCETHTOOL` that switch something off or on (linux/ethtool.h).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Offload {
    /// Checksums are filled in by the device.
    TxChecksum = 0x17,
    /// Packets may lie scattered in memory.
    ScatterGather = 0x19,
    /// The device cuts large TCP packets.
    Tso = 0x1f,
    /// Large packets are cut just before the device.
    Gso = 0x24,
}

/// A network device, by its name.
#[derive(Debug)]
pub(crate) struct Device {
    socket: OwnedFd,
    name: [c_char; libc::IFNAMSIZ],
}

impl Device {
    /// The device of that name in this thread's namespace: 1 to 15 bytes, none of them NUL.
    pub(crate) fn named(name: &str) -> Result<Self, Errno> {
        let mut bytes = [0; libc::IFNAMSIZ];
        if name.is_empty() || name.len() >= bytes.len() || name.contains('\0') {
            return Err(Errno::EINVAL);
        }
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from as c_char;
        }
        let kind = (AddressFamily::Inet, SockType::Datagram);
        Ok(Self {
            socket: socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None)?,
            name: bytes,
        })
    }

    /// Its number.
    pub(crate) fn index(&self) -> Result<c_int, Errno> {
        let request = self.ioctl(libc::SIOCGIFINDEX, |_| ())?;
        // SAFETY: SIOCGIFINDEX has filled in this member of the union.
        Ok(unsafe { request.ifr_ifru.ifru_ifindex })
    }

    /// The longest packet, in bytes.
    pub(crate) fn set_mtu(&self, mtu: usize) -> Result<(), Errno> {
        let mtu = c_int::try_from(mtu).map_err(|_| Errno::EINVAL)?;
        self.ioctl(libc::SIOCSIFMTU, |request| request.ifr_ifru.ifru_mtu = mtu)?;
        Ok(())
    }

    /// The Ethernet address.
    pub(crate) fn set_mac(&self, mac: [u8; 6]) -> Result<(), Errno> {
        let mut address = libc::sockaddr {
            sa_family: libc::ARPHRD_ETHER,
            sa_data: [0; 14],
        };
        for (to, from) in address.sa_data.iter_mut().zip(mac) {
            *to = from as c_char;
        }
        self.ioctl(libc::SIOCSIFHWADDR, |request| {
            request.ifr_ifru.ifru_hwaddr = address;
        })?;
        Ok(())
    }

    /// The IPv4 address, and the length of the prefix that is reached directly.
    pub(crate) fn set_address(&self, address: Ipv4Addr, prefix: u32) -> Result<(), Errno> {
        let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
        for (command, address) in [
            (libc::SIOCSIFADDR, address),
            (libc::SIOCSIFNETMASK, Ipv4Addr::from(mask)),
        ] {
            self.ioctl(command, |request| {
                request.ifr_ifru.ifru_addr = inet(address)
            })?;
        }
        Ok(())
    }

    /// The host at the other end. A route to it comes with this.
    pub(crate) fn set_peer(&self, peer: Ipv4Addr) -> Result<(), Errno> {
        self.ioctl(libc::SIOCSIFDSTADDR, |request| {
            request.ifr_ifru.ifru_dstaddr = inet(peer);
        })?;
        Ok(())
    }

    /// Switches it on; `arp` says whether it asks for Ethernet addresses.
    pub(crate) fn up(&self, arp: bool) -> Result<(), Errno> {
        let flags = self.ioctl(libc::SIOCGIFFLAGS, |_| ())?;
        // SAFETY: SIOCGIFFLAGS has filled in this member of the union.
        let flags = unsafe { flags.ifr_ifru.ifru_flags } | libc::IFF_UP as c_short;
        let flags = match arp {
            true => flags & !(libc::IFF_NOARP as c_short),
            false => flags | libc::IFF_NOARP as c_short,
        };
        self.ioctl(libc::SIOCSIFFLAGS, |request| {
            request.ifr_ifru.ifru_flags = flags
        })?;
        Ok(())
    }

    /// Switches an offload off.
    pub(crate) fn switch_off(&self, offload: Offload) -> Result<(), Errno> {
        // struct ethtool_value
        let mut value = [offload as u32, 0];
        self.ioctl(libc::SIOCETHTOOL, |request| {
            request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
        })?;
        Ok(())
    }

    /// Sends what has no other way to this gateway.
    pub(crate) fn add_default_route(&self, gateway: Ipv4Addr) -> Result<(), Errno> {
        // SAFETY: a rtentry of zero bytes is valid: numbers, addresses without a family, null pointers.
        let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
        let any = inet(Ipv4Addr::UNSPECIFIED);
        (route.rt_dst, route.rt_genmask, route.rt_gateway) = (any, any, inet(gateway));
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        // SAFETY: SIOCADDRT reads one rtentry, which lives until the call returns; the device name in it may be null.
        let result = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                libc::SIOCADDRT as libc::Ioctl,
                &raw mut route,
            )
        };
        Errno::result(result).map(drop)
    }

    /// One call about this device: `fill` sets what it asks for, and what the kernel has answered is returned.
    fn ioctl(
        &self,
        command: libc::c_ulong,
        fill: impl FnOnce(&mut libc::ifreq),
    ) -> Result<libc::ifreq, Errno> {
        // SAFETY: an ifreq of zero bytes is valid in each of its members.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name = self.name;
        fill(&mut request);
        // SAFETY: all the commands above read or write one ifreq; what its pointer points to outlives the call.
        let result = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                command as libc::Ioctl,
                &raw mut request,
            )
        };
        Errno::result(result)?;
        Ok(request)
    }
}

/// An IPv4 address as a socket address without a port.
fn inet(address: Ipv4Addr) -> libc::sockaddr {
    let mut general = libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: [0; 14],
    };
    // struct sockaddr_in: after the family two bytes of port, then the address.
    for (to, from) in general.sa_data.iter_mut().skip(2).zip(address.octets()) {
        *to = from as c_char;
    }
    general
}

/// The descriptor of something that does not say so in the language of types.
pub(crate) fn descriptor(of: impl IntoRawFd) -> OwnedFd {
    // SAFETY: `IntoRawFd` gives the descriptor away: it is open, and nobody else closes it.
    unsafe { OwnedFd::from_raw_fd(of.into_raw_fd()) }
}

/// A socket that gets each frame which arrives at a device, from its first byte, and none that leaves it. What is sent
/// through it leaves the device as it is. It does not block; up to 4 MiB may wait in it.
pub(crate) fn packet_socket(index: c_int) -> Result<OwnedFd, Errno> {
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no memory is passed. Protocol 0: nothing arrives before the socket is bound.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, flags, 0) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
    // A device that has just come up may still lose what goes through its queue.
    set_option(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1)?;
    // Beyond the system's limit only with the right to it; the limit is good enough otherwise.
    let buffer = 4 << 20;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer)
        .or_else(|_| set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, buffer))?;
    // SAFETY: a sockaddr_ll of zero bytes is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: the address is one whole sockaddr_ll, which outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    Errno::result(result)?;
    Ok(socket)
}

/// linux/if_packet.h; Linux 4.20 and later.
const PACKET_IGNORE_OUTGOING: c_int = 23;

/// linux/if_packet.h.
const PACKET_STATISTICS: c_int = 6;

/// linux/if_packet.h.
const PACKET_QDISC_BYPASS: c_int = 20;

/// How many frames a packet socket had no room for since this was last asked.
pub(crate) fn dropped(socket: impl AsFd) -> Result<u32, Errno> {
    // struct tpacket_stats: all frames, and those that were dropped.
    let mut counts = [0_u32; 2];
    let mut len = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `counts`, which is plain numbers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            counts.as_mut_ptr().cast::<c_void>(),
            &raw mut len,
        )
    };
    Errno::result(result)?;
    Ok(counts[1])
}

fn set_option(socket: &OwnedFd, level: c_int, option: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel reads one int, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast::<c_void>(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
