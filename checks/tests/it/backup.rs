//! What the CronJobs of the component `backup-s3` do, by their own script with a double of restic that writes down how it was called.

use std::process::Command;

use sotp_checks::root;
use testkit::TempDir;

/// Runs the script of the component; `rules` are lines of a shell's `case` for the double. Its status and the calls.
fn run(rules: &str) -> (Option<i32>, Vec<String>) {
    let file = root().join("kustomize/components/backup-s3/volume/cronjob.yaml");
    let job: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let command: Vec<&str> = container["command"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one.as_str())
        .collect();
    let folder = TempDir::new().unwrap();
    let (calls, restic) = (folder.join("calls"), folder.join("restic"));
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {0}\nn=$(grep -c \"^$1\" {0})\ncase \"$1 $n\" in\n{rules}\nesac\n",
        calls.display()
    );
    std::fs::write(&restic, text).unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&restic)
        .status()
        .unwrap();
    let status = Command::new(command[0])
        .args(&command[1..])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("VOLUME", "reporter")
        .output()
        .unwrap()
        .status;
    let calls = std::fs::read_to_string(calls).unwrap();
    (status.code(), calls.lines().map(str::to_owned).collect())
}

const SAVE: &str = "backup --retry-lock 30m --host sotp --tag reporter /data";
const FORGET: &str = "forget --retry-lock 30m --host sotp --tag reporter --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --prune";

#[test]
fn a_repository_that_is_there_gets_the_volume_and_loses_what_is_old() {
    let (status, calls) = run("");
    assert_eq!(
        (status, calls),
        (
            Some(0),
            vec!["cat config".to_owned(), SAVE.to_owned(), FORGET.to_owned()]
        )
    );
}

#[test]
fn the_first_makes_the_repository_and_whoever_loses_that_race_uses_it() {
    let (status, calls) = run("'cat 1') exit 10;;");
    assert_eq!(status, Some(0));
    assert_eq!(calls, ["cat config", "init", SAVE, FORGET]);
    // Another one made it in between.
    let (status, calls) = run("'cat 1') exit 10;;\n'init 1') exit 1;;");
    assert_eq!(status, Some(0));
    assert_eq!(calls, ["cat config", "init", "cat config", SAVE, FORGET]);
}

#[test]
fn without_a_repository_or_a_backup_nothing_is_forgotten_and_the_job_fails() {
    let (status, calls) = run("'cat '*) exit 10;;\n'init 1') exit 1;;");
    assert_eq!(status, Some(10));
    assert_eq!(calls, ["cat config", "init", "cat config"]);
    // restic ends with 3 when it could not read a part.
    let (status, calls) = run("'backup 1') exit 3;;");
    assert_eq!(status, Some(3));
    assert_eq!(calls, ["cat config", SAVE]);
}
