//! Paths over the routers of a real lab: hops as the topology has them, and the detour when a link is cut, as series, as a line of the log
//! and as marks of the dashboard.

use std::time::{Duration, Instant};

use sotp_checks::root;
use sotp_checks::variables::Values;
use testkit::Lab;
use testkit::services::program;

const CONFIG: &str = "probe: {interval: 200ms, timeout: 500ms}\n\
                      path: {enabled: true, interval: 2s, timeout: 500ms, max_hops: 10, rate: 200}\n";

const SCRAPE: &str = "global: {scrape_interval: 1s}\n\
                      scrape_configs: [{job_name: ping, static_configs: [{targets: ['127.0.0.1:19427']}]}]\n";

/// What is seen of paths in a lab.
struct Seen<'a>(&'a Lab);

impl Seen<'_> {
    /// The lines about changes of the path to `h2` so far.
    fn events(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.0.folder.join("service.log")).unwrap();
        let about = |line: &&str| line.contains("path changed") && line.contains("device=h2");
        log.lines().filter(about).map(str::to_owned).collect()
    }

    /// The marks that the dashboard of a device draws now: identity of the path, and when it was taken, in milliseconds since 1970.
    fn marks(&self) -> Vec<(String, f64)> {
        let query = format!("query={}", mark_query());
        let url = "http://127.0.0.1:19090/api/v1/query";
        let ask = ["curl", "-sG", "--data-urlencode", &query, url];
        let output = self.0.inside("box", &ask).output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let series = answer["data"]["result"].as_array().cloned();
        let mark = |one: &serde_json::Value| {
            let id = one["metric"]["path_id"].as_str()?.to_owned();
            Some((id, one["value"][1].as_str()?.parse().ok()?))
        };
        series.unwrap_or_default().iter().filter_map(mark).collect()
    }

    /// Waits until the dashboard marks that this path was taken, since this moment.
    fn until_marked(&self, id: &str, since: f64) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let marks = self.marks();
            if marks.iter().any(|(path, at)| path == id && *at >= since) {
                return;
            }
            assert!(Instant::now() < end, "{id} since {since}: {marks:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// The series of paths, once `what` holds of them.
    fn until(&self, name: &str, what: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let ask = ["curl", "-s", "http://127.0.0.1:19427/metrics"];
            let output = self.0.inside("box", &ask).output().unwrap();
            let page = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<&str> = page
                .lines()
                .filter(|line| line.starts_with("ping_path_"))
                .collect();
            let paths = lines.join("\n");
            if what(&paths) {
                return paths;
            }
            assert!(Instant::now() < end, "{name}:\n{paths}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The query of the marks where paths change, as the dashboard asks it for `h2`.
fn mark_query() -> String {
    let text = std::fs::read_to_string(root().join("dashboards/network/smoke.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let all = board["annotations"]["list"].as_array().unwrap();
    let changes = all
        .iter()
        .find(|one| one["name"] == "Path changes")
        .unwrap();
    assert_eq!(changes["useValueForTime"], true, "the value is the moment");
    let mut values = Values::builtin(300, 1, 1);
    values.set("device", "h2");
    values
        .fill(changes["target"]["expr"].as_str().unwrap())
        .unwrap()
}

/// Milliseconds since 1970, cut to the second as the series is.
fn now_millis() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs() as f64 * 1e3
}

/// The value of a series of the path to `h2`.
fn value(page: &str, name: &str) -> Option<f64> {
    let start = format!("{name}{{device=\"h2\"");
    let line = page.lines().find(|line| line.starts_with(&start))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

fn identity(page: &str) -> Option<&str> {
    let line = page
        .lines()
        .find(|line| line.starts_with("ping_path_info{device=\"h2\""))?;
    line.split("path_id=\"").nth(1)?.split('"').next()
}

/// The scenario, in a lab of the triangle that is calm.
pub(crate) fn a_cut_link_of_the_triangle_is_another_path(lab: &mut Lab) {
    let inventory = lab.run(&["inventory"]).stdout;
    lab.folder
        .write("inventory.yaml", String::from_utf8(inventory).unwrap())
        .unwrap();
    lab.folder.write("ping.yaml", CONFIG).unwrap();
    let folder = lab.folder.path().to_owned();
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    let program = program("sotp-ping").display().to_string();
    let (inventory, config) = (
        file("inventory.source", "inventory.yaml"),
        file("config.file", "ping.yaml"),
    );
    lab.start(
        "service.log",
        &[
            &program,
            "--web.listen-address=127.0.0.1:19427",
            &inventory,
            &config,
        ],
    );
    let marks = sotp_checks::tools::on_path("prometheus");
    if marks {
        lab.folder.write("prometheus.yml", SCRAPE).unwrap();
        let data = file("storage.tsdb.path", "data");
        let scrape = file("config.file", "prometheus.yml");
        let listen = "--web.listen-address=127.0.0.1:19090";
        lab.start("prometheus.log", &["prometheus", &scrape, &data, listen]);
    } else {
        testkit::skip("no Prometheus: the marks of the dashboard are not looked at");
    }

    // The box, r1, r3, h2: the target is the third.
    let seen = Seen(lab);
    let whole = seen.until("the short way", |page| {
        value(page, "ping_path_hops") == Some(3.0)
            && value(page, "ping_path_traces_total") >= Some(2.0)
            && value(page, "ping_path_mtu_bytes").is_some()
    });
    assert_eq!(value(&whole, "ping_path_mtu_bytes"), Some(1500.0));
    let began = now_millis();
    lab.run(&["break", "r1-r3"]);
    let cut = seen.until("the way over r2", |page| {
        value(page, "ping_path_hops") == Some(4.0)
    });
    assert!(
        identity(&cut).is_some() && identity(&cut) != identity(&whole),
        "{cut}"
    );
    let before = value(&cut, "ping_path_changes_total").unwrap();
    assert!(before >= 1.0, "{cut}");
    let detour = identity(&cut).unwrap();
    if marks {
        seen.until_marked(detour, began);
    }
    let events = seen.events();
    assert!(
        events
            .iter()
            .any(|line| line.contains(&format!("path_id={detour} hops=4"))),
        "{events:?}"
    );
    let began = now_millis();
    lab.run(&["heal", "r1-r3"]);
    let healed = seen.until("the short way again", |page| {
        identity(page) == identity(&whole)
    });
    assert!(
        value(&healed, "ping_path_changes_total") > Some(before),
        "{healed}"
    );
    let whole = identity(&whole).unwrap();
    if marks {
        seen.until_marked(whole, began);
    }
    let events = seen.events();
    assert!(
        events
            .iter()
            .any(|line| line.contains(&format!("path_id={whole} hops=3"))),
        "{events:?}"
    );
}
