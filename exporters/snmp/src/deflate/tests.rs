//! What comes out unpacks to what went in, as flate2 reads it, and is small where the text is an exposition.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use proptest::prelude::*;

use super::*;

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(packed);
    reader.read_to_end(&mut out).unwrap();
    assert_eq!(
        reader.into_inner().len(),
        0,
        "nothing stands behind the sum"
    );
    out
}

fn holds(deflate: &mut Deflate, text: &[u8]) -> usize {
    let packed = deflate.gzip(text);
    assert!(
        unpacked(&packed) == text,
        "{} octets: {:?}",
        text.len(),
        String::from_utf8_lossy(&text[..text.len().min(400)])
    );
    packed.len()
}

/// What zlib makes of it at its usual level.
fn usual(text: &[u8]) -> usize {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    writer.write_all(text).unwrap();
    writer.finish().unwrap().len()
}

/// A page of an interface table.
fn page(rows: u32, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::new();
    let families = [
        (
            "ifAdminStatus",
            "The desired state of the interface",
            "gauge",
        ),
        (
            "ifHCInOctets",
            "The total number of octets received",
            "counter",
        ),
        (
            "ifHCInUcastPkts",
            "The number of unicast packets received",
            "counter",
        ),
        (
            "ifHCOutOctets",
            "The total number of octets sent",
            "counter",
        ),
        (
            "ifInDiscards",
            "Packets received and discarded without an error",
            "counter",
        ),
        ("ifInErrors", "Packets received with an error", "counter"),
        ("ifMtu", "The size of the largest packet", "gauge"),
        (
            "ifOperStatus",
            "The current operational state of the interface",
            "gauge",
        ),
        (
            "ifOutDiscards",
            "Packets not sent and discarded without an error",
            "counter",
        ),
        (
            "ifSpeed",
            "An estimate of the current bandwidth in bits per second",
            "gauge",
        ),
    ];
    for (number, (name, help, kind)) in families.into_iter().enumerate() {
        let _ = write!(
            text,
            "# HELP {name} {help} - 1.3.6.1.2.1.2.2.1.{number}\n# TYPE {name} {kind}\n"
        );
        for row in 1..=rows {
            let value = match name {
                "ifMtu" => "1500".to_owned(),
                "ifAdminStatus" | "ifOperStatus" => random.u8(1..=2).to_string(),
                _ => format!(
                    "{}.{:09}e+09",
                    random.u8(1..10),
                    random.u32(..1_000_000_000)
                ),
            };
            let _ = writeln!(
                text,
                "{name}{{ifAlias=\"to rack {row}\",ifDescr=\"GigabitEthernet0/0/{row}\",ifIndex=\"{row}\",ifName=\"Gi0/0/{row}\"}} {value}"
            );
        }
    }
    text.into_bytes()
}

#[test]
fn pages_unpack_to_what_they_were_whatever_was_packed_before() {
    let mut deflate = Deflate::default();
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(100_000)
        .collect();
    let texts = [
        Vec::new(),
        b"\n".to_vec(),
        b"a 1\n".to_vec(),
        b"# no end".to_vec(),
        b"#\n#\n\n#\n# a\n\n".to_vec(),
        b"a{b=\"c\"} 1\n".repeat(20_000),
        // A value of no octets ends where the next line begins.
        b"a \nb\nc \nd\n".to_vec(),
        // A repetition over the beginning of a head.
        b"a{b=\"c\"} 1\n# HELP b c\nb{b=\"c\"} 1\n".repeat(3),
        b"a 1\n# HELP\na 1\n# HELP\na 1\n# HELP\na 1\n# HELPS\n".repeat(7),
        noise,
        vec![b'#'; 70_000],
        vec![b'\n'; 70_000],
        page(1, 0),
        page(2, 0),
        page(300, 0),
    ];
    for _ in 0..2 {
        for text in &texts {
            holds(&mut deflate, text);
        }
    }
}

#[test]
fn pages_of_devices_are_no_larger_than_zlib_makes_them() {
    let mut deflate = Deflate::default();
    for rows in [2, 8, 48, 200] {
        for seed in 0..3 {
            let text = page(rows, seed);
            let (ours, theirs) = (holds(&mut deflate, &text), usual(&text));
            // What is parsed once is compared by the page; a page of two rows is words for the most part.
            assert!(
                ours * 100 <= theirs * 102,
                "{rows} rows: {ours} octets, zlib {theirs}"
            );
        }
    }
}

/// Rows of a family with a label more follow those of the family before, however many families there were with the same values.
#[test]
fn rows_are_found_again_where_their_labels_are_others() {
    let mut text = String::new();
    let mut sizes = Vec::new();
    let mut deflate = Deflate::default();
    for family in 0..6 {
        // So many that some have the place of others by their hash.
        for row in 0..300 {
            let serial = if family == 5 {
                format!(",serial=\"00{row:02}\"")
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "family_{family}{{descr=\"Ethernet slot 0 port {row}\",index=\"{row}\"{serial}}} 1"
            );
        }
        sizes.push(holds(&mut deflate, text.as_bytes()));
    }
    let of = |family: usize| sizes[family] - sizes[family - 1];
    // Two repetitions a row, and two more for the label behind.
    assert!(of(5) * 2 < of(4) * 5, "{sizes:?}");
}

/// A head that is kept reaches back over samples; where there are more of them than when it was parsed, it is parsed anew.
#[test]
fn a_head_that_is_kept_does_not_reach_farther_than_it_may() {
    let mut deflate = Deflate::default();
    // Of the same size class, with lines between the heads that are longer in the second.
    let text = |first: usize, second: usize| {
        let lines = |count: usize, name: &str| {
            (0..count).fold(String::new(), |out, row| {
                out + &format!("{name}{{row=\"{row:08}\"}} {row}\n")
            })
        };
        let (first, second) = (lines(first, "first"), lines(second, "second"));
        format!(
            "# HELP first The very same words of which nothing is unusual\n{first}# HELP second The very same words of which nothing is unusual\n{second}"
        )
    };
    for (first, second) in [(900, 600), (1100, 400), (1200, 300), (900, 600)] {
        holds(&mut deflate, text(first, second).as_bytes());
    }
}

#[test]
fn what_is_kept_of_heads_is_bounded() {
    let mut deflate = Deflate::default();
    for number in 0..300 {
        let name = format!("family_{number}");
        let text = format!(
            "# HELP {name} {}\n# TYPE {name} gauge\n{name} 1\n",
            "words of a kind ".repeat(number % 20)
        );
        holds(&mut deflate, text.as_bytes());
        assert!(deflate.heads.kept() < 4 << 14, "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_text_unpacks_to_what_it_was(texts in prop::collection::vec("[ab#{} \n]{0,200}", 1..6)) {
        let mut deflate = Deflate::default();
        for text in &texts {
            holds(&mut deflate, text.as_bytes());
            holds(&mut deflate, text.repeat(40).as_bytes());
        }
    }

    #[test]
    fn any_octets_unpack_to_what_they_were(octets in prop::collection::vec(any::<u8>(), 0..3000)) {
        holds(&mut Deflate::default(), &octets);
    }

    /// Lengths of codes that cannot be longer than they may be, for the most lopsided frequencies.
    #[test]
    fn a_code_is_whole_and_not_too_long(frequencies in prop::collection::vec(0u32..5, 2..286), doublings in 0usize..31) {
        let mut frequencies = frequencies;
        for (step, frequency) in frequencies.iter_mut().take(doublings).enumerate() {
            *frequency = 1 << step;
        }
        for (limit, count) in [(15, 286), (7, 19)] {
            let frequencies = &frequencies[..frequencies.len().min(count)];
            let mut lengths = vec![0; frequencies.len()];
            huffman::lengths(frequencies, limit, &mut lengths);
            let room: u32 = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (limit - usize::from(*length))).sum();
            prop_assert_eq!(room, 1 << limit);
            let all = lengths.iter().zip(frequencies).all(|(length, frequency)| *frequency == 0 || *length > 0);
            prop_assert!(all, "each symbol has a code");
        }
    }
}
