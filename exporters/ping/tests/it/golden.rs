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
