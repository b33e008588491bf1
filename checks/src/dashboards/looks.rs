//! Faults that were seen on a real screen, each as a kind: what a reader cannot see, or is told wrongly, though the query is right.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Dashboard, Panel, list};
use crate::dashboards::rules::stand_in;
use crate::dashboards::said::{columns, property, taken_back};

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
/// Links that stand on a page; on a phone each takes a line of its own, above what is shown. The others are in the menu of the page.
const OPEN_LINKS: usize = 3;
/// Pixels of an age, such as "59 minutes ago"; in less it is cut off at its left and reads "9 minutes ago".
const AGE: u64 = 140;
/// What Grafana takes for a letter of a panel's title, and for what stands beside it.
const LETTER: u64 = 8;
/// Pixels of a letter in a cell.
const MAPPED: u64 = 7;
/// Queries of one refresh of a page; what lies in a closed row is not asked.
const QUERIES: usize = 20;
/// Tiles of one page.
const TILES: usize = 4;
/// The least that "fit" must be allowed to zoom in: at less, sites of one town are one dot.
const ZOOM: u64 = 12;
/// The ground of a panel in Grafana's dark theme.
const GROUND: u32 = 0x18_1b1f;
/// The least contrast of a word to it, as WCAG 2 reckons; 4.5 is asked of texts, and the red-orange of "down" has 4.46.
const CONTRAST: f64 = 4.4;
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
                !no_value || taken_back(panel),
                "has `noValue`, which fills every empty cell, without an override of all fields that takes it back",
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
            for column in cut(panel) {
                ask(
                    false,
                    &format!("the heading `{column}` is cut off by the column's width"),
                );
            }
            ask(
                defaults["unit"] != "none",
                "an empty text would read 0: a table has its units at its columns, and none of its own",
            );
            for (column, text) in mapped(panel) {
                ask(
                    false,
                    &format!("`{text}` is cut off by the width of the column `{column}`"),
                );
            }
            let ages = columns(panel).filter(|(_, properties)| {
                let age =
                    property(properties, "unit").is_some_and(|unit| unit == "dateTimeFromNow");
                let width = property(properties, "custom.width").and_then(Value::as_u64);
                age && width.is_some_and(|width| width < AGE)
            });
            for (column, _) in ages {
                ask(
                    false,
                    &format!("the age in `{column}` loses its first digit"),
                );
            }
            for column in narrow(panel) {
                ask(
                    false,
                    &format!(
                        "the heading `{column}` is cut off on a phone: it has no width, and no `custom.minWidth` that holds it"
                    ),
                );
            }
            ask(
                fills(panel),
                "leaves a side empty: one column, and not one that may be missing, must have no width",
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
            let counts = ["pps", "bps", "Bps"]
                .iter()
                .any(|unit| defaults["unit"] == *unit);
            ask(
                !counts
                    || custom["axisSoftMax"]
                        .as_f64()
                        .is_none_or(|most| most >= 5.0),
                "an idle axis would count in thousandths (mp/s): `axisSoftMax` of 5 at least",
            );
        }
        _ => {}
    }
    let raw = |text: &str| {
        let said = text.contains("line_format") && text.contains(".sentence");
        text.contains("syslog") && !text.contains("count_over_time") && !said
    };
    let queries = panel.queries();
    ask(
        kind != "table"
            || !queries
                .iter()
                .any(|query| query.source == "loki" && raw(&query.text)),
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
        !matches!(kind, "stat" | "table" | "nodeGraph" | "geomap")
            || !texts.iter().any(|text| momentary(text)),
        "one scrape that failed makes every port or neighbour vanish: `last_over_time(…[$__rate_interval])`",
    );
    ask(
        !any("count(last_over_time(bgpPeerState") && !any("count(max_over_time(bgpPeerState"),
        "counts a neighbour twice whose number of its system was not told in one scrape: `max by (device, bgpPeerRemoteAddr)`",
    );
    ask(
        !any("rate(network_event_total") && !any("increase(network_event_total"),
        "a first event is no rise of a counter: count them in Loki (`count_over_time`)",
    );
    for color in faint(panel) {
        ask(
            false,
            &format!("its words in {color} cannot be read on a dark ground"),
        );
    }
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
    if dashboard.json["time"]["to"]
        .as_str()
        .is_some_and(|to| to.contains('+'))
    {
        let instants = dashboard.panels().into_iter().filter(|panel| {
            ["table", "stat"].contains(&panel.kind()) && !panel.0["timeFrom"].is_string()
        });
        faults.extend(instants.map(|panel| {
            format!("panel `{}`: asks for an instant in the future, where nothing is; give it `timeFrom`", panel.title())
        }));
    }
    let on_it = |one: &&Value| one["placement"] != "inControlsMenu";
    if list(&dashboard.json["links"]).filter(on_it).count() > OPEN_LINKS {
        faults.push(format!("has more than {OPEN_LINKS} links: a phone shows nothing else without scrolling; `placement` puts them into the menu"));
    }
    if list(&dashboard.json["annotations"]["list"]).any(|one| on_it(&one)) {
        faults.push(
            "has switches of annotations above what is shown; `placement` puts them into the menu"
                .to_owned(),
        );
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
    let told = ["table", "stat", "logs", "traces", "text"];
    let charts = panels.iter().filter(|panel| !told.contains(&panel.kind()));
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
            // Grafana's own have values.
            .filter(|name| !name.starts_with("__"))
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
        .filter(|property| {
            ["custom.width", "custom.minWidth"]
                .iter()
                .any(|id| property["id"] == *id)
        })
        .filter_map(|property| property["value"].as_u64())
        .sum::<u64>()
}

/// Pixels that a heading wants; an arrow stands beside that by which the table is sorted.
pub(super) fn heading(panel: &Value, name: &str) -> u64 {
    let sorted = list(&panel["options"]["sortBy"]).any(|by| by["displayName"] == name);
    let letters: u64 = name.chars().map(letter).sum();
    letters + 14 + if sorted { 28 } else { 0 }
}

/// Pixels of a letter of a heading.
fn letter(letter: char) -> u64 {
    match letter {
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 12,
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | ' ' | '.' | ',' | '/' => 5,
        letter if letter.is_uppercase() => 10,
        _ => LETTER,
    }
}

/// Headings that want more than their column has.
fn cut(panel: Panel<'_>) -> Vec<&str> {
    columns(panel)
        .filter(|(name, properties)| {
            let width = property(properties, "custom.width").and_then(Value::as_u64);
            width.is_some_and(|width| width < heading(panel.0, name))
        })
        .map(|(name, _)| name)
        .collect()
}

/// Columns without a width that may become narrower than their headings, as they do on a phone.
fn narrow(panel: Panel<'_>) -> Vec<&str> {
    let renamed = list(&panel.0["transformations"])
        .filter_map(|one| one["options"]["renameByName"].as_object());
    let names = renamed.last().into_iter().flatten();
    let least = |name: &str, id: &str| {
        let mut found = columns(panel).filter(|(column, _)| *column == name);
        found.find_map(|(_, properties)| property(properties, id)?.as_u64())
    };
    names
        .filter_map(|(_, name)| name.as_str())
        .filter(|name| least(name, "custom.width").is_none())
        .filter(|name| least(name, "custom.minWidth").unwrap_or(50) < heading(panel.0, name))
        .collect()
}

/// Whether a query asks for the state of ports or neighbours at the very moment: after a scrape that failed there is none.
fn momentary(text: &str) -> bool {
    ["ifOperStatus{", "bgpPeerState{", "ospfNbrState{"]
        .iter()
        .flat_map(|series| text.match_indices(series))
        .filter_map(|(at, _)| text[at..].split_once('}'))
        .any(|(_, rest)| !rest.starts_with('['))
}

/// Pixels that the longest text of value mappings wants.
pub(super) fn states(properties: &Value) -> u64 {
    let texts = property(properties, "mappings")
        .into_iter()
        .flat_map(texts_of);
    texts.map(wide).max().unwrap_or(0)
}

fn texts_of(mappings: &Value) -> impl Iterator<Item = &str> {
    list(mappings)
        .filter_map(|mapping| mapping["options"].as_object())
        .flat_map(serde_json::Map::values)
        .filter_map(|option| option["text"].as_str())
}

fn wide(text: &str) -> u64 {
    text.chars().count() as u64 * MAPPED + 12
}

/// Texts of value mappings that want more than their column has, each with the column.
fn mapped(panel: Panel<'_>) -> Vec<(&str, &str)> {
    let mut cut = Vec::new();
    for (name, properties) in columns(panel) {
        let width = property(properties, "custom.width").and_then(Value::as_u64);
        let (Some(width), Some(mappings)) = (width, property(properties, "mappings")) else {
            continue;
        };
        let long = texts_of(mappings).filter(|text| wide(text) > width);
        cut.extend(long.map(|text| (name, text)));
    }
    cut
}

/// Whether a column takes what the others leave. That of `ifAlias` does not, since devices without descriptions have none.
fn fills(panel: Panel<'_>) -> bool {
    let renamed = list(&panel.0["transformations"])
        .filter_map(|one| one["options"]["renameByName"].as_object());
    let Some(names) = renamed.last().filter(|names| !names.is_empty()) else {
        return true;
    };
    let fixed = |name: &str| {
        columns(panel).any(|(column, properties)| {
            column == name && property(properties, "custom.width").is_some()
        })
    };
    let mut named = names.iter().filter(|(field, _)| *field != "ifAlias");
    named.any(|(_, name)| name.as_str().is_some_and(|name| !fixed(name)))
}

/// Colours of words that do not stand out: those of coloured cells, and those of a map, which its names have.
fn faint(panel: Panel<'_>) -> BTreeSet<String> {
    let words: Vec<&Value> = if panel.kind() == "geomap" {
        vec![&panel.0["fieldConfig"]]
    } else {
        let colored = |properties: &Value| {
            property(properties, "custom.cellOptions")
                .is_some_and(|cell| cell["type"] == "color-text")
        };
        let colored = columns(panel).filter(|(_, properties)| colored(properties));
        colored.map(|(_, properties)| properties).collect()
    };
    let mut found = BTreeSet::new();
    for value in words {
        colors(value, &mut found);
    }
    found.retain(|color| contrast(color).is_some_and(|contrast| contrast < CONTRAST));
    found
}

fn colors(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.starts_with('#') => {
            found.insert(text.clone());
        }
        Value::Array(members) => members.iter().for_each(|member| colors(member, found)),
        Value::Object(members) => members.values().for_each(|member| colors(member, found)),
        _ => {}
    }
}

/// Contrast of `#rrggbb` to the ground (WCAG 2.2, contrast ratio).
fn contrast(color: &str) -> Option<f64> {
    let rgb = u32::from_str_radix(color.strip_prefix('#')?, 16).ok()?;
    let (one, other) = (luminance(rgb), luminance(GROUND));
    Some((one.max(other) + 0.05) / (one.min(other) + 0.05))
}

fn luminance(rgb: u32) -> f64 {
    let part = |shift: u32| {
        let part = f64::from((rgb >> shift) & 0xff) / 255.0;
        if part <= 0.040_45 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
}

fn texts(panel: Panel<'_>) -> Vec<String> {
    panel
        .queries()
        .into_iter()
        .map(|query| query.text)
        .collect()
}
