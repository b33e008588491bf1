//! Any bytes as a MIB file, and as generator.yml beside the MIB that it was.

use std::path::Path;

crate::target!(|bytes: &[u8]| {
    let at = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let (mib, generator) = bytes.split_at(at);
    let Ok(mibs) = sotp_snmp::mib::Mibs::of_text("FUZZ-MIB", mib) else {
        return;
    };
    let _ = mibs.resolve("FUZZ-MIB::anything.1");
    let text = String::from_utf8_lossy(generator.get(1..).unwrap_or_default());
    let _ = sotp_snmp::commands::generate::text_of(&text, Path::new("generator.yml"), &mibs);
});
