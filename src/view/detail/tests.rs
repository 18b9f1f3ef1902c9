use super::*;
use crate::view::paint::{Look, Wish};
use crate::view::samples::{self, SEGMENT, Sample, glossary, strip, text};

const ORIGIN: Time = Time(1_000_000_000);

fn printed(sample: &Sample, depth: Depth, hex: bool, wish: Wish) -> String {
    let glossary = glossary();
    let mut out = Out::new(Look::new(wish, false, None));
    Detail::new(&glossary, depth, hex, ORIGIN).print(&mut out, &sample.event());
    text(&out).to_owned()
}

/// The lines from the first that begins with `from` up to the first after it that begins with `to`.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(&format!("\n{from}")).unwrap() + 1;
    let len = text[start..].find(&format!("\n{to}")).unwrap();
    &text[start..start + len]
}

fn segment() -> Sample {
    Sample::of(SEGMENT, SEGMENT.len())
}

/// Whatever was printed before, a packet looks as if it were the first.
#[test]
fn what_is_remembered_changes_nothing() {
    let glossary = Glossary::english().unwrap();
    for (depth, ascii, plain, color, width) in [
        (Depth::V, false, false, false, 80),
        (Depth::V, true, false, true, 100),
        (Depth::Vv, false, false, true, 72),
        (Depth::V, false, false, false, 50),
        (Depth::Vv, false, true, false, 80),
    ] {
        let wish = Wish {
            ascii,
            plain,
            width: Some(width),
            ..Wish::default()
        };
        let look = Look::new(wish, color, None);
        let (mut one, mut other) = (Out::new(look.clone()), Out::new(look));
        let mut detail = Detail::new(&glossary, depth, false, ORIGIN);
        let mut again = 0;
        let number = samples::chat("so many words, ", |event| {
            let mark = one.mark();
            again += u32::from(detail.again(&mut one, event));
            one.back_to(mark);
            detail.print(&mut one, event);
            Detail::new(&glossary, depth, false, ORIGIN).print(&mut other, event);
            assert_eq!(text(&one), text(&other), "packet {}", event.frame.number);
            one.clear();
            other.clear();
        });
        assert!(
            plain || again > 50,
            "{depth:?} {width}: {again} of {number} were of a known shape"
        );
    }
}

#[test]
fn each_field_with_its_value_and_its_meaning() {
    insta::assert_snapshot!(printed(&segment(), Depth::V, false, Wish::default()), @r#"
    ━━ #4   0.060213 s   1.2.3.4:49152 → 5.6.7.8:8080   55 bytes ━━━━━━━━━━━━━━━━━━━

    I Internet Protocol, version 4 · ip · 20 bytes
    │ Version                 0100 .... 4            Which Internet Protocol this
    │                                                is.
    │ Header length           .... 0101 20 bytes
    │ Differentiated services 0x00
    │   Code point            0000 00.. 0 (CS0)
    │   Congestion            .... ..00 0 (Not-ECT)  The sender does not take part.
    │ Total length            55 bytes               Header and data together.
    │ Identification          0x0007                 The fragments of one packet
    │                                                share it.
    │ Flags                   0x2
    │   Reserved              0... .... not set
    │   Don't fragment        .1.. .... set          Throw it away rather than cut
    │                                                it in pieces.
    │   More fragments        ..0. .... not set
    │ Fragment offset         ...0 0000 0000 0000 0 bytes
    │ Time to live            64                     How many more routers may pass
    │                                                this packet on.
    │ Protocol                6 (TCP)                What the data is.
    │ Header checksum         0x2aa7
    │ Source address          1.2.3.4
    │ Destination address     5.6.7.8
    │ = Checksum verdict      ✓ good                 The bytes are those that were
    │                                                sent.

    T Transmission Control Protocol · tcp · 32 bytes
    │ Source port             49152
    │ Destination port        8080
    │ Sequence number         42                     The number of the first byte of
    │                                                data, counted from a start that
    │                                                the sender chose.
    │ Acknowledgment number   256
    │ Data offset             1000 .... 32 bytes
    │ Flags                   0x018
    │   Reserved              000. .... .... not set
    │   Accurate ECN          ...0 .... .... not set
    │   CWR                   .... 0... .... not set
    │   ECN echo              .... .0.. .... not set
    │   Urgent                .... ..0. .... not set
    │   Acknowledgment        .... ...1 .... set
    │   Push                  .... .... 1... set
    │   Reset                 .... .... .0.. not set
    │   Synchronize           .... .... ..0. not set
    │   Finish                .... .... ...0 not set
    │ Window                  512
    │ Checksum                0x1178
    │ Urgent pointer          0
    │ Options                 12 bytes
    │   No operation          1 byte
    │     Kind                1
    │   No operation          1 byte
    │     Kind                1
    │   Timestamps            10 bytes
    │     Kind                8
    │     Length              10
    │     Value               1
    │     Echo                2
    │ = Checksum verdict      ✓ good
    │ = Data                  3 bytes

    ? 3 bytes from byte 52 on, not decoded: 68690a
    "#);
}

#[test]
fn deeper_the_why_the_key_and_the_source() {
    let text = printed(&segment(), Depth::Vv, false, Wish::default());
    insta::assert_snapshot!(part(&text, "I ", "│ Header length"), @r#"
    I Internet Protocol, version 4 · ip · 20 bytes
    │ Carries a packet from one address to another, across however many networks lie
    │ between.
    │ ip · RFC 791
    │ Version                 0100 .... 4            Which Internet Protocol this
    │                                                is.
    │   ip.version
    "#);
    insta::assert_snapshot!(part(&text, "│ Time to live", "│ Header checksum"), @r#"
    │ Time to live            64                     How many more routers may pass
    │                                                this packet on.
    │   Each router takes one off; at zero the packet is thrown away, so that no
    │   packet circles for ever.
    │   ip.ttl · RFC 791, section 3.1
    │ Protocol                6 (TCP)                What the data is.
    │   ip.proto
    "#);
}

#[test]
fn bytes_in_rows_that_belong_to_one_layer_each() {
    let sample = segment().with_chat(b"oh, ", 52);
    let text = printed(&sample, Depth::V, true, Wish::default());
    insta::assert_snapshot!(text[text.find("A Chat").unwrap()..], @r#"
    A Chat · chat · 7 bytes
    │ ▼ 7 bytes of the stream, put together from packets #3, #4:
    │ Text                    "oh, hi"
    │ End of message          0x0a

    The packet as it is on the wire, 55 bytes
    I Internet Protocol, version 4
    I 0000  45 00 00 37 00 07 40 00 40 06 2a a7 01 02 03 04  E..7..@.@.*.....
    I 0010  05 06 07 08                                      ....
    T Transmission Control Protocol
    T 0014  c0 00 1f 90 00 00 00 2a 00 00 01 00 80 18 02 00  .......*........
    T 0024  11 78 00 00 01 01 08 0a 00 00 00 01 00 00 00 02  .x..............
    A Chat
    A 0034  68 69 0a                                         hi.

    The stream, put together from packets #3, #4, 7 bytes
    A Chat
    A 0000  6f 68 2c 20 68 69 0a                             oh, hi.
    "#);
}

#[test]
fn for_the_ear_one_labelled_sentence_a_line() {
    let wish = Wish {
        plain: true,
        ..Wish::default()
    };
    let text = printed(&segment(), Depth::V, true, wish);
    insta::assert_snapshot!(part(&text, "Layer: Internet", "Field: Sequence"), @r#"
    Layer: Internet Protocol, version 4 (ip), 20 bytes.
    Field: Version: 4. Which Internet Protocol this is.
    Field: Header length: 20 bytes.
    Field: Differentiated services: 0x00.
    Field: Differentiated services, Code point: 0 (CS0).
    Field: Differentiated services, Congestion: 0 (Not-ECT). The sender does not take part.
    Field: Total length: 55 bytes. Header and data together.
    Field: Identification: 0x0007. The fragments of one packet share it.
    Field: Flags: 0x2.
    Field: Flags, Reserved: not set.
    Field: Flags, Don't fragment: set. Throw it away rather than cut it in pieces.
    Field: Flags, More fragments: not set.
    Field: Fragment offset: 0 bytes.
    Field: Time to live: 64. How many more routers may pass this packet on.
    Field: Protocol: 6 (TCP). What the data is.
    Field: Header checksum: 0x2aa7.
    Field: Source address: 1.2.3.4.
    Field: Destination address: 5.6.7.8.
    Computed: Checksum verdict: good. The bytes are those that were sent.
    Layer: Transmission Control Protocol (tcp), 32 bytes.
    Field: Source port: 49152.
    Field: Destination port: 8080.
    "#);
    insta::assert_snapshot!(part(&text, "Computed: Data", "\n"), @r#"
    Computed: Data: 3 bytes.
    Not decoded: 3 bytes from byte 52 on, 68690a.
    The packet as it is on the wire, 55 bytes
    Bytes 0 to 15, Internet Protocol, version 4: 45 00 00 37 00 07 40 00 40 06 2a a7 01 02 03 04
    Bytes 16 to 19, Internet Protocol, version 4: 05 06 07 08
    Bytes 20 to 35, Transmission Control Protocol: c0 00 1f 90 00 00 00 2a 00 00 01 00 80 18 02 00
    Bytes 36 to 51, Transmission Control Protocol: 11 78 00 00 01 01 08 0a 00 00 00 01 00 00 00 02
    Bytes 52 to 54, not decoded: 68 69 0a
    "#);
}

#[test]
fn in_ascii_nothing_else_is_written_and_a_wrong_checksum_is_called_bad() {
    let mut bytes = SEGMENT.to_vec();
    bytes[8] = 63;
    let wish = Wish {
        ascii: true,
        ..Wish::default()
    };
    let text = printed(&Sample::of(&bytes, bytes.len()), Depth::Vv, true, wish);
    assert!(text.is_ascii());
    insta::assert_snapshot!(part(&text, "| = Checksum verdict", "T Transmission"), @r#"
    | = Checksum verdict      BAD
    |   The bytes are not those that were sent.
    |   ip.checksum.status
    | = Checksum that fits    0x2ba7
    |   ip.checksum_calculated
    "#);
}

#[test]
fn a_layer_that_stops_says_where_and_its_bytes_stay_visible() {
    let sample = Sample::of(&SEGMENT[..30], SEGMENT.len());
    let text = printed(&sample, Depth::V, false, Wish::default());
    assert!(text.starts_with(
        "━━ #4   0.060213 s   1.2.3.4:49152 → 5.6.7.8:8080   captured 30 of 55 bytes ━"
    ));
    insta::assert_snapshot!(text[text.find("T Trans").unwrap()..], @r#"
    T Transmission Control Protocol · tcp · 8 bytes
    │ Source port             49152
    │ Destination port        8080
    │ Sequence number         42                     The number of the first byte of
    │                                                data, counted from a start that
    │                                                the sender chose.
    │ ✗ Transmission Control Protocol stops: Acknowledgment number, at byte 28,
    │   needs 4 bytes; the capture kept 2 of them.

    ? 2 bytes from byte 28 on, not decoded: 0000
    "#);
}

#[test]
fn no_line_is_wider_than_the_screen() {
    let mut hostile = SEGMENT.to_vec();
    hostile.splice(52..54, "\x1b[2J\u{202e}日本語 👩‍👩‍👧 é\0\u{e0041}".bytes());
    hostile.splice(20.., [0xff; 60]);
    let mut samples = vec![
        segment().with_chat(&[b'x'; 300], 52),
        segment().with_chat("日本語❤\u{fe0f}".repeat(40).as_bytes(), 52),
        segment().with_chat(&[0x1b, 0xff, b'"', 0xe6].repeat(40), 52),
        Sample::of(&hostile, 2000),
        Sample::of(&[0x60; 70], 70),
    ];
    samples.extend((0..SEGMENT.len()).map(|len| Sample::of(&SEGMENT[..len], SEGMENT.len())));
    for width in [40, 41, 63, 64, 80, 99, 100, 132] {
        for (depth, ascii) in [(Depth::V, false), (Depth::Vv, false), (Depth::Vv, true)] {
            let wish = Wish {
                ascii,
                width: Some(width),
                ..Wish::default()
            };
            for (i, sample) in samples.iter().enumerate() {
                for line in printed(sample, depth, true, wish).lines() {
                    let columns = unicode_width::UnicodeWidthStr::width(line);
                    assert!(
                        columns <= width,
                        "{width}, sample {i}, {columns} columns: {line}"
                    );
                    assert!(
                        !line.contains('\x1b') && line.trim_end() == line,
                        "{line:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn colours_add_nothing_but_colours() {
    let (glossary, sample) = (glossary(), segment().with_chat(b"oh, ", 52));
    let print = |color| {
        let mut out = Out::new(Look::new(Wish::default(), color, None));
        Detail::new(&glossary, Depth::Vv, true, ORIGIN).print(&mut out, &sample.event());
        text(&out).to_owned()
    };
    let colored = print(true);
    assert!(colored.contains('\x1b'));
    assert_eq!(strip(&colored), print(false));
}
