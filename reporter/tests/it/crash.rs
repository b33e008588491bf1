//! The process ends at any time; one mail goes out all the same.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{TempDir, eventually};

use crate::mails::{config, small};
use crate::smtp::Smtp;
use crate::support::{BINARY, run, said};

fn begin(config: &str) -> Child {
    Command::new(BINARY)
        .args(["run", config, "--month=2025-10"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn doubts(dir: &TempDir) -> u64 {
    let text = std::fs::read(dir.join("data/outbox/2025-10.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(state["state"], "sent");
    state["in_doubt"].as_u64().unwrap()
}

#[tokio::test]
async fn killed_before_the_server_has_it_one_mail_goes_out_and_killed_after_it_none_more() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &smtp.section());
    smtp.mode("hang");
    let mut child = begin(&config);
    eventually(Duration::from_secs(30), || async {
        anyhow::ensure!(smtp.dir.join("hangs").exists());
        Ok(())
    })
    .await
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(smtp.mails().is_empty());
    smtp.mode("take");
    for _ in 0..3 {
        let output = run(&["run", &config, "--month=2025-10"]);
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(smtp.mails().len(), 1);
}

#[tokio::test]
async fn killed_while_nobody_knows_the_same_mail_goes_out_again_and_can_be_told_by_its_id() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &smtp.section());
    smtp.mode("mute");
    let mut child = begin(&config);
    eventually(Duration::from_secs(30), || async {
        anyhow::ensure!(smtp.mails().len() == 1);
        Ok(())
    })
    .await
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    smtp.mode("take");
    let output = run(&["run", &config, "--month=2025-10"]);
    assert!(output.status.success(), "{}", said(&output));
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2);
    assert!(
        mails[0] == mails[1],
        "the same bytes, Message-ID among them"
    );
    assert_eq!(doubts(&dir), 1);
}

/// Some seconds: the process is started and killed some twenty times.
#[tokio::test]
async fn killed_at_any_time_the_mail_goes_out_once_but_for_the_times_that_are_told() {
    let dir = TempDir::new().unwrap();
    let (server, smtp) = (small(&dir).await, Smtp::start().await);
    let config = config(&dir, &server, &smtp.section());
    // How long it takes when nobody kills it, in a folder of its own.
    let begun = Instant::now();
    let calm = run(&[
        "render",
        &config,
        "--month=2025-10",
        &format!("--output={}", dir.join("calm").display()),
    ]);
    assert!(calm.status.success(), "{}", said(&calm));
    let whole = begun.elapsed() * 2;
    let mut kills = 0;
    for part in 1..=20_u32 {
        let mut child = begin(&config);
        let deadline = Instant::now() + whole * part / 20;
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() >= deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                break None;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
        }
    }
    assert!(kills > 3, "it was killed {kills} times");
    let output = run(&["run", &config, "--month=2025-10"]);
    assert!(output.status.success(), "{}", said(&output));
    let mails = smtp.mails();
    let most = 1 + usize::try_from(doubts(&dir)).unwrap();
    assert!(
        (1..=most).contains(&mails.len()),
        "{} mails, {most} at most",
        mails.len()
    );
    assert!(
        mails.windows(2).all(|two| two[0] == two[1]),
        "one mail, one Message-ID"
    );
}
