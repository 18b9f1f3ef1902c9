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
//!
//! The chat is also a [program] of its own (`layerwise chat serve`, `layerwise chat join`), over the kernel's sockets:
//!
//! ```text
//!  join ── terminal        serve ── terminal (the operator)
//!    │                       │
//!   Peer ═══ TLS ═══ client ─┴─ room: who is here, what was said
//!                    client ─┘
//! ```
//!
//! What goes through TLS there is plain lines, so that `openssl s_client`, `ncat --ssl` and everything else that can do TLS
//! takes part. A line of a client is relayed to all others as `name: text`; a line that begins with `* ` is the server's
//! own, and no name can begin like that. `/name`, `/who`, `/help` and `/quit` are commands; `//` begins a line with a slash.

mod address;
mod client;
mod error;
mod join;
mod keyfile;
mod name;
mod notices;
mod packets;
mod peer;
mod printable;
pub mod program;
mod room;
mod serve;
mod setup;
mod show;
mod terminal;

pub use error::ChatError;
pub use peer::{ChatEvent, Limits, Line, Peer};
pub use printable::printable;
pub use setup::{KeyLines, Setup};
