//! The network namespaces of the wires in this process, seen from within: what their kernels count, and how they are set.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use layerwise::wire::Host;
use nix::sched::{CloneFlags, setns};

/// Held while a wire is made, so that what is new is that wire's.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static MAKING: Mutex<()> = Mutex::new(());
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those that this process holds open, by name. A wire holds its own as long as it is at work; what is given here keeps them
/// beyond that.
pub(crate) fn held() -> BTreeMap<PathBuf, File> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    // A descriptor may be closed meanwhile by another thread.
    let named = paths.filter_map(|path| Some((std::fs::read_link(&path).ok()?, path)));
    named
        .filter(|(name, _)| name.to_string_lossy().starts_with("net:["))
        .filter_map(|(name, path)| Some((name, File::open(path).ok()?)))
        .collect()
}

/// Does something in a namespace.
pub(crate) fn within<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        there.join().unwrap()
    })
}

/// Whose namespace it is, by the address of its device.
pub(crate) fn host(namespace: &File) -> Option<Host> {
    let addresses: Vec<_> = within(namespace, || {
        let all = nix::ifaddrs::getifaddrs().unwrap();
        let all = all.filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip()));
        all.collect()
    });
    [Host::A, Host::B]
        .into_iter()
        .find(|host| addresses.contains(&host.address()))
}

/// What the kernel has counted in a namespace (proc(5): /proc/net/snmp), such as `Tcp`, `InCsumErrors`.
pub(crate) fn counter(namespace: &File, protocol: &str, name: &str) -> u64 {
    let text = within(namespace, || {
        std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap()
    });
    let start = format!("{protocol}: ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&start));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|one| one == name).unwrap();
    values.split(' ').nth(at).unwrap().parse().unwrap()
}
