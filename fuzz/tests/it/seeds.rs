//! Every input that is kept — good ones to begin with, and each that once broke something — goes through its target once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sotp_fuzz::TARGETS;

/// What one input may take; libFuzzer calls it hanging long before.
const LIMIT: Duration = Duration::from_secs(60);

/// The names in a folder of this crate, as `make fuzz` calls them.
fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let name = |file: std::fs::DirEntry| {
        let path = file.path();
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .replace('_', "-")
    };
    files.map(name).collect()
}

#[test]
fn every_target_is_built_and_has_seeds() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("targets"), known, "each file is a target");
    assert_eq!(names("seeds"), known, "each target has a folder of seeds");
}

#[test]
fn what_is_kept_breaks_nothing() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(name);
        let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{}", folder.display());
        for path in inputs {
            let bytes = std::fs::read(&path).unwrap();
            // Said before, so that it stands there when the target does not return.
            println!("{}", path.display());
            let began = Instant::now();
            target(&bytes);
            assert!(
                began.elapsed() < LIMIT,
                "{}: {:?}",
                path.display(),
                began.elapsed()
            );
        }
    }
}
