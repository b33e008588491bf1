//! Headless Chromium prints a page with the same tables.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Cost, measured};

pub(crate) fn print(tables: &Path, folder: &Path) -> Result<Cost, String> {
    let mut html = String::from(
        "<!doctype html><meta charset=utf-8><style>body{font:9pt sans-serif}table{border-collapse:collapse;width:100%}td{border:1px solid #ccc}</style>",
    );
    for name in [
        "sites.csv",
        "roles.csv",
        "devices.csv",
        "links.csv",
        "incidents.csv",
    ] {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_path(tables.join(name))
            .unwrap();
        let _ = write!(html, "<h2>{name}</h2><table>");
        for row in reader.records().take(201) {
            // As many columns as the report has on paper.
            html.push_str("<tr>");
            for cell in row.unwrap().iter().take(9) {
                let _ = write!(html, "<td>{cell}</td>");
            }
            html.push_str("</tr>");
        }
        html.push_str("</table>");
    }
    let (page, out) = (folder.join("page.html"), folder.join("page.pdf"));
    std::fs::write(&page, html).unwrap();
    let version = Command::new("chromium").arg("--version").output();
    version.map_err(|error| error.to_string())?;
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-pdf-header-footer",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("--print-to-pdf={}", out.display()))
        .arg(format!("file://{}", page.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let (cost, status) = measured(command);
    if !status.success() {
        return Err(status.to_string());
    }
    Ok(cost)
}
