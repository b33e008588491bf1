//! Faults that were seen on a real screen, each as a kind: what a reader cannot see, or is told wrongly, though the query is right.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Dashboard, Panel, list};
use crate::dashboards::rules::stand_in;

/// The row of links that each page begins with, in this order; others may follow.
pub const LINKS: [&str; 10] = [
    "/d/sotp-now",
    "/d/sotp-site",
    "/d/sotp-device",
    "/d/sotp-interface",
    "/d/sotp-logs",
    "/d/sotp-configuration",
    "/d/sotp-flows",
    "/d/sotp-forecast",
    "/d/sotp-remediation",
    "/a/sotp-app",
];
/// Pixels that the 24 columns of the grid share on a screen of 1280.
const PIXELS: u64 = 1_230;
/// What Grafana takes for a letter of a panel's title, and for what stands beside it.
const LETTER: u64 = 8;
/// Queries of one refresh of a page; what lies in a closed row is not asked.
const QUERIES: usize = 20;
/// Tiles of one page.
const TILES: usize = 4;
/// The least that "fit" must be allowed to zoom in: at less, sites of one town are one dot.
const ZOOM: u64 = 12;
/// Words of the code, which an operator does not know.
const INTERNAL: [&str; 6] = ["books", "lane", "spool", "tally", "shelf", "pdu"];

/// What a reader of one panel would stumble over.
pub(super) fn panel_faults(panel: Panel<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ask = |good: bool, fault: &str| {
        if !good {
            faults.push(fault.to_owned());
        }
    };
    let defaults = &panel.0["fieldConfig"]["defaults"];
    let (kind, texts) = (panel.kind(), texts(panel));
    let any = |part: &str| texts.iter().any(|text| text.contains(part));
    let no_value = !defaults["noValue"].as_str().unwrap_or_default().is_empty();
    match kind {
        "state-timeline" => {
            ask(
                defaults["color"]["mode"] != "thresholds"
                    || panel.0["options"]["mergeValues"] != true,
                "shows ranges of thresholds in place of its words: merged values need the colour mode `palette-classic`",
            );
            ask(
                !no_value,
                "must not have `noValue`: its legend would show that text",
            );
        }
        "table" => {
            ask(
                !no_value,
                "must not have `noValue`: it fills every empty cell; say in the description why it may be empty",
            );
            ask(
                defaults["custom"]["minWidth"]
                    .as_u64()
                    .is_some_and(|least| least <= 50),
                "must have `custom.minWidth` of 50 at most: Grafana's own 150 hides the last columns",
            );
            ask(
                widths(panel) <= room(panel),
                "its columns are wider than the panel on a screen of 1280 pixels",
            );
        }
        "geomap" => {
            let view = &panel.0["options"]["view"];
            ask(
                view["id"] != "fit" || view["zoom"].as_u64().is_some_and(|zoom| zoom >= ZOOM),
                "can zoom in to `view.zoom` at most: near sites are one dot; say 12 or more",
            );
            ask(
                panel.0["options"]["basemap"]["type"] == "geojson",
                "takes its land from the Internet; `geojson` has it with Grafana",
            );
        }
        "stat" => {
            let share = defaults["unit"] == "percentunit" && any("/ count(");
            ask(
                !share,
                "shows a share whose whole shrinks with the fault; say `6 of 7`, against what was there within the last day",
            );
            ask(
                calm(panel),
                "is filled while nothing is wrong: its first step must be `transparent` or `text`",
            );
        }
        "timeseries" => {
            let custom = &defaults["custom"];
            ask(
                custom["axisSoftMax"].is_number() || defaults["max"].is_number(),
                "an idle line would be drawn on an axis to 100: give it `axisSoftMax`",
            );
            ask(
                panel.0["options"]["legend"]["displayMode"] != "hidden"
                    && panel.0["options"]["legend"]["showLegend"] != false,
                "has no legend",
            );
        }
        _ => {}
    }
    ask(
        kind != "logs" || !any("syslog") || (any("line_format") && any(".sentence")),
        "shows lines as they came; the sentence is in `sentence` (`line_format`)",
    );
    ask(
        texts.iter().all(|text| !lossy(text)),
        "can show a loss over 100 %: put it into `clamp_max(…, 1)`",
    );
    ask(
        !(any("histogram_quantile") && any("ping_rtt_seconds_bucket")),
        "takes a percentile of steps of two: it is made up; show mean and largest",
    );
    ask(
        !any("rate(network_event_total") && !any("increase(network_event_total"),
        "a first event is no rise of a counter: count them in Loki (`count_over_time`)",
    );
    let title = panel.title();
    ask(
        title.chars().count() as u64 * LETTER <= room(panel),
        "its title is cut off on a screen of 1280 pixels",
    );
    let said = format!(
        "{title} {}",
        panel.0["description"].as_str().unwrap_or_default()
    )
    .to_lowercase();
    for word in INTERNAL {
        let found = said
            .split(|c: char| !c.is_alphanumeric())
            .any(|one| one == word);
        ask(!found, &format!("says `{word}`, a word of the code"));
    }
    ask(!title.contains('_'), "its title is a name of a series");
    faults
}

/// What a reader of the whole page would stumble over.
pub(super) fn page_faults(dashboard: &Dashboard) -> Vec<String> {
    let mut faults = Vec::new();
    let links: Vec<&str> = list(&dashboard.json["links"])
        .filter(|link| link["type"] == "link")
        .filter_map(|link| link["url"].as_str())
        .collect();
    let row: Vec<&&str> = LINKS
        .iter()
        .filter(|known| links.iter().any(|link| link.starts_with(**known)))
        .collect();
    let places = LINKS.map(|known| links.iter().position(|link| link.starts_with(known)));
    if row.len() < LINKS.len() || !places.is_sorted() {
        faults.push(format!(
            "its links must be {} in this order",
            LINKS.join(", ")
        ));
    }
    for link in list(&dashboard.json["links"]).filter(|link| link["type"] == "link") {
        let url = link["url"].as_str().unwrap_or_default();
        // The forecast has a range of its own, which reaches into the future.
        let own = url.starts_with("/a/") || url == "/d/sotp-forecast";
        if !own && (link["keepTime"] != true || link["includeVars"] != true) {
            faults.push(format!("link `{url}` loses the time or the variables"));
        }
    }
    let shown: Vec<Panel<'_>> = list(&dashboard.json["panels"])
        .map(Panel)
        .filter(|panel| panel.kind() != "row")
        .collect();
    let queries: usize = shown.iter().map(|panel| panel.queries().len()).sum();
    if queries > QUERIES {
        faults.push(format!(
            "asks {queries} queries at each refresh; {QUERIES} at most, the rest into closed rows"
        ));
    }
    let tiles = shown.iter().filter(|panel| panel.kind() == "stat").count();
    if tiles > TILES {
        faults.push(format!("has {tiles} tiles; {TILES} at most"));
    }
    faults.extend(without_twin(dashboard));
    faults
}

/// Charts whose figures no table of the page has. A legend that is a table is one.
fn without_twin(dashboard: &Dashboard) -> Vec<String> {
    let panels = dashboard.panels();
    let tables: BTreeSet<String> = panels
        .iter()
        .filter(|panel| panel.kind() == "table")
        .flat_map(|panel| series(*panel))
        .collect();
    let drawn = [
        "timeseries",
        "state-timeline",
        "heatmap",
        "geomap",
        "nodeGraph",
    ];
    let charts = panels.iter().filter(|panel| drawn.contains(&panel.kind()));
    let alone = charts.filter(|panel| {
        let legend = panel.0["options"]["legend"]["displayMode"] == "table";
        let own = series(**panel);
        !legend && !own.is_empty() && own.is_disjoint(&tables)
    });
    alone
        .map(|panel| {
            format!(
                "panel `{}`: no table of the page has its figures",
                panel.title()
            )
        })
        .collect()
}

/// The series of a panel, histograms without their endings.
fn series(panel: Panel<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for query in panel.queries().iter().filter(|query| query.is_prometheus()) {
        let known = crate::variables::names(&query.text)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let Ok(text) = stand_in(&query.text, &known) else {
            continue;
        };
        let names = crate::promql::series(&text).unwrap_or_default();
        found.extend(names.into_iter().map(|name| {
            let ends = ["_bucket", "_sum", "_count"];
            let short = ends.iter().find_map(|end| name.strip_suffix(end));
            short.map_or(name.clone(), str::to_owned)
        }));
    }
    found
}

/// A ratio of losses that nothing holds below one.
fn lossy(text: &str) -> bool {
    let ratio = text.contains("ping_lost_total")
        && text.contains("ping_requests_total")
        && text.contains('/');
    ratio && !text.contains("clamp_max(")
}

/// Whether a tile without trouble has no fill.
fn calm(panel: Panel<'_>) -> bool {
    let defaults = &panel.0["fieldConfig"]["defaults"];
    let filled = panel.0["options"]["colorMode"]
        .as_str()
        .is_some_and(|mode| mode.starts_with("background"));
    let quiet = |color: &Value| color == "transparent" || color == "text";
    let first = &defaults["thresholds"]["steps"][0]["color"];
    let mapped =
        list(&defaults["mappings"]).any(|mapping| quiet(&mapping["options"]["result"]["color"]));
    !filled || quiet(first) || (first.is_null() && mapped)
}

/// Pixels of a panel on a screen of 1280.
fn room(panel: Panel<'_>) -> u64 {
    let width = panel.grid().map_or(0, |[_, _, width, _]| width);
    width * PIXELS / 24 - width.min(20)
}

/// Pixels that the columns of a table want, those without a width the least that they may have.
fn widths(panel: Panel<'_>) -> u64 {
    let overrides = list(&panel.0["fieldConfig"]["overrides"]);
    let properties = overrides.flat_map(|rule| list(&rule["properties"]));
    properties
        .filter(|property| property["id"] == "custom.width")
        .filter_map(|property| property["value"].as_u64())
        .sum::<u64>()
}

fn texts(panel: Panel<'_>) -> Vec<String> {
    panel
        .queries()
        .into_iter()
        .map(|query| query.text)
        .collect()
}
