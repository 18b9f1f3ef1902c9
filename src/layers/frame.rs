//! What is known of a frame as a whole: its number, its length, its time. No bytes carry it, so nothing is decoded here;
//! the values are taken from [`Frame`](crate::packet::Frame) and its [`Event`](crate::packet::Event) when somebody asks.

use super::{Decode, Protocol};

fields! {
    FRAME = "frame" Layer;
    NUMBER = "frame.number" Uint;
    LEN = "frame.len" Uint;
    CAP_LEN = "frame.cap_len" Uint;
    TIME = "frame.time" Nanos;
    TIME_EPOCH = "frame.time_epoch" Nanos;
    TIME_RELATIVE = "frame.time_relative" Nanos;
    TIME_DELTA = "frame.time_delta" Nanos;
    PROTOCOLS = "frame.protocols" Text;
}

/// A captured frame.
pub static PROTOCOL: Protocol = Protocol {
    def: &FRAME,
    fields: &[FIELDS],
    binds: &[],
    decode: Decode::Apart,
};
