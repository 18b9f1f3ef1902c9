//! The lessons: every one runs, judges rightly, has its texts, and can be played at a terminal, left and resumed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod run;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use layerwise::lesson::load::{self, Kind, Lesson};
use layerwise::lesson::progress::{Attempt, Store};
use layerwise::lesson::rig::Wire;
use layerwise::lesson::stage::Stage;
use layerwise::lesson::{dev, language};
use layerwise::text::{Glossary, OTHERS};

/// A hanging program fails the test after so long; nothing waits for it otherwise.
const LIMIT: Duration = Duration::from_secs(60);

fn lessons() -> Vec<Lesson> {
    load::load(None).unwrap_or_else(|error| panic!("{error}"))
}

/// A folder of its own for one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("layerwise-lessons-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Of no use any more, if it still runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerwise"));
    for variable in [
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "LANG",
        "LC_ALL",
        "LC_MESSAGES",
    ] {
        command.env_remove(variable);
    }
    command
        .env("TERM", "xterm-256color")
        .arg("lesson")
        .arg("--state")
        .arg(state);
    command
}

/// Runs a command with lines as its input, through pipes.
fn piped(state: &Path, arguments: &[&str], input: &str) -> Output {
    run::piped(program(state).args(arguments), input)
}

#[track_caller]
fn shown(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What was shown so far, whether the program has ended, and a bell for when that changes.
type Shared = (Mutex<(Vec<u8>, bool)>, Condvar);

/// A program in a pseudo-terminal of 80 columns and 24 lines.
struct Terminal {
    child: Child,
    master: fs::File,
    screen: Arc<Shared>,
    read: usize,
}

impl Terminal {
    fn start(command: &mut Command) -> Self {
        let size = nix::pty::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = nix::pty::openpty(Some(&size), None).unwrap();
        let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let child = command
            .stdin(slave(&pty.slave))
            .stdout(slave(&pty.slave))
            .stderr(slave(&pty.slave))
            .spawn()
            .unwrap();
        // The command keeps its own copies until it is used again.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        drop(pty.slave);
        let master = fs::File::from(pty.master);
        let screen = Arc::new((Mutex::new((Vec::new(), false)), Condvar::new()));
        let (mut reader, shared) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // Reading from a terminal whose other end is closed is an error, and the end.
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut screen = shared.0.lock().unwrap();
                screen.0.extend_from_slice(&buffer[..count]);
                screen.1 = count == 0;
                shared.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            child,
            master,
            screen,
            read: 0,
        }
    }

    /// What is shown from the last time on, up to and with one of these texts at its end; `None` at the program's end.
    #[track_caller]
    fn until(&mut self, ends: &[&str]) -> (String, bool) {
        let deadline = Instant::now() + LIMIT;
        let mut screen = self.screen.0.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&screen.0[self.read..]).into_owned();
            if ends
                .iter()
                .any(|end| text.trim_end().ends_with(end.trim_end()))
            {
                self.read = screen.0.len();
                return (text, false);
            }
            if screen.1 {
                self.read = screen.0.len();
                return (text, true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "none of {ends:?} came; there is:\n{text}");
            screen = self.screen.1.wait_timeout(screen, left).unwrap().0;
        }
    }

    /// Waits until that text is shown.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        let mut screen = self.screen.0.lock().unwrap();
        loop {
            let all = String::from_utf8_lossy(&screen.0[self.read..]).into_owned();
            if let Some(at) = all.find(text) {
                self.read += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !screen.1,
                "{text:?} does not come; there is:\n{all}"
            );
            screen = self.screen.1.wait_timeout(screen, left).unwrap().0;
        }
    }

    fn line(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
        self.master.write_all(b"\n").unwrap();
    }

    fn key(&mut self, bytes: &str) {
        self.master.write_all(bytes.as_bytes()).unwrap();
    }

    fn end(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

const ENTER: &str = "[Enter goes on]";
const MORE: &str = "-- more: press Enter --";
const ASK: &str = "for a hint >";

/// Every page is at most a screen.
#[track_caller]
fn fits(page: &str) {
    let page = page.replace('\r', "");
    let lines = page.lines().count();
    assert!(lines <= 24, "{lines} lines on one screen:\n{page}");
    for line in page.lines() {
        let mut columns = 0;
        let mut escaped = false;
        for c in line.chars() {
            match c {
                '\x1b' => escaped = true,
                'm' if escaped => escaped = false,
                _ if escaped => {}
                _ => columns += 1,
            }
        }
        assert!(columns <= 80, "{columns} columns: {line}");
    }
    assert!(!page.contains("\x1b[?1049h"), "no alternate screen");
}

/// Plays a lesson at a terminal, giving the answers in turn; leaves after `leave` of them, by closing or with `q`.
fn sit(
    state: &Path,
    which: &str,
    seed: u64,
    answers: &mut std::vec::IntoIter<String>,
    leave: Option<usize>,
) -> String {
    let seed = seed.to_string();
    let mut terminal = Terminal::start(program(state).args(["--seed", &seed, "start", which]));
    let mut whole = String::new();
    let mut given = 0;
    loop {
        let (page, over) = terminal.until(&[ENTER, MORE, ASK]);
        fits(&page);
        whole.push_str(&page);
        if over {
            break;
        }
        let page = page.trim_end();
        if page.ends_with(ASK) {
            if leave == Some(given) {
                terminal.line("q");
                continue;
            }
            given += 1;
            terminal.line(&answers.next().expect("an answer is left"));
        } else {
            terminal.line("");
        }
    }
    assert!(terminal.end(), "{whole}");
    whole
}

#[test]
fn the_program_has_every_lesson_of_the_folder() {
    let mut folders: Vec<String> = fs::read_dir("lessons")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("lesson.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name != "template")
        .collect();
    folders.sort();
    let embedded: Vec<&str> = load::EMBEDDED.iter().map(|folder| folder.id).collect();
    assert_eq!(embedded, folders);
    for folder in load::EMBEDDED {
        let mut languages: Vec<String> = fs::read_dir(Path::new("lessons").join(folder.id))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|name| name != "lesson")
            .collect();
        languages.sort();
        let mut built_in: Vec<&str> = folder.texts.iter().map(|(language, _)| *language).collect();
        built_in.sort_unstable();
        assert_eq!(built_in, languages, "{}", folder.id);
    }
    let numbers: Vec<u32> = lessons().iter().map(|lesson| lesson.data.number).collect();
    assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
}

#[test]
fn every_lesson_is_right() {
    let glossary = Glossary::english().unwrap();
    let complaints: Vec<String> = lessons()
        .iter()
        .flat_map(|lesson| dev::complaints(lesson, &glossary, Wire::Memory))
        .map(|complaint| complaint.to_string())
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_is_wrong_with_a_lesson_is_said_with_file_line_and_fix() {
    let folder = Folder::new("wrong");
    let glossary = Glossary::english().unwrap();
    let made = folder.path("17-mine");
    let output = piped(
        &folder.path("state"),
        &["dev", "new", made.to_str().unwrap()],
        "",
    );
    assert!(shown(&output).contains("is a lesson that runs"));
    let data = fs::read_to_string(made.join("lesson.toml")).unwrap();
    let english = fs::read_to_string(made.join("en.toml")).unwrap();
    let complain = |data: &str, english: &str| -> String {
        let texts = [("en".to_owned(), english.to_owned())];
        match Lesson::parse("17-mine", data, texts) {
            Ok(lesson) => dev::complaints(&lesson, &glossary, Wire::Memory)
                .iter()
                .map(|c| format!("{c}\n"))
                .collect(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(complain(&data, &english), "", "what dev new makes is right");
    let data_cases = [
        (
            "answer = \"number\"",
            "answer = \"nummer\"",
            "lesson.toml:30: unknown variant `nummer`",
        ),
        (
            "[values]\n",
            "[values]\nzig = { calc = \"zag + 1\" }\nzag = { calc = \"zig + 1\" }\n",
            "value zig is computed from itself: give one of those it needs another expression",
        ),
        (
            "show = \"chat.text\"",
            "show = \"chat.txet\"",
            "lesson.toml:39: at character 1 of the expression \"chat.txet\"",
        ),
        (
            "right = \"wire\"",
            "right = \"wier\"",
            "there is no value \"wier\": add it under [values]",
        ),
        (
            "text = \"bytes\"",
            "text = \"wire\"",
            "should fail with wrong.text, but gives Right",
        ),
        (
            "run = \"main\"",
            "run = \"mian\"",
            "there is no run \"mian\": add [runs.mian]",
        ),
        (
            "format_version = 1",
            "format_version = 2",
            "lesson.toml:2: format_version is 2",
        ),
        (
            "messages = [\"{word}\"]",
            "messages = [\"{word}\"]\nfaults = [\"drop where tcp.len > 9999\"]",
            "never fired",
        ),
        (
            "messages = [\"{word}\"]",
            "messages = [\"{word}\"]\nfaults = [\"explode\"]",
            "there is no action explode",
        ),
        (
            "minutes = 5",
            "minutes = 50",
            "lesson.toml:5: minutes is 50",
        ),
        ("ip.len", "ip.lne", "\"ip.lne\" is no key"),
    ];
    for (good, bad, complaint) in data_cases {
        let found = complain(&data.replace(good, bad), &english);
        assert!(found.contains(complaint), "{bad}: {found}");
    }
    let text_cases = [
        ("title = \"A new lesson\"", "", "title is missing"),
        (
            "other = \"\"\"",
            "otter = \"\"\"",
            "size.wrong.other is missing",
        ),
        (
            "other = \"\"\"",
            "otter = \"\"\"",
            "size.wrong.otter is a text that nothing asks for",
        ),
        ("{bytes}", "{byte}", "there is no value \"byte\""),
        (
            "Explain, with the bytes",
            "A packet of 1500 bytes",
            "explain says 1500: compute it from a packet",
        ),
        (
            "Explain, with the bytes",
            "By RFC 9293, section 3.4",
            "explain cites RFC 9293, section 3.4: add it to rfc",
        ),
        (
            "\"RFC 9293, section 3.1\" = \"the TCP header\"",
            "",
            "read.RFC 9293, section 3.1 is missing",
        ),
        (
            "Say what there is to see",
            "x\n  abcdefghijabcdefghijabcdefghijabcdefghij abcdefghijabcdefghijabcdefghijabcdefghij",
            "wider than 78 columns",
        ),
    ];
    for (good, bad, complaint) in text_cases {
        let found = complain(&data, &english.replace(good, bad));
        assert!(found.contains(complaint), "{bad}: {found}");
    }
    let check = |lessons: &Path| {
        piped(
            &folder.path("state"),
            &["--lessons", lessons.to_str().unwrap(), "dev", "check"],
            "",
        )
    };
    assert!(shown(&check(&folder.0)).contains("17-mine: good"));
    fs::write(
        made.join("lesson.toml"),
        data.replace("right = \"wire\"", "right = \"wier\""),
    )
    .unwrap();
    let output = check(&folder.0);
    assert!(!output.status.success());
    let again = piped(
        &folder.path("state"),
        &["dev", "new", made.to_str().unwrap()],
        "",
    );
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("choose a folder that is not there yet")
    );
}

#[test]
fn every_lesson_is_played_at_a_terminal_left_and_resumed() {
    let glossary = Glossary::english().unwrap();
    let folder = Folder::new("terminal");
    for (number, lesson) in (1_u64..).zip(lessons()) {
        for wrong_first in [false, true] {
            let seed = number * 10 + u64::from(wrong_first);
            let stage = Stage::new(&lesson, seed, &glossary);
            let typed = dev::typed_through(&stage, wrong_first).unwrap();
            let all: Vec<String> = typed.lines().map(str::to_owned).collect();
            let count = all.len();
            let mut answers = all.into_iter();
            let state = folder.path(&format!("{number}-{wrong_first}"));
            let id = lesson.data.id.clone();
            let first = sit(&state, &id, seed, &mut answers, Some(count / 2));
            assert!(first.contains("Kept."), "{first}");
            let second = sit(&state, &id, seed, &mut answers, None);
            assert!(second.contains("That was the lesson."), "{id}: {second}");
            assert!(count / 2 == 0 || second.contains("Welcome back."), "{id}");
            assert_eq!(answers.next(), None, "{id}: every answer was asked for");
            let both = first + &second;
            assert_eq!(both.contains("Not so."), wrong_first, "{id}");
            let (progress, _) = Store::new(Some(state)).read().unwrap();
            let record = &progress.lessons[&id];
            assert!(record.done);
            for step in lesson
                .data
                .steps
                .iter()
                .filter(|step| step.answer.is_some())
            {
                assert!(record.settled(&step.id), "{id} {}", step.id);
            }
        }
    }
}

#[test]
fn leaving_at_any_point_loses_nothing() {
    let glossary = Glossary::english().unwrap();
    let folder = Folder::new("leave");
    let all = lessons();
    let lesson = all.iter().find(|lesson| lesson.data.id == "loss").unwrap();
    let stage = Stage::new(lesson, 3, &glossary);
    let typed = dev::typed_through(&stage, true).unwrap();
    let state = folder.path("state");
    // One answer a sitting; the end of the input is the end of the sitting.
    for (at, line) in typed.lines().enumerate() {
        let text = shown(&piped(
            &state,
            &["--seed", "3", "start", "loss"],
            &format!("{line}\n"),
        ));
        let (progress, _) = Store::new(Some(state.clone())).read().unwrap();
        assert_eq!(progress.lessons["loss"].attempts.len(), at + 1, "{text}");
    }
    let (progress, _) = Store::new(Some(state.clone())).read().unwrap();
    assert!(progress.lessons["loss"].done);
    // Started anew, what was done stays.
    let text = shown(&piped(&state, &["again"], ""));
    assert!(text.contains("Lesson 6"), "{text}");
    let (progress, _) = Store::new(Some(state)).read().unwrap();
    assert!(progress.lessons["loss"].done && progress.lessons["loss"].round == 1);
}

#[test]
fn hints_are_a_ladder_and_the_answer_comes_last() {
    let folder = Folder::new("hints");
    let state = folder.path("state");
    let text = shown(&piped(
        &state,
        &["start", "1"],
        "show\n?\n3\nshow\n?\n?\n?\nshow\nq\n",
    ));
    let order = [
        "Nothing is shown before",
        "Hint 1/3",
        "Noted.",
        "Not so.",
        "There are hints left",
        "Hint 2/3",
        "Hint 3/3",
        "That was the last hint",
        "The answer:",
    ];
    let mut rest = text.as_str();
    for part in order {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("{part:?} is not where it should be:\n{text}"));
        rest = &rest[at..];
    }
    // The command goes on where the lesson was left.
    let text = shown(&piped(&state, &["hint"], ""));
    assert!(
        text.contains("Hint 1/2") && !text.contains("Hint 2/2"),
        "{text}"
    );
    assert!(shown(&piped(&state, &["hint"], "")).contains("Hint 2/2"));
}

#[test]
fn details_are_there_on_request() {
    let folder = Folder::new("details");
    let text = shown(&piped(
        &folder.path("state"),
        &["start", "1"],
        "details 8\n3\ndetails 8\nbytes 8\nexplain ip.ttl\npackets\ndetails 99\n",
    ));
    for part in [
        "There are no packets yet",
        "Total length",
        "The packet as it is on the wire",
        "Time to live",
        "asks to connect",
        "There is no packet of that number",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
}

#[test]
fn another_seed_is_another_answer() {
    let glossary = Glossary::english().unwrap();
    for lesson in &lessons() {
        let mut answers = BTreeSet::new();
        for seed in 1..=8 {
            let stage = Stage::new(lesson, seed, &glossary);
            answers.insert(dev::typed_through(&stage, false).unwrap());
        }
        assert!(
            answers.len() > 1,
            "{}: one can copy from one's neighbour",
            lesson.folder
        );
        if lesson.data.id == "handshake" {
            assert_eq!(answers.len(), 8);
        }
    }
}

#[test]
fn the_same_seed_is_the_same_lesson() {
    let folder = Folder::new("same");
    let play = |state| {
        shown(&piped(
            &folder.path(state),
            &["--seed", "9", "start", "4"],
            "1\n",
        ))
    };
    assert_eq!(play("one"), play("two"));
}

#[test]
fn plain_is_for_the_ear() {
    let folder = Folder::new("plain");
    let mut terminal =
        Terminal::start(program(&folder.path("state")).args(["--plain", "start", "6"]));
    let mut whole = String::new();
    let mut answers = ["a", "1", "a"].iter();
    loop {
        let (page, over) = terminal.until(&[ENTER, MORE, ASK]);
        whole.push_str(&page);
        if over {
            break;
        }
        if page.trim_end().ends_with(ASK) {
            terminal.line(answers.next().unwrap_or(&"q"));
        } else {
            terminal.line("");
        }
    }
    assert!(terminal.end());
    assert!(whole.contains("milliseconds, from A to B"), "{whole}");
    assert!(
        !whole
            .chars()
            .any(|c| ('\u{2500}'..='\u{257f}').contains(&c)),
        "no boxes: {whole}"
    );
    assert!(!whole.contains("\x1b[?"), "no switching of screens");
    let mut terminal = Terminal::start(
        program(&folder.path("other"))
            .env("NO_COLOR", "1")
            .args(["start", "6"]),
    );
    let (page, _) = terminal.until(&[ENTER]);
    assert!(!page.contains('\x1b'), "{page}");
    terminal.line("q");
    assert!(terminal.end());
}

fn attempt(n: usize) -> Attempt {
    Attempt {
        round: 0,
        seed: 1,
        wire: Wire::Memory,
        step: format!("step{n}"),
        predicted: false,
        answer: n.to_string(),
        verdict: String::new(),
        hints: 0,
    }
}

#[test]
fn two_terminals_at_once_do_no_harm() {
    let folder = Folder::new("two");
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let dir = folder.0.clone();
            std::thread::spawn(move || {
                let mut store = Store::new(Some(dir));
                for n in 0..25 {
                    store
                        .update(|progress| {
                            let record = progress.lessons.entry("x".to_owned()).or_default();
                            record.attempts.push(attempt(worker * 25 + n));
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let (progress, _) = Store::new(Some(folder.0.clone())).read().unwrap();
    let steps: BTreeSet<&str> = progress.lessons["x"]
        .attempts
        .iter()
        .map(|a| a.step.as_str())
        .collect();
    assert_eq!(steps.len(), 100, "no answer of anybody is lost");
}

#[test]
fn progress_survives_being_killed() {
    let folder = Folder::new("kill");
    let mut kept = 0;
    for round in 1..=12 {
        let mut child = program(&folder.0)
            .args(["start", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            // Wrong answers without end: each is written.
            while stdin.write_all(b"5\n").is_ok() {}
        });
        // Killed in the middle of writing, a little later in each round.
        let mut stdout = child.stdout.take().unwrap();
        let mut bytes = vec![0; 4000 + round * 1777];
        let _ = stdout.read_exact(&mut bytes);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(stdout);
        writer.join().unwrap();
        let (progress, aside) = Store::new(Some(folder.0.clone())).read().unwrap();
        assert!(aside.is_none(), "{aside:?}");
        let attempts = progress.lessons["envelopes"].attempts.len();
        assert!(attempts > kept, "round {round}: {attempts} after {kept}");
        kept = attempts;
    }
}

#[test]
fn a_file_that_cannot_be_used_is_kept_aside_and_said() {
    let folder = Folder::new("aside");
    let state = folder.path("state");
    fs::create_dir_all(&state).unwrap();
    for (text, said) in [
        ("{\"format_version\": 1, \"se", "cannot be read"),
        ("{\"format_version\": 7}", "of a newer layerwise (format 7)"),
    ] {
        fs::write(state.join("progress.json"), text).unwrap();
        let text_shown = shown(&piped(&state, &["list"], ""));
        assert!(text_shown.contains(said), "{text_shown}");
        let kept: Vec<String> = fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().contains("kept-"))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        assert!(kept.iter().any(|kept| kept == text), "{kept:?}");
    }
    // Nothing is forgotten for good.
    shown(&piped(&state, &["start", "1"], "3\n"));
    assert!(
        shown(&piped(&state, &["reset", "all"], ""))
            .contains("Forgotten: what was done in all lessons.")
    );
    assert!(shown(&piped(&state, &["list"], "")).contains("0 of 16 done."));
    let output = piped(Path::new("/proc/nowhere"), &["start", "1"], "3\n");
    assert!(!output.status.success());
    assert!(!String::from_utf8_lossy(&output.stderr).is_empty());
}

#[test]
fn a_class_hands_in_and_is_graded() {
    let folder = Folder::new("class");
    let glossary = Glossary::english().unwrap();
    let all = lessons();
    let mut files = Vec::new();
    for (name, seed, wrong_first) in [("Ann", 11, false), ("=B<o>b", 12, true), ("Cleo", 13, true)]
    {
        let state = folder.path(&format!("{seed}"));
        let lesson = &all[0];
        let stage = Stage::new(lesson, seed, &glossary);
        let typed = dev::typed_through(&stage, wrong_first).unwrap();
        let seed = seed.to_string();
        shown(&piped(
            &state,
            &["--name", name, "--seed", &seed, "start", "1"],
            &typed,
        ));
        assert!(shown(&piped(&state, &["report"], "")).contains("2 of 2 questions answered"));
        for format in ["html", "json"] {
            let file = folder.path(&format!("{seed}.{format}"));
            shown(&piped(
                &state,
                &["report", "--format", format, "-o", file.to_str().unwrap()],
                "",
            ));
            files.push(file);
        }
    }
    let page = fs::read_to_string(&files[2]).unwrap();
    assert!(
        page.contains("=B&lt;o&gt;b") && !page.contains("<o>"),
        "{page}"
    );
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "the page stands alone"
    );
    let names: Vec<&str> = files
        .iter()
        .step_by(2)
        .map(|file| file.to_str().unwrap())
        .collect();
    let arguments: Vec<&str> = std::iter::once("grade")
        .chain(names.iter().copied())
        .collect();
    let output = piped(&folder.path("teacher"), &arguments, "");
    let table = shown(&output);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(
        rows[1].starts_with("11.html,Ann,11,1,2,2,2,0,0,good,good"),
        "{table}"
    );
    assert!(rows[2].starts_with("12.html,'=B<o>b,12,1,2,"), "{table}");
    let common = String::from_utf8(output.stderr).unwrap();
    assert!(common.contains("2 x  1 size.wrong.other"), "{common}");
    // A verdict that was improved by hand does not survive being played again.
    let json = fs::read_to_string(&files[3]).unwrap();
    let better = json.replacen("\"verdict\": \"wrong.other\"", "\"verdict\": \"right\"", 1);
    assert_ne!(json, better);
    fs::write(&files[3], better).unwrap();
    let output = piped(
        &folder.path("teacher"),
        &["grade", files[3].to_str().unwrap()],
        "",
    );
    assert!(
        shown(&output).contains("changed,1 doubts"),
        "{}",
        shown(&output)
    );
    // Nor does another seed than that of the answers, or a wire that there is not.
    for (from, to, doubt) in [
        (
            "\"seed\": 12",
            "\"seed\": 13",
            "answered with seed 12, but the lesson has seed 13",
        ),
        (
            "\"wire\": \"memory\"",
            "\"wire\": \"loopback\"",
            "is no report",
        ),
    ] {
        assert!(json.contains(from), "{json}");
        fs::write(&files[3], json.replacen(from, to, 1)).unwrap();
        let output = piped(
            &folder.path("teacher"),
            &["grade", files[3].to_str().unwrap()],
            "",
        );
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(doubt), "{said}");
    }
    let garbage = folder.path("garbage.json");
    fs::write(&garbage, "{\"a\": [[[[").unwrap();
    let output = piped(
        &folder.path("teacher"),
        &["grade", garbage.to_str().unwrap()],
        "",
    );
    assert!(
        !output.status.success()
            && String::from_utf8_lossy(&output.stderr).contains("is no report")
    );
}

#[test]
fn a_teacher_goes_forward_and_back_and_the_notes_follow() {
    let folder = Folder::new("present");
    let state = folder.path("state");
    let mut notes = Terminal::start(program(&state).args(["--plain", "notes", "9"]));
    notes.shows("The presentation has not begun");
    let mut teacher = Terminal::start(program(&state).args(["present", "9"]));
    let keys = "[space: on, b: back, q: end]";
    let (page, _) = teacher.until(&[keys]);
    assert!(
        page.contains("blind spot") && page.contains("\x1b[H"),
        "{page}"
    );
    notes.shows("Rung two");
    // A bare space goes on, an arrow or a letter back.
    teacher.key(" ");
    let (second, _) = teacher.until(&[keys]);
    assert!(second.contains("second rung"), "{second}");
    teacher.key("\x1b[D");
    let (page, _) = teacher.until(&[keys]);
    assert!(page.contains("blind spot"), "{page}");
    teacher.key("\x1b[C");
    teacher.until(&[keys]);
    teacher.key("b");
    let (page, _) = teacher.until(&[keys]);
    assert!(page.contains("blind spot"), "{page}");
    // On to the question, where hands are counted; the answer comes when the teacher says so.
    let hands = "q: end]";
    let mut asked = String::new();
    let mut pages = Vec::new();
    loop {
        teacher.key(if asked.contains("Enter: hands") {
            "a 3 b 20\n"
        } else {
            " "
        });
        let (page, over) = teacher.until(&[hands]);
        assert!(!over, "{page}");
        let found = page.contains("The room said:");
        pages.push(page.clone());
        asked = page;
        if found {
            break;
        }
    }
    let reveal = pages.last().unwrap();
    assert!(
        reveal.contains("TLS: the seal does not fit") && reveal.contains("20"),
        "{reveal}"
    );
    let packets = pages
        .iter()
        .filter(|page| page.contains("as the packets arrived"))
        .count();
    assert!(packets > 3, "a pause on each packet: {packets}");
    teacher.key("q");
    teacher.until(&["no such text"]);
    assert!(teacher.end());
    notes.until(&["no such text"]);
    assert!(notes.end());
    assert!(
        fs::read_to_string(state.join("hands-blind-spot.json"))
            .unwrap()
            .contains("20")
    );
    let all = shown(&piped(&state, &["notes", "9"], ""));
    assert!(
        all.contains("Rung two") && all.contains("The answer:"),
        "{all}"
    );
}

#[test]
fn the_second_language_is_whole_and_the_first_fills_in() {
    let folder = Folder::new("language");
    let english: toml::Table = toml::from_str(include_str!("../glossary/en/lesson.toml")).unwrap();
    let german: toml::Table = toml::from_str(include_str!("../glossary/de/lesson.toml")).unwrap();
    let keys = |table: &toml::Table| table.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&english), keys(&german));
    let known = Glossary::english().unwrap();
    for (language, files) in OTHERS {
        for (file, text) in *files {
            let table: toml::Table = toml::from_str(text).unwrap();
            for (key, entry) in table {
                let first = known
                    .entry(&key)
                    .unwrap_or_else(|| panic!("{language}/{file}: {key} is not there in English"));
                let holes = |text: &str| -> BTreeSet<String> {
                    text.split('{')
                        .skip(1)
                        .filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
                        // Each language has its own forms for one and for many.
                        .filter(|name| !name.contains('|'))
                        .collect()
                };
                let other = entry["short"].as_str().unwrap().to_owned();
                assert_eq!(
                    holes(&first.short),
                    holes(&other),
                    "{language}/{file}: {key}"
                );
            }
        }
    }
    let text = shown(&piped(
        &folder.path("de"),
        &["--lang", "de", "start", "1"],
        "?\nhilfe\n",
    ));
    assert!(
        text.contains("Lektion 1 · Umschläge")
            && text.contains("Hinweis 1/3")
            && text.contains("zum Gehen"),
        "{text}"
    );
    let output = program(&folder.path("env"))
        .env("LANG", "de_DE.UTF-8")
        .arg("list")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = shown(&output);
    assert!(
        text.contains("0 von 16 geschafft.")
            && text.contains("Was ändert ein Router? *")
            && text.contains("* Diese gibt es noch nicht auf Deutsch"),
        "{text}"
    );
    let output = piped(&folder.path("xx"), &["--lang", "xx", "list"], "");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("there is no language"),
        "{output:?}"
    );
    assert_eq!(language(None, |_| Some("C.UTF-8".to_owned())), "en");
    assert_eq!(language(Some("de-AT"), |_| None), "de");
}

#[test]
fn a_lesson_that_is_not_there_is_said() {
    let folder = Folder::new("missing");
    for arguments in [
        &["start", "99"][..],
        &["present", "nothing"],
        &["again"],
        &["--lessons", "/nowhere", "list"],
    ] {
        let output = piped(&folder.path("state"), arguments, "");
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.starts_with("layerwise: ") && text.trim_end().lines().count() == 1,
            "{text}"
        );
    }
}

#[test]
fn predictions_gate_the_run() {
    for lesson in &lessons() {
        let steps = &lesson.data.steps;
        let first_run = steps
            .iter()
            .position(|step| step.kind == Kind::Run)
            .unwrap();
        let first_prediction = steps
            .iter()
            .position(|step| step.kind == Kind::Predict)
            .unwrap();
        assert!(first_prediction < first_run, "{}", lesson.folder);
    }
    let folder = Folder::new("gate");
    let text = shown(&piped(
        &folder.path("state"),
        &["start", "7"],
        "packets\n\n\n",
    ));
    assert!(
        !text.contains("──▶"),
        "no packet before the prediction: {text}"
    );
}
