//! What real programs say, from `samples/`: `C:` the client's lines, `S:` what is said to it,
//! `!` what the door is asked. Client lines that follow one another are one packet.

use postrider_smtp::Layer;

use crate::door::Door;

const EHLO_TLS: &str = "250-mx.example / 250-PIPELINING / 250-SIZE 41943040 / \
                        250-AUTH PLAIN LOGIN / 250-ENHANCEDSTATUSCODES / 250-8BITMIME / 250 SMTPUTF8";
const EHLO_PLAIN: &str = "250-mx.example / 250-PIPELINING / 250-SIZE 41943040 / \
                          250-STARTTLS / 250-ENHANCEDSTATUSCODES / 250-8BITMIME / 250 SMTPUTF8";

struct Sample {
    layer: Layer,
    packets: Vec<Vec<u8>>,
    want: Vec<String>,
}

fn read(text: &str) -> Sample {
    let mut sample = Sample {
        layer: Layer::Tls,
        packets: Vec::new(),
        want: Vec::new(),
    };
    let mut packet = Vec::new();
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("C: ") {
            packet.extend_from_slice(&unescape(said));
            packet.extend_from_slice(b"\r\n");
            continue;
        }
        if !packet.is_empty() {
            sample.packets.push(std::mem::take(&mut packet));
        }
        if line == "layer plain" {
            sample.layer = Layer::Plain;
        } else if let Some(want) = line.strip_prefix("S: ").or(line.strip_prefix("! ")) {
            sample.want.push(match want {
                "(EHLO under TLS)" => EHLO_TLS.to_owned(),
                "(EHLO in plain text)" => EHLO_PLAIN.to_owned(),
                other => other.to_owned(),
            });
        } else {
            assert!(line.starts_with('#') || line.is_empty(), "{line:?}");
        }
    }
    assert_eq!(packet, b"", "a sample ends with what is done");
    sample
}

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\n", "\n").replace("\\r", "\r").into_bytes()
}

fn play(sample: &Sample, step: usize) -> Vec<String> {
    let mut door = Door::new(sample.layer, crate::door::limits());
    door.session.greet();
    door.work();
    for packet in &sample.packets {
        for piece in packet.chunks(step) {
            door.hear(piece);
        }
    }
    door.look()
}

#[test]
fn every_program_is_served_as_it_speaks_in_packets_of_any_size() {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut count = 0;
    for entry in std::fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# "),
            "{} says where it is from",
            path.display()
        );
        let sample = read(&text);
        for step in [usize::MAX, 1, 2, 3, 7, 64] {
            assert_eq!(
                play(&sample, step),
                sample.want,
                "{} in pieces of {step}",
                path.display()
            );
        }
        count += 1;
    }
    assert!(count >= 20, "{count} samples");
}
