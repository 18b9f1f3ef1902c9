//! A tape of all that happened in one run: every packet as it was sent and as it arrived, the secrets, and what the two
//! chat programs said, heard, and failed at.

use serde::{Deserialize, Serialize};

use crate::packet::{Event, Frame, LinkType, Time};
use crate::session::Session;
use crate::wire::Host;
use crate::wire::memory::EPOCH;

/// When the clock of every run starts.
pub(crate) const START: Time = EPOCH;

/// A packet on the tape.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shot {
    #[serde(with = "by_name")]
    pub(crate) from: Host,
    /// Nanoseconds since [`START`].
    pub(crate) sent: u64,
    /// On which side of the one in the middle, if there is one.
    #[serde(with = "by_name")]
    pub(crate) side: Host,
    /// As it was sent; one that was made up, as it was put on the wire.
    pub(crate) bytes: Vec<u8>,
    /// Made up on the path, not by the host it claims to be from.
    pub(crate) made: bool,
    /// Each arrival: when, and as what.
    pub(crate) arrivals: Vec<(u64, Vec<u8>)>,
    /// What was done to it.
    pub(crate) mark: Option<Mark>,
}

/// What was done to a packet on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mark {
    Drop,
    Delay,
    Duplicate,
    Reorder,
    Flip,
    Swap16,
    Set,
    Truncate,
    Forged,
}

impl Mark {
    /// The glossary key of the sentence that says it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Drop => "say.lesson.mark.drop",
            Self::Delay => "say.lesson.mark.delay",
            Self::Duplicate => "say.lesson.mark.duplicate",
            Self::Reorder => "say.lesson.mark.reorder",
            Self::Flip => "say.lesson.mark.flip",
            Self::Swap16 => "say.lesson.mark.swap16",
            Self::Set => "say.lesson.mark.set",
            Self::Truncate => "say.lesson.mark.truncate",
            Self::Forged => "say.lesson.mark.forged",
        }
    }
}

/// What happened in a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    Says(String),
    Hears(String),
    Fails(String),
}

/// Who, and what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(with = "by_name")]
    pub(crate) host: Host,
    pub(crate) what: What,
}

/// All that happened in one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tape {
    /// In the order in which they were sent.
    pub(crate) shots: Vec<Shot>,
    /// Lines of a key log.
    pub(crate) keys: Vec<String>,
    /// What happened in the chats, in order.
    pub(crate) story: Vec<Told>,
    /// What the one in the middle read, and from whom, if there is one.
    pub(crate) middle: Option<Vec<Told>>,
    /// Rules that were never carried out, as they stand in the lesson.
    pub(crate) idle: Vec<String>,
}

/// Where packets are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Place {
    /// Each packet when and as it is sent, forged ones among them.
    #[default]
    #[serde(rename = "wire")]
    Wire,
    /// At host A: what A sends, and what arrives there.
    A,
    /// At host B.
    B,
}

/// One packet as it is seen at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'t> {
    pub(crate) time: u64,
    pub(crate) bytes: &'t [u8],
    pub(crate) mark: Option<Mark>,
}

impl Tape {
    fn told(&self, at: Host) -> impl Iterator<Item = &What> {
        let of_host = self.story.iter().filter(move |told| told.host == at);
        of_host.map(|told| &told.what)
    }

    /// What the application of `host` said, in order.
    pub(crate) fn said(&self, at: Host) -> Vec<&str> {
        let said = self.told(at).filter_map(|what| match what {
            What::Says(text) => Some(text.as_str()),
            _ => None,
        });
        said.collect()
    }

    /// What the application of `host` heard, in order.
    pub(crate) fn heard(&self, at: Host) -> Vec<&str> {
        let heard = self.told(at).filter_map(|what| match what {
            What::Hears(text) => Some(text.as_str()),
            _ => None,
        });
        heard.collect()
    }

    /// What the one in the middle read of what `host` said, in order.
    pub(crate) fn read(&self, at: Host) -> Vec<&str> {
        let notes = self.middle.iter().flatten();
        let read = notes.filter_map(|told| match &told.what {
            What::Hears(text) if told.host == at => Some(text.as_str()),
            _ => None,
        });
        read.collect()
    }

    /// Why the chat of `host` failed, if it did.
    pub(crate) fn failure(&self, at: Host) -> Option<&str> {
        self.told(at).find_map(|what| match what {
            What::Fails(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// The packets as they are seen at `place`, in the order of time.
    pub(crate) fn at(&self, place: Place) -> Vec<View<'_>> {
        // Each with its place among what happens at once.
        let mut views = Vec::new();
        for shot in &self.shots {
            let here = match place {
                Place::Wire => None,
                Place::A => Some(Host::A),
                Place::B => Some(Host::B),
            };
            // Between the two sides of somebody in the middle there is no path: they are two connections.
            if self.middle.is_some() && shot.side != here.unwrap_or(Host::A) {
                continue;
            }
            let mark = shot.mark;
            if here.is_none_or(|here| shot.from == here && !shot.made) {
                let (time, bytes) = (shot.sent, shot.bytes.as_slice());
                views.push((2, View { time, bytes, mark }));
            } else if here == Some(shot.from.other()) {
                for (time, bytes) in &shot.arrivals {
                    let time = *time;
                    let order = u8::from(mark == Some(Mark::Reorder));
                    views.push((order, View { time, bytes, mark }));
                }
            }
        }
        // What arrives at once arrives in the order in which it was sent, but what is held back goes last; then the host
        // sends. The sort keeps the order of what is equal.
        views.sort_by_key(|(order, view)| (view.time, *order));
        views.into_iter().map(|(_, view)| view).collect()
    }

    /// Calls `each` with every packet as it is seen at `place` and decoded with those secrets whose line `keys` takes.
    pub(crate) fn watch(
        &self,
        place: Place,
        keys: impl Fn(&str) -> bool,
        mut each: impl FnMut(&Event<'_>, Option<Mark>),
    ) {
        let mut session = Session::new();
        for line in self.keys.iter().filter(|line| keys(line)) {
            // The lines come from our own peers.
            let _ = session.keylog_line(line);
        }
        for (number, view) in (1..).zip(self.at(place)) {
            let event = session.push(Frame {
                number,
                time: Time(START.0 + view.time),
                link: LinkType::RAW,
                wire_len: view.bytes.len() as u32,
                data: view.bytes,
            });
            each(&event, view.mark);
        }
    }
}

/// A host as `A` or `B`.
mod by_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::wire::Host;

    pub(super) fn serialize<S: Serializer>(host: &Host, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(host)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Host, D::Error> {
        match String::deserialize(from)?.as_str() {
            "A" => Ok(Host::A),
            "B" => Ok(Host::B),
            other => Err(de::Error::custom(format!("{other:?} is no host"))),
        }
    }
}
