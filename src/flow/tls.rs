//! A TLS connection: which keys hold, in which direction, from which record on; records opened, messages put together.
//!
//! Keys change for each direction by itself. TLS 1.3 (RFC 8446, section 7.3 and appendix A): to the handshake keys after the
//! ServerHello, to the application keys after that direction's own Finished, to the next generation after its KeyUpdate.
//! TLS 1.2 (RFC 5246, section 7.1): to the keys that were agreed on last, after that direction's own ChangeCipherSpec.

use core::ops::Range;

use super::aead::{Keys, Suite, TAG_LEN};
use super::stream::{Assembler, Budget};
use super::{Desk, Level, Names, tls12};
use crate::keylog::{KeyLog, Secret};
use crate::layers::tls::handshake::kind as message;
use crate::layers::tls::record::content_type as content;
use crate::layers::tls::{self as key, alert, handshake, opened, record, secret};
use crate::layers::{self, FindEnd, Framing, Part, Protocol, Stream, Talk};
use crate::packet::{BufId, BufKind, Fact, Why};

/// After a hole in the capture: so many record numbers are tried.
const SEARCH: u64 = 256;

/// The version numbers of TLS 1.2 and 1.3.
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;

/// Which secret the keys of one direction come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Epoch {
    /// No keys yet: records are in the clear.
    #[default]
    Clear,
    /// The client's early traffic secret: data sent along with a ClientHello that resumes a session.
    Early,
    /// The handshake traffic secret.
    Handshake,
    /// The application traffic secret.
    Application,
    /// After ChangeCipherSpec, up to TLS 1.2: the keys that come from the master secret.
    Changed,
}

/// One TLS connection.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    /// Which end of the flow is the client.
    client: usize,
    random: Option<[u8; 32]>,
    server_random: Option<[u8; 32]>,
    version: Option<u16>,
    cipher_suite: Option<u16>,
    /// What CBC encrypts is not what the MAC covers, but the other way round (RFC 7366).
    encrypt_then_mac: bool,
    halves: [Half; 2],
    application: Application,
    talk: Talk,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    epoch: Epoch,
    keys: Option<Keys>,
    /// The same for TLS 1.2.
    keys12: Option<Box<tls12::Keys>>,
    /// The number of the next record under these keys.
    sequence: u64,
    /// How many KeyUpdates there have been.
    generation: u32,
    /// A change_cipher_spec came while the version was not known: with TLS 1.3 it means nothing.
    changing: bool,
    /// Bytes were missed: records may be, too.
    lost: bool,
    /// Where the next record begins is not known.
    adrift: bool,
    /// A handshake message was too long to be kept: where the next one begins cannot be told.
    unreadable: bool,
    handshake: Assembler,
    application: Assembler,
}

/// Application data that was cut into messages: the buffer, the whole of it, and the message that began earlier.
type Cut = (BufId, Range<usize>, Option<(BufId, Part)>);

/// What is said inside.
#[derive(Debug, Default, Clone, Copy)]
enum Application {
    #[default]
    Silent,
    Known(&'static Protocol, Stream),
    Unknown,
}

impl Half {
    /// From the next record on, other keys hold.
    fn enter(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.changing = false;
        self.keys = None;
        self.keys12 = None;
        self.sequence = 0;
        self.generation = 0;
    }
}

impl Tls {
    /// Bytes of this direction were missed.
    pub(crate) fn lose(&mut self, dir: usize) {
        if let Some(half) = self.halves.get_mut(dir) {
            half.lost = true;
            half.adrift = true;
        }
    }

    /// Whether bytes of this direction were missed and no record has been found since.
    pub(crate) fn is_adrift(&self, dir: usize) -> bool {
        self.halves.get(dir).is_some_and(|half| half.adrift)
    }

    /// The connection is forgotten.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        for half in &mut self.halves {
            half.handshake.clear(budget);
            half.application.clear(budget);
        }
    }

    /// One whole record, in `buf`: a layer of its own, and one for each application message that it completes.
    pub(crate) fn record(
        &mut self,
        dir: usize,
        buf: BufId,
        range: Range<usize>,
        desk: &mut Desk<'_>,
    ) {
        layers::begin(desk.labels, &key::TLS, buf, range.start);
        let layer = desk.labels.layers.len() - 1;
        let inner = self.outer(dir, buf, range.clone(), layer, desk);
        let mut cuts = None;
        match inner {
            Some((content::APPLICATION_DATA, buf, content)) => {
                cuts = self.application(dir, buf, content, desk)
            }
            Some((kind, buf, content)) => self.content(dir, kind, buf, content, desk),
            None => {}
        }
        layers::finish(desk.labels, range.end);
        if let Some((buf, whole, taken)) = cuts {
            match self.application {
                Application::Known(protocol, stream) => {
                    desk.each(Level::Application, buf, taken, |buf, range, desk| {
                        desk.message(protocol.def, buf, range, &stream);
                    });
                }
                _ => desk.layer(&layers::data::DATA, buf, whole, |c| {
                    c.rest(&layers::data::DATA_DATA);
                    Ok(())
                }),
            }
        }
    }

    /// The record as it is on the wire: header, and what it holds in the clear or sealed. Gives the content to look into:
    /// its type, and where it is.
    fn outer(
        &mut self,
        dir: usize,
        buf: BufId,
        range: Range<usize>,
        layer: usize,
        desk: &mut Desk<'_>,
    ) -> Option<(u8, BufId, Range<usize>)> {
        let half = self.halves.get_mut(dir)?;
        half.adrift = false;
        let end = range.end;
        let header_end = (range.start + record::HEADER_LEN).min(end);
        let kind = desk
            .buffers
            .bytes(desk.frame.data, buf)
            .get(range.start)
            .copied()
            .unwrap_or(0);
        if half.epoch == Epoch::Clear && self.version != Some(TLS13) {
            let bytes = desk.buffers.bytes(desk.frame.data, buf);
            let content = bytes.get(header_end..end).unwrap_or(&[]);
            let midway = self.version.is_none() && self.random.is_none();
            let missed = half.lost || midway;
            let is_sealed = match kind {
                content::APPLICATION_DATA => self.version.is_some(),
                // In the clear an alert has two bytes (RFC 5246, section 7.2).
                content::ALERT => (half.changing || missed) && content.len() != 2,
                // Behind a change_cipher_spec only another hello is in the clear, and only in TLS 1.3.
                content::HANDSHAKE => half.changing && !handshake::is_hello(content),
                _ => false,
            };
            if is_sealed {
                // Unless that was seen, its ChangeCipherSpec was missed, and records may be, too.
                let lost = !half.changing;
                half.enter(Epoch::Changed);
                half.lost |= lost;
            }
        }
        // RFC 8446, section 5: a change_cipher_spec may stand anywhere in a TLS 1.3 handshake, in the clear, and means nothing.
        let sealed = kind == content::APPLICATION_DATA || half.epoch == Epoch::Changed;
        let tls13 = matches!(
            half.epoch,
            Epoch::Early | Epoch::Handshake | Epoch::Application
        );
        let read = if sealed && tls13 {
            record::opaque_header
        } else {
            record::header
        };
        let header = match desk.read(buf, range.start..end, read) {
            Ok(header) => header,
            Err(stop) => {
                desk.labels.stops.push(stop);
                return None;
            }
        };
        let body = header_end..end;
        if !sealed {
            return Some((header.content_type, buf, body));
        }
        if !tls13 {
            let plain = self.sealed12(dir, buf, header, body, layer, desk)?;
            return Some((header.content_type, plain.0, plain.1));
        }
        let tag = if body.len() > TAG_LEN {
            body.end - TAG_LEN
        } else {
            body.end
        };
        desk.label(buf, body.start..tag, &key::APP_DATA);
        desk.label(buf, tag..body.end, &key::TAG);
        let plain = self.open(dir, buf, range.start..header_end, body, layer, desk)?;
        let bytes = desk.buffers.bytes(desk.frame.data, plain);
        let len = bytes.len();
        match record::split_inner(bytes) {
            Some((content_len, kind)) => {
                // The content is labelled by whoever decodes it; type and padding stand behind it.
                desk.read(plain, content_len..len, record::inner_tail).ok();
                Some((kind, plain, 0..content_len))
            }
            None => {
                desk.label(plain, 0..len, &record::PADDING);
                desk.stop(&record::CONTENT_TYPE, plain, len, Why::Value);
                None
            }
        }
    }

    /// A record that TLS 1.2, or an earlier version, has sealed: its parts, and what is inside if it can be opened.
    fn sealed12(
        &mut self,
        dir: usize,
        buf: BufId,
        header: record::Header,
        body: Range<usize>,
        layer: usize,
        desk: &mut Desk<'_>,
    ) -> Option<(BufId, Range<usize>)> {
        let suite = self.cipher_suite.and_then(tls12::Suite::find);
        let suite = suite.filter(|_| self.version == Some(TLS12));
        let half = self.halves.get(dir)?;
        if half.epoch == Epoch::Changed && half.keys12.is_none() {
            let keys = suite.and_then(|suite| self.make12(dir, suite, desk.keylog));
            self.halves.get_mut(dir)?.keys12 = keys.map(Box::new);
        }
        let half = self.halves.get_mut(dir)?;
        // A renegotiation may have agreed on another suite already, but the keys in force are still for this one.
        let suite = half.keys12.as_ref().map(|keys| keys.suite()).or(suite);
        let layout = match (&half.keys12, suite) {
            (Some(keys), _) => keys.layout(),
            (None, Some(suite)) => suite.layout(self.encrypt_then_mac),
            (None, None) => tls12::Layout { head: 0, tail: 0 },
        };
        let cbc = matches!(
            suite,
            Some(tls12::Suite {
                cipher: tls12::Cipher::Cbc(..),
                ..
            })
        );
        let (names, data) = (
            if cbc {
                (&key::IV, &key::MAC)
            } else {
                (&key::EXPLICIT_NONCE, &key::TAG)
            },
            if header.content_type == content::APPLICATION_DATA {
                &key::APP_DATA
            } else {
                &key::SEALED
            },
        );
        let whole = body.len() >= layout.head + layout.tail;
        let (head, tail) = if whole {
            (body.start + layout.head, body.end - layout.tail)
        } else {
            (body.start, body.end)
        };
        desk.label(buf, body.start..head, names.0);
        desk.label(buf, head..tail, data);
        desk.label(buf, tail..body.end, names.1);
        let number = suite.map(|suite| suite.number).or(self.cipher_suite);
        if let Some(number) = number {
            desk.note(layer, &key::CIPHER, Fact::Uint(u64::from(number)));
        }
        let Some(keys) = half.keys12.take() else {
            let secrets = self.random.as_ref().and_then(|r| desk.keylog.secrets(r));
            let has_secret = secrets.is_some_and(|s| s.master.is_some());
            let closed = if has_secret && suite.is_none() && number.is_some() {
                opened::UNSUPPORTED
            } else {
                opened::NO_SECRET
            };
            desk.note(layer, &key::OPENED, closed);
            return None;
        };
        let tries = if half.lost { SEARCH } else { 1 };
        let from = half.sequence;
        let mut sequence = from;
        let found = desk.try_open12(
            &keys,
            from..from.saturating_add(tries),
            (header.content_type, header.version),
            buf,
            (body.start..head, head..body.end),
        );
        let verdict = match &found {
            Ok((number, ..)) => {
                sequence = *number;
                half.sequence = number + 1;
                half.lost = false;
                opened::VERIFIED
            }
            Err(tls12::Fault::Tag) => opened::BAD_TAG,
            Err(tls12::Fault::Padding) => opened::BAD_PADDING,
        };
        desk.note(layer, &key::OPENED, verdict);
        desk.note(layer, &key::SECRET, secret::MASTER);
        desk.note(layer, &key::SEQUENCE, Fact::Uint(sequence));
        let bytes = desk.buffers.bytes(desk.frame.data, buf);
        let in_clear = bytes.get(body.start..head).unwrap_or(&[]);
        if let Some(nonce) = keys.nonce(sequence, in_clear) {
            let mut bytes = [0; 16];
            bytes.get_mut(..nonce.len())?.copy_from_slice(&nonce);
            desk.note(layer, &key::NONCE, Fact::Bytes(bytes, nonce.len() as u8));
        }
        half.keys12 = Some(keys);
        let (_, plain, inside) = found.ok()?;
        // The content is labelled by whoever decodes it; MAC and padding stand behind it.
        let mac = inside.content + inside.mac;
        desk.label(plain, inside.content..mac, &key::MAC);
        if inside.padding > 0 {
            let last = mac + inside.padding - 1;
            desk.label(plain, mac..last, &record::PADDING);
            desk.label(plain, last..last + 1, &record::PADDING_LENGTH);
        }
        Some((plain, 0..inside.content))
    }

    /// The keys of one direction, from the master secret of TLS 1.2.
    fn make12(&self, dir: usize, suite: tls12::Suite, keylog: &KeyLog) -> Option<tls12::Keys> {
        let client_random = self.random.as_ref()?;
        let origin = tls12::Origin {
            suite,
            master: keylog.secrets(client_random)?.master?,
            client_random,
            server_random: self.server_random.as_ref()?,
            encrypt_then_mac: self.encrypt_then_mac,
        };
        tls12::Keys::new(&origin, dir == self.client)
    }

    /// Opens a sealed record into a buffer of its own, and notes which secret, which number, which nonce.
    fn open(
        &mut self,
        dir: usize,
        buf: BufId,
        header: Range<usize>,
        body: Range<usize>,
        layer: usize,
        desk: &mut Desk<'_>,
    ) -> Option<BufId> {
        let by_client = dir == self.client;
        let half = self.halves.get_mut(dir)?;
        let (now, generation, sequence) = (half.epoch, half.generation, half.sequence);
        let tries = if half.lost { SEARCH } else { 1 };
        // Nearly always the keys in force fit, and stay where they are.
        if let Some(keys) = &half.keys {
            let numbers = sequence..sequence.saturating_add(tries);
            if let Some((number, plain)) = desk.try_open(keys, numbers, buf, &header, &body) {
                let which = (now, generation, by_client);
                note_keys(keys, which, number, opened::VERIFIED, layer, desk);
                half.sequence = number + 1;
                half.lost = false;
                return Some(plain);
            }
        }
        let in_force = half.keys.take();
        let fresh = in_force.is_none();
        // Two changes of keys cannot be seen: early data that was refused ends unsaid (RFC 8446, section 4.2.10), and without
        // the handshake's secrets its records stay shut. What the next keys open has left the earlier ones behind.
        let silent = match now {
            Epoch::Early => Some(Epoch::Handshake),
            Epoch::Handshake if self.secret(dir, now, desk.keylog).is_none() => {
                Some(Epoch::Application)
            }
            _ => None,
        };
        let made = fresh.then_some(now).into_iter().chain(silent);
        let keylog = desk.keylog;
        let made = made.flat_map(|epoch| self.make(dir, epoch, keylog).map(move |k| (epoch, k)));

        let mut kept = in_force.map(|keys| (now, keys, sequence));
        let mut opened = None;
        for (epoch, keys) in made {
            let found = desk.try_open(&keys, 0..tries, buf, &header, &body);
            if found.is_some() || kept.is_none() {
                kept = Some((epoch, keys, found.as_ref().map_or(0, |found| found.0)));
            }
            if found.is_some() {
                opened = found;
                break;
            }
        }
        let Some((epoch, keys, sequence)) = kept else {
            let known = |number| Suite::ALL.iter().any(|suite| suite.number() == number);
            let closed = match self.cipher_suite {
                Some(suite) if !known(suite) && self.secret(dir, now, keylog).is_some() => {
                    desk.note(layer, &key::CIPHER, Fact::Uint(u64::from(suite)));
                    opened::UNSUPPORTED
                }
                _ => opened::NO_SECRET,
            };
            desk.note(layer, &key::OPENED, closed);
            return None;
        };
        let generation = if epoch == now { generation } else { 0 };
        let verdict = if opened.is_some() {
            opened::VERIFIED
        } else {
            opened::BAD_TAG
        };
        let which = (epoch, generation, by_client);
        note_keys(&keys, which, sequence, verdict, layer, desk);

        let half = self.halves.get_mut(dir)?;
        (half.epoch, half.generation) = (epoch, generation);
        half.sequence = sequence + u64::from(opened.is_some());
        half.lost &= opened.is_none();
        // Keys of a suite that was only guessed are kept when they have opened something.
        if opened.is_some() || self.cipher_suite.is_some() || !fresh {
            half.keys = Some(keys);
        }
        opened.map(|(_, plain)| plain)
    }

    /// The secret of one direction's keys in an epoch, if it is known.
    fn secret(&self, dir: usize, epoch: Epoch, keylog: &KeyLog) -> Option<Secret> {
        let secrets = keylog.secrets(self.random.as_ref()?)?;
        let side = usize::from(dir != self.client);
        match epoch {
            Epoch::Early if side == 0 => secrets.early,
            Epoch::Handshake => *secrets.handshake.get(side)?,
            Epoch::Application => *secrets.application.get(side)?,
            _ => None,
        }
    }

    /// The keys of one direction in an epoch: of the suite that was agreed on, or while there is none (early data comes
    /// before the ServerHello) of each suite whose hash the secret fits.
    fn make(&self, dir: usize, epoch: Epoch, keylog: &KeyLog) -> impl Iterator<Item = Keys> {
        let secret = self.secret(dir, epoch, keylog);
        let agreed = self.cipher_suite;
        Suite::ALL.into_iter().filter_map(move |suite| {
            let possible = agreed.is_none_or(|number| number == suite.number());
            Keys::new(suite, secret.filter(|_| possible)?)
        })
    }

    /// What a record holds, but application data: handshake messages, an alert, a change of ciphers.
    fn content(
        &mut self,
        dir: usize,
        kind: u8,
        buf: BufId,
        range: Range<usize>,
        desk: &mut Desk<'_>,
    ) {
        let result = match kind {
            content::HANDSHAKE => return self.handshake(dir, buf, range, desk),
            content::ALERT => desk.read(buf, range, alert::decode).map(drop),
            content::HEARTBEAT => desk.read(buf, range, alert::heartbeat),
            content::CHANGE_CIPHER_SPEC => {
                // While the version is not known, the records that follow tell whether it means anything.
                match (self.version, self.halves.get_mut(dir)) {
                    (None, Some(half)) => half.changing = true,
                    (Some(version), Some(half)) if version < TLS13 => half.enter(Epoch::Changed),
                    _ => {}
                }
                desk.read(buf, range, alert::change_cipher_spec).map(drop)
            }
            _ => {
                desk.label(buf, range, &key::SEGMENT_DATA);
                Ok(())
            }
        };
        if let Err(stop) = result {
            desk.labels.stops.push(stop);
        }
    }

    /// Handshake messages: several in a record, or one over several.
    fn handshake(&mut self, dir: usize, buf: BufId, range: Range<usize>, desk: &mut Desk<'_>) {
        let Some(half) = self.halves.get_mut(dir) else {
            return;
        };
        if half.unreadable {
            return desk.label(buf, range, &key::SEGMENT_DATA);
        }
        let names = Names {
            waiting: &key::SEGMENT_DATA,
            unknown: &key::SEGMENT_DATA,
        };
        let next: FindEnd = |bytes, _, _| match handshake::length(bytes) {
            Some(len) if len <= bytes.len() => Framing::Whole(len),
            _ => Framing::More,
        };
        let cuts = desk.cut(
            &mut half.handshake,
            (next, &mut Talk::default()),
            (buf, range),
            BufKind::Message,
            Level::Handshake,
            names,
        );
        half.unreadable = cuts.broken;
        desk.each(Level::Handshake, buf, cuts.taken, |buf, range, desk| {
            let tls13 = self.version == Some(TLS13);
            match desk.read(buf, range, |c| handshake::message(c, tls13)) {
                Ok(message) => self.react(dir, &message),
                Err(stop) => desk.labels.stops.push(stop),
            }
        });
    }

    /// What a handshake message changes.
    fn react(&mut self, dir: usize, message: &handshake::Message) {
        match message.kind {
            message::CLIENT_HELLO => {
                self.client = dir;
                self.random = message.random.or(self.random);
                if let Some(half) = self.halves.get_mut(dir).filter(|_| message.early_data) {
                    half.enter(Epoch::Early);
                }
            }
            message::SERVER_HELLO if !message.hello_retry => {
                self.client = 1 - dir.min(1);
                self.version = message.version;
                self.cipher_suite = message.cipher_suite;
                self.server_random = message.random;
                self.encrypt_then_mac = message.encrypt_then_mac;
                let tls13 = self.version == Some(TLS13);
                for half in &mut self.halves {
                    match half.epoch {
                        Epoch::Early if tls13 => {}
                        // The server knows nothing of early data: the client's next records are in the clear.
                        Epoch::Early => half.enter(Epoch::Clear),
                        _ if tls13 => half.enter(Epoch::Handshake),
                        _ => {}
                    }
                }
            }
            message::END_OF_EARLY_DATA => {
                if let Some(half) = self.halves.get_mut(dir) {
                    half.enter(Epoch::Handshake);
                }
            }
            message::FINISHED if self.version == Some(TLS13) => {
                // A client that shows its certificate later ends that with a Finished, too (RFC 8446, section 4.6.2).
                let half = self.halves.get_mut(dir);
                if let Some(half) = half.filter(|half| half.epoch != Epoch::Application) {
                    half.enter(Epoch::Application);
                }
            }
            message::KEY_UPDATE => {
                if let Some(half) = self.halves.get_mut(dir) {
                    half.keys = half.keys.as_ref().and_then(Keys::next_generation);
                    half.sequence = 0;
                    half.generation += 1;
                }
            }
            _ => {}
        }
    }

    /// Application data: gives the buffer, the whole of it, and the message that began in an earlier record, if any.
    fn application(
        &mut self,
        dir: usize,
        buf: BufId,
        range: Range<usize>,
        desk: &mut Desk<'_>,
    ) -> Option<Cut> {
        if range.is_empty() {
            return None;
        }
        desk.said((dir, true), buf, &range, 0);
        let half = self.halves.get_mut(dir)?;
        if !matches!(self.application, Application::Known(..)) {
            let bytes = desk
                .buffers
                .bytes(desk.frame.data, buf)
                .get(range.clone())
                .unwrap_or(&[]);
            let found = match self.application {
                Application::Silent => super::opened(bytes, desk.ports),
                _ => super::self_evident(bytes),
            };
            self.application = found.map_or(Application::Unknown, |(protocol, stream)| {
                Application::Known(protocol, stream)
            });
        }
        let Application::Known(_, stream) = self.application else {
            return Some((buf, range, None));
        };
        let names = Names {
            waiting: &key::SEGMENT_DATA,
            unknown: &key::SEGMENT_DATA,
        };
        let whole = range.clone();
        let place = (buf, range);
        let cuts = desk.cut(
            &mut half.application,
            (stream.next, &mut self.talk),
            place,
            BufKind::Message,
            Level::Application,
            names,
        );
        if cuts.broken {
            self.application = Application::Unknown;
            return None;
        }
        Some((buf, whole, cuts.taken))
    }
}

/// Notes with what a record was opened, or was tried to be: the keys, from which secret they are (of which epoch, after how
/// many updates, and whether the client's), under which number, and what came of it.
fn note_keys(
    keys: &Keys,
    (epoch, generation, by_client): (Epoch, u32, bool),
    sequence: u64,
    verdict: Fact,
    layer: usize,
    desk: &mut Desk<'_>,
) {
    let which = match (epoch, by_client) {
        (Epoch::Early, _) => secret::CLIENT_EARLY,
        (Epoch::Handshake, true) => secret::CLIENT_HANDSHAKE,
        (Epoch::Handshake, false) => secret::SERVER_HANDSHAKE,
        (_, true) => secret::CLIENT_TRAFFIC,
        (_, false) => secret::SERVER_TRAFFIC,
    };
    let nonce = keys.nonce(sequence);
    let mut bytes = [0; 16];
    for (byte, of) in bytes.iter_mut().zip(nonce) {
        *byte = of;
    }
    let suite = Fact::Uint(u64::from(keys.suite().number()));
    let generation = Fact::Uint(u64::from(generation));
    desk.note(layer, &key::CIPHER, suite);
    desk.note(layer, &key::OPENED, verdict);
    desk.note(layer, &key::SECRET, which);
    desk.note(layer, &key::SECRET_GENERATION, generation);
    desk.note(layer, &key::SEQUENCE, Fact::Uint(sequence));
    desk.note(layer, &key::NONCE, Fact::Bytes(bytes, nonce.len() as u8));
}
