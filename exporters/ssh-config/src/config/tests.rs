use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let dir = testkit::TempDir::new().unwrap();
    dir.write("password", "hunter2\n").unwrap();
    Config::parse(text, &dir.path().join("ssh-config.yaml")).map_err(|error| error.to_string())
}

fn inventory() -> inventory::Inventory {
    let text = "sites: [{name: ams}, {name: ber}]\ngroups: [{name: edge}]\ndevices:\n\
        - {name: r1, address: 198.18.0.1, site: ams, groups: [edge], ssh: {credentials: lab}}\n\
        - {name: r2, address: 198.18.0.2, site: ber, ssh: {credentials: lab}}\n\
        - {name: r3, address: 198.18.0.3, site: ams, ssh: {credentials: other}}\n";
    inventory::Inventory::parse(text, Path::new("inventory.yaml")).unwrap()
}

#[test]
fn default_is_good_and_names_nobody() {
    let config = Config::parse(DEFAULT, Path::new("ssh-config.yaml")).unwrap();
    assert!(
        config.credentials.is_empty() && config.access.is_none() && config.events_secret.is_none()
    );
    assert_eq!(config.on_unknown, OnUnknown::Refuse);
    assert!(!config.masked().contains("hunter2"));
}

#[test]
fn windows_are_those_of_their_zone_and_their_devices() {
    let config = parse(
        "windows: [{from: '22:00', to: '04:00', days: [sat], zone: Europe/Berlin, sites: [ams]}]",
    )
    .unwrap();
    let inventory = inventory();
    let open =
        |name: &str, at: &str| config.is_open(inventory.device(name).unwrap(), at.parse().unwrap());
    // Saturday, 5 December 2026; Berlin is an hour ahead.
    assert!(open("r1", "2026-12-05T21:00:00Z") && open("r1", "2026-12-06T02:59:00Z"));
    assert!(!open("r1", "2026-12-05T20:59:00Z") && !open("r1", "2026-12-06T03:00:00Z"));
    assert!(!open("r1", "2026-12-04T23:00:00Z") && !open("r1", "2026-12-05T01:00:00Z"));
    assert!(open("r2", "2026-12-04T12:00:00Z"), "no window names it");
    let error = parse("windows: [{from: '22', to: '04:00', sites: [ams]}]").unwrap_err();
    assert!(error.contains("windows[0].from"), "{error}");
    assert!(parse("windows: [{from: '22:00', to: '04:00'}]").is_err());
    let error = parse("push: {url: 'https://bob:pw@example.net/a.git'}").unwrap_err();
    assert!(
        error.contains("push.url") && !error.contains("pw@"),
        "{error}"
    );
    assert!(parse("push: {url: 'ssh://git@example.net/a.git'}").is_ok());
}

#[test]
fn credential_goes_to_the_devices_that_it_is_bound_to_and_no_other() {
    let config =
        parse("credentials: [{name: lab, user: sotp, password_file: password, sites: [ams]}]")
            .unwrap();
    let inventory = inventory();
    let of = |name: &str| {
        config
            .credential(inventory.device(name).unwrap())
            .map(|found| found.user.as_str())
    };
    assert_eq!(of("r1"), Some("sotp"));
    assert_eq!(of("r2"), None, "its site is another");
    assert_eq!(
        of("r3"),
        None,
        "the inventory names another credential for it"
    );
    let by_group =
        parse("credentials: [{name: lab, user: sotp, password_file: password, groups: [edge]}]")
            .unwrap();
    assert!(
        by_group
            .credential(inventory.device("r1").unwrap())
            .is_some()
    );
    assert!(
        by_group
            .credential(inventory.device("r2").unwrap())
            .is_none()
    );
}

#[test]
fn profile_is_the_one_of_the_first_entry_that_fits() {
    let config =
        parse("profiles: [{profile: ancient, devices: [r1]}, {profile: compat, sites: [ams]}]")
            .unwrap();
    let inventory = inventory();
    let of = |name: &str| config.profile(inventory.device(name).unwrap());
    assert_eq!(
        [of("r1"), of("r2"), of("r3")],
        [Profile::Ancient, Profile::Default, Profile::Compat]
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, expected) in [
        (
            "credentials: [{name: lab, user: sotp, password_file: password}]",
            "credentials[0].name: expected devices, sites or groups",
        ),
        (
            "credentials: [{name: lab, user: sotp, everywhere: true}]",
            "credentials[0].name: expected password_file, key_file or both",
        ),
        (
            "credentials: [{name: lab, user: sotp, everywhere: true, password_file: none}]",
            "credentials[0].password_file: ",
        ),
        (
            "credentials: [{name: lab, user: sotp, everywhere: true, key_file: password}]",
            "credentials[0].key_file: expected a private key",
        ),
        ("every: 1", "every: expected a duration"),
        (
            "every: 10ms",
            "every: 10ms is out of bounds, expected 1s to 744h",
        ),
        (
            "parallel: 0",
            "parallel: 0 is out of bounds, expected 1 to 1000",
        ),
        ("rules: nowhere", "rules: "),
        (
            "credentials: [{name: lab, user: sotp, everywhere: true, pasword_file: password}]",
            "pasword_file",
        ),
        ("colour: red", "unknown key"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"));
    }
}

/// `SOTP_UPDATE=1` writes it anew.
#[test]
fn the_reference_page_is_written_from_the_code() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
    let page = toolkit::reference::page::<crate::app::Service>(
        Some(&toolkit::config::Keys::of(&Raw::default())),
        &[("Series", &series)],
    );
    testkit::golden::hold(&package.join("../../docs/reference/ssh-config.md"), &page);
}
