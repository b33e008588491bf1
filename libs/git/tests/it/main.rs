//! The library against git itself.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use git::{Change, Repository};

fn change(device: &str, seconds: i64, text: &str) -> Change {
    Change {
        reference: format!("refs/heads/device/{device}"),
        author: git::author("alice", ""),
        seconds,
        message: format!("{device}: changed\n\nTrigger: test"),
        files: vec![("running-config".to_owned(), text.to_owned())],
    }
}

fn repository() -> (tempfile::TempDir, Repository) {
    let dir = tempfile::tempdir().unwrap();
    let repository =
        Repository::open(&dir.path().join("archive.git"), "sotp <sotp@localhost>").unwrap();
    (dir, repository)
}

#[test]
fn versions_of_each_text_are_a_history_of_their_own() {
    let (_dir, repository) = repository();
    repository
        .write(&[
            change("r1", 100, "one\n"),
            change("r2", 101, "other\n"),
            change("r1", 200, "two\n"),
        ])
        .unwrap();
    let ids = repository.write(&[change("r1", 300, "three\n")]).unwrap();
    let versions = repository
        .versions("refs/heads/device/r1", |_| true)
        .unwrap();
    assert_eq!(
        versions
            .iter()
            .map(|version| version.seconds)
            .collect::<Vec<_>>(),
        [300, 200, 100]
    );
    assert_eq!(versions[0].id, ids[0]);
    assert_eq!(versions[0].author, "alice");
    assert_eq!(versions[0].message, "r1: changed\n\nTrigger: test");
    assert_eq!(
        repository
            .versions("refs/heads/device/r2", |_| true)
            .unwrap()
            .len(),
        1
    );
    assert!(
        repository
            .versions("refs/heads/device/r3", |_| true)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        repository.references("refs/heads/device/").unwrap().len(),
        2
    );
}

#[test]
fn text_at_a_time_is_that_of_the_version_before_it() {
    let (_dir, repository) = repository();
    repository
        .write(&[change("r1", 100, "one\n"), change("r1", 200, "two\n")])
        .unwrap();
    let at = |seconds| {
        let version = repository.at("refs/heads/device/r1", seconds).unwrap()?;
        repository.text(&version.id, "running-config").unwrap()
    };
    assert_eq!(at(99), None);
    assert_eq!(at(199).unwrap(), "one\n");
    assert_eq!(at(200).unwrap(), "two\n");
    assert_eq!(
        repository.text("refs/heads/device/r1", "nothing").unwrap(),
        None
    );
    assert_eq!(repository.text("a\nb", "x").unwrap(), None);
}

#[test]
fn refused_commit_is_told_and_leaves_what_was_there() {
    let (_dir, repository) = repository();
    repository.write(&[change("r1", 100, "one\n")]).unwrap();
    let mut bad = change("r1", 200, "two\n");
    bad.reference = "refs/heads/device/a..b".to_owned();
    let error = repository.write(&[bad]).unwrap_err().to_string();
    assert!(error.starts_with("git fast-import: "), "{error}");
    assert_eq!(
        repository
            .versions("refs/heads/device/r1", |_| true)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn plain_clone_holds_every_history_and_the_reader_survives_a_collection_of_garbage() {
    let (dir, repository) = repository();
    repository
        .write(&[change("r1", 100, "one\n"), change("r2", 100, "one\n")])
        .unwrap();
    assert_eq!(
        repository
            .text("refs/heads/device/r1", "running-config")
            .unwrap()
            .unwrap(),
        "one\n"
    );
    repository.run(&["gc", "--quiet", "--prune=now"]).unwrap();
    repository.write(&[change("r1", 200, "two\n")]).unwrap();
    assert_eq!(
        repository
            .text("refs/heads/device/r1", "running-config")
            .unwrap()
            .unwrap(),
        "two\n"
    );
    let clone = dir.path().join("clone");
    let status = Command::new("git")
        .args(["clone", "-q"])
        .arg(repository.folder())
        .arg(&clone)
        .status()
        .unwrap();
    assert!(status.success());
    let said = Command::new("git")
        .current_dir(&clone)
        .args(["log", "--oneline", "origin/device/r1"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().count(), 2);
    assert!(repository.run(&["fsck", "--strict"]).is_ok());
}

/// Those of many references at once are moved together; git finds nothing wrong with what comes of it.
#[test]
fn many_are_written_together_with_few_and_many_in_turn() {
    let (_dir, repository) = repository();
    let fsck = || {
        let output = Command::new("git")
            .current_dir(repository.folder())
            .args(["fsck", "--strict"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("error"), "{said}");
    };
    // The first of them alone, so that it has a file of its own.
    repository.write(&[change("r1", 1, "alone\n")]).unwrap();
    for round in 2..5 {
        let mut all: Vec<Change> = (1..=40)
            .map(|number| change(&format!("r{number}"), round, &format!("{number} {round}\n")))
            .collect();
        for own in all.iter_mut().skip(20) {
            own.files[0].0 = "other".to_owned();
        }
        all.push(change("r2", round, &format!("again {round}\n")));
        let ids = repository.write(&all).unwrap();
        assert_eq!(ids.len(), 41);
        for (change, id) in all.iter().zip(&ids) {
            let (path, text) = &change.files[0];
            let found = repository.text(id, path).unwrap();
            assert_eq!(found.as_ref(), Some(text), "{}", change.reference);
            let others = if path == "other" {
                "running-config"
            } else {
                "other"
            };
            assert_eq!(repository.text(id, others).unwrap(), None);
        }
        assert_eq!(
            repository.tip("refs/heads/device/r2").unwrap().as_ref(),
            ids.last()
        );
        fsck();
    }
    let count = |device: &str| {
        let reference = format!("refs/heads/device/{device}");
        repository.versions(&reference, |_| true).unwrap().len()
    };
    assert_eq!((count("r1"), count("r2"), count("r40")), (4, 6, 3));
    repository
        .write(&[change("r40", 9, "alone again\n")])
        .unwrap();
    repository.run(&["pack-refs", "--all"]).unwrap();
    let four: Vec<Change> = ["r37", "r38", "r39", "r40"]
        .map(|device| change(device, 10, "four\n"))
        .into();
    repository.write(&four).unwrap();
    assert_eq!((count("r39"), count("r40")), (4, 5));
    fsck();
    let references = repository.references("refs/heads/").unwrap();
    assert_eq!(references.len(), 40, "{references:?}");
}
