//! `layerwise fields`: every key of the vocabulary on a line of its own, for eyes and for `grep`.
//!
//! ```text
//! ip.ttl            number   Time to live
//! tcp.port          number   tcp.srcport, tcp.dstport
//! ```

use crate::filter::key::{self, Key, Type};
use crate::layers;
use crate::text::Glossary;
use crate::view::paint::{Out, Role};

/// Lists the keys that begin with `prefix`; with `verbose`, each with the sentence that says what it is. Tells how many.
pub fn list(out: &mut Out, glossary: &Glossary, prefix: &str, verbose: bool) -> usize {
    let begins = |name: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            prefix.is_empty() || prefix.ends_with('.') || rest.is_empty() || rest.starts_with('.')
        })
    };
    let keys: Vec<Key> = Key::all().filter(|key| begins(key.name)).collect();
    // One or two very long keys do not push all the others aside.
    let width = keys
        .iter()
        .map(|key| key.name.len())
        .max()
        .unwrap_or(0)
        .min(40);
    for key in &keys {
        out.paint(Role::Tls, key.name);
        out.spaces(width.saturating_sub(key.name.len()) + 2);
        let kind = short(key.is);
        out.text(kind);
        out.spaces(9_usize.saturating_sub(kind.len()));
        match key::several().find(|(name, _)| *name == key.name) {
            Some((_, of)) if !key.name.ends_with(".flags") => {
                for (i, def) in of.iter().enumerate() {
                    out.text(if i > 0 { ", " } else { "" });
                    out.text(def.key);
                }
            }
            Some(_) => out.text(glossary.say("say.fields.any_of_them")),
            None => {
                let entry = layers::field(key.name).map(|def| glossary.of(def));
                out.text(entry.map_or("", |entry| &entry.name));
                if let (true, Some(entry)) = (verbose, entry) {
                    out.text(": ");
                    out.text(&entry.short);
                }
            }
        }
        out.newline();
    }
    keys.len()
}

/// The kind in one word.
fn short(is: Type) -> &'static str {
    match is {
        Type::Number => "number",
        Type::Bool => "flag",
        Type::Seconds => "seconds",
        Type::Date => "date",
        Type::Ether => "mac",
        Type::Ipv4 => "ipv4",
        Type::Ipv6 => "ipv6",
        Type::Bytes => "bytes",
        Type::Text => "text",
        Type::Oid => "oid",
        Type::Part => "part",
        Type::Mark => "mark",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::paint::{Look, Wish};
    use crate::view::samples;

    fn listed(prefix: &str, verbose: bool) -> (usize, String) {
        let mut out = Out::new(Look::new(Wish::default(), false, None));
        let count = list(&mut out, &samples::glossary(), prefix, verbose);
        (count, samples::text(&out).to_owned())
    }

    #[test]
    fn a_prefix_ends_where_a_name_does() {
        let (count, text) = listed("ip", false);
        assert_eq!(count, text.lines().count());
        assert!(
            text.lines()
                .all(|line| line.starts_with("ip ") || line.starts_with("ip.")),
            "{text}"
        );
        assert!(
            text.contains("\nip.version") && text.contains("number   Version\n"),
            "{text}"
        );
        assert!(text.contains("ipv4     ip.src, ip.dst\n"), "{text}");
        let (all, _) = listed("", false);
        assert_eq!(all, Key::all().count());
        assert_eq!(listed("nonsense", false).0, 0);
    }

    #[test]
    fn with_a_sentence_if_wanted() {
        let (_, text) = listed("ip.len", true);
        assert!(
            text.ends_with("number   Total length: Header and data together.\n"),
            "{text}"
        );
    }
}
