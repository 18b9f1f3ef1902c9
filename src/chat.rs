//! The secure chat: one peer, without any input or output of its own, that every wire drives in the same way.
//!
//! A text is a line of UTF-8, ended by a newline; lines go through TLS 1.3 (rustls). The driver owns the TCP connection:
//!
//! ```text
//!   say("hi") ──▶ ┌──────┐ ──▶ outgoing() / sent(n) ──▶ TCP
//!                 │ Peer │
//! next_event() ◀─ └──────┘ ◀── receive(bytes) / eof() ◀── TCP
//! ```
//!
//! After each `receive`, `say` or `close` the driver passes on what is [`Peer::outgoing`] and asks for events until there
//! are none. What arrives is hostile: every buffer here has a limit ([`Limits`]).

mod error;
mod peer;
mod printable;
mod setup;

pub use error::ChatError;
pub use peer::{ChatEvent, Limits, Line, Peer};
pub use printable::printable;
pub use setup::{KeyLines, Setup};
