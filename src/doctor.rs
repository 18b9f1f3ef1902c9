//! What works on this machine, what does not, why, and the command that mends it.
//!
//! Each check tries the thing itself (a wire is played, a device is made) and leaves nothing behind. The words stand in
//! the glossary (`say.doctor.*`); why the system refuses something is said by [`Refusal`](crate::wire::refusal::Refusal).

use std::net::TcpListener;
use std::path::Path;

use crate::text::Glossary;
use crate::view::paint::{Out, Role, Wish, decide};
use crate::wire::memory::{Config, Memory};
use crate::wire::{PORT, Script, Seen};

/// What the exit status adds up from: a bit for each that would not run.
pub mod status {
    /// The default: the demonstration on the memory wire.
    pub const MEMORY: u8 = 1;
    /// `--wire tun`.
    pub const TUN: u8 = 4;
    /// `--wire loopback`.
    pub const LOOPBACK: u8 = 8;
    /// `layerwise capture`.
    pub const CAPTURE: u8 = 16;
}

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It works; the key of a sentence that says how, and a text that goes into it.
    Good(&'static str, String),
    /// It works, but not as one might expect: the same, and the command that mends it.
    Fair(&'static str, String, String),
    /// It does not work: why, and the command that mends it.
    Bad(String, String),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// The key of its name.
    name: &'static str,
    verdict: Verdict,
}

/// Looks at everything, shows it, and gives the exit status: 0 if everything would run, otherwise the sum of [`status`].
///
/// Must be called before this process has a second thread: the checks take their steps in child processes.
pub fn run(glossary: &Glossary, wish: Wish, out: &mut Out) -> u8 {
    let mut missing = 0;
    let mut wires = vec![memory(&mut missing)];
    #[cfg_attr(
        not(target_os = "linux"),
        allow(unused_mut, reason = "what only Linux has is looked at there")
    )]
    let mut grounds = Vec::new();
    #[cfg(target_os = "linux")]
    linux::look(&mut wires, &mut grounds, &mut missing);
    #[cfg(not(target_os = "linux"))]
    for name in [
        "say.doctor.tun",
        "say.doctor.loopback",
        "say.doctor.capture",
    ] {
        let why = glossary.say("say.doctor.linux_only").to_owned();
        wires.push(Row {
            name,
            verdict: Verdict::Bad(why, String::from("layerwise demo --wire memory")),
        });
        missing |= status::TUN | status::LOOPBACK | status::CAPTURE;
    }
    section(glossary, out, "say.doctor.runs", &wires);
    if !grounds.is_empty() {
        section(glossary, out, "say.doctor.grounds", &grounds);
    }
    section(glossary, out, "say.doctor.chat", &[certificates(), port()]);
    section(glossary, out, "say.doctor.screen", &screen(wish, out));
    let sum = if missing == 0 {
        "say.doctor.all"
    } else {
        "say.doctor.some"
    };
    out.wrapped(glossary.say(sum), |_| ());
    out.newline();
    missing
}

/// Plays the demonstration's chat.
fn memory(missing: &mut u8) -> Row {
    let played = Memory::new(&Config::default(), &Script::default()).and_then(|wire| {
        wire.map(|seen| seen.map(|seen| u64::from(matches!(seen, Seen::Packet(_)))))
            .sum::<Result<u64, _>>()
    });
    let verdict = match played {
        Ok(packets) => Verdict::Good("say.doctor.memory.good", packets.to_string()),
        Err(error) => {
            *missing |= status::MEMORY;
            Verdict::Bad(error.to_string(), String::new())
        }
    };
    Row {
        name: "say.doctor.memory",
        verdict,
    }
}

/// Whether a chat server finds its certificate and key.
fn certificates() -> Row {
    let files = ["certs/server.crt", "certs/server.key"];
    let absent = files.into_iter().find(|file| !Path::new(file).exists());
    let verdict = match absent {
        None => Verdict::Good("say.doctor.certificates.good", String::new()),
        Some(file) => Verdict::Fair(
            "say.doctor.certificates.fair",
            format!("./{file}"),
            "layerwise certs".to_owned(),
        ),
    };
    Row {
        name: "say.doctor.certificates",
        verdict,
    }
}

/// Whether the chat's port is free here.
fn port() -> Row {
    let verdict = match TcpListener::bind(("localhost", PORT)) {
        Ok(_) => Verdict::Good("say.doctor.port.good", PORT.to_string()),
        Err(_) => Verdict::Fair(
            "say.doctor.port.fair",
            PORT.to_string(),
            "layerwise chat serve --listen localhost:8081".to_owned(),
        ),
    };
    Row {
        name: "say.doctor.port",
        verdict,
    }
}

/// Terminal, characters, colours.
fn screen(wish: Wish, out: &Out) -> [Row; 3] {
    let env = |name: &str| std::env::var(name).ok();
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let size = terminal_size::terminal_size().map(|(width, height)| (width.0, height.0));
    let terminal = match size.filter(|_| is_terminal) {
        Some((width, height)) if width < 80 || height < 24 => Verdict::Fair(
            "say.doctor.terminal.small",
            format!("{width}×{height}"),
            String::new(),
        ),
        Some((width, height)) => {
            Verdict::Good("say.doctor.terminal.good", format!("{width}×{height}"))
        }
        None => Verdict::Good("say.doctor.terminal.none", out.look().width.to_string()),
    };
    // What decides is the first of these that is set (POSIX, Base Definitions, section 8.2).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "C".to_owned());
    let speaks = locale
        .to_ascii_uppercase()
        .replace('-', "")
        .contains("UTF8");
    let characters = if speaks || wish.ascii {
        Verdict::Good("say.doctor.characters.good", locale)
    } else {
        Verdict::Fair(
            "say.doctor.characters.fair",
            locale,
            "layerwise --ascii (or: export LANG=C.UTF-8)".to_owned(),
        )
    };
    let colours = if decide(wish.color, env, is_terminal) {
        Verdict::Good("say.doctor.colours.good", String::new())
    } else {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let why = match () {
            () if wish.color == crate::view::paint::When::Never => "say.doctor.colours.flag",
            () if set("NO_COLOR") => "say.doctor.colours.no_color",
            () if !is_terminal => "say.doctor.colours.pipe",
            () => "say.doctor.colours.dumb",
        };
        Verdict::Good(why, String::new())
    };
    [
        Row {
            name: "say.doctor.terminal",
            verdict: terminal,
        },
        Row {
            name: "say.doctor.characters",
            verdict: characters,
        },
        Row {
            name: "say.doctor.colours",
            verdict: colours,
        },
    ]
}

/// The column in which the sentences begin.
const SENTENCE: usize = 22;

fn section(glossary: &Glossary, out: &mut Out, title: &str, rows: &[Row]) {
    out.paint(Role::Heading, glossary.say(title));
    out.newline();
    for row in rows {
        show(glossary, out, row);
    }
    out.newline();
}

fn show(glossary: &Glossary, out: &mut Out, row: &Row) {
    let glyphs = out.glyphs();
    let (role, mark, word) = match row.verdict {
        Verdict::Good(..) => (Role::Good, glyphs.good, "say.doctor.good"),
        Verdict::Fair(..) => (Role::Warn, "!", "say.doctor.fair"),
        Verdict::Bad(..) => (Role::Bad, glyphs.bad, "say.doctor.bad"),
    };
    let plain = out.look().plain;
    let margin = |out: &mut Out| {
        if !plain {
            out.to_column(SENTENCE);
        }
    };
    if plain {
        out.text(glossary.say(row.name));
        out.ascii(b", ");
        out.text(glossary.say(word));
        out.ascii(b": ");
    } else {
        out.spaces(2);
        out.start(role);
        out.text(mark);
        out.end(role);
        // The mark in ASCII is up to three characters.
        out.to_column(6);
        out.text(glossary.say(row.name));
        out.byte(b' ');
        margin(out);
    }
    let (sentence, mend) = match &row.verdict {
        Verdict::Good(key, text) => (filled(glossary, out, key, text), None),
        Verdict::Fair(key, text, mend) => (filled(glossary, out, key, text), Some(mend)),
        Verdict::Bad(why, mend) => (why.clone(), Some(mend)),
    };
    out.wrapped(&sentence, margin);
    out.newline();
    if let Some(mend) = mend.filter(|mend| !mend.is_empty()) {
        margin(out);
        out.text(glossary.say("say.doctor.mend"));
        out.byte(b' ');
        // A command is not broken: it is there to be copied.
        out.paint(Role::Value, mend);
        out.newline();
    }
}

fn filled(glossary: &Glossary, out: &mut Out, key: &str, text: &str) -> String {
    out.aside(|out| out.sentence(glossary.say(key), |out, _| out.text(text)))
}

#[cfg(target_os = "linux")]
mod linux {
    //! What real wires need.

    use super::{Row, Verdict, status};
    use crate::wire::refusal::{self, Refusal};

    pub(super) fn look(wires: &mut Vec<Row>, grounds: &mut Vec<Row>, missing: &mut u8) {
        let network = refusal::probe_network();
        let user = refusal::probe_user_namespace();
        let tun = refusal::probe_tun();
        let veth = refusal::probe_veth();
        let watch = refusal::probe_packet_socket();
        let here = refusal::probe_capture();
        let row = |name, result: &Result<(), Refusal>, good: &'static str| Row {
            name,
            verdict: verdict(result, good),
        };

        wires.push(match (&tun, &veth) {
            (Err(refused), Ok(())) => Row {
                name: "say.doctor.tun",
                verdict: Verdict::Fair(
                    "say.doctor.tun.veth",
                    refused.why(),
                    refused.mend().to_owned(),
                ),
            },
            (tun, _) => {
                *missing |= if tun.is_err() { status::TUN } else { 0 };
                row("say.doctor.tun", tun, "say.doctor.tun.good")
            }
        });
        wires.push(match (&watch, &here) {
            // Without a namespace of its own it takes the machine's lo.
            (Err(refused), Ok(())) => Row {
                name: "say.doctor.loopback",
                verdict: Verdict::Fair(
                    "say.doctor.loopback.machine",
                    refused.why(),
                    refused.mend().to_owned(),
                ),
            },
            (watch, _) => {
                *missing |= if watch.is_err() { status::LOOPBACK } else { 0 };
                row("say.doctor.loopback", watch, "say.doctor.loopback.good")
            }
        });
        *missing |= if here.is_err() { status::CAPTURE } else { 0 };
        let mut capture = row("say.doctor.capture", &here, "say.doctor.capture.good");
        if let Verdict::Bad(_, mend) = &mut capture.verdict {
            *mend = crate::capture::grant();
        }
        wires.push(capture);

        grounds.push(row("say.doctor.user", &user, "say.doctor.user.good"));
        grounds.push(row(
            "say.doctor.network",
            &network,
            "say.doctor.network.good",
        ));
        grounds.push(row("say.doctor.device", &tun, "say.doctor.device.good"));
        grounds.push(row("say.doctor.pair", &veth, "say.doctor.pair.good"));
        grounds.push(row("say.doctor.packet", &watch, "say.doctor.packet.good"));
    }

    fn verdict(result: &Result<(), Refusal>, good: &'static str) -> Verdict {
        match result {
            Ok(()) => Verdict::Good(good, String::new()),
            Err(refused) => Verdict::Bad(refused.why(), refused.mend().to_owned()),
        }
    }
}
