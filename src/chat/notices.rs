//! What the server says of its own: lines that begin with a star, which nobody else's line can.

use crate::text::{Glossary, filled};

/// The notices, in the words of the glossary (`say.chat.*`).
#[derive(Debug)]
pub(super) struct Notices(Glossary);

impl Notices {
    pub(super) fn new(glossary: Glossary) -> Self {
        Self(glossary)
    }

    /// A notice, with its star and its newline; `{name}` in the glossary's sentence is one of `values`.
    pub(super) fn of(&self, key: &str, values: &[(&str, &str)]) -> String {
        format!("* {}\n", fill(self.0.say(key), values))
    }

    /// What a newcomer reads first.
    pub(super) fn welcome(&self, name: &str, others: usize, names: &str) -> String {
        let others = others.to_string();
        let mut text = self.of(
            "say.chat.welcome",
            &[("name", name), ("others", &others), ("names", names)],
        );
        text += &self.of("say.chat.commands", &[]);
        text
    }
}

/// A sentence of the glossary with `{names}` replaced by values; a name that is not among them stays as it is.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let value = |name: &str| {
        let known = values.iter().find(|(known, _)| *known == name);
        Some(known.map_or_else(|| format!("{{{name}}}"), |(_, value)| (*value).to_owned()))
    };
    filled(template, value).unwrap_or_default()
}
