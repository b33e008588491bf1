//! The command against logs that the toolkit wrote.

use std::path::Path;
use std::process::{Command, Output};

use access::audit::{Audit, Options, Outcome, Record};
use access::caller::{Caller, Role, Via};
use testkit::TempDir;

async fn log(dir: &TempDir) -> Audit {
    let options = Options {
        head: Some(dir.join("head")),
        ..Options::default()
    };
    let audit = Audit::open(dir.path(), options).unwrap();
    for n in 0..5 {
        let caller = Caller {
            subject: "ann".to_owned(),
            display: "ann".to_owned(),
            role: Role::Admin,
            via: Via::WebUser,
        };
        let record = Record {
            caller: Some(caller),
            verb: "device.add".to_owned(),
            object: format!("device/r{n}"),
            trace_id: None,
            request_hash: [0; 32],
        };
        let pending = audit.begin(record).await.unwrap();
        pending.finish(Outcome::Done(String::new())).await;
    }
    audit
}

fn run(args: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sotp-audit"))
        .args(args)
        .arg(path)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn whole_log_passes_and_a_changed_one_is_named() {
    let dir = TempDir::new().unwrap();
    let audit = log(&dir).await;
    let head = audit.head().to_string();
    drop(audit);
    let whole = run(&["verify", "--anchor", &head], dir.path());
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    assert!(said(&whole).starts_with("whole: 10 records in 1 files, 1 anchors, head 10:"));
    let printed = run(&["head"], dir.path());
    assert_eq!(said(&printed).trim(), head);
    let file = dir.join("audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("device/r2", "device/r9", 1)).unwrap();
    let changed = run(&["verify"], dir.path());
    assert_eq!(changed.status.code(), Some(1));
    assert!(
        said(&changed)
            .starts_with("record 5 was changed (audit-00000000000000000001.jsonl:5)\nNOT WHOLE"),
        "{}",
        said(&changed)
    );
    assert_eq!(run(&["head"], dir.path()).status.code(), Some(1));
    // The end is cut off: only the anchor tells.
    let kept: Vec<_> = text
        .lines()
        .take(7)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&file, kept.concat()).unwrap();
    assert_eq!(run(&["verify"], dir.path()).status.code(), Some(0));
    dir.write(
        "anchors",
        format!("some other line\nmsg=audit seq=10 hash={}\n", &head[3..]),
    )
    .unwrap();
    let anchors = dir.join("anchors");
    let cut = run(
        &["verify", "--anchors", anchors.to_str().unwrap()],
        dir.path(),
    );
    assert_eq!(cut.status.code(), Some(1));
    assert!(
        said(&cut).starts_with("records 8 to 10 are missing"),
        "{}",
        said(&cut)
    );
}

#[test]
fn mistakes_are_told() {
    let dir = TempDir::new().unwrap();
    let empty = run(&["verify"], dir.path());
    assert_eq!(empty.status.code(), Some(1));
    assert!(said(&empty).contains("expected files audit-NUMBER.jsonl, found none"));
    let usage = run(&["verify", "--anchor", "x"], dir.path());
    assert_eq!(usage.status.code(), Some(64));
    assert!(
        said(&usage).contains("expected NUMBER:HASH"),
        "{}",
        said(&usage)
    );
    assert_eq!(run(&["verify"], &dir.join("none")).status.code(), Some(1));
    let help = run(&["verify"], Path::new("--help"));
    assert_eq!(help.status.code(), Some(0));
}

#[tokio::test]
async fn what_is_lost_is_declared_and_stays_lost() {
    let dir = TempDir::new().unwrap();
    drop(log(&dir).await);
    let file = dir.join("audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: Vec<_> = text.split_inclusive('\n').take(6).collect();
    std::fs::write(&file, kept.concat()).unwrap();
    let head = dir.join("head");
    let declare = |reason: &str| {
        let head = head.to_str().unwrap();
        run(
            &["resume", "--head", head, "--by", "ann", "--reason", reason],
            dir.path(),
        )
    };
    assert_eq!(declare("").status.code(), Some(1));
    let declared = declare("restored from Monday");
    assert_eq!(declared.status.code(), Some(0), "{}", said(&declared));
    assert!(
        said(&declared)
            .starts_with("records 7 to 10 are declared as lost\nthe log goes on after 11:")
    );
    let verified = run(&["verify"], dir.path());
    assert_eq!(verified.status.code(), Some(2), "{}", said(&verified));
    assert!(
        said(&verified).starts_with("records 7 to 10 are lost, declared by \"ann\" at ")
            && said(&verified)
                .contains("\"restored from Monday\"\nNOT WHOLE, but declared: 7 records"),
        "{}",
        said(&verified)
    );
}

/// What the service noted beside the folder is an anchor that nobody has to give.
#[tokio::test]
async fn a_log_that_was_cut_is_not_whole_beside_what_was_noted() {
    let dir = TempDir::new().unwrap();
    drop(log(&dir).await);
    let folder = dir.join("audit");
    std::fs::create_dir(&folder).unwrap();
    let name = "audit-00000000000000000001.jsonl";
    let text = std::fs::read_to_string(dir.join(name)).unwrap();
    std::fs::write(folder.join(name), &text).unwrap();
    std::fs::copy(dir.join("head"), dir.join("audit.head")).unwrap();
    assert_eq!(run(&["verify"], &folder).status.code(), Some(0));
    let kept: Vec<_> = text.split_inclusive('\n').take(4).collect();
    std::fs::write(folder.join(name), kept.concat()).unwrap();
    let verified = run(&["verify"], &folder);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    assert!(
        said(&verified).starts_with("records 5 to 10 are missing\nNOT WHOLE"),
        "{}",
        said(&verified)
    );
    std::fs::write(dir.join("audit.head"), "nothing of use").unwrap();
    let verified = run(&["verify"], &folder);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
}

/// The oldest records are cut off and every record was anchored: what is left is not the whole.
#[tokio::test]
async fn a_log_without_its_beginning_is_not_whole_whatever_is_anchored() {
    let dir = TempDir::new().unwrap();
    drop(log(&dir).await);
    let file = dir.join("audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let anchors: String = text
        .lines()
        .map(|line| {
            let (_, hash) = line.rsplit_once("\"hash\":\"").unwrap();
            let seq = line.split([':', ',']).nth(1).unwrap();
            format!("{seq}:{}\n", &hash[..64])
        })
        .collect();
    dir.write("anchors", &anchors).unwrap();
    std::fs::write(&file, text.split_inclusive('\n').next_back().unwrap()).unwrap();
    let anchors = dir.join("anchors");
    let verified = run(
        &["verify", "--anchors", anchors.to_str().unwrap()],
        dir.path(),
    );
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    assert!(
        said(&verified).starts_with("records 1 to 9 are missing\nNOT WHOLE"),
        "{}",
        said(&verified)
    );
}

/// What node_exporter's textfile collector reads: 1, then 0 for a log that was changed and for one that is gone.
#[tokio::test]
async fn the_verdict_is_a_metric_too() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("log");
    std::fs::create_dir(&folder).unwrap();
    let options = Options {
        head: Some(dir.join("head")),
        ..Options::default()
    };
    let audit = Audit::open(&folder, options).unwrap();
    for _ in 0..2 {
        let record = Record {
            caller: None,
            verb: "device.add".to_owned(),
            object: "device/r1".to_owned(),
            trace_id: None,
            request_hash: [0; 32],
        };
        let pending = audit.begin(record).await.unwrap();
        pending.finish(Outcome::Done(String::new())).await;
    }
    drop(audit);
    let file = dir.join("audit.prom");
    let verdict = || {
        let flag = format!("--textfile={}", file.display());
        let output = run(&["verify", &flag], &folder);
        let text = std::fs::read_to_string(&file).unwrap();
        let line = format!("sotp_audit_verify_whole{{log=\"{}\"}} ", folder.display());
        let value = text
            .lines()
            .find_map(|one| one.strip_prefix(&line))
            .unwrap();
        (output.status.code(), value.to_owned())
    };
    assert_eq!(verdict(), (Some(0), "1".to_owned()));
    let mut files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let log = files
        .find(|file| file.extension().is_some_and(|end| end == "jsonl"))
        .unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("device/r1", "device/r2", 1)).unwrap();
    assert_eq!(verdict(), (Some(1), "0".to_owned()));
    std::fs::remove_file(&log).unwrap();
    assert_eq!(verdict(), (Some(1), "0".to_owned()));
}
