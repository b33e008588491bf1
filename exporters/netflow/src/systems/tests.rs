use super::*;

mod file;

use file::file;

#[test]
fn each_width_of_a_record_and_each_version_of_ip_is_read() {
    let four: &[(&str, u32, u32)] = &[
        ("198.18.0.0", 15, 64_500),
        ("198.18.7.0", 24, 64_501),
        ("203.0.113.0", 24, 64_502),
    ];
    let six = [four, &[("2001:db8::", 32, 64_503)]].concat();
    for bits in [24, 28, 32] {
        for (version, networks) in [(4, four), (6, &six)] {
            let systems = Systems::read(&file(version, bits, networks)).unwrap();
            for (address, system) in [
                ("198.17.255.255", 0),
                ("198.18.0.0", 64_500),
                ("198.18.7.9", 64_501),
                ("198.18.8.0", 64_500),
                ("198.19.255.255", 64_500),
                ("198.20.0.0", 0),
                ("203.0.113.255", 64_502),
                ("255.255.255.255", 0),
                ("0.0.0.0", 0),
            ] {
                assert_eq!(
                    systems.of(address.parse().unwrap()),
                    system,
                    "{address}, {bits} bits, version {version}"
                );
            }
            let expected = if version == 6 { 64_503 } else { 0 };
            assert_eq!(systems.of("2001:db8:ffff::1".parse().unwrap()), expected);
            assert_eq!(systems.of("2001:db9::".parse().unwrap()), 0);
        }
    }
}

#[test]
fn what_is_no_such_file_is_refused() {
    assert_eq!(Systems::read(b"").unwrap_err(), Wrong::Format);
    assert_eq!(Systems::read(&file(4, 24, &[])).unwrap_err(), Wrong::Empty);
    let whole = file(6, 28, &[("198.18.0.0", 15, 64_500)]);
    assert_eq!(
        Systems::read(&whole[whole.len() - 100..]).unwrap_err(),
        Wrong::Broken
    );
    // A tree that leads back to its root.
    let mut loops = file(4, 24, &[("198.18.0.0", 15, 64_500)]);
    loops[..6].fill(0);
    assert_eq!(Systems::read(&loops).unwrap_err(), Wrong::Broken);
}

proptest::proptest! {
    #[test]
    fn any_cut_and_any_flip_ends(cut in 0_usize..900, flips in proptest::collection::vec((0_usize..900, 0_u8..), 0..6)) {
        let mut bytes = file(6, 24, &[("198.18.0.0", 15, 64_500), ("2001:db8::", 32, 64_503)]);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut / 3));
        let _ = Systems::read(&bytes);
    }
}
