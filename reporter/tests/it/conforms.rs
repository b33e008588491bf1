//! The PDF held against the standards that it says it keeps, by veraPDF, where Java and Maven are there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sotp_reporter::history::Missing;
use sotp_reporter::paper::{self, Look};
use sotp_reporter::words::Language;
use testkit::{TempDir, skip};

use crate::madeup;
use crate::support::said;

/// The version of veraPDF, whose jars are kept below the build's folder.
const VERSION: &str = "1.28.2";

/// The jars, which Maven fetches once.
fn jars() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("verapdf-{VERSION}"));
    if place.exists() {
        return Ok(place);
    }
    let work = TempDir::new().map_err(|error| error.to_string())?;
    let project = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>sotp</groupId>\
         <artifactId>conforms</artifactId><version>1</version><dependencies><dependency><groupId>org.verapdf</groupId>\
         <artifactId>validation-model</artifactId><version>{VERSION}</version></dependency></dependencies></project>"
    );
    let project = work
        .write("pom.xml", project)
        .map_err(|error| error.to_string())?;
    // Whole or not there, beside other tests that do the same.
    let fresh = place.with_extension(std::process::id().to_string());
    let output = Command::new("timeout")
        .args(["60", "mvn", "-q", "-B", "-f"])
        .arg(project)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", fresh.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("mvn: {error}"))?;
    if !output.status.success() {
        let _ = std::fs::remove_dir_all(&fresh);
        return Err(format!("Maven has no veraPDF: {}", said(&output)));
    }
    if std::fs::rename(&fresh, &place).is_err() {
        let _ = std::fs::remove_dir_all(&fresh);
    }
    Ok(place)
}

/// A picture of two pixels.
const LOGO: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 2, 0, 0, 0, 1, 8, 2, 0,
    0, 0, 123, 64, 232, 221, 0, 0, 0, 13, 73, 68, 65, 84, 120, 218, 99, 248, 207, 0, 4, 255, 1, 7,
    0, 1, 255, 61, 125, 140, 73, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];

fn look(language: Language) -> Look {
    Look {
        title: "Dostępność sieci".to_owned(),
        organisation: "Zażółć S.A.".to_owned(),
        language,
        theme: pdf::Theme {
            logo: Some(pdf::Logo::png(LOGO.to_vec()).unwrap()),
            ..pdf::Theme::default()
        },
        ..Look::default()
    }
}

/// However much of it is missing: the chapters begin on page two, and a figure on paper is never cut.
#[test]
fn page_one_is_one_page_and_figures_are_whole() {
    let dir = TempDir::new().unwrap();
    let mut report = madeup::report();
    for lines in 0..3 {
        for language in [Language::En, Language::Pl] {
            let file = dir.join("report.pdf");
            std::fs::write(&file, paper::pdf(&report, &look(language)).unwrap()).unwrap();
            let output = match Command::new("pdftotext")
                .args(["-layout"])
                .arg(&file)
                .arg("-")
                .output()
            {
                Ok(output) => output,
                Err(error) => {
                    return skip(format!("pdftotext (Debian package poppler-utils): {error}"));
                }
            };
            let text = String::from_utf8(output.stdout).unwrap();
            let pages: Vec<&str> = text.split('\u{c}').collect();
            let first = language.of("Availability by month", "Dostępność w kolejnych miesiącach");
            assert!(
                pages[1].trim_start().starts_with(first),
                "{lines} {}",
                pages[1]
            );
            let cut = text.lines().filter(|line| line.contains('…'));
            let cut: Vec<&str> = cut
                .filter(|line| !line.contains("interface GigabitEthernet"))
                .collect();
            assert!(cut.len() <= 1, "{cut:?}");
            for needed in language.of(
                [
                    "99.941 %",
                    "2024-12",
                    "100.00 Gbit/s",
                    "Łukasz",
                    "31 d 4 h 15 min",
                ],
                [
                    "99,941 %",
                    "2024-12",
                    "100,00 Gbit/s",
                    "Łukasz",
                    "31 d 4 h 15 min",
                ],
            ) {
                assert!(text.contains(needed), "{needed}: {text}");
            }
        }
        // Twice: some lines, and then as many as page one names.
        for _ in 0..=lines * 3 {
            report.missing.push(Missing {
                what: "Loki: events of devices".to_owned(),
                from: "2025-09-30T22:00:00Z".to_owned(),
                to: "2025-10-31T23:00:00Z".to_owned(),
                why: "the server does not answer: connection refused, after four attempts in a row"
                    .to_owned(),
            });
            let gap = report.gaps[0];
            report.gaps.push(gap);
        }
    }
}

/// Some seconds: Java begins, and reads every rule of two standards.
#[test]
fn reports_are_pdf_a_2b_and_pdf_ua_1_by_verapdf() {
    if Command::new("javac").arg("-version").output().is_err() {
        return skip("no javac");
    }
    let jars = match jars() {
        Ok(jars) => jars,
        Err(why) => return skip(why),
    };
    let dir = TempDir::new().unwrap();
    let report = madeup::report();
    let mut files = Vec::new();
    for language in [Language::En, Language::Pl] {
        let content = paper::pdf(&report, &look(language)).unwrap();
        files.push(
            dir.write(format!("{}.pdf", language.tag()), content)
                .unwrap(),
        );
    }
    // What is no longer one: the standard that it says it keeps is another one.
    let text = std::fs::read(&files[0]).unwrap();
    let at = text
        .windows(PART.len())
        .position(|window| window == PART)
        .unwrap();
    let mut spoilt = text.clone();
    spoilt[at + PART.len() - 1] = b'1';
    files.push(dir.write("spoilt.pdf", spoilt).unwrap());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/Conforms.java");
    let output = Command::new("timeout")
        .args([
            "120",
            "java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
        ])
        .arg(jars.join("*"))
        .arg(program)
        .args(&files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 6, "{told}");
    for line in &lines[..4] {
        assert!(line.ends_with(" yes"), "{line}");
    }
    assert!(
        lines[4].contains(" no "),
        "what was spoilt is found: {told}"
    );
}

/// As the metadata say it.
const PART: &[u8] = b"<pdfaid:part>2";
