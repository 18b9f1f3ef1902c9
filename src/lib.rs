//! See a network stack work: two hosts chat over TLS, every packet between them is caught, decoded, decrypted and
//! explained, layer by layer, on real bytes.
//!
//! This is the library under the program `layerwise`. Its way is short:
//!
//! ```text
//!  chat peer A ──bytes──▶ wire ──▶ chat peer B         a wire carries IP packets between two hosts
//!                          │
//!                          ▼ every packet
//!                  Frame ──▶ Session::push ──Event──▶ view
//! ```
//!
//! - [`wire`]: what carries the packets. The [memory wire](wire::memory) is two real TCP/IP stacks and a real TLS session
//!   on a virtual clock: no network, no privilege, and the same seed gives the same bytes.
//! - [`chat`]: the application, one peer without any input or output of its own, so that every wire can drive it;
//!   [`certs`]: the small authority that vouches for its server.
//! - [`session`]: frames in, events out. Pure: no clock, no thread, no socket. It follows connections, puts streams in
//!   order, and opens TLS records with the secrets of a [key log](keylog).
//! - [`layers`]: one protocol, one file. A layer reads its header through the [annotating cursor](cursor), which labels
//!   every bit that it reads.
//! - [`packet`]: the vocabulary of all this: [`Frame`](packet::Frame), [`Layer`](packet::Layer),
//!   [`Field`](packet::Field), [`Note`](packet::Note), [`Stop`](packet::Stop), [`Event`](packet::Event).
//! - [`filter`]: expressions over field keys, in the language of Wireshark's display filters. They choose packets for the
//!   screen, and say on which of them a [fault](wire::fault) shall act.
//! - [`verdict`]: what came of each fault: which layer noticed it, what cured it, what the application saw. [`ends`]: a
//!   wire seen from both its ends.
//! - [`follow`]: what was said in a conversation of a capture file, and by whom.
//! - [`text`]: the words. What a field is called and why it exists stands in `glossary/en/*.toml`, not in Rust.
//! - [`view`]: what one sees: the ladder, the journey of a message, a packet in detail, its bytes, an explanation.
//! - [`show`]: packets on a screen as they come; every command that shows them goes through it.
//! - [`lesson`]: guided lessons on the learner's own packets.
//! - [`demo`] and [`cli`] put it together for the program.
//!
//! # Five ideas that hold it together
//!
//! 1. **One vocabulary.** Every field has one key, and the key is Wireshark's display-filter name wherever there is one.
//! 2. **A field is a label on bytes, not a copy.** Its value is read again from the buffer when somebody asks.
//! 3. **A pure core.** The same frames give the same events, however they were cut into calls.
//! 4. **Words are data.** A teacher can edit them without a compiler.
//! 5. **Wires are interchangeable.**
//!
//! # A packet, decoded
//!
//! ```
//! use layerwise::layers::{ipv4, tcp};
//! use layerwise::packet::{Frame, LinkType, Time, Value};
//! use layerwise::session::Session;
//!
//! // A asks to connect: 20 bytes of IP, 20 of TCP, the SYN flag.
//! let data = [
//!     0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x2a, 0xbd, 1, 2, 3, 4, 5, 6, 7, 8,
//!     0xc0, 0x00, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0x88, 0x3d, 0, 0,
//! ];
//! let mut session = Session::new();
//! let event = session.push(Frame { number: 1, time: Time(0), link: LinkType::RAW, data: &data, wire_len: 40 });
//!
//! let names: Vec<_> = event.layers.iter().map(|layer| layer.def.key).collect();
//! assert_eq!(names, ["ip", "tcp"]);
//! let syn = event.field(&tcp::FLAG_SYN).expect("TCP has this flag");
//! assert_eq!(syn.value(event.bytes(syn.buf)), Value::Bool(true));
//! let verdict = event.note(&ipv4::CHECKSUM_STATUS).expect("the checksum was computed");
//! assert_eq!(verdict.value, ipv4::checksum_status::GOOD);
//! ```

pub mod bpf;
#[cfg(target_os = "linux")]
pub mod capture;
pub mod certs;
pub mod chat;
pub mod cli;
pub mod cursor;
pub mod demo;
pub mod doctor;
pub mod ends;
pub mod file;
pub mod filter;
mod flow;
pub mod follow;
mod interrupt;
pub mod keylog;
pub mod layers;
pub mod lesson;
pub mod packet;
pub mod progress;
pub mod read;
pub mod reason;
pub mod save;
pub mod session;
pub mod show;
#[cfg(target_os = "linux")]
pub(crate) mod sys;
pub mod text;
pub mod verdict;
pub mod view;
pub mod wire;
