//! One report, one mail: over STARTTLS to a real server that takes it, wants it later, or refuses it.

use std::process::Output;

use testkit::{Server, TempDir};

use crate::smtp::Smtp;
use crate::support::{Past, at, minutes, run, said};

/// A month of one device, an hour apart: enough to be reported, and quick.
pub(crate) async fn small(dir: &TempDir) -> Server {
    let samples = minutes(at("2025-10-01T00:00:00Z"), at("2025-11-01T00:00:00Z")).step_by(30);
    Past::default()
        .with(
            "ping_up",
            "device=\"r1\",site=\"waw\",role=\"router\"",
            samples.map(|time| (time, 1)),
        )
        .start(dir)
        .await
}

pub(crate) fn config(dir: &TempDir, server: &Server, more: &str) -> String {
    let text = format!(
        "prometheus: {{url: '{}'}}\nstale_after: 1h\norganisation: Zażółć\n{more}",
        server.url
    );
    let path = dir.write("reporter.yaml", text).unwrap();
    format!("--config.file={}", path.display())
}

fn send(config: &str) -> Output {
    run(&["run", config, "--month=2025-10"])
}

fn state(dir: &TempDir) -> serde_json::Value {
    let text = std::fs::read(dir.join("data/outbox/2025-10.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn report_is_sent_once_with_its_files_and_sent_before_is_success() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &smtp.section());
    let first = send(&config);
    assert!(first.status.success(), "{}", said(&first));
    let second = send(&config);
    assert!(second.status.success(), "{}", said(&second));
    assert!(said(&second).contains("already sent"), "{}", said(&second));
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(
        mail.subject,
        "Zażółć: Network availability 2025-10: 100.000 %"
    );
    assert_eq!(mail.to, "zarzad@example.net\nnoc@example.net");
    assert_eq!(mail.names, "Zarząd <zarzad@example.net>, noc@example.net");
    let lines = mail.bytes.split(|byte| *byte == b'\n');
    assert!(
        lines
            .clone()
            .all(|line| line.len() <= 998 && line.is_ascii()),
        "seven bits and short lines, whatever is said (RFC 5321 and 5322)"
    );
    assert!(mail.message_id().ends_with("@example.net>"));
    let kept = dir.join("data/reports/2025-10");
    for name in [
        "availability-2025-10.pdf",
        "months.csv",
        "sites.csv",
        "roles.csv",
        "devices.csv",
        "incidents.csv",
        "maintenance.csv",
        "links.csv",
        "round_trips.csv",
        "compliance.csv",
        "capacity.csv",
        "manifest.json",
    ] {
        let content = std::fs::read(kept.join(name)).unwrap();
        assert!(mail.files[name] == content, "{name} arrived as it is kept");
    }
    assert_eq!(mail.files.len(), 12);
    let text = std::fs::read_to_string(dir.join("data/outbox/2025-10.json")).unwrap();
    assert!(!text.contains(crate::smtp::PASSWORD));
    assert_eq!(state(&dir)["state"], "sent");
}

#[tokio::test]
async fn server_that_wants_it_later_gets_the_same_mail_later_and_one_that_refuses_it_is_told_of() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &smtp.section());
    smtp.mode("later");
    let later = send(&config);
    assert_eq!(later.status.code(), Some(1));
    assert!(
        said(&later).contains("does not take it now"),
        "{}",
        said(&later)
    );
    assert_eq!(state(&dir)["state"], "queued");
    let queued = state(&dir)["message_id"].clone();
    smtp.mode("never");
    let never = send(&config);
    assert_eq!(never.status.code(), Some(1));
    assert!(
        said(&never).contains("refuses it") && said(&never).contains("no such person"),
        "{}",
        said(&never)
    );
    assert_eq!(state(&dir)["state"], "refused");
    assert!(smtp.mails().is_empty());
    smtp.mode("take");
    // A person asks for it again.
    let taken = send(&config);
    assert!(taken.status.success(), "{}", said(&taken));
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        mails[0].message_id(),
        format!("Message-ID: {}", queued.as_str().unwrap())
    );
    assert_eq!(state(&dir)["attempts"], 3);
}

#[tokio::test]
async fn nothing_goes_to_a_server_with_another_certificate_or_a_wrong_password() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let other = Smtp::start().await;
    let section = smtp.section();
    let authority = |smtp: &Smtp| smtp.dir.join("ca.pem").display().to_string();
    let stranger = section.replace(&authority(&smtp), &authority(&other));
    let output = send(&config(&dir, &server, &stranger));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("invalid peer certificate"),
        "{}",
        said(&output)
    );
    let wrong = dir.write("wrong", "another\n").unwrap();
    let password = smtp.dir.join("password").display().to_string();
    let section = section.replace(&password, &wrong.display().to_string());
    let output = send(&config(&dir, &server, &section));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        !said(&output).contains("another"),
        "the password is in no message: {}",
        said(&output)
    );
    assert!(smtp.mails().is_empty() && other.mails().is_empty());
}

#[tokio::test]
async fn mail_that_would_be_too_large_has_the_pdf_alone_or_a_link() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let section = format!(
        "{}  max_bytes: 64KiB\nexternal_url: 'https://reports.example.net/'\n",
        smtp.section()
    );
    let output = send(&config(&dir, &server, &section));
    assert!(output.status.success(), "{}", said(&output));
    let mail = &smtp.mails()[0];
    assert!(mail.bytes.len() <= 65_536, "{}", mail.bytes.len());
    let text = String::from_utf8_lossy(&mail.bytes);
    if mail.files.len() < 11 {
        assert!(
            text.contains("https://reports.example.net/api/v1/reports/2025-10"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn tls_from_the_beginning_is_spoken_where_it_is_wanted_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::wrapped().await);
    let section = format!("{}  security: tls\n", smtp.section());
    let output = send(&config(&dir, &server, &section));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(smtp.mails().len(), 1);
    // Without TLS there is nobody to talk to: a password is not even offered.
    let plain = Smtp::start().await;
    let section = plain
        .section()
        .replace("mail:\n", "mail:\n  security: tls\n");
    std::fs::remove_dir_all(dir.join("data/outbox")).unwrap();
    let output = send(&config(&dir, &server, &section));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(plain.mails().is_empty());
}

/// What a process leaves behind that ends between two steps, whichever they are.
#[tokio::test]
async fn process_that_ended_between_two_steps_leaves_one_mail_to_be_sent() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &smtp.section());
    assert!(send(&config).status.success());
    let first = smtp.mails().remove(0);
    let (json, eml) = (
        dir.join("data/outbox/2025-10.json"),
        dir.join("data/outbox/2025-10.eml"),
    );
    let sent = std::fs::read_to_string(&json).unwrap();
    let report = dir.join("data/reports/2025-10");
    let steps: [(&str, &dyn Fn()); 5] = [
        ("the month is closed", &|| {
            std::fs::remove_dir_all(&report).unwrap();
            std::fs::remove_file(&json).unwrap();
            std::fs::remove_file(&eml).unwrap();
        }),
        ("the report is kept", &|| {
            std::fs::remove_file(&json).unwrap();
            std::fs::remove_file(&eml).unwrap();
        }),
        ("the mail is written", &|| {
            std::fs::remove_file(&json).unwrap();
        }),
        ("it is queued", &|| {
            std::fs::write(&json, sent.replace("\"sent\",", "\"queued\",")).unwrap();
        }),
        ("it is on its way", &|| {
            std::fs::write(&json, sent.replace("\"sent\",", "\"sending\",")).unwrap();
        }),
    ];
    for (index, (step, back)) in steps.iter().enumerate() {
        back();
        for _ in 0..2 {
            let output = send(&config);
            assert!(output.status.success(), "{step}: {}", said(&output));
        }
        let mails = smtp.mails();
        assert_eq!(mails.len(), index + 2, "{step}");
        let last = &mails[index + 1];
        assert_eq!(last.message_id(), first.message_id(), "{step}");
        assert!(last.files == first.files, "{step}: the same files");
    }
    assert_eq!(
        state(&dir)["in_doubt"],
        1,
        "the last step is the one in doubt"
    );
}
