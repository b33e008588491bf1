//! The page *Devices*: a device is added, seen, changed and deleted by a person.

use serde_json::json;
use testkit::chromium::Key;
use testkit::skip;

use super::screen::{Stack, seen};

/// The whole life of a device in one sitting. Over 5 s: a browser is started, and every page is looked at by axe.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_added_seen_changed_and_deleted() {
    let app = match seen() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    let screen = stack.browser(Some("editor")).await;
    let page = &screen.browser;

    screen.open("").await;
    page.says("2 devices").await.unwrap();
    assert!(page.url().await.unwrap().ends_with("/a/sotp-app/devices"));
    screen.is_sound(app, "devices").await;

    // What is missing is said before anybody is asked, what is wrong by the service, each at its field.
    page.press("Add device").await.unwrap();
    page.fill("name", "r7").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("This is needed.").await.unwrap();
    page.fill("address", "198.18.0.300").await.unwrap();
    page.fill("role", "edge router").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("Some values are not right").await.unwrap();
    let role = "//*[@id=\"role\"][@aria-invalid=\"true\"]";
    page.find(role).await.unwrap();
    screen.is_sound(app, "device-new-wrong").await;

    page.fill("address", "198.18.0.7").await.unwrap();
    page.fill("role", "edge").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("Add r7?").await.unwrap();
    page.says("198.18.0.7").await.unwrap();
    assert_eq!(stack.device("r7").await, None, "a look changes nothing");
    screen.is_sound(app, "device-new-plan").await;
    page.press("Save").await.unwrap();
    page.says("r7 was added.").await.unwrap();
    let wanted = json!({"name": "r7", "address": "198.18.0.7", "role": "edge"});
    assert_eq!(stack.device("r7").await, Some(wanted));

    // What was typed is there, and the history tells who did it.
    page.find("//*[@id=\"address\"][@value=\"198.18.0.7\"]")
        .await
        .unwrap();
    page.says("Add device r7").await.unwrap();
    screen.is_sound(app, "device").await;
    page.fill("platform", "frr").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("Change r7?").await.unwrap();
    page.press("Save").await.unwrap();
    page.says("r7 was changed.").await.unwrap();
    let wanted = json!({"name": "r7", "address": "198.18.0.7", "role": "edge", "platform": "frr"});
    assert_eq!(stack.device("r7").await, Some(wanted));
    page.says("Change device r7").await.unwrap();
    page.press("Show the change").await.unwrap();
    page.find("//section//td[normalize-space(.)=\"platform\"]")
        .await
        .unwrap();
    screen.is_sound(app, "device-history").await;

    screen.open("devices").await;
    page.says("3 devices").await.unwrap();
    page.fill("search", "r7").await.unwrap();
    page.says("1 device").await.unwrap();
    page.press("r7").await.unwrap();

    // Deleting takes the name, typed.
    page.press("Delete device").await.unwrap();
    page.says("Delete r7?").await.unwrap();
    page.fill("typed", "r").await.unwrap();
    let ready = "//*[@role=\"dialog\"]//button[normalize-space(.)=\"Delete\" and not(@disabled)]";
    assert!(page.all(ready).await.unwrap().is_empty());
    page.fill("typed", "r7").await.unwrap();
    screen.is_sound(app, "device-delete").await;
    page.press("Delete").await.unwrap();
    page.says("r7 was deleted.").await.unwrap();
    assert_eq!(stack.device("r7").await, None);
    screen.open("devices/r7").await;
    page.says("There is no device r7").await.unwrap();
    screen.is_sound(app, "device-gone").await;

    // One record for each intention, with the person's name.
    let done: Vec<String> = stack
        .audit("sotp-inventory")
        .iter()
        .filter(|line| line["event"] == "begun")
        .map(|line| format!("{} {}", line["verb"], line["display"]))
        .collect();
    let wanted = ["add", "change", "delete"].map(|verb| format!("\"device.{verb}\" \"editor\""));
    assert_eq!(done, wanted, "{:#?}", stack.audit("sotp-inventory"));
    let broken = page.console().await.unwrap();
    // The browser notes every answer of 4xx by itself; nothing else may stand there.
    let other: Vec<&String> = broken
        .iter()
        .filter(|line| !line.contains("the server responded with a status of 4"))
        .collect();
    assert!(other.is_empty(), "{other:#?}");
}

/// Work begins, goes on and ends; a list of another system is taken whole or not at all. Over 5 s: a browser is started, and every page is
/// looked at by axe.
#[tokio::test(flavor = "multi_thread")]
async fn work_is_planned_and_ended_and_a_list_is_taken() {
    let app = match seen() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    let screen = stack.browser(Some("editor")).await;
    let page = &screen.browser;

    screen.open("maintenance?device=r1").await;
    page.says("Nothing is planned.").await.unwrap();
    page.fill("reason", "new line card").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("Plan work on r1?").await.unwrap();
    assert!(stack.device("r1").await.unwrap()["maintenance"].is_null());
    screen.is_sound(app, "maintenance-plan").await;
    page.press("Save").await.unwrap();
    page.says("Work on r1 is planned.").await.unwrap();
    page.says("goes on").await.unwrap();
    screen.is_sound(app, "maintenance").await;
    let planned = stack.device("r1").await.unwrap();
    assert_eq!(planned["maintenance"][0]["reason"], "new line card");
    // In UTC and of the same form, so that the earlier one is the smaller text.
    let end = |device: &serde_json::Value| device["maintenance"][0]["end"].to_string();
    page.press("End now").await.unwrap();
    page.says("End the work on r1 now?").await.unwrap();
    page.press("Save").await.unwrap();
    page.says("The work on r1 has ended.").await.unwrap();
    let ended = stack.device("r1").await.unwrap();
    assert!(end(&ended) < end(&planned), "{ended}");

    screen.open("devices").await;
    page.press("Import a list").await.unwrap();
    let wrong = "name,address,site\nr8,198.18.0.8,brno\nr 9,198.18.0.9,brno\n";
    page.fill("list", wrong).await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("One line cannot be taken").await.unwrap();
    page.find("//td[normalize-space(.)=\"3\"]").await.unwrap();
    screen.is_sound(app, "import-wrong").await;
    page.fill("list", &wrong.replace("r 9", "r9"))
        .await
        .unwrap();
    page.press("Review the change").await.unwrap();
    page.says("Take the list?").await.unwrap();
    assert_eq!(stack.device("r8").await, None, "a look changes nothing");
    page.press("Save").await.unwrap();
    page.says("The list was taken.").await.unwrap();
    page.says("4 devices").await.unwrap();
    let taken = json!({"name": "r9", "address": "198.18.0.9", "site": "brno"});
    assert_eq!(stack.device("r9").await, Some(taken));
}

/// Somebody who has no mouse gets as far.
#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough() {
    let app = match seen() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    let screen = stack.browser(Some("editor")).await;
    let page = &screen.browser;
    screen.open("devices/new").await;
    page.find("//*[@id=\"name\"]").await.unwrap();
    page.run("document.getElementById('name').focus()", &[])
        .await
        .unwrap();
    page.keys("r8").await.unwrap();
    page.key(Key::Tab).await.unwrap();
    page.keys("198.18.0.8").await.unwrap();
    page.key(Key::Enter).await.unwrap();
    page.says("Add r8?").await.unwrap();
    // The focus is inside the dialog, and stays there.
    for _ in 0..12 {
        page.key(Key::Tab).await.unwrap();
        let inside = "return document.activeElement.closest('[role=dialog]') !== null \
                      || document.activeElement.hasAttribute('data-focus-scope-start') || document.activeElement === document.body";
        assert_eq!(page.run(inside, &[]).await.unwrap(), json!(true));
    }
    page.key(Key::Escape).await.unwrap();
    page.gone("//*[@role=\"dialog\"]").await.unwrap();
    assert_eq!(stack.device("r8").await, None, "escape saves nothing");
    page.run("document.getElementById('address').focus()", &[])
        .await
        .unwrap();
    page.key(Key::Enter).await.unwrap();
    page.says("Add r8?").await.unwrap();
    // From one to the next until the button that saves.
    for _ in 0..12 {
        let name = page
            .run("return document.activeElement.textContent", &[])
            .await
            .unwrap();
        if name == "Save" {
            break;
        }
        page.key(Key::Tab).await.unwrap();
    }
    page.key(Key::Enter).await.unwrap();
    page.says("r8 was added.").await.unwrap();
    assert!(stack.device("r8").await.is_some());
}

/// What a service, or Grafana, refuses is told in words, and what was typed is kept.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let app = match seen() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, false).await;
    let screen = stack.browser(Some("editor")).await;
    let page = &screen.browser;

    // 409: the name is taken.
    screen.open("devices/new").await;
    page.fill("name", "r1").await.unwrap();
    page.fill("address", "198.18.0.9").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("It is in conflict with what is there.")
        .await
        .unwrap();
    page.says("a device called r1 is there already")
        .await
        .unwrap();
    screen.is_sound(app, "refused-409").await;

    // 412: somebody was faster, between the look at the change and its confirmation.
    screen.open("devices/r1").await;
    page.fill("role", "core").await.unwrap();
    page.press("Review the change").await.unwrap();
    page.says("Change r1?").await.unwrap();
    assert_eq!(
        stack
            .patch("admin", "r1", "{\"platform\": \"linux\"}")
            .await,
        200
    );
    page.press("Save").await.unwrap();
    page.says("Somebody was faster").await.unwrap();
    screen.is_sound(app, "refused-412").await;
    page.press("Load the newest state").await.unwrap();
    page.find("//*[@id=\"platform\"][@value=\"linux\"]")
        .await
        .unwrap();
    assert_eq!(
        stack.device("r1").await.unwrap()["role"],
        serde_json::Value::Null
    );

    // 403: the role was taken away while the page was open.
    page.fill("role", "core").await.unwrap();
    stack
        .grafana
        .set_role("editor", testkit::grafana::Basic::Viewer);
    page.press("Review the change").await.unwrap();
    page.says("You may not do this.").await.unwrap();
    screen.is_sound(app, "refused-403").await;
    page.find("//*[@id=\"role\"][@value=\"core\"]")
        .await
        .unwrap();

    // 401: the session ended. Nothing is sent again by itself.
    stack.grafana.end_sessions();
    page.press("Review the change").await.unwrap();
    page.says("Your session in Grafana has ended.")
        .await
        .unwrap();
    page.find("//*[@id=\"role\"][@value=\"core\"]")
        .await
        .unwrap();
}

/// Who may only look is not offered what would be refused.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_sees_no_buttons() {
    let app = match seen() {
        Ok(app) => app,
        Err(reason) => return skip(reason),
    };
    let stack = Stack::start(app, true).await;
    for login in [Some("viewer"), None] {
        let screen = stack.browser(login).await;
        let page = &screen.browser;
        screen.open("devices").await;
        page.says("2 devices").await.unwrap();
        assert!(
            page.all("//*[normalize-space(.)=\"Add device\"]")
                .await
                .unwrap()
                .is_empty()
        );
        screen.open("devices/r1").await;
        page.says("You may look here.").await.unwrap();
        page.find("//*[@id=\"address\"][@value=\"198.18.0.1\"]")
            .await
            .unwrap();
        for button in ["Review the change", "Delete device", "Bring this back"] {
            let xpath = format!("//button[normalize-space(.)=\"{button}\"]");
            assert!(page.all(&xpath).await.unwrap().is_empty(), "{button}");
        }
        if login.is_some() {
            screen.is_sound(app, "device-viewer").await;
        }
        screen.open("devices/new").await;
        page.says("You may look here.").await.unwrap();
    }
    // Somebody without a role sees no page at all: Grafana leads home.
    let screen = stack.browser(Some("none")).await;
    screen.open("devices").await;
    assert_eq!(screen.browser.url().await.unwrap(), stack.grafana.url());
}
