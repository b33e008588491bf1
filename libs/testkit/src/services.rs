//! Our own programs, as the test run has built them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder of our programs, above the one that the running test lies in.
///
/// # Panics
/// The test was not built by cargo.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a test that is not built by cargo has no services"
)]
pub fn folder() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let above = own.ancestors().nth(2);
    above
        .expect("cargo builds tests in target/PROFILE/deps")
        .to_owned()
}

/// A program of ours, built from the sources as they are now. A test never builds: that would be another cargo beside the one that runs it.
///
/// # Panics
/// It was not built, or from older sources; the message says how to build it.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = folder().join(name);
    let how = "build it first: cargo test --workspace --no-run";
    let built = path.metadata().and_then(|meta| meta.modified());
    let Ok(built) = built else {
        unreachable!("{} is not there; {how}", path.display());
    };
    if let Some(source) = newer(&path.with_extension("d"), built) {
        unreachable!(
            "{} is older than {}; {how}",
            path.display(),
            source.display()
        );
    }
    path
}

/// The folder of these programs, each built from the sources as they are now.
///
/// # Panics
/// As [`program`].
#[must_use]
pub fn programs(names: impl IntoIterator<Item = impl AsRef<str>>) -> PathBuf {
    for name in names {
        let _ = program(name.as_ref());
    }
    folder()
}

/// The first source of a program that was changed since: from the list that cargo writes beside it, `PROGRAM: SOURCE SOURCE…`.
fn newer(list: &Path, built: SystemTime) -> Option<PathBuf> {
    let text = std::fs::read_to_string(list).ok()?;
    let (_, sources) = text.split_once(": ")?;
    let sources = sources.split_whitespace().map(PathBuf::from);
    sources.into_iter().find(|source| {
        let changed = source.metadata().and_then(|meta| meta.modified());
        changed.is_ok_and(|changed| changed > built)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TempDir;

    #[test]
    fn a_source_that_changed_since_is_found() {
        let folder = TempDir::new().unwrap();
        let (old, new) = (folder.join("old.rs"), folder.join("new.rs"));
        std::fs::write(&old, "").unwrap();
        let built = old.metadata().unwrap().modified().unwrap();
        let list = folder.join("program.d");
        std::fs::write(
            &list,
            format!("/x/program: {} {}\n", old.display(), new.display()),
        )
        .unwrap();
        assert_eq!(newer(&list, built), None, "the second one is not there");
        let file = std::fs::File::create(&new).unwrap();
        file.set_modified(built + std::time::Duration::from_secs(1))
            .unwrap();
        assert_eq!(newer(&list, built), Some(new));
    }

    #[test]
    #[should_panic(expected = "build it first")]
    fn a_program_that_was_not_built_is_said() {
        let _ = program("sotp-nothing");
    }
}
