//! Packet sockets: what `pnet` does not offer of them (drops, kernel time, direction, filters).
