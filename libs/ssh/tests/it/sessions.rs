use std::sync::Arc;
use std::time::Duration;

use ssh::{
    Driver, Error, HostKeys, KeyNews, Login, OnUnknown, Profile, Seen, Session, Target, Weakness,
};
use testkit::TempDir;
use testkit::ssh::{Device, Fault, Running};
use toolkit::Secret;

const CONFIG: &str = include_str!("../../testdata/ios/running-config.raw");

fn device() -> Device {
    Device::new("r1", "bob", "right")
        .answer("show running-config", CONFIG)
        .answer("terminal width 511", "")
}

struct Known {
    _dir: TempDir,
    keys: Arc<HostKeys>,
}

fn known(lines: &str, unknown: OnUnknown) -> Known {
    let dir = TempDir::new().unwrap();
    let path = dir.write("known_hosts", lines).unwrap();
    Known {
        keys: Arc::new(HostKeys::new(path, unknown)),
        _dir: dir,
    }
}

fn known_hosts(device: &Running) -> Known {
    known(&device.known_host, OnUnknown::Refuse)
}

fn bob(password: &str) -> Login {
    Login::new("bob").password(Secret::new(password))
}

fn target(device: &Running) -> Target {
    let mut target = Target::new("127.0.0.1", device.address.port());
    target.times.prompt = Duration::from_secs(5);
    target
}

async fn open(device: &Running) -> Result<Session, Error> {
    let known = known(&device.known_host, OnUnknown::Refuse);
    Session::open(&target(device), &bob("right"), &driver(), &known.keys).await
}

/// The driver of IOS, with less patience.
fn driver() -> Arc<Driver> {
    let text = include_str!("../../drivers/ios.yaml")
        .replace("quiet_seconds: 60", "quiet_seconds: 1")
        + "answer_bytes: 2000000\n";
    Arc::new(Driver::parse(&text, "ios.yaml".as_ref()).unwrap())
}

#[tokio::test]
async fn configuration_is_collected_whole_and_without_what_is_volatile() {
    let device = device().banner("Welcome to r1#\n\n").start().await.unwrap();
    let mut session = open(&device).await.unwrap();
    assert_eq!(session.key(), KeyNews::Known);
    assert!(session.weak().is_empty());
    let collected = session.collect().await.unwrap();
    assert_eq!(collected.complete, Ok(()));
    assert!(
        collected.text().starts_with("!\nversion 15.2\n"),
        "{}",
        collected.text()
    );
    assert!(collected.text().ends_with("!\nend\n"));
    assert!(collected.bytes >= CONFIG.len());
    let typed: Vec<String> = device
        .typed()
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        typed,
        [
            "terminal length 0",
            "terminal width 511",
            "show running-config"
        ]
    );
    session.close().await;
}

#[tokio::test]
async fn pager_that_cannot_be_turned_off_is_paged_through() {
    let device = device().page(7, "no such command").start().await.unwrap();
    let mut session = open(&device).await.unwrap();
    let paged = session.collect().await.unwrap();
    assert_eq!(paged.complete, Ok(()));
    let plain = self::device().start().await.unwrap();
    let plain = open(&plain).await.unwrap().collect().await.unwrap();
    assert_eq!(paged.text(), plain.text());
}

#[tokio::test]
async fn text_of_a_pager_glued_to_a_line_makes_it_incomplete() {
    let device = device()
        .page(7, "no such command")
        .fault(Fault::Glued)
        .start()
        .await
        .unwrap();
    let mut session = open(&device).await.unwrap();
    let collected = session.collect().await.unwrap();
    assert_eq!(collected.complete.unwrap_err().reason(), "pager");
}

/// The pure engine is cut at every byte in its own tests; here each sixteenth place goes over the wire.
#[tokio::test]
async fn cut_configuration_is_never_complete() {
    for bytes in (0..CONFIG.len()).step_by(CONFIG.len() / 16) {
        let device = device().fault(Fault::Cut(bytes)).start().await.unwrap();
        let mut session = open(&device).await.unwrap();
        let error = session.collect().await.unwrap_err();
        assert_eq!(error.reason(), "closed", "cut at {bytes}");
    }
}

#[tokio::test]
async fn connection_that_breaks_is_never_a_configuration() {
    for bytes in [0, 100, CONFIG.len() / 2, CONFIG.len() + 60] {
        let device = device().fault(Fault::Reset(bytes)).start().await.unwrap();
        let mut session = open(&device).await.unwrap();
        assert!(session.collect().await.is_err(), "broken at {bytes}");
    }
}

#[tokio::test]
async fn answer_that_is_short_and_looks_whole_is_read_again_where_nothing_stands_at_the_end() {
    let config = "!Command: show running-config\nversion 10.4(5)\nhostname r1\nfeature bgp\nrouter bgp 65001\n";
    let text = include_str!("../../drivers/nxos.yaml");
    let driver = Arc::new(Driver::parse(text, "nxos.yaml".as_ref()).unwrap());
    let read = async |device: Device, config: &str, known: Option<Seen>| {
        let device = device
            .answer("terminal width 511", "")
            .answer("show running-config", config)
            .start()
            .await
            .unwrap();
        let keys = known_hosts(&device);
        let mut session = Session::open(&target(&device), &bob("right"), &driver, &keys.keys)
            .await
            .unwrap();
        let collected = session.collect_unless(known.as_ref()).await.unwrap();
        let asked = device.typed();
        let times = asked.iter().filter(|line| *line == "show running-config");
        (collected, times.count())
    };
    let plain = || Device::new("r1", "bob", "right");
    // As the line ends stand: the first 62 bytes are three lines.
    let short = config.lines().take(3).map(|line| line.len() + 2).sum();
    let (collected, times) = read(plain().fault(Fault::Short(short)), config, None).await;
    assert_eq!(
        (collected.complete.unwrap_err().reason(), times),
        ("evidence", 2)
    );
    let (collected, times) = read(plain(), config, None).await;
    assert_eq!((&collected.complete, times), (&Ok(()), 2));
    // One that is held already is not asked for a second time, in the same bytes or in others that come to the same text.
    let seen = collected.seen();
    let (again, times) = read(plain(), config, Some(seen)).await;
    assert_eq!((&again.complete, times), (&Ok(()), 1));
    assert!(again.came_as(&seen) && again.text() == collected.text());
    let later = config.replace("version", "!Time: Mon Nov 30 22:00:01 2026\nversion");
    let (again, times) = read(plain(), &later, Some(seen)).await;
    assert_eq!((&again.complete, times), (&Ok(()), 1));
    assert!(again.is(&seen) && !again.came_as(&seen) && again.text() == collected.text());
    // Another one is, and one that is cut short is not whole for all that is held.
    let (other, times) = read(plain(), &config.replace("65001", "65002"), Some(seen)).await;
    assert_eq!((&other.complete, times), (&Ok(()), 2));
    assert!(!other.is(&seen));
    let (short, times) = read(plain().fault(Fault::Short(short)), config, Some(seen)).await;
    assert_eq!(
        (short.complete.unwrap_err().reason(), times),
        ("evidence", 2)
    );
}

#[tokio::test]
async fn messages_of_the_log_in_between_change_nothing() {
    let log = "*Mar  1 00:10:02.123: %SYS-5-CONFIG_I: Configured from console by alice on vty0";
    let noisy = device().fault(Fault::Logs(log)).start().await.unwrap();
    let plain = device().start().await.unwrap();
    // With the patience of the driver, as silence is what makes it ask for the prompt that was written over.
    let keys = known_hosts(&noisy);
    let driver = Driver::load("ios").unwrap();
    let session = Session::open(&target(&noisy), &bob("right"), &driver, &keys.keys).await;
    let noisy = session.unwrap().collect().await.unwrap();
    let plain = open(&plain).await.unwrap().collect().await.unwrap();
    assert_eq!(noisy.complete, Ok(()));
    assert_eq!(noisy.text(), plain.text());
}

#[tokio::test]
async fn silent_device_costs_its_own_bound_only() {
    let device = device().fault(Fault::Stall(200)).start().await.unwrap();
    let mut session = open(&device).await.unwrap();
    let began = std::time::Instant::now();
    let error = session.collect().await.unwrap_err();
    assert_eq!(error.reason(), "timeout");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn lost_echo_is_an_error_and_no_answer() {
    let device = device().fault(Fault::NoEcho).start().await.unwrap();
    assert_eq!(open(&device).await.unwrap_err().reason(), "echo");
}

#[tokio::test]
async fn banner_that_imitates_the_prompt_ends_nothing() {
    let device = device().fault(Fault::Imitation).start().await.unwrap();
    let collected = open(&device).await.unwrap().collect().await.unwrap();
    assert_eq!(collected.complete, Ok(()));
}

#[tokio::test]
async fn endless_answer_is_given_up_at_its_bound() {
    let device = device().fault(Fault::Endless).start().await.unwrap();
    assert_eq!(
        open(&device)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap_err()
            .reason(),
        "too_large"
    );
}

#[tokio::test]
async fn answer_in_single_bytes_is_the_same() {
    let device = device().piece(1).start().await.unwrap();
    assert_eq!(
        open(&device)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
            .complete,
        Ok(())
    );
}

#[tokio::test]
async fn command_that_is_not_taken_says_so_and_never_becomes_a_configuration() {
    let device = Device::new("r1", "bob", "right")
        .answer("terminal width 511", "")
        .start()
        .await
        .unwrap();
    let mut session = open(&device).await.unwrap();
    let answer = session.run("show nothing").await.unwrap();
    assert_eq!(answer.refused.unwrap(), "% Unknown command.");
    assert_eq!(
        session
            .collect()
            .await
            .unwrap()
            .complete
            .unwrap_err()
            .reason(),
        "refused"
    );
    assert_eq!(
        session.run("show\nreload").await.unwrap_err().reason(),
        "command"
    );
}

#[tokio::test]
async fn configuration_mode_is_entered_and_left_and_a_refused_line_ends_it() {
    let device = device().start().await.unwrap();
    let mut session = open(&device).await.unwrap();
    let answers = session
        .configure(&["interface eth0", "no shutdown"])
        .await
        .unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.refused.is_none()));
    let answers = session.configure(&["wrong", "no shutdown"]).await.unwrap();
    assert_eq!(answers.len(), 1);
    assert!(answers[0].refused.is_some());
    assert_eq!(session.collect().await.unwrap().complete, Ok(()));
    let typed: Vec<String> = device
        .typed()
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        typed[2..],
        [
            "configure terminal",
            "interface eth0",
            "no shutdown",
            "end",
            "configure terminal",
            "wrong",
            "end",
            "show running-config"
        ]
    );
}

#[tokio::test]
async fn privileged_mode_is_entered_with_its_secret_and_refused_without() {
    let device = device().enable("more").start().await.unwrap();
    let known = known(&device.known_host, OnUnknown::Refuse);
    let login = bob("right").privilege(Secret::new("more"));
    let mut session = Session::open(&target(&device), &login, &driver(), &known.keys)
        .await
        .unwrap();
    assert_eq!(session.collect().await.unwrap().complete, Ok(()));
    assert!(!device.typed().contains(&"more".to_owned()));
    assert_eq!(open(&device).await.unwrap_err().reason(), "privilege");
}

#[tokio::test]
async fn unknown_host_key_is_refused_pinned_where_configured_and_refused_when_it_changed() {
    let device = device().start().await.unwrap();
    let strict = known("", OnUnknown::Refuse);
    let error = Session::open(&target(&device), &bob("right"), &driver(), &strict.keys)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "host_key_unknown");
    assert!(device.typed().is_empty());
    let pinning = known("", OnUnknown::Pin);
    let session = Session::open(&target(&device), &bob("right"), &driver(), &pinning.keys)
        .await
        .unwrap();
    assert_eq!(session.key(), KeyNews::Pinned);
    assert_eq!(
        std::fs::read_to_string(pinning.keys.path()).unwrap(),
        device.known_host
    );
    let other = self::device().start().await.unwrap();
    let moved = known(
        &other.known_host.replace(
            &other.address.port().to_string(),
            &device.address.port().to_string(),
        ),
        OnUnknown::Pin,
    );
    let error = Session::open(&target(&device), &bob("right"), &driver(), &moved.keys)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "host_key_changed");
}

#[tokio::test]
async fn wrong_password_is_tried_once_and_a_question_is_answered() {
    let device = device().interactive().start().await.unwrap();
    assert!(open(&device).await.is_ok());
    let plain = self::device().start().await.unwrap();
    let known = known(&plain.known_host, OnUnknown::Refuse);
    let error = Session::open(&target(&plain), &bob("wrong"), &driver(), &known.keys)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the device refused the login of bob (tried: password)"
    );
}

#[tokio::test]
async fn ancient_device_needs_its_profile_and_shows_as_weak() {
    let device = device().ancient().start().await.unwrap();
    let error = open(&device).await.unwrap_err();
    assert_eq!(error.reason(), "algorithm");
    assert!(
        error.to_string().contains("diffie-hellman-group1-sha1"),
        "{error}"
    );
    let known = known(&device.known_host, OnUnknown::Refuse);
    let mut target = target(&device);
    target.profile = Profile::Ancient;
    let session = Session::open(&target, &bob("right"), &driver(), &known.keys)
        .await
        .unwrap();
    assert_eq!(
        session.weak(),
        [Weakness::Kex, Weakness::Cipher, Weakness::Mac]
    );
}

#[tokio::test]
async fn device_that_is_not_there_is_a_failed_connection() {
    let gone = device().start().await.unwrap();
    let (address, known_host) = (gone.address, gone.known_host.clone());
    drop(gone);
    let known = known(&known_host, OnUnknown::Refuse);
    let target = Target::new("127.0.0.1", address.port());
    testkit::eventually(Duration::from_secs(5), || async {
        let error = Session::open(&target, &bob("right"), &driver(), &known.keys)
            .await
            .unwrap_err();
        anyhow_if(error.reason() == "connect", &error)
    })
    .await
    .unwrap();
}

fn anyhow_if(right: bool, error: &Error) -> toolkit::anyhow::Result<()> {
    toolkit::anyhow::ensure!(right, "{error}");
    Ok(())
}

#[tokio::test]
async fn kept_session_is_told_from_one_that_answers_no_more() {
    let bound = Duration::from_secs(10);
    let quiet = device().start().await.unwrap();
    let mut session = open(&quiet).await.unwrap();
    assert!(session.is_alive(bound).await);
    assert_eq!(session.collect().await.unwrap().complete, Ok(()));
    assert!(session.is_alive(bound).await && session.is_alive(bound).await);
    assert_eq!(
        session.collect().await.unwrap().complete,
        Ok(()),
        "what was asked in between is in no answer"
    );
    let stalled = device().fault(Fault::Stall(100)).start().await.unwrap();
    let mut session = open(&stalled).await.unwrap();
    assert!(session.is_alive(bound).await);
    assert!(session.collect().await.is_err());
    assert!(!session.is_alive(Duration::from_millis(300)).await);
    let broken = device().fault(Fault::Reset(100)).start().await.unwrap();
    let mut session = open(&broken).await.unwrap();
    assert!(session.collect().await.is_err());
    assert!(!session.is_alive(bound).await);
}
