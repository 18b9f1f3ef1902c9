//! The kernel's own view of a TCP connection (`TCP_INFO`).
