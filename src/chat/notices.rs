//! What the server says of its own: lines that begin with a star, which nobody else's line can.

use crate::text::Glossary;

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
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            break;
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => text.push_str(value),
            None => {
                text.push('{');
                text.push_str(name);
                text.push('}');
            }
        }
        rest = after;
    }
    text.push_str(rest);
    text
}
