//! The page *Configuration*: what lies between two versions of a real router's configuration, and who made it.

use testkit::chromium::Key;

use super::acting::{Acting, possible};

/// Over 5 s: a browser and a router are started, and each page is looked at by axe.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_typed_on_the_router_is_a_version_with_its_difference_and_its_author() {
    let Some(app) = possible() else { return };
    let acting = Acting::start(app).await;
    let (stack, router) = (&acting.stack, &acting.router);
    let versions = async |count: usize| {
        let path = "/api/v1/devices/r1/versions";
        let enough =
            |told: &serde_json::Value| told["versions"].as_array().map_or(0, Vec::len) == count;
        acting.until(&stack.archive, "viewer", path, enough).await;
    };
    versions(1).await;
    for (count, line) in [(2, "description to the other site"), (3, "bandwidth 100")] {
        router.person("eth1", line).unwrap();
        acting.changed("alice").await;
        versions(count).await;
    }

    let screen = stack.browser(Some("viewer")).await;
    let page = &screen.browser;
    screen.open("configuration").await;
    // By keyboard: the list opens, and the first device is taken.
    page.find("//*[@id=\"device\"]").await.unwrap();
    page.run("document.getElementById('device').focus()", &[])
        .await
        .unwrap();
    page.keys("r1").await.unwrap();
    page.find("//*[@role=\"option\"]").await.unwrap();
    page.gone("(//*[@role=\"option\"])[2]").await.unwrap();
    page.key(Key::Down).await.unwrap();
    page.key(Key::Enter).await.unwrap();
    page.says("Lines: 1 added, 0 removed").await.unwrap();
    assert!(
        page.url()
            .await
            .unwrap()
            .ends_with("/configuration?device=r1")
    );
    page.says("+ bandwidth 100").await.unwrap();
    assert_eq!(
        page.all("//tr[contains(., \"alice\")]")
            .await
            .unwrap()
            .len(),
        2
    );
    screen.is_sound(app, "configuration").await;

    // Another older one: everything since.
    let oldest = page
        .find("(//input[@type=\"radio\" and @name=\"Older\"])[3]")
        .await
        .unwrap();
    page.click(&oldest).await.unwrap();
    page.says("+ description to the other site").await.unwrap();
    screen.is_sound(app, "configuration-older").await;

    // A device that is not collected says why; one without an account has no version.
    screen.open("configuration?device=r2").await;
    page.says("No configuration was collected yet")
        .await
        .unwrap();
    screen.is_sound(app, "configuration-none").await;

    // Who is not signed in is told so by the service.
    let nobody = stack.browser(None).await;
    nobody.open("configuration?device=r1").await;
    nobody.browser.says("This cannot be shown").await.unwrap();
    nobody.browser.says("You may not do this.").await.unwrap();
    nobody.is_sound(app, "configuration-nobody").await;
}
