//! What users meet of the service, held to the files in `tests/golden`.

use testkit::Golden;

use crate::world::{BINARY, start};

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

/// Writes months of history first, which takes its seconds.
#[tokio::test]
async fn the_series_are_those_of_the_golden_file() {
    let world = start("").await;
    let page = async || Ok(world.forecast.get("/metrics").await?.1);
    let needed = [
        "forecast_bits_per_second{device=\"r1\"",
        "forecast_round_trip_seconds{device=\"r1\"",
        "forecast_cpu_ratio{device=\"r1\"",
        "forecast_memory_used_ratio{device=\"r1\"",
        "forecast_saturation_days{",
        "forecast_outlier{",
        "forecast_anomaly_score{device=\"r1\",direction=\"in\"",
        "forecast_anomaly_score{device=\"r1\",role",
        "forecast_anomaly_score{device=\"r1\",pool",
        "forecast_anomaly_score{device=\"r1\",family=\"ipv4\"",
        "forecast_last_fit_timestamp_seconds{forecast=\"round_trip_seconds\"}",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}
