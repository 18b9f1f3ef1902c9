use super::*;

fn ask(query: &str) -> Result<String, NotFound> {
    let query: Vec<String> = query.split(' ').map(str::to_owned).collect();
    explain(&Glossary::english().unwrap(), &query, 80).map(|lines| plain(&lines))
}

#[test]
fn a_key() {
    let text = ask("tcp.flags.syn").unwrap();
    assert!(
        text.starts_with("Synchronize\ntcp.flags.syn\n\nOpens a connection"),
        "{text}"
    );
    assert!(text.contains("\nWhy\n  Both sides"), "{text}");
    assert!(
        text.contains("\nValues\n  0  Not set\n  1  Set\n"),
        "{text}"
    );
    assert!(
        text.contains("\nSource        RFC 9293, section 3.5\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\nIn Wireshark  tcp.flags.syn == 1\n"),
        "{text}"
    );
    assert_eq!(ask("TCP.Flags.SYN"), ask("tcp.flags.syn"));
    assert_eq!(ask("tcp.flags.syn == "), ask("tcp.flags.syn"));
}

#[test]
fn a_layer_lists_its_fields() {
    let text = ask("tcp").unwrap();
    assert!(text.starts_with("Transmission Control Protocol\ntcp\n"));
    let row = |key: &str| {
        text.lines()
            .any(|l| l.split_whitespace().next() == Some(key))
    };
    assert!(row("tcp.srcport") && row("tcp.analysis.window_update"));
    assert!(!text.contains("ip.ttl"));
    let flags = ask("tcp.flags").unwrap();
    assert!(
        flags.contains("tcp.flags.syn") && !flags.contains("tcp.srcport"),
        "what is in a group"
    );
}

#[test]
fn a_word_and_a_number() {
    let text = ask("proto 17").unwrap();
    assert!(
        text.starts_with("UDP\nip.proto = 17\n\nUser Datagram Protocol"),
        "{text}"
    );
    assert!(text.contains("ip.proto == 17\n"), "{text}");
    assert!(
        ask("ipv6.opt.type 0xc2")
            .unwrap()
            .starts_with("Jumbo payload\nipv6.opt.type = 0xc2\n")
    );
    assert!(
        ask("tcp.option_kind == 8")
            .unwrap()
            .starts_with("Timestamps\n")
    );
}

#[test]
fn a_name_of_a_field_or_of_a_value() {
    assert!(
        ask("time to live")
            .unwrap()
            .starts_with("Time to live\nip.ttl\n")
    );
    assert!(ask("ttl").unwrap().starts_with("Time to live\nip.ttl\n"));
    assert!(ask("EXPEDITED forwarding").is_err());
    assert!(
        ask("voice_admit")
            .unwrap()
            .starts_with("VOICE-ADMIT\nip.dsfield.dscp = 44\n")
    );
    let text = ask("sctp").unwrap();
    assert!(text.starts_with("SCTP\nip.proto = 132\n"), "{text}");
    assert!(text.contains("\nSee also\n  ipv6.nxt"), "{text}");
    let text = ask("source address").unwrap();
    assert!(text.starts_with("Source address\nip.src\n"), "{text}");
    assert!(text.contains("\nSee also\n  ipv6.src "), "{text}");
}

#[test]
fn a_word_that_several_have() {
    let text = ask("timestamp value").unwrap();
    assert!(text.starts_with("Timestamp value\ntcp.options.timestamp.tsval\n"));
    let text = ask("retransm").unwrap();
    let keys = ["fast_retransmission", "spurious_retransmission"];
    assert!(text.starts_with("  tcp.analysis.retransmission "), "{text}");
    assert!(keys.iter().all(|key| text.contains(key)), "{text}");
}

#[test]
fn near_misses_are_suggested() {
    let miss = |query: &str| ask(query).unwrap_err().to_string();
    assert_eq!(
        miss("tcp.flag.syn"),
        "no such key: \"tcp.flag.syn\"; did you mean tcp.flags.syn?"
    );
    assert!(
        miss("ip.tll").contains("did you mean ip.ttl"),
        "{}",
        miss("ip.tll")
    );
    assert!(miss("time to life").contains("ip.ttl"));
    assert!(miss("VOICE-ADMITT").contains("VOICE-ADMIT"));
    assert!(miss("xyzzyxyzzy").ends_with("`layerwise explain` alone lists what there is"));
    assert!(
        ask("say.explain.why").is_err(),
        "a sentence of the screen is no key"
    );
}

#[test]
fn without_a_question_it_says_what_can_be_asked() {
    let lines = explain(&Glossary::english().unwrap(), &[], 80).unwrap();
    let text = plain(&lines);
    for protocol in PROTOCOLS {
        assert!(
            text.contains(&format!("\n  {}", protocol.def.key)),
            "{text}"
        );
    }
    assert!(text.contains("layerwise explain tcp.flags.syn"));
}

#[test]
fn no_line_is_wider_than_asked_for() {
    let glossary = Glossary::english().unwrap();
    for width in [40, 80, 100] {
        for def in layers::all_fields() {
            for line in explain(&glossary, &[def.key.to_owned()], width).unwrap() {
                let text: String = line.iter().map(|span| span.text.as_str()).collect();
                let breakable =
                    text.trim_start().contains(' ') && line.iter().all(|s| s.role == Role::Body);
                assert!(text.width() <= width || !breakable, "{width}: {text}");
                assert_eq!(text.trim_end(), text);
            }
        }
    }
}

#[test]
fn wrapping_counts_columns() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("你好 世界", 5), ["你好", "世界"]);
    assert_eq!(wrap("你好世界", 5), ["你好", "世界"]);
    assert_eq!(wrap("e\u{301}e\u{301} x", 4), ["e\u{301}e\u{301} x"]);
    assert_eq!(wrap("", 10), [""; 0]);
    assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
}

#[test]
fn distances() {
    for (one, two, expected) in [
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("ip.tll", "ip.ttl", 1),
        ("acb", "abc", 1),
        ("flag", "flags", 1),
        ("kitten", "sitting", 3),
    ] {
        assert_eq!(distance(one, two), expected, "{one} {two}");
        assert_eq!(distance(two, one), expected, "{two} {one}");
    }
}
