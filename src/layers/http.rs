//! The Hypertext Transfer Protocol, version 1.x (RFC 9112; what it means: RFC 9110).
//!
//! ```text
//! GET /index.html HTTP/1.1 CRLF          HTTP/1.1 200 OK CRLF
//! Host: example.com CRLF                 Content-Length: 5 CRLF
//! Accept: */* CRLF                       CRLF
//! CRLF                                   hello
//! ```
//!
//! A body is as long as Content-Length says, or comes in chunks that each say how long they are, or goes on until the
//! connection closes (RFC 9112, section 6.3). One that is long is shown in parts, as they come.

use super::{Decode, Framing, Part, Protocol, Stream, Talk, Then};
use crate::cursor::{Cursor, Read};
use crate::packet::{Fact, FieldDef, Why};

fields! {
    HTTP = "http" Layer;
    REQUEST = "http.request" Bool;
    RESPONSE = "http.response" Bool;
    START_LINE = "http.start_line" Text;
    METHOD = "http.request.method" Text;
    URI = "http.request.uri" Text;
    URI_PATH = "http.request.uri.path" Text;
    URI_QUERY = "http.request.uri.query" Text;
    REQUEST_VERSION = "http.request.version" Text;
    RESPONSE_VERSION = "http.response.version" Text;
    CODE = "http.response.code" Digits(10);
    PHRASE = "http.response.phrase" Text;
    REQUEST_LINE = "http.request.line" Text;
    RESPONSE_LINE = "http.response.line" Text;
    EMPTY_LINE = "http.empty_line" Bytes;
    ACCEPT = "http.accept" Text;
    ACCEPT_ENCODING = "http.accept_encoding" Text;
    ACCEPT_LANGUAGE = "http.accept_language" Text;
    AUTHORIZATION = "http.authorization" Text;
    CACHE_CONTROL = "http.cache_control" Text;
    CONNECTION = "http.connection" Text;
    CONTENT_ENCODING = "http.content_encoding" Text;
    CONTENT_LENGTH_HEADER = "http.content_length_header" Text;
    CONTENT_LENGTH = "http.content_length" Digits(10);
    CONTENT_TYPE = "http.content_type" Text;
    COOKIE = "http.cookie" Text;
    DATE = "http.date" Text;
    HOST = "http.host" Text;
    LAST_MODIFIED = "http.last_modified" Text;
    LOCATION = "http.location" Text;
    PROXY_AUTHENTICATE = "http.proxy_authenticate" Text;
    PROXY_AUTHORIZATION = "http.proxy_authorization" Text;
    REFERER = "http.referer" Text;
    SERVER = "http.server" Text;
    SET_COOKIE = "http.set_cookie" Text;
    TRANSFER_ENCODING = "http.transfer_encoding" Text;
    UPGRADE = "http.upgrade" Text;
    USER_AGENT = "http.user_agent" Text;
    WWW_AUTHENTICATE = "http.www_authenticate" Text;
    X_FORWARDED_FOR = "http.x_forwarded_for" Text;
    FILE_DATA = "http.file_data" Text;
    CHUNK_LINE = "http.chunk_line" Text;
    CHUNK_SIZE = "http.chunk_size" Digits(16);
    CHUNK_DATA = "http.chunk_data" Bytes;
    CHUNK_BOUNDARY = "http.chunk_boundary" Bytes;
    TRAILER = "http.chunked_trailer_part" Text;
}

/// Hypertext Transfer Protocol. It is bound to no port: it is recognised by how it begins.
pub static PROTOCOL: Protocol = Protocol {
    def: &HTTP,
    fields: &[FIELDS],
    binds: &[],
    decode: Decode::Stream(Stream {
        next,
        decode,
        recognise,
        part: Some(part),
    }),
};

/// The headers that have a name of their own; the others are shown as their lines.
static HEADERS: &[(&[u8], &FieldDef)] = &[
    (b"accept", &ACCEPT),
    (b"accept-encoding", &ACCEPT_ENCODING),
    (b"accept-language", &ACCEPT_LANGUAGE),
    (b"authorization", &AUTHORIZATION),
    (b"cache-control", &CACHE_CONTROL),
    (b"connection", &CONNECTION),
    (b"content-encoding", &CONTENT_ENCODING),
    (b"content-length", &CONTENT_LENGTH_HEADER),
    (b"content-type", &CONTENT_TYPE),
    (b"cookie", &COOKIE),
    (b"date", &DATE),
    (b"host", &HOST),
    (b"last-modified", &LAST_MODIFIED),
    (b"location", &LOCATION),
    (b"proxy-authenticate", &PROXY_AUTHENTICATE),
    (b"proxy-authorization", &PROXY_AUTHORIZATION),
    (b"referer", &REFERER),
    (b"server", &SERVER),
    (b"set-cookie", &SET_COOKIE),
    (b"transfer-encoding", &TRANSFER_ENCODING),
    (b"upgrade", &UPGRADE),
    (b"user-agent", &USER_AGENT),
    (b"www-authenticate", &WWW_AUTHENTICATE),
    (b"x-forwarded-for", &X_FORWARDED_FOR),
];

/// The longest head (start line and headers) that is waited for.
const MAX_HEAD: usize = 32 << 10;
/// The longest line that says how long a chunk is.
const MAX_CHUNK_LINE: usize = 4 << 10;
/// A body of at most this length is shown whole, with its head; a longer one in parts.
const WHOLE: u64 = 1 << 20;
/// The same for one in chunks: how long it is cannot be known before it ends.
const WHOLE_CHUNKED: usize = 256 << 10;

/// The methods that a first line may be recognised by before all of it is there.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A message ends with its body. What the request was decides whether a response has one.
fn next(bytes: &[u8], _: usize, talk: &mut Talk) -> Framing {
    match begins(bytes) {
        Some(true) => {}
        Some(false) => return Framing::NotMine,
        None => return Framing::More,
    }
    let Some(head) = head_len(bytes.get(..MAX_HEAD).unwrap_or(bytes)) else {
        return if bytes.len() > MAX_HEAD {
            Framing::NotMine
        } else {
            Framing::More
        };
    };
    let body = body(bytes.get(..head).unwrap_or(bytes), talk);
    let behind = bytes.get(head..).unwrap_or(&[]);
    let framing = match body {
        Body::None => Framing::Whole(head),
        Body::Length(len) if len <= WHOLE => match len as usize {
            len if behind.len() >= len => Framing::Whole(head + len),
            _ => Framing::More,
        },
        Body::Length(body) => Framing::Parts {
            head,
            then: Then { body, pieces: None },
        },
        Body::UntilClose => Framing::Parts {
            head,
            then: Then {
                body: Then::UNTIL_CLOSE,
                pieces: None,
            },
        },
        Body::Chunked => match chunks_so_far(behind) {
            Chunks::Whole(len) => Framing::Whole(head + len),
            // What is there of the body goes with the head.
            Chunks::Within(body) if behind.len() >= WHOLE_CHUNKED => Framing::Parts {
                head: bytes.len(),
                then: Then {
                    body,
                    pieces: Some(chunk),
                },
            },
            Chunks::Within(_) | Chunks::Between => Framing::More,
        },
    };
    if !matches!(framing, Framing::More) {
        said(bytes, talk);
    }
    framing
}

/// A message is complete: remembers what a request asked for, or that it is answered.
fn said(head: &[u8], talk: &mut Talk) {
    match code(head) {
        // RFC 9110, section 15.2: after an interim response the real one is still to come.
        Some(100..200) => {}
        Some(_) => talk.answered(),
        None => talk.asked(head.starts_with(b"HEAD ")),
    }
}

/// How the body of the message with this head ends (RFC 9112, section 6.3).
fn body(head: &[u8], talk: &Talk) -> Body {
    let code = code(head);
    if let Some(code) = code
        && (code < 200 || code == 204 || code == 304 || talk.is_bodiless())
    {
        return Body::None;
    }
    let mut length = None;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        match header(line) {
            Some((name, value)) if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let coding = value.rsplit(|byte| *byte == b',').next().unwrap_or(value);
                if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Body::Chunked;
                }
            }
            Some((name, value)) if name.eq_ignore_ascii_case(b"content-length") => {
                length = digits(value, 10).or(length);
            }
            _ => {}
        }
    }
    match (length, code) {
        (Some(length), _) => Body::Length(length),
        (None, Some(_)) => Body::UntilClose,
        (None, None) => Body::None,
    }
}

/// The status code, if this is the head of a response.
fn code(head: &[u8]) -> Option<u64> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    digits(line.get(2..5)?, 10)
}

/// A number in digits, without sign, that fits.
fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric);
    let text = core::str::from_utf8(text).ok().filter(|_| plain)?;
    u64::from_str_radix(text, radix).ok()
}

/// Name and value of a header line.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
}

/// How long the head is: up to and with the empty line.
fn head_len(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match bytes.get(at + 1..) {
        Some([b'\n', ..]) => Some(at + 2),
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        _ => None,
    })
}

/// How far a body in chunks has come.
enum Chunks {
    /// It ends after so many bytes: behind the trailers, or behind what is no chunk, so that it is shown.
    Whole(usize),
    /// So many bytes of the last chunk that has begun are still to come.
    Within(u64),
    /// A line, or the line end behind a chunk, is not all there.
    Between,
}

fn chunks_so_far(bytes: &[u8]) -> Chunks {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(line) = memchr::memchr(b'\n', rest).map(|end| end + 1) else {
            return match rest.len() {
                0..=MAX_CHUNK_LINE => Chunks::Between,
                _ => Chunks::Whole(bytes.len()),
            };
        };
        let Some(size) = rest.get(..line).and_then(chunk_size) else {
            return Chunks::Whole(at + line);
        };
        let behind = rest.get(line..).unwrap_or(&[]);
        if size == 0 {
            return match trailers_len(behind) {
                Some(len) => Chunks::Whole(at + line + len),
                None if behind.len() > MAX_HEAD => Chunks::Whole(bytes.len()),
                None => Chunks::Between,
            };
        }
        if behind.len() as u64 <= size {
            return Chunks::Within(size - behind.len() as u64);
        }
        at += line + size as usize;
        at += match bytes.get(at..) {
            Some([b'\n', ..]) => 1,
            Some([b'\r', b'\n', ..]) => 2,
            Some([b'\r']) => return Chunks::Between,
            _ => return Chunks::Whole(at),
        };
    }
}

/// Trailers and the empty line.
fn trailers_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => head_len(bytes),
    }
}

/// The size in the line before a chunk; behind it there may be extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| *byte == b';').next()?;
    digits(size.trim_ascii(), 16)
}

/// The next piece of a body in chunks that is shown in parts: the line end of the chunk before, and the line that says how
/// long this chunk is, or all that ends the body.
fn chunk(bytes: &[u8], _: usize, _: &mut Talk) -> Framing {
    let boundary = match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        [b'\r'] => return Framing::More,
        _ => 0,
    };
    let rest = bytes.get(boundary..).unwrap_or(&[]);
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return if rest.len() > MAX_CHUNK_LINE {
            Framing::NotMine
        } else {
            Framing::More
        };
    };
    let behind = rest.get(end + 1..).unwrap_or(&[]);
    match rest.get(..=end).and_then(chunk_size) {
        None => Framing::NotMine,
        Some(0) => match trailers_len(behind) {
            Some(len) => Framing::Whole(boundary + end + 1 + len),
            None if behind.len() > MAX_HEAD => Framing::NotMine,
            None => Framing::More,
        },
        Some(body) => Framing::Parts {
            head: boundary + end + 1,
            then: Then {
                body,
                pieces: Some(chunk),
            },
        },
    }
}

/// Whether bytes begin a message; `None` where there are too few to tell.
fn begins(bytes: &[u8]) -> Option<bool> {
    const VERSION: &[u8] = b"HTTP/1.";
    let start = bytes.get(..VERSION.len().min(bytes.len()))?;
    if VERSION.starts_with(start) {
        return (start.len() == VERSION.len()).then_some(true);
    }
    let line = memchr::memchr(b'\n', bytes.get(..MAX_HEAD).unwrap_or(bytes));
    let method = bytes
        .iter()
        .take_while(|b| b.is_ascii_uppercase() || **b == b'-');
    let method = method.count();
    if let Some(end) = line {
        let line = bytes.get(..end)?.trim_ascii_end();
        let version = line.get(line.len().saturating_sub(9)..)?;
        let target = bytes.get(method) == Some(&b' ');
        return Some(method > 0 && target && version.starts_with(b" HTTP/1."));
    }
    if bytes.len() > MAX_HEAD {
        return Some(false);
    }
    // Without the whole line only what is well known is believed.
    let name = bytes.get(..method)?;
    match bytes.get(method..)? {
        [] if METHODS.iter().any(|known| known.starts_with(name)) => None,
        [b' '] if METHODS.contains(&name) => None,
        [b' ', target, ..] => {
            let target = *target == b'/' || *target == b'*' || target.is_ascii_alphanumeric();
            Some(METHODS.contains(&name) && target)
        }
        _ => Some(false),
    }
}

fn recognise(bytes: &[u8]) -> bool {
    begins(bytes) == Some(true)
}

/// A whole message, or the head of one whose body follows in parts.
fn decode(c: &mut Cursor<'_, '_>) -> Read<()> {
    let response = c.ahead().starts_with(b"HTTP/");
    let chunked = c
        .group(&START_LINE, |c| start_line(c, response))
        .and_then(|()| {
            let mut chunked = false;
            let line = if response {
                &RESPONSE_LINE
            } else {
                &REQUEST_LINE
            };
            loop {
                let len = line_len(c);
                let ahead = c.ahead().get(..len).unwrap_or(&[]);
                if ahead.trim_ascii().is_empty() {
                    break;
                }
                chunked |= c.group(line, |c| header_line(c, ahead))?;
            }
            Ok(chunked)
        })?;
    let fact = if response { &RESPONSE } else { &REQUEST };
    c.note(fact, Fact::Uint(1));
    let end = line_len(c);
    if end == 0 {
        return Err(c.missing(&EMPTY_LINE, 2));
    }
    c.bytes(&EMPTY_LINE, end)?;
    if chunked && c.left() > 0 {
        chunks(c)
    } else {
        c.rest(&FILE_DATA);
        Ok(())
    }
}

/// How long the next line is, with its end.
fn line_len(c: &Cursor<'_, '_>) -> usize {
    let ahead = c.ahead();
    memchr::memchr(b'\n', ahead).map_or(ahead.len(), |at| at + 1)
}

/// RFC 9112, sections 3 and 4: three parts, with a space between them; the last may have spaces of its own.
fn start_line(c: &mut Cursor<'_, '_>, response: bool) -> Read<()> {
    let len = line_len(c);
    let line = c.ahead().get(..len).unwrap_or(&[]);
    let text = line.trim_ascii_end().len();
    let word = |c: &mut Cursor<'_, '_>, left: usize| {
        let ahead = c.ahead().get(..left).unwrap_or(&[]);
        memchr::memchr(b' ', ahead).unwrap_or(left)
    };
    let first = word(c, text);
    c.bytes(if response { &RESPONSE_VERSION } else { &METHOD }, first)?;
    let space = usize::from(first < text);
    c.pass(space);
    let left = text - first - space;
    let second = word(c, left);
    if response {
        c.bytes(&CODE, second)?;
    } else {
        c.group(&URI, |c| uri(c, second))?;
    }
    let space = usize::from(second < left);
    c.pass(space);
    let third = left - second - space;
    if third > 0 {
        c.bytes(if response { &PHRASE } else { &REQUEST_VERSION }, third)?;
    }
    c.pass(len - text);
    Ok(())
}

/// With a question mark, what stands before it is the path, and behind it the query.
fn uri(c: &mut Cursor<'_, '_>, len: usize) -> Read<()> {
    let ahead = c.ahead().get(..len).unwrap_or(&[]);
    if let Some(path) = memchr::memchr(b'?', ahead) {
        c.bytes(&URI_PATH, path)?;
        c.pass(1);
        if path + 1 < len {
            c.bytes(&URI_QUERY, len - path - 1)?;
        }
    } else {
        c.pass(len);
    }
    Ok(())
}

/// A header, or the continuation of one. Says whether it announces a body in chunks.
fn header_line(c: &mut Cursor<'_, '_>, line: &[u8]) -> Read<bool> {
    let known = header(line).and_then(|(name, value)| {
        let def = HEADERS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?
            .1;
        Some((def, value))
    });
    let mut chunked = false;
    let mut rest = line.len();
    if let Some((def, value)) = known.filter(|(_, value)| !value.is_empty()) {
        // The value is a part of the line, so where it stands follows from what is behind it.
        let behind = line.len() - line.trim_ascii_end().len();
        c.pass(line.len() - behind - value.len());
        if core::ptr::eq(def, &raw const CONTENT_LENGTH_HEADER) {
            c.group(def, |c| match digits(value, 10) {
                Some(_) => c.bytes(&CONTENT_LENGTH, value.len()).map(drop),
                None => {
                    c.record(c.stop(&CONTENT_LENGTH, Why::Value, 0));
                    c.pass(value.len());
                    Ok(())
                }
            })?;
        } else {
            c.bytes(def, value.len())?;
        }
        chunked = core::ptr::eq(def, &raw const TRANSFER_ENCODING)
            && value
                .get(value.len().saturating_sub(7)..)
                .is_some_and(|end| end.eq_ignore_ascii_case(b"chunked"));
        rest = behind;
    }
    c.pass(rest);
    Ok(chunked)
}

/// A body in chunks (RFC 9112, section 7.1): all of them, or as many as go with the head of a long one.
fn chunks(c: &mut Cursor<'_, '_>) -> Read<()> {
    while c.left() > 0 {
        let size = chunk_line(c)?;
        if size == 0 {
            return trailers(c);
        }
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        c.bytes(&CHUNK_DATA, len.min(c.left()))?;
        if c.left() > 0 {
            boundary(c)?;
        }
    }
    Ok(())
}

/// The line before a chunk; gives the chunk's size.
fn chunk_line(c: &mut Cursor<'_, '_>) -> Read<u64> {
    let len = line_len(c);
    let line = c.ahead().get(..len).unwrap_or(&[]);
    let Some(size) = chunk_size(line) else {
        return Err(match len {
            0 => c.missing(&CHUNK_SIZE, 1),
            _ => c.stop(&CHUNK_SIZE, Why::Value, 0),
        });
    };
    let before = len - line.trim_ascii_start().len();
    let digits = line.trim_ascii_start().iter();
    let digits = digits.take_while(|b| b.is_ascii_hexdigit()).count();
    c.group(&CHUNK_LINE, |c| {
        c.pass(before);
        c.bytes(&CHUNK_SIZE, digits)?;
        c.pass(len - before - digits);
        Ok(size)
    })
}

/// The line end behind a chunk.
fn boundary(c: &mut Cursor<'_, '_>) -> Read<()> {
    let len = match c.ahead() {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        [] | [b'\r'] => return Err(c.missing(&CHUNK_BOUNDARY, 2)),
        _ => return Err(c.stop(&CHUNK_BOUNDARY, Why::Value, 0)),
    };
    c.bytes(&CHUNK_BOUNDARY, len).map(drop)
}

/// What may follow the last chunk: headers, and the empty line.
fn trailers(c: &mut Cursor<'_, '_>) -> Read<()> {
    loop {
        let len = line_len(c);
        let line = c.ahead().get(..len).unwrap_or(&[]);
        if line.is_empty() {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            c.bytes(&EMPTY_LINE, len)?;
        } else {
            c.bytes(&TRAILER, len)?;
        }
    }
}

/// What follows a head whose body is shown in parts.
fn part(c: &mut Cursor<'_, '_>, part: Part) -> Read<()> {
    match part {
        Part::Piece => {
            if matches!(c.ahead(), [b'\r' | b'\n', ..]) {
                boundary(c)?;
            }
            match chunk_line(c)? {
                0 => trailers(c),
                _ => Ok(()),
            }
        }
        Part::Body | Part::Message => {
            c.rest(&FILE_DATA);
            Ok(())
        }
    }
}
