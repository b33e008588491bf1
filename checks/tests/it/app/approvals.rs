//! The page *Approvals*: a repair of a real router waits for a person, who lets it run or does not.

use super::acting::{Acting, possible};

/// Whether a button is there to be pressed.
const APPROVE: &str = "//button[normalize-space(.)=\"Approve\"]";

/// From the plan to the proof, and a plan that is refused. Over 5 s: two browsers and a router are started.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_runs_when_an_administrator_says_so_and_not_otherwise() {
    let Some(app) = possible() else { return };
    let acting = Acting::start(app).await;
    let (stack, router) = (&acting.stack, &acting.router);
    let screen = stack.browser(Some("admin")).await;
    let page = &screen.browser;
    screen.open("approvals").await;
    page.says("Nothing waits for you").await.unwrap();
    screen.is_sound(app, "approvals-none").await;

    router.person("eth1", "shutdown").unwrap();
    acting.shut("eth1").await;
    // The page looks by itself.
    page.says("no shutdown").await.unwrap();
    page.find("//section[@aria-label=\"port-up · r1 eth1\"]")
        .await
        .unwrap();
    screen.is_sound(app, "approvals-waiting").await;

    // Who may not decide sees the plan and no button.
    let editor = stack.browser(Some("editor")).await;
    editor.open("approvals").await;
    editor.browser.says("no shutdown").await.unwrap();
    editor.browser.says("You may look here.").await.unwrap();
    assert!(editor.browser.all(APPROVE).await.unwrap().is_empty());
    editor.is_sound(app, "approvals-editor").await;

    assert!(
        !router.is_up("eth1").unwrap(),
        "nothing is typed before somebody says so"
    );
    page.press("Approve").await.unwrap();
    page.says("Run port-up · r1 eth1?").await.unwrap();
    screen.is_sound(app, "approvals-approve").await;
    let button = page
        .find(&format!("//*[@role=\"dialog\"]{APPROVE}"))
        .await
        .unwrap();
    page.click(&button).await.unwrap();
    page.says("Approved: it runs now.").await.unwrap();
    page.says("Nothing waits for you").await.unwrap();
    let of_eth1 = |job: &serde_json::Value| {
        job["port"] == "eth1"
            && job["state"] == "succeeded"
            && job["approver"]["display"] == "admin"
    };
    acting
        .until(&stack.remediator, "viewer", "/api/v1/jobs", |told| {
            told["jobs"]
                .as_array()
                .is_some_and(|jobs| jobs.iter().any(of_eth1))
        })
        .await;
    assert!(router.is_up("eth1").unwrap());
    // The list of what was says how it ended, without a reload.
    page.find("//tr[contains(., \"port-up · r1 eth1\") and contains(., \"helped\") and contains(., \"admin\")]")
        .await
        .unwrap();
    screen.is_sound(app, "approvals-done").await;

    // Refused, with the reason.
    router.person("eth2", "shutdown").unwrap();
    acting.shut("eth2").await;
    page.find("//section[@aria-label=\"port-up · r1 eth2\"]")
        .await
        .unwrap();
    page.press("Refuse").await.unwrap();
    page.fill("reason", "the cable is being replaced")
        .await
        .unwrap();
    screen.is_sound(app, "approvals-refuse").await;
    let refuse = "//*[@role=\"dialog\"]//button[normalize-space(.)=\"Refuse\"]";
    let refuse = page.find(refuse).await.unwrap();
    page.click(&refuse).await.unwrap();
    page.says("Refused: nothing is run.").await.unwrap();
    page.says("admin rejected it: the cable is being replaced")
        .await
        .unwrap();
    assert!(!router.is_up("eth2").unwrap());
}

/// Of two who decide at once the second is told so.
#[tokio::test(flavor = "multi_thread")]
async fn who_decides_second_is_told_that_somebody_was_faster() {
    let Some(app) = possible() else { return };
    let acting = Acting::start(app).await;
    let (stack, router) = (&acting.stack, &acting.router);
    let screen = stack.browser(Some("admin")).await;
    let page = &screen.browser;
    router.person("eth1", "shutdown").unwrap();
    acting.shut("eth1").await;
    screen.open("approvals").await;
    page.press("Approve").await.unwrap();
    page.says("Run port-up · r1 eth1?").await.unwrap();
    let other = stack.browser(Some("admin")).await;
    other.open("approvals").await;
    other.browser.press("Refuse").await.unwrap();
    let refuse = "//*[@role=\"dialog\"]//button[normalize-space(.)=\"Refuse\"]";
    let refuse = other.browser.find(refuse).await.unwrap();
    other.browser.click(&refuse).await.unwrap();
    other
        .browser
        .says("Refused: nothing is run.")
        .await
        .unwrap();

    let approve = page
        .find(&format!("//*[@role=\"dialog\"]{APPROVE}"))
        .await
        .unwrap();
    page.click(&approve).await.unwrap();
    page.says("It is in conflict with what is there.")
        .await
        .unwrap();
    page.says("Nothing was changed.").await.unwrap();
    screen.is_sound(app, "approvals-second").await;
    page.press("Try again").await.unwrap();
    page.says("Nothing waits for you").await.unwrap();
    assert!(!router.is_up("eth1").unwrap());
}
