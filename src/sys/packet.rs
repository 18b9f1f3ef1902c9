//! Packet sockets: what `pnet` does not offer of them (drops, kernel time, direction, filters), and what an interface is.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// From the kernel's `include/uapi/linux/if_packet.h`.
const PACKET_STATISTICS: c_int = 6;
const PACKET_IGNORE_OUTGOING: c_int = 23;
/// From `include/uapi/linux/sockios.h`: the arrival of the packet that was read last, in nanoseconds.
const SIOCGSTAMPNS: u32 = 0x8907;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCETHTOOL: u32 = 0x8946;
const SIOCGIWNAME: u32 = 0x8B01;
/// From `include/uapi/linux/ethtool.h`.
const ETHTOOL_GDRVINFO: u32 = 3;
/// The longest interface name with its closing zero byte.
const IFNAMSIZ: usize = 16;

/// One instruction of classic BPF, as the kernel takes it.
pub(crate) type Instruction = (u16, u8, u8, u32);

/// A packet socket that receives nothing until it is bound: with link-layer headers (`raw`), or without.
pub(crate) fn open(raw: bool) -> io::Result<OwnedFd> {
    let kind = if raw {
        SockType::Raw
    } else {
        SockType::Datagram
    };
    Ok(socket(
        AddressFamily::Packet,
        kind,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

/// Lets the kernel hand over only what this program accepts.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut list: Vec<libc::sock_filter> = program
        .iter()
        .map(|(code, jt, jf, k)| libc::sock_filter {
            code: *code,
            jt: *jt,
            jf: *jf,
            k: *k,
        })
        .collect();
    let program = libc::sock_fprog {
        len: u16::try_from(list.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: list.as_mut_ptr(),
    };
    // SAFETY: `sock_fprog` is what SO_ATTACH_FILTER reads, and the list it points to lives until after the call.
    unsafe { set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program) }
}

/// Passes over what this host sends: on a loopback interface everything that is sent is also received.
pub(crate) fn ignore_outgoing(fd: BorrowedFd<'_>) -> io::Result<()> {
    let yes: c_int = 1;
    // SAFETY: PACKET_IGNORE_OUTGOING reads an int.
    unsafe { set_option(fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes) }
}

/// Lets so many bytes wait in the kernel, beyond the system's limit if we may; gives what the kernel granted.
pub(crate) fn receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let wish = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    // SAFETY: both options read an int.
    unsafe {
        if set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &wish).is_err() {
            set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &wish)?;
        }
    }
    // SAFETY: SO_RCVBUF gives an int.
    let granted: c_int = unsafe { option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF)? };
    Ok(usize::try_from(granted).unwrap_or(0))
}

/// How many packets passed the filter since the last call, and how many of them the kernel could not keep for us.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    // SAFETY: PACKET_STATISTICS gives a `tpacket_stats`: two unsigned ints (a third is given only to rings of version 3).
    let [packets, drops]: [u32; 2] = unsafe { option(fd, libc::SOL_PACKET, PACKET_STATISTICS)? };
    Ok((packets, drops))
}

/// Takes what went wrong with the socket, such as that its interface went down.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: SO_ERROR gives an int.
    match unsafe { option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Lets the kernel note when each packet arrives: before the first one, since the first question switches it on.
pub(crate) fn stamp_arrivals(fd: BorrowedFd<'_>) -> io::Result<()> {
    match arrival(fd) {
        // There is no packet yet, as expected.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result.map(drop),
    }
}

/// When the kernel saw the packet that was read last from this socket: nanoseconds since the Unix epoch.
///
/// The kernel notes it only after [`stamp_arrivals`].
pub(crate) fn arrival(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: SIOCGSTAMPNS writes a timespec; all its bit patterns are valid, and it was zeroed before.
    let time = unsafe {
        check(libc::ioctl(
            fd.as_raw_fd(),
            SIOCGSTAMPNS as _,
            time.as_mut_ptr(),
        ))?;
        time.assume_init()
    };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Ok(seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds))
}

/// What `struct ifreq` is for the calls below: a name, and 24 bytes that depend on the call.
#[repr(C, align(8))]
struct Request {
    name: [u8; IFNAMSIZ],
    data: [u8; 24],
}

/// What the kernel knows of an interface by its name.
pub(crate) struct Device {
    socket: OwnedFd,
}

impl Device {
    /// Any socket serves to ask.
    pub(crate) fn new() -> io::Result<Self> {
        let kind = SockType::Datagram;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { socket })
    }

    /// The hardware type of an interface (`ARPHRD_…` in the kernel's `if_arp.h`).
    pub(crate) fn hardware(&self, name: &str) -> io::Result<u16> {
        let request = self.ask(SIOCGIFHWADDR, name, [0; 24])?;
        let [low, high, ..] = request.data;
        Ok(u16::from_ne_bytes([low, high]))
    }

    /// Whether it is a wireless one.
    pub(crate) fn is_wireless(&self, name: &str) -> bool {
        self.ask(SIOCGIWNAME, name, [0; 24]).is_ok()
    }

    /// The name of its driver: `tun`, `veth`, `bridge`, `virtio_net`, …
    pub(crate) fn driver(&self, name: &str) -> io::Result<String> {
        /// `struct ethtool_drvinfo`: 196 bytes; the command stands first, the driver's name (32 bytes) after it.
        #[repr(C, align(8))]
        struct DriverInfo([u8; 200]);
        let mut info = DriverInfo([0; 200]);
        for (to, from) in info.0.iter_mut().zip(ETHTOOL_GDRVINFO.to_ne_bytes()) {
            *to = from;
        }
        let mut data = [0; 24];
        let pointer = (&raw mut info).expose_provenance().to_ne_bytes();
        for (to, from) in data.iter_mut().zip(pointer) {
            *to = from;
        }
        self.ask(SIOCETHTOOL, name, data)?;
        let name = info.0.get(4..36).unwrap_or(&[]);
        let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    fn ask(&self, call: u32, name: &str, data: [u8; 24]) -> io::Result<Request> {
        if name.len() >= IFNAMSIZ || name.contains('\0') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut request = Request {
            name: [0; IFNAMSIZ],
            data,
        };
        for (to, from) in request.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        // SAFETY: the calls above read and write a `struct ifreq` (40 bytes, as Request) and, for SIOCETHTOOL, the 196
        // bytes of `ethtool_drvinfo` that its data points to, which the caller keeps alive.
        unsafe {
            check(libc::ioctl(
                self.socket.as_raw_fd(),
                call as _,
                &raw mut request,
            ))?;
        }
        Ok(request)
    }
}

/// # Safety
/// The option must read a `T`, and what `T` points to must be valid.
unsafe fn set_option<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of a live `T`; the caller vouches for the rest.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast::<c_void>(),
            mem::size_of::<T>() as libc::socklen_t,
        )
    })
}

/// # Safety
/// The option must give a `T`, for which all bit patterns are valid.
unsafe fn option<T: Copy>(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `value`, which was zeroed; the caller vouches for the rest.
    unsafe {
        check(libc::getsockopt(
            fd.as_raw_fd(),
            level,
            option,
            value.as_mut_ptr().cast(),
            &raw mut len,
        ))?;
        Ok(value.assume_init())
    }
}

fn check(result: c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
