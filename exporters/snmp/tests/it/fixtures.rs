//! Every bad `snmp.yml` of `testdata/config`, with the exact message that it gets.

use std::path::{Path, PathBuf};

use sotp_snmp::config::{self, Options};

#[test]
fn every_bad_file_gets_the_message_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config");
    let mibs = [Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/mibs")];
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".bad.yml"))
        .collect();
    files.sort();
    assert!(files.len() >= 35, "{} files", files.len());
    for file in files {
        let options = Options {
            mib_folders: &mibs,
            ..Options::default()
        };
        let message = match config::load(&[file.display().to_string()], options) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        // Paths as the reader of the fixture knows them.
        let message = message
            .replace(&format!("{}/", folder.display()), "")
            .replace(&format!("{}/", mibs[0].display()), "");
        testkit::golden::hold(&file.with_extension("txt"), &format!("{message}\n"));
    }
}
