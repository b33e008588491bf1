//! A Prometheus with a history, and the program beside it.

use std::fmt::Write as _;
use std::process::{Command, Output, Stdio};

use testkit::{Server, TempDir};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sotp-reporter");

/// Series to be, each with its samples: seconds since the epoch and value. Those of one name stand together.
#[derive(Default)]
pub(crate) struct Past(Vec<(String, String, Samples)>);

/// Seconds since the epoch and value.
type Samples = Vec<(i64, i64)>;

impl Past {
    /// Adds the series `name{labels}`.
    pub(crate) fn with(
        mut self,
        name: &str,
        labels: &str,
        samples: impl IntoIterator<Item = (i64, i64)>,
    ) -> Self {
        let samples: Samples = samples.into_iter().collect();
        self.0.push((name.to_owned(), labels.to_owned(), samples));
        self
    }

    /// Makes blocks of it, as a user would, and starts Prometheus over them.
    pub(crate) async fn start(mut self, dir: &TempDir) -> Server {
        self.0.sort();
        let mut text = String::new();
        let mut last = "";
        for (name, labels, samples) in &self.0 {
            if name != last {
                let _ = writeln!(text, "# TYPE {name} gauge");
                last = name;
            }
            for (at, value) in samples {
                let _ = writeln!(text, "{name}{{{labels}}} {value} {at}");
            }
        }
        text.push_str("# EOF\n");
        let file = dir.write("past.om", text).unwrap();
        blocks(dir, &file).await
    }
}

/// Makes blocks of a file in the form of OpenMetrics and starts Prometheus over them.
pub(crate) async fn blocks(dir: &TempDir, file: &std::path::Path) -> Server {
    let data = dir.join("past");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
        .arg("--max-block-duration=744h")
        .arg(file)
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .expect("promtool is installed (Debian package prometheus)");
    assert!(made.success());
    testkit::crypto();
    Server::prometheus_over("scrape_configs: []\n", &data)
        .await
        .unwrap()
}

/// Times from `start` to before `end`, a minute apart.
pub(crate) fn minutes(start: i64, end: i64) -> impl Iterator<Item = i64> {
    (start..end).step_by(60)
}

/// A time in UTC as seconds since the epoch.
pub(crate) fn at(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// Runs a command of the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_remove("SOTP_CONFIG_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a program said, for the message of a failed test.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The rows of a CSV, each as a map from its columns.
pub(crate) fn rows(text: &[u8]) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text);
    reader.deserialize().map(|row| row.unwrap()).collect()
}
