//! A month with an outage, maintenance, a gap and a change of the clock, from samples in a real Prometheus to figures in the files.

use std::collections::BTreeMap;
use std::process::Command;

use testkit::{Server, TempDir, skip};

use crate::support::{Past, at, minutes, rows, run, said};

const HOUR: i64 = 3_600;

/// October 2025 in Warsaw: 745 hours.
const START: &str = "2025-09-30T22:00:00Z";
const END: &str = "2025-10-31T23:00:00Z";

fn device(name: &str, site: &str, family: &str) -> String {
    format!(
        "device=\"{name}\",site=\"{site}\",role=\"router\",family=\"{family}\",instance=\"p:1\",job=\"ping\""
    )
}

/// Of `r1` all is well. `r2` is down for 37 minutes, over IPv4 alone for an hour more. On `r3` planned work is under way for two hours, in
/// which it is down for one, and it goes on being down for 10 minutes. Of nobody there is a sample for 3 hours. `r4` is in the inventory
/// and was never measured; `=r5` came in the middle of the month.
pub(crate) fn past() -> Past {
    let (start, end) = (at(START), at(END));
    let gap = at("2025-10-20T10:00:00Z");
    let known = move |time: &i64| !(gap..gap + 3 * HOUR).contains(time);
    let outage = at("2025-10-07T08:00:00Z");
    let work = at("2025-10-26T00:00:00Z");
    let always = |time| (time, 1);
    let down = move |from: i64, to: i64| move |time| (time, i64::from(!(from..to).contains(&time)));
    // From before the month, so that it begins known, and with more behind it, which must not count.
    let whole = || minutes(start - HOUR, end + 26 * HOUR).filter(known);
    Past::default()
        .with("ping_up", &device("r1", "waw", "ipv4"), whole().map(always))
        .with(
            "ping_up",
            &device("r2", "waw", "ipv4"),
            whole().map(down(outage, outage + 97 * 60)),
        )
        .with(
            "ping_up",
            &device("r2", "waw", "ipv6"),
            whole().map(down(outage, outage + 37 * 60)),
        )
        .with(
            "ping_up",
            &device("r3", "krk", "ipv4"),
            whole().map(down(work + HOUR, work + 2 * HOUR + 600)),
        )
        .with(
            "ping_up",
            &device("=r5", "krk", "ipv4"),
            whole()
                .filter(move |time| *time >= start + 372 * HOUR)
                .map(always),
        )
        .with(
            "sotp_device_maintenance",
            "device=\"r3\",site=\"krk\",role=\"router\"",
            whole().map(move |time| (time, i64::from((work..work + 2 * HOUR).contains(&time)))),
        )
        .with(
            "sotp_device_info",
            "device=\"r4\",site=\"krk\",role=\"switch\"",
            minutes(start, end).step_by(60).map(always),
        )
}

pub(crate) fn config(dir: &TempDir, url: &str, more: &str) -> String {
    let text = format!(
        "prometheus: {{url: '{url}'}}\ntime_zone: Europe/Warsaw\norganisation: Zażółć S.A.\n\
         target: {{percent: 99.9, sites: {{krk: 99.95}}}}\n{more}"
    );
    let path = dir.write("reporter.yaml", text).unwrap();
    path.display().to_string()
}

fn render(dir: &TempDir, config: &str, name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = dir.join(name);
    let output = run(&[
        "render",
        &format!("--config.file={config}"),
        "--month=2025-10",
        &format!("--output={}", folder.display()),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

async fn server(dir: &TempDir) -> Server {
    past().start(dir).await
}

/// Longer than 5 s on a busy machine: promtool makes blocks of 200,000 samples.
#[tokio::test]
async fn figures_of_a_month_are_exact_in_every_file_and_twice_the_same() {
    let dir = TempDir::new().unwrap();
    let server = server(&dir).await;
    let config = config(&dir, &server.url, "");
    let files = render(&dir, &config, "one");
    let again = render(&dir, &config, "two");
    assert!(files == again, "the same samples give the same bytes");

    // By hand: the month has 745 h; a sample holds for two minutes, so that the gap of 3 h is known for its first minute more.
    let unknown = 3 * HOUR - 60;
    let whole = 745 * HOUR;
    let devices = rows(&files["devices.csv"]);
    let of = |name: &str| devices.iter().find(|row| row["device"] == name).unwrap();
    let number = |row: &BTreeMap<String, String>, key: &str| row[key].parse::<f64>().unwrap();
    let check = |name: &str, up: i64, down: i64, unknown: i64, planned: i64, planned_down: i64| {
        let row = of(name);
        for (key, expected) in [
            ("up_seconds", up),
            ("down_seconds", down),
            ("unknown_seconds", unknown),
            ("maintenance_seconds", planned),
            ("maintenance_down_seconds", planned_down),
        ] {
            assert_eq!(row[key], expected.to_string(), "{name} {key}: {row:?}");
        }
        if up + down > 0 {
            let share = up as f64 / (up + down) as f64;
            assert!((number(row, "availability_ratio") - share).abs() < 1e-12);
        }
    };
    check("r1", whole - unknown, 0, unknown, 0, 0);
    check("r2", whole - unknown - 37 * 60, 37 * 60, unknown, 0, 0);
    check(
        "r3",
        whole - unknown - 2 * HOUR - 600,
        600,
        unknown,
        2 * HOUR,
        HOUR,
    );
    check("r4", 0, 0, whole, 0, 0);
    assert_eq!(of("r4")["availability_ratio"], "", "not known is no figure");
    assert_eq!(of("r4")["meets_target"], "");
    assert_eq!(of("r2")["meets_target"], "yes");
    assert_eq!(of("r2")["role"], "router");
    check("'=r5", 373 * HOUR - unknown, 0, 372 * HOUR + unknown, 0, 0);
    assert_eq!(devices.len(), 5);

    let incidents = rows(&files["incidents.csv"]);
    let told: Vec<_> = incidents
        .iter()
        .map(|row| {
            (
                &*row["device"],
                &*row["start"],
                &*row["end"],
                &*row["duration_seconds"],
                &*row["ended_with"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "r2",
                "2025-10-07T08:00:00Z",
                "2025-10-07T08:37:00Z",
                "2220",
                "up"
            ),
            (
                "r3",
                "2025-10-26T02:00:00Z",
                "2025-10-26T02:10:00Z",
                "600",
                "up"
            ),
        ]
    );
    let planned = rows(&files["maintenance.csv"]);
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0]["start"], "2025-10-26T00:00:00Z");
    assert_eq!(planned[0]["duration_seconds"], "7200");
    assert_eq!(planned[0]["down_seconds"], "3600");

    let sites = rows(&files["sites.csv"]);
    assert_eq!(sites[1]["site"], "waw");
    assert_eq!(sites[1]["outage_seconds"], "0", "r1 was up");
    assert_eq!(sites[0]["target_ratio"], "0.9995");
    assert_eq!(
        sites[0]["outage_seconds"], "0",
        "r5 was up while r3 was down"
    );

    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["start"], START);
    assert_eq!(manifest["end"], END);
    for entry in manifest["files"].as_array().unwrap() {
        let content = &files[entry["name"].as_str().unwrap()];
        assert_eq!(entry["sha256"], sotp_reporter::bundle::sha256(content));
        assert_eq!(entry["bytes"], content.len());
    }
    paper(&dir, &manifest);
}

/// Without spaces, which a reader of a PDF guesses from distances.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The same figures on paper, as another program reads it.
fn paper(dir: &TempDir, manifest: &serde_json::Value) {
    let pdf = dir.join("one/availability-2025-10.pdf");
    let output = match Command::new("pdftotext")
        .args(["-layout"])
        .arg(&pdf)
        .arg("-")
        .output()
    {
        Ok(output) => output,
        Err(error) => return skip(format!("pdftotext (Debian package poppler-utils): {error}")),
    };
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<String> = text.split('\u{c}').map(bare).collect();
    let share = manifest["availability_ratio"].as_f64().unwrap();
    let percent = format!("{:.3} %", (share * 100_000.0).floor() / 1_000.0);
    for needed in [
        &*percent,
        "Zażółć S.A., 2025-10: 2025-10-01 00:00:00+02:00 to 2025-11-01 00:00:00+01:00 (Europe/Warsaw, 745 h)",
        "target 99.900 %: met",
        "nothing is known of 2025-09",
        "Nothing was measured for 2 h 59 min of the month",
        "2025-10-20 12:01:00+02:00 to 2025-10-20 15:00:00+02:00 (2 h 59 min)",
        "5 devices at 2 sites were watched. There were 2 incidents with 47 min of down time in all; 2 h of maintenance",
        "Of 1 device nothing is known outside maintenance.",
    ] {
        assert!(
            pages[0].contains(&bare(needed)),
            "page one lacks {needed:?}:\n{}",
            pages[0]
        );
    }
    let rest = pages[1..].concat();
    for needed in [
        "r2 waw 2025-10-07 10:00:00+02:00 2025-10-07 10:37:00+02:00 37 min up",
        // The hour of the night in which the clock is changed stands there with its offset.
        "2025-10-26 02:00:00+02:00 2025-10-26 03:00:00+01:00 2 h 1 r3 1 h",
        "it has 745 hours",
        "no longer than 2 min",
    ] {
        assert!(
            rest.contains(&bare(needed)),
            "the other pages lack {needed:?}:\n{rest}"
        );
    }
}

#[tokio::test]
async fn month_that_is_not_over_and_one_without_samples_give_no_report() {
    let dir = TempDir::new().unwrap();
    let server = Past::default()
        .with(
            "ping_up",
            "device=\"r1\"",
            [(at("2025-10-05T00:00:00Z"), 1)],
        )
        .start(&dir)
        .await;
    let config = config(&dir, &server.url, "");
    let render = |month: &str| {
        run(&[
            "render",
            &format!("--config.file={config}"),
            &format!("--month={month}"),
            &format!("--output={}", dir.join("out").display()),
        ])
    };
    for (month, code, words) in [
        ("2025-08", 1, "has no sample of ping_up for 2025-08"),
        ("9000-01", 1, "9000-01 is not over"),
        ("2025-13", 64, "expected a month such as 2026-10"),
    ] {
        let output = render(month);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(!dir.join("out").exists());
    }
}
