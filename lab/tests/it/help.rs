//! What `--help` offers is what `docs/stack.md` explains.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Flags and environment variables in the help of a subcommand.
fn offered(subcommand: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_sotp-lab"))
        .args(subcommand)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let known = |word: &&str| word.starts_with("--") && word.len() > 2 || word.starts_with("SOTP_");
    text.split(word).filter(known).map(str::to_owned).collect()
}

#[test]
fn every_flag_and_variable_is_in_the_docs_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/stack.md");
    let page = std::fs::read_to_string(page).unwrap();
    for subcommand in [&["demo"][..], &["stack", "up"], &["stack", "install"]] {
        let offered = offered(subcommand);
        assert!(offered.len() > 4, "{offered:?}");
        let missing: Vec<_> = offered
            .iter()
            .filter(|word| *word != "--help" && !page.contains(&format!("`{word}`")))
            .collect();
        assert!(
            missing.is_empty(),
            "{subcommand:?}: not in docs/stack.md: {missing:?}"
        );
    }
}

#[test]
fn bad_usage_is_status_64() {
    for arguments in [
        &["stack", "up"][..],
        &["demo", "--while-up", "true"],
        &["stack", "nothing"],
        // More seconds than the clock has.
        &["demo", "--deadline", "18446744073709551615"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sotp-lab"))
            .args(arguments)
            .env_remove("SOTP_INVENTORY")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}
