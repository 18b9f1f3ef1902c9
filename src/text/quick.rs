//! The glossary's own files, read quickly: they are read at every start, and a whole TOML parser takes its time.
//!
//! Only what those files use of TOML is understood: a key and its value on one line, and comments on lines of their own.
//! Whatever is otherwise gives `None`, and the whole parser reads the file. A test holds the two against each other.

use super::{Entry, NamedValue, range};

/// The entries of a file, in order.
pub(super) fn parse(text: &str) -> Option<Vec<(String, Entry)>> {
    let mut entries: Vec<(String, Entry)> = Vec::new();
    let mut in_values = false;
    for line in text.lines() {
        let mut line = Line(line);
        if line.0.is_empty() || line.0.starts_with('#') {
            continue;
        }
        if line.takes("[") {
            let key = line.key()?;
            in_values = line.takes(".values");
            if !line.takes("]") {
                return None;
            }
            if !in_values || entries.last().is_none_or(|(last, _)| *last != key) {
                entries.push((key, Entry::default()));
            }
        } else {
            let (_, entry) = entries.last_mut()?;
            line.member(entry, in_values)?;
        }
        if !line.0.is_empty() {
            return None;
        }
    }
    Some(entries)
}

/// What is left of a line.
struct Line<'t>(&'t str);

impl Line<'_> {
    /// Goes on behind this, and behind spaces that follow it, if it comes next.
    fn takes(&mut self, what: &str) -> bool {
        match self.0.strip_prefix(what) {
            Some(rest) => {
                self.0 = rest.trim_start_matches(' ');
                true
            }
            None => false,
        }
    }

    /// A key, quoted or bare.
    fn key(&mut self) -> Option<String> {
        if self.0.starts_with('"') {
            return self.string();
        }
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let end = self.0.find(|c| !bare(c)).unwrap_or(self.0.len());
        let (key, rest) = self.0.split_at(end);
        self.0 = rest.trim_start_matches(' ');
        (!key.is_empty()).then(|| key.to_owned())
    }

    /// A string in quotation marks.
    fn string(&mut self) -> Option<String> {
        let mut rest = self.0.strip_prefix('"')?;
        let mut text = String::new();
        loop {
            let (before, after) = rest.split_at(rest.find(['"', '\\'])?);
            text.push_str(before);
            if let Some(after) = after.strip_prefix('"') {
                self.0 = after.trim_start_matches(' ');
                return Some(text);
            }
            let escaped = after.get(1..)?;
            text.push(match escaped.chars().next()? {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            });
            rest = escaped.get(1..)?;
        }
    }

    /// `short = "…"`, `values = { 0 = "…" }`, `values.0 = "…"`; in a table of values `0 = "…"`.
    fn member(&mut self, entry: &mut Entry, in_values: bool) -> Option<()> {
        if in_values {
            return self.value(entry);
        }
        let name = self.key()?;
        if name == "values" && self.takes(".") {
            return self.value(entry);
        }
        if !self.takes("=") {
            return None;
        }
        let place = match name.as_str() {
            "name" => &mut entry.name,
            "short" => &mut entry.short,
            "why" => &mut entry.why,
            "rfc" => &mut entry.rfc,
            "unit" => &mut entry.unit,
            "values_of" => &mut entry.values_of,
            "values" => return self.table(|line| line.value(entry)),
            _ => return None,
        };
        *place = self.string()?;
        Some(())
    }

    /// `6 = "TCP"`, `17 = { name = "UDP", text = "…" }`.
    fn value(&mut self, entry: &mut Entry) -> Option<()> {
        let (from, to) = range(&self.key()?)?;
        if !self.takes("=") {
            return None;
        }
        let mut named = NamedValue::default();
        if self.0.starts_with('"') {
            named.name = self.string()?;
        } else {
            self.table(|line| {
                let place = match line.key()?.as_str() {
                    "name" => &mut named.name,
                    "text" => &mut named.text,
                    _ => return None,
                };
                if !line.takes("=") {
                    return None;
                }
                *place = line.string()?;
                Some(())
            })?;
        }
        entry.ranges.push((from, to, named));
        Some(())
    }

    /// Members between braces, with commas between them.
    fn table(&mut self, mut member: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if !self.takes("{") {
            return None;
        }
        loop {
            member(self)?;
            if self.takes("}") {
                return Some(());
            }
            if !self.takes(",") {
                return None;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::super::{ENGLISH, Glossary, OTHERS};
    use super::*;

    #[test]
    fn what_is_read_quickly_is_what_the_file_says() {
        let others = OTHERS.iter().flat_map(|(_, files)| files.iter());
        let (mut quick, mut whole) = (Glossary::default(), Glossary::default());
        for (file, text) in ENGLISH.iter().chain(others) {
            assert!(parse(text).is_some(), "{file} has to be read slowly");
            quick.add_own(file, text).unwrap();
            whole.add(file, text).unwrap();
            for key in whole.keys() {
                let of = |glossary: &Glossary| format!("{:?}", glossary.entry(key));
                assert_eq!(of(&quick), of(&whole), "{file}");
            }
            assert_eq!(quick.keys().count(), whole.keys().count());
            assert_eq!(quick.by_def.len(), whole.by_def.len());
        }
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_whole_parser() {
        for text in [
            "[\"a\"]\nshort = '''b'''\n",
            "[\"a\"]\nshort = \"b\" # c\n",
            "[\"a\"]\nshort = \"\\u00e9\"\n",
            "[\"a\"]\nshrt = \"b\"\n",
            "[\"a\"]\nvalues = { x = \"b\" }\n",
            "[\"a\"]\nvalues = { 1 = \"b\" \n",
            "short = \"b\"\n",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        let mut glossary = Glossary::default();
        glossary
            .add_own("a.toml", "[\"a\"]\nshort = \"b\" # c\n")
            .unwrap();
        assert_eq!(glossary.entry("a").unwrap().short, "b");
        assert!(
            glossary
                .add_own("a.toml", "[\"a\"]\nshrt = \"b\"\n")
                .is_err()
        );
    }
}
