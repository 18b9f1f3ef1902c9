//! Operating-system calls of Linux that no safe library offers: the only place where `unsafe` is allowed.
//!
//! Each function here is a small safe wrapper: it takes and gives ordinary values, says what fails as an errno with the
//! step that failed, and states above each `unsafe` why it is sound. Nothing here decides anything.

#![allow(
    unsafe_code,
    reason = "calls into the kernel; each says why it is sound"
)]

pub(crate) mod device;
pub(crate) mod namespace;
pub(crate) mod packet;
pub(crate) mod privilege;
pub(crate) mod tcp_info;
