//! What users meet of the service, held to the files in `tests/golden`.

use testkit::Golden;

use crate::path;
use crate::service::Files;
use testkit::namespace::{self, ip};

fn golden() -> Golden {
    Golden::new(env!("CARGO_BIN_EXE_sotp-ping"), env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

fn golden_file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// A device behind routers, over a path that is cut, in both families; one by name, and one to which no route leads.
#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    let test = "golden::the_series_are_those_of_the_golden_file";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let _net = path::net();
    let devices = format!(
        "{}- {{name: named, address: localhost}}\n- {{name: nowhere, address: 198.18.77.1}}\n",
        path::DEVICES
    );
    let service = Files::new(&devices, path::PATHS).start(&namespace).await;
    service
        .until("the path", |samples| {
            samples.sum("ping_path_hops", &[]) >= 8.0
        })
        .await;
    ip("link set a0 down");
    let page = async || anyhow::Ok(service.page("/metrics").await);
    let needed = [
        "ping_path_last_change_timestamp_seconds{",
        "ping_path_hop_last_rtt_seconds{",
        "ping_path_mtu_bytes{",
        "ping_errors_total{",
        "ping_resolvable{",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}

/// What there is beyond the usual series: no dashboard and no alert may use it.
#[tokio::test]
async fn the_further_series_are_those_of_their_golden_file() {
    let test = "golden::the_further_series_are_those_of_their_golden_file";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let _net = path::net();
    // One to which no route leads has loss bursts.
    let devices = format!(
        "{}- {{name: nowhere, address: 198.18.77.1}}\n",
        path::DEVICES
    );
    let files = Files::new(&devices, "metrics: {series: full}\n");
    let service = files.start(&namespace).await;
    service
        .until("answers", |samples| {
            samples.sum("ping_responses_total", &[]) >= 4.0
        })
        .await;
    let usual = std::fs::read_to_string(golden_file("metrics.txt")).unwrap();
    let known: Vec<&str> = usual
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect();
    let page = async || {
        let page = service.page("/metrics").await;
        let further = page.lines().filter(|line| {
            let name = line
                .trim_start_matches("# HELP ")
                .trim_start_matches("# TYPE ");
            let name = name.split(['{', ' ']).next().unwrap_or_default();
            let is = |known: &&str| name.strip_prefix(*known).is_some_and(is_part);
            !known.iter().any(is)
        });
        anyhow::Ok(further.map(|line| format!("{line}\n")).collect::<String>())
    };
    let needed = ["ping_mos{", "ping_loss_burst_requests"];
    golden().metrics("full.txt", &needed, page).await.unwrap();
}

fn is_part(rest: &str) -> bool {
    ["", "_bucket", "_sum", "_count"].contains(&rest)
}
