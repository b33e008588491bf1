//! The figures of random histories in a real Prometheus beside those of a program in another language (`oracle.py`): maintenance, gaps,
//! changes of the clock, several ways to a device, samples that say nothing.

use std::path::Path;
use std::process::Command;

use testkit::TempDir;

use crate::support::{blocks, run, said};

fn oracle(what: &str, seed: u32, [cases, devices]: [u32; 2], folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py");
    let output = Command::new("/usr/bin/python3")
        .arg(script)
        .arg(what)
        .args([seed, cases, devices].map(|number| number.to_string()))
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "seed {seed}: {}", said(&output));
    said(&output)
}

async fn compare(seed: u32, size: [u32; 2]) -> String {
    let dir = TempDir::new().unwrap();
    oracle("make", seed, size, dir.path());
    for case in 0..size[0] {
        // Each in a Prometheus of its own: one forgets what is a hundred days older than the newest that it has.
        let place = TempDir::new().unwrap();
        let server = blocks(&place, &dir.join(format!("case-{case}.om"))).await;
        let read = |end: &str| std::fs::read_to_string(dir.join(format!("case-{case}.{end}")));
        let config = format!(
            "prometheus: {{url: '{}'}}\n{}",
            server.url,
            read("yaml").unwrap()
        );
        let config = dir.write("reporter.yaml", config).unwrap();
        let output = run(&[
            "render",
            &format!("--config.file={}", config.display()),
            &format!("--month={}", read("month").unwrap()),
            &format!("--output={}", dir.join(format!("out-{case}")).display()),
        ]);
        assert!(output.status.success(), "seed {seed}: {}", said(&output));
    }
    oracle("check", seed, size, dir.path())
}

/// Some seconds: two months of six devices, whose samples are made, stored, read and counted twice.
#[tokio::test]
async fn figures_are_those_of_an_independent_oracle() {
    let told = compare(1, [2, 6]).await;
    assert!(told.contains("12 histories"), "{told}");
}

/// Months in which the clock is changed, with planned work over their edges; a part of `make soak`.
#[tokio::test]
#[ignore = "a minute: make soak runs it"]
async fn figures_of_months_with_another_clock_are_those_of_the_oracle() {
    for seed in [9_000, 9_001] {
        println!("seed {seed}: {}", compare(seed, [8, 5]).await);
    }
}

/// Minutes: a part of `make soak`.
#[tokio::test]
#[ignore = "minutes: make soak runs it"]
async fn figures_of_a_thousand_histories_are_those_of_the_oracle() {
    for seed in 100..120 {
        println!("seed {seed}: {}", compare(seed, [5, 10]).await);
    }
}
