//! What a page says in words: why a panel is empty, and what a colour means. Seen in Grafana 12.3.3, whose panels of lines and heatmaps drop a
//! text of their own for "no data", and whose tables show bare headings where several answers without rows are laid together.

use serde_json::Value;

use super::{Dashboard, Panel, list};

/// What an empty panel would show in place of a sentence, and colours that say alone what they mean.
pub(super) fn panel_faults(panel: Panel<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let defaults = &panel.0["fieldConfig"]["defaults"];
    let mut ask = |good: bool, fault: &str| {
        if !good {
            faults.push(fault.to_owned());
        }
    };
    match panel.kind() {
        "table" => {
            ask(
                taken_back(panel) && filled(&defaults["noValue"]),
                "does not say why it is empty: `noValue`, and an override of all fields that takes it back for cells",
            );
            let queries = panel.queries();
            let laid_together = queries.len() > 1 || queries.iter().any(|one| one.source == "loki");
            ask(
                !laid_together || splits(panel),
                "shows its headings alone where there is nothing: `partitionByValues` of a constant leaves no frame without rows",
            );
        }
        "heatmap" => ask(
            panel.0["repeat"].is_string(),
            "says \"No data\" whatever its `noValue`: repeat it for each value that there is",
        ),
        "stat" => ask(
            defaults["unit"] != "dateTimeFromNow" || names_zero(defaults),
            "tells of 1970 where it never happened: map 0 to a word",
        ),
        "state-timeline" => ask(
            panel.0["options"]["showValue"] != "never",
            "shows states by colour alone",
        ),
        _ => {}
    }
    ask(
        panel.kind() != "stat"
            || !panel.0["options"]["textMode"]
                .as_str()
                .is_some_and(|mode| ["name", "none"].contains(&mode)),
        "shows its value by colour alone",
    );
    for bare in colored_codes(panel) {
        ask(
            false,
            &format!("`{bare}` has a colour and no word: state is never shown by colour alone"),
        );
    }
    faults
}

/// Panels of lines that everybody sees; in a closed row is who asks for the raw lines.
pub(super) fn page_faults(dashboard: &Dashboard) -> Vec<String> {
    let open = list(&dashboard.json["panels"]).map(Panel);
    open.filter(|panel| panel.kind() == "logs")
        .map(|panel| {
            format!(
                "panel `{}`: says \"No data\" whatever its `noValue`: a table of the lines has a text, raw lines belong into a closed row",
                panel.title()
            )
        })
        .collect()
}

fn filled(value: &Value) -> bool {
    !value.as_str().unwrap_or_default().is_empty()
}

fn splits(panel: Panel<'_>) -> bool {
    list(&panel.0["transformations"]).any(|step| step["id"] == "partitionByValues")
}

fn names_zero(defaults: &Value) -> bool {
    list(&defaults["mappings"]).any(|mapping| filled(&mapping["options"]["0"]["text"]))
}

/// Codes (numbers that stand for a state) to which a mapping gives a colour and no word.
fn colored_codes(panel: Panel<'_>) -> Vec<String> {
    let own = &panel.0["fieldConfig"]["defaults"]["mappings"];
    let of_columns = columns(panel).filter_map(|(_, properties)| property(properties, "mappings"));
    let values = std::iter::once(own)
        .chain(of_columns)
        .flat_map(list)
        .filter(|mapping| mapping["type"] == "value")
        .filter_map(|mapping| mapping["options"].as_object());
    let bare = values.flatten().filter(|(code, shown)| {
        code.parse::<f64>().is_ok() && shown["color"].is_string() && !filled(&shown["text"])
    });
    bare.map(|(code, _)| code.clone()).collect()
}

/// The properties of an override by the name of the column that it is for.
pub(super) fn columns(panel: Panel<'_>) -> impl Iterator<Item = (&str, &Value)> {
    list(&panel.0["fieldConfig"]["overrides"]).filter_map(|rule| {
        let name = rule["matcher"]["options"].as_str()?;
        (rule["matcher"]["id"] == "byName").then_some((name, &rule["properties"]))
    })
}

pub(super) fn property<'a>(properties: &'a Value, id: &str) -> Option<&'a Value> {
    let mut all = list(properties);
    Some(&all.find(|property| property["id"] == id)?["value"])
}

/// Whether the text for "no data" is for the panel alone: an override of every field empties it.
pub(super) fn taken_back(panel: Panel<'_>) -> bool {
    list(&panel.0["fieldConfig"]["overrides"]).any(|rule| {
        rule["matcher"]["id"] == "byRegexp"
            && rule["matcher"]["options"] == "/.*/"
            && property(&rule["properties"], "noValue").is_some_and(|text| text == "")
    })
}
