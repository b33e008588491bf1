//! The page *Console*: a command that only reads, run on a real router as the person who is signed in.

use serde_json::json;
use testkit::Signal;
use testkit::chromium::Key;
use testkit::eventually;

use super::acting::{Acting, possible};

/// The checkbox or radio button of a name, hidden under the drawing that is pressed.
fn choice(label: &str) -> String {
    format!("//label[starts-with(normalize-space(.), \"{label}\")]")
}

/// The whole way of a command. Over 5 s: a browser and a router are started, and each page is looked at by axe.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_as_the_person_and_answered_by_the_router() {
    let Some(app) = possible() else { return };
    let acting = Acting::start(app).await;
    let stack = &acting.stack;
    let screen = stack.browser(Some("editor")).await;
    let page = &screen.browser;

    // What lacks is said before anybody is asked.
    screen.open("console").await;
    page.says("Nothing was run yet.").await.unwrap();
    page.press("Run").await.unwrap();
    page.says("Choose at least one device.").await.unwrap();
    page.says("Choose a command.").await.unwrap();
    screen.is_sound(app, "console-wrong").await;

    // A value that would be a second command is refused by the service; the router hears nothing.
    screen.open("console?device=r1").await;
    let command = page.find(&choice("show interface {ifname}")).await.unwrap();
    page.click(&command).await.unwrap();
    page.fill("ifname", "eth1|more").await.unwrap();
    page.press("Run").await.unwrap();
    page.says("Some values are not right.").await.unwrap();
    page.says("parameters.ifname").await.unwrap();
    page.says("Nothing was changed.").await.unwrap();
    screen.is_sound(app, "console-refused").await;

    // Two devices that answer the same, and one that does not answer.
    for device in ["r2", "r3"] {
        let device = page.find(&choice(device)).await.unwrap();
        page.click(&device).await.unwrap();
    }
    let command = page.find(&choice("show version")).await.unwrap();
    page.click(&command).await.unwrap();
    page.press("Run").await.unwrap();
    page.says("2 devices answered the same: r1, r2")
        .await
        .unwrap();
    page.says("FRRouting").await.unwrap();
    page.says("r3: no answer").await.unwrap();
    page.says("· editor").await.unwrap();
    screen.is_sound(app, "console-answers").await;
    assert!(page.url().await.unwrap().contains("console?run="));

    // Recorded before it was sent, with the name; what was refused left a record too.
    let lines = stack.audit("sotp-remediator");
    let begun: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "begun")
        .collect();
    assert_eq!(begun.len(), 1, "{lines:#?}");
    assert_eq!(
        (&begun[0]["verb"], &begun[0]["display"]),
        (&json!("command.run"), &json!("editor"))
    );

    one_trace(&acting, begun[0]["trace_id"].as_str().unwrap(), page).await;

    // Who may only look reads it, and is offered nothing.
    let viewer = stack.browser(Some("viewer")).await;
    viewer.open("console").await;
    viewer.browser.press("Show answers").await.unwrap();
    viewer
        .browser
        .says("2 devices answered the same: r1, r2")
        .await
        .unwrap();
    viewer
        .browser
        .says("You may read answers here.")
        .await
        .unwrap();
    assert!(viewer.browser.all("//form").await.unwrap().is_empty());
    viewer.is_sound(app, "console-viewer").await;
}

/// From the click to the router, each a part of the one before; the page and the log name the same trace.
async fn one_trace(acting: &Acting, trace: &str, page: &testkit::chromium::Browser) {
    page.says(&format!("Trace {trace}")).await.unwrap();
    let traces = &acting.stack.traces;
    let wanted = [
        "POST /api/v1/commands",
        "console: show version",
        "show version on r1",
        "ssh command",
    ];
    let all = eventually(std::time::Duration::from_secs(15), || async {
        let all = traces.trace(trace);
        for name in wanted {
            anyhow::ensure!(
                all.iter().any(|span| span.name == name),
                "no {name}: {all:#?}"
            );
        }
        Ok(all)
    })
    .await
    .unwrap();
    // The first of them is a part of what the browser began, which sends no spans of its own.
    let first = all.iter().find(|span| span.name == wanted[0]).unwrap();
    assert!(
        !first.parent.is_empty() && all.iter().all(|span| span.span_id != first.parent),
        "{all:#?}"
    );
    let mut parent = &first.span_id;
    for name in &wanted[1..] {
        let own = all
            .iter()
            .find(|span| span.name == *name && span.parent == *parent);
        parent = &own
            .unwrap_or_else(|| panic!("{name} below {parent}: {all:#?}"))
            .span_id;
    }
    assert_eq!(traces.refused(), [""; 0]);
    let log = acting.stack.remediator.log();
    assert!(
        log.lines()
            .any(|line| line.contains("console command was run") && line.contains(trace)),
        "{log}"
    );
}

/// Somebody who has no mouse gets as far; and a service that is gone is told of in words, with the way on.
#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_runs_a_command_and_a_service_that_is_gone_is_said_to_be() {
    let Some(app) = possible() else { return };
    let mut acting = Acting::start(app).await;
    let screen = acting.stack.browser(Some("editor")).await;
    let page = &screen.browser;
    screen.open("console").await;
    page.says("Nothing was run yet.").await.unwrap();
    page.find("//form//input[@type=\"checkbox\"]")
        .await
        .unwrap();
    page.run(
        "document.querySelector('form input[type=checkbox]').focus()",
        &[],
    )
    .await
    .unwrap();
    page.key(Key::Space).await.unwrap();
    // Past r2 and r3 to the list of commands, whose first is chosen.
    for _ in 0..3 {
        page.key(Key::Tab).await.unwrap();
    }
    page.key(Key::Space).await.unwrap();
    page.key(Key::Enter).await.unwrap();
    page.says("FRRouting").await.unwrap();

    acting.stack.remediator.signal(Signal::SIGKILL).unwrap();
    acting
        .stack
        .remediator
        .wait(std::time::Duration::from_secs(5))
        .await
        .unwrap();
    page.press("Run").await.unwrap();
    page.says("The service cannot be reached.").await.unwrap();
    page.says("It is not known whether it was done.")
        .await
        .unwrap();
    screen.is_sound(app, "console-gone").await;
    screen.open("console").await;
    page.says("This cannot be shown").await.unwrap();
    page.says("The service cannot be reached.").await.unwrap();
}
