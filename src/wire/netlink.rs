//! What takes a netlink message (rtnetlink(7)) where everything else about a device is done by ioctl: a pair of virtual
//! Ethernet devices, one end in another network namespace; and the length of a queue, which the ioctl grants to nobody
//! but the machine's own root.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};

use super::refusal::{Refusal, Step};

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/veth.h
const RTM_NEWLINK: u16 = 16;
const REQUEST_ACK: u16 = 0x1 | 0x4;
const CREATE: u16 = 0x400 | 0x200;
const NLMSG_ERROR: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

/// Bytes of `struct nlmsghdr` and of `struct ifinfomsg`.
const HEADER: usize = 16;
const LINK: usize = 16;

/// Makes a pair: the end `near` in this thread's namespace, the end `far` in the one that `namespace` stands for.
///
/// # Errors
/// What is refused.
pub(super) fn make_veth(near: &str, far: &str, namespace: &OwnedFd) -> Result<(), Refusal> {
    let place = namespace.as_raw_fd().to_ne_bytes();
    let peer = [
        vec![0; LINK],
        attribute(IFLA_IFNAME, &text(far)),
        attribute(IFLA_NET_NS_FD, &place),
    ]
    .concat();
    let info = [
        attribute(IFLA_INFO_KIND, b"veth"),
        attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, &peer)),
    ]
    .concat();
    let body = [
        vec![0; LINK],
        attribute(IFLA_IFNAME, &text(near)),
        attribute(IFLA_LINKINFO, &info),
    ]
    .concat();
    ask(CREATE, &body).map_err(Refusal::at(Step::Veth))
}

/// Lets so many packets wait to leave a device of this thread's namespace.
///
/// # Errors
/// What is refused.
pub(super) fn set_queue(device: &str, packets: u32) -> Result<(), Errno> {
    let body = [
        vec![0; LINK],
        attribute(IFLA_IFNAME, &text(device)),
        attribute(IFLA_TXQLEN, &packets.to_ne_bytes()),
    ]
    .concat();
    ask(0, &body)
}

fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// Length, kind, value, filled up to a multiple of four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = 4 + value.len() as u16;
    let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Sends one request about a link and waits for the answer, which is an errno.
fn ask(flags: u16, body: &[u8]) -> Result<(), Errno> {
    // struct nlmsghdr: length, kind, flags, number, port.
    let len = (HEADER + body.len()) as u32;
    let message = [
        &len.to_ne_bytes()[..],
        &RTM_NEWLINK.to_ne_bytes(),
        &(REQUEST_ACK | flags).to_ne_bytes(),
        &1_u32.to_ne_bytes(),
        &[0; 4],
        body,
    ]
    .concat();
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let count = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let answer = answer.get(..count).unwrap_or(&[]);
    let kind = answer.get(4..6).and_then(|kind| kind.first_chunk());
    let errno = answer.get(HEADER..).and_then(|errno| errno.first_chunk());
    match (kind, errno) {
        (Some(kind), Some(errno)) if u16::from_ne_bytes(*kind) == NLMSG_ERROR => {
            match i32::from_ne_bytes(*errno) {
                0 => Ok(()),
                errno => Err(Errno::from_raw(-errno)),
            }
        }
        _ => Err(Errno::EPROTO),
    }
}
