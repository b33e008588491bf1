//! Changes that a device takes back by itself unless they are confirmed.

use std::sync::Arc;

use ssh::{Driver, Drivers, HostKeys, Login, OnUnknown, Replay, Session, Target, Timer};
use testkit::TempDir;
use testkit::ssh::{Device, Running};
use toolkit::Secret;

/// A driver whose devices know a timer as the ones of the farm can have it.
fn driver(timer: &str) -> Arc<Driver> {
    let ios = include_str!("../../drivers/ios.yaml");
    let (before, rest) = ios.split_once("  # Only a device").unwrap();
    let (_, after) = rest.split_once("normalise:").unwrap();
    let text = format!("{before}  timer: {timer}\nnormalise:{after}")
        .replace("quiet_seconds: 60", "quiet_seconds: 2");
    Arc::new(Driver::parse(&text, "test.yaml".as_ref()).unwrap())
}

struct Place {
    device: Running,
    session: Session,
    _dir: TempDir,
}

async fn open(device: Device, driver: &Arc<Driver>) -> Place {
    let device = device
        .answer("terminal width 511", "")
        .start()
        .await
        .unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.write("known_hosts", &device.known_host).unwrap();
    let keys = Arc::new(HostKeys::new(path, OnUnknown::Refuse));
    let target = Target::new("127.0.0.1", device.address.port());
    let login = Login::new("bob").password(Secret::new("right"));
    let login = login.privilege(Secret::new("yes"));
    let session = Session::open(&target, &login, driver, &keys).await.unwrap();
    Place {
        device,
        session,
        _dir: dir,
    }
}

fn device() -> Device {
    Device::new("r1", "bob", "right")
}

impl Place {
    /// What was typed since the login, without empty lines.
    fn typed(&self) -> Vec<String> {
        let typed = self.device.typed().into_iter();
        let typed = typed.skip_while(|line| line != "terminal width 511");
        typed.skip(1).filter(|line| !line.is_empty()).collect()
    }
}

#[tokio::test]
async fn change_with_a_timer_is_armed_and_kept_only_when_it_is_confirmed() {
    let driver = driver(
        "{enter: [configure terminal], arm: ['commit confirmed {minutes}'], confirm: [configure terminal, commit, end], \
         revert: [configure terminal, 'rollback {name}', end]}",
    );
    let mut place = open(device(), &driver).await;
    let timer = Timer::new(3, "job7");
    let lines = ["interface eth0", "no shutdown"];
    let typed = place.session.configure_until(&lines, &timer).await.unwrap();
    assert_eq!(typed.unwrap().len(), 2);
    let armed = [
        "configure terminal",
        "interface eth0",
        "no shutdown",
        "commit confirmed 3",
        "end",
    ];
    assert_eq!(place.typed(), armed);
    let kept = place.session.confirm(&timer).await.unwrap();
    assert_eq!(kept.refused, None);
    assert_eq!(place.typed()[5..], ["configure terminal", "commit", "end"]);
    assert!(place.session.revert(&timer).await.unwrap().is_some());
    assert_eq!(
        place.typed()[8..],
        ["configure terminal", "rollback job7", "end"]
    );

    // A line that is refused ends it before it is armed.
    let typed = place
        .session
        .configure_until(&["wrong", "no shutdown"], &timer)
        .await;
    let typed = typed.unwrap().unwrap();
    assert!(typed[0].refused.is_some() && typed.len() == 1);
    assert_eq!(place.typed()[11..], ["configure terminal", "wrong", "end"]);
}

#[tokio::test]
async fn device_without_a_timer_is_told_and_nothing_is_typed() {
    // The real driver, and a device that has no archive: it does not enter the mode.
    let driver = Drivers::built_in().get("ios").unwrap();
    let mut place = open(device(), &driver).await;
    let lines = ["interface eth0", "no shutdown"];
    let timer = Timer::new(3, "job7");
    let typed = place.session.configure_until(&lines, &timer).await.unwrap();
    assert!(typed.is_none());
    assert_eq!(place.typed(), ["configure terminal revert timer 3"]);
    // Words that no pattern knows, and still no mode.
    place.device.answer(
        "configure terminal revert timer 3",
        "The archive is somewhere else\n",
    );
    let typed = place.session.configure_until(&lines, &timer).await.unwrap();
    assert!(typed.is_none());
    assert_eq!(place.typed().len(), 2);
    // The same session goes on.
    assert_eq!(place.session.configure(&lines).await.unwrap().len(), 2);

    let frr = Drivers::built_in().get("frr").unwrap();
    assert_eq!(frr.timer_lines(&timer), None);
    let mut place = open(device(), &frr).await;
    let error = place.session.configure_until(&lines, &timer).await;
    assert_eq!(error.unwrap_err().reason(), "unsupported");
}

#[tokio::test]
async fn question_before_the_timer_is_answered_once() {
    // The farm's devices ask at `enable` only, for a word that they do not echo.
    let driver = driver(
        "{enter: [configure terminal], arm: [enable], ask: '^Password: ?$', say: 'yes', confirm: [configure terminal, commit, end]}",
    );
    let mut place = open(device().enable("yes"), &driver).await;
    let timer = Timer::new(3, "job7");
    let typed = place.session.configure_until(&["interface eth0"], &timer);
    assert_eq!(typed.await.unwrap().unwrap().len(), 1);
    assert!(
        place
            .session
            .confirm(&timer)
            .await
            .unwrap()
            .refused
            .is_none()
    );
    // What is asked elsewhere is not answered: a line of the change cannot make us say yes.
    let driver = self::driver(
        "{enter: [configure terminal], arm: [commit], ask: '^Password: ?$', say: 'yes', confirm: [commit]}",
    );
    let mut place = open(device().enable("yes"), &driver).await;
    let typed = place.session.configure_until(&["enable"], &timer).await;
    assert!(typed.is_err(), "{typed:?}");
}

#[test]
fn platforms_say_it_in_their_own_words() {
    let timer = Timer::new(4, "01J");
    for (platform, enter, arm, confirm) in [
        (
            "junos",
            "configure exclusive",
            "commit confirmed 4",
            "configure exclusive; commit; exit",
        ),
        (
            "iosxr",
            "configure terminal",
            "commit confirmed 240",
            "configure terminal; commit; end",
        ),
        (
            "vyos",
            "configure",
            "commit-confirm 4",
            "configure; confirm; exit",
        ),
        (
            "eos",
            "configure session 01J",
            "commit timer 00:04:00",
            "configure session 01J commit",
        ),
        (
            "ios",
            "configure terminal revert timer 4",
            "",
            "configure confirm",
        ),
    ] {
        let driver = Drivers::built_in().get(platform).unwrap();
        let lines = driver.timer_lines(&timer).unwrap();
        let lines = lines.map(|lines| lines.join("; "));
        assert_eq!(lines, [enter, arm, confirm], "{platform}");
    }
}

/// While a commit waits for its confirmation Junos says so in front of every prompt, in both modes.
#[test]
fn prompt_of_junos_with_a_commit_that_waits_is_still_one() {
    let driver = Drivers::built_in().get("junos").unwrap();
    for prompt in [
        "\r\n# commit confirmed will be rolled back in 2 minutes\r\nadmin@r1> ",
        "\r\n{master:0}[edit]\r\nadmin@r1> ",
        "\r\n[edit interfaces ge-0/0/1]\r\nadmin@r1> ",
    ] {
        let prompt = prompt.replace("{master:0}[edit]", "{master:0}\r\n[edit]");
        let replay = Replay::new(&driver, prompt.as_bytes()).unwrap();
        let said = format!("show version\r\nHostname: r1\r\nModel: mx5\r\n{prompt}");
        let (lines, _) = replay.answer("show version", &[said.as_bytes()]).unwrap();
        assert_eq!(lines, ["Hostname: r1", "Model: mx5"], "{prompt:?}");
    }
}
