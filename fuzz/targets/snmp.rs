//! Any bytes as what a device or a sender of traps sends, as a DISPLAY-HINT, and as `snmp.yml`.

use std::path::Path;

crate::target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind % 5 {
        0 => sotp_snmp::codec::fuzz(rest),
        1 => sotp_snmp::usm::fuzz(rest),
        2 => sotp_snmp::traps::fuzz(rest),
        3 => {
            let Some((length, rest)) = rest.split_first() else {
                return;
            };
            let (hint, octets) = rest.split_at(usize::from(*length).min(rest.len()));
            let _ = sotp_snmp::samples::hint::apply(&String::from_utf8_lossy(hint), octets);
        }
        _ => {
            let text = String::from_utf8_lossy(rest);
            // A file name of the fuzzer could be that of a device that never ends.
            if text.contains("_file") {
                return;
            }
            let _ = sotp_snmp::config::parse(
                &text,
                Path::new("snmp.yml"),
                sotp_snmp::config::Options::default(),
            );
        }
    }
});
