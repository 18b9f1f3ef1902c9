//! The interfaces of this machine: which there are, what they are, and how their frames begin.

use std::fmt;
use std::io;

use pnet::datalink::{self, NetworkInterface};

use crate::packet::LinkType;
use crate::sys::packet::Device;

/// Hardware types of the kernel (`if_arp.h`).
mod arphrd {
    pub(super) const ETHER: u16 = 1;
    pub(super) const PPP: u16 = 512;
    pub(super) const RAWIP: u16 = 519;
    pub(super) const TUNNEL: u16 = 768;
    pub(super) const TUNNEL6: u16 = 769;
    pub(super) const LOOPBACK: u16 = 772;
    pub(super) const SIT: u16 = 776;
    pub(super) const IPGRE: u16 = 778;
    pub(super) const IP6GRE: u16 = 823;
    pub(super) const NONE: u16 = 65534;
}

/// How the frames of an interface reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With an Ethernet header. (A loopback interface gives one, too; its addresses are zeros.)
    Ethernet,
    /// IP packets alone: there is no link-layer header, or one that the kernel takes off.
    Ip,
    /// As they are; this program does not know the header.
    Bytes,
}

/// One interface.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) device: NetworkInterface,
    pub(super) form: Form,
    /// The kernel's number for its hardware.
    pub(super) hardware: u16,
    /// The glossary key of what it is.
    pub(super) kind: &'static str,
    /// The driver's name, where it says more than the kind.
    pub(super) driver: Option<String>,
}

impl Interface {
    fn of(device: NetworkInterface, kernel: &Device) -> Self {
        // An interface that is gone again between two calls has no type.
        let hardware = kernel.hardware(&device.name).unwrap_or(u16::MAX - 2);
        let driver = kernel.driver(&device.name).unwrap_or_default();
        let (form, kind) = match (hardware, driver.as_str()) {
            (arphrd::LOOPBACK, _) => (Form::Ethernet, "say.capture.kind.loopback"),
            (arphrd::ETHER, "tun") => (Form::Ethernet, "say.capture.kind.tap"),
            (arphrd::ETHER, "veth") => (Form::Ethernet, "say.capture.kind.veth"),
            (arphrd::ETHER, "bridge") => (Form::Ethernet, "say.capture.kind.bridge"),
            (arphrd::ETHER, _) if kernel.is_wireless(&device.name) => {
                (Form::Ethernet, "say.capture.kind.wireless")
            }
            (arphrd::ETHER, _) => (Form::Ethernet, "say.capture.kind.ethernet"),
            (arphrd::NONE, "tun") => (Form::Ip, "say.capture.kind.tun"),
            (arphrd::PPP, _) => (Form::Ip, "say.capture.kind.ppp"),
            (arphrd::NONE | arphrd::RAWIP, _) => (Form::Ip, "say.capture.kind.ip"),
            (
                arphrd::TUNNEL | arphrd::TUNNEL6 | arphrd::SIT | arphrd::IPGRE | arphrd::IP6GRE,
                _,
            ) => (Form::Ip, "say.capture.kind.tunnel"),
            _ => (Form::Bytes, "say.capture.kind.other"),
        };
        let told = ["", "tun", "veth", "bridge"].contains(&driver.as_str());
        Self {
            device,
            form,
            hardware,
            kind,
            driver: (!told).then_some(driver),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.device.name
    }

    pub(super) fn is_up(&self) -> bool {
        self.device.is_up()
    }

    /// What a frame of it begins with.
    pub(super) fn link(&self) -> LinkType {
        match (self.form, self.hardware) {
            (Form::Ethernet, _) => LinkType::ETHERNET,
            (Form::Ip, _) => LinkType::RAW,
            // The numbers of the LINKTYPE registry for what may be met: 802.11 bare, with Prism or radiotap header, netlink.
            (Form::Bytes, 801) => LinkType(105),
            (Form::Bytes, 802) => LinkType(119),
            (Form::Bytes, 803) => LinkType(127),
            (Form::Bytes, 824) => LinkType(253),
            // LINKTYPE_USER0: what it is cannot be told from the number.
            (Form::Bytes, _) => LinkType(147),
        }
    }
}

/// All of them, in the kernel's order.
pub(super) fn all() -> io::Result<Vec<Interface>> {
    let kernel = Device::new()?;
    Ok(datalink::interfaces()
        .into_iter()
        .map(|device| Interface::of(device, &kernel))
        .collect())
}

/// There is no interface of that name.
#[derive(Debug)]
pub(super) struct Unknown {
    name: String,
    near: Option<String>,
    names: Vec<String>,
}

/// The one of that name.
pub(super) fn find(name: &str, all: &[Interface]) -> Result<Interface, Unknown> {
    if let Some(found) = all.iter().find(|interface| interface.name() == name) {
        return Ok(found.clone());
    }
    let names = || all.iter().map(Interface::name).chain(["any"]);
    let near = names()
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3).min(3));
    Err(Unknown {
        name: name.to_owned(),
        near: near.map(|(_, candidate)| candidate.to_owned()),
        names: names().map(str::to_owned).collect(),
    })
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no interface {:?}", self.name)?;
        if let Some(near) = &self.near {
            write!(f, "; did you mean {}?", near.escape_debug())?;
        }
        let names: Vec<String> = self
            .names
            .iter()
            .map(|name| name.escape_debug().to_string())
            .collect();
        let dot = if self.near.is_some() { "" } else { ";" };
        write!(f, "{dot} possible: {}", names.join(", "))
    }
}

/// How many letters must be put in, taken out or changed to get from one word to the other.
fn distance(one: &str, two: &str) -> usize {
    let mut row: Vec<usize> = (0..=two.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (b, cell) in two.chars().zip(row.iter_mut().skip(1)) {
            let changed = before + usize::from(a != b);
            before = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_between_words() {
        for (one, two, expected) in [
            ("", "", 0),
            ("lo", "lo", 0),
            ("l0", "lo", 1),
            ("eth", "eth0", 1),
            ("eht0", "eth0", 2),
            ("", "any", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, two), expected, "{one} {two}");
            assert_eq!(distance(two, one), expected, "{two} {one}");
        }
    }
}
