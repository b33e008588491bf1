//! Which format a client prefers.

use http::HeaderMap;
use http::header::ACCEPT;

use super::Format;

/// What the client prefers, RFC 9110 section 12.5.1; of equals the first of protobuf, OpenMetrics 1.0.0 and plain text.
pub(crate) fn wanted(headers: &HeaderMap) -> Format {
    let [mut protobuf, mut open, mut text] = [0.0_f32; 3];
    for (range, parameters, quality) in ranges(headers, ACCEPT.as_str()) {
        let parameter = |name: &str| {
            parameters
                .iter()
                .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
        };
        match range.as_str() {
            "application/vnd.google.protobuf"
                if parameter("proto") == Some("io.prometheus.client.metricfamily")
                    && parameter("encoding") == Some("delimited") =>
            {
                protobuf = protobuf.max(quality);
            }
            "application/openmetrics-text"
                if parameter("version").is_none_or(|v| v == "1.0.0" || v == "0.0.1") =>
            {
                open = open.max(quality);
            }
            "text/plain" | "text/*" | "*/*" => text = text.max(quality),
            _ => {}
        }
    }
    if protobuf > 0.0 && protobuf >= open && protobuf >= text {
        Format::Protobuf
    } else if open > 0.0 && open >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// The members of a header field with their parameters and quality.
pub(crate) fn ranges(headers: &HeaderMap, name: &str) -> Vec<(String, Vec<String>, f32)> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let range = parts
                .next()
                .filter(|range| !range.is_empty())?
                .to_ascii_lowercase();
            let (quality, parameters): (Vec<&str>, Vec<&str>) =
                parts.partition(|p| p.starts_with("q="));
            let quality = quality
                .first()
                .map_or(1.0, |q| q.trim_start_matches("q=").parse().unwrap_or(0.0));
            Some((
                range,
                parameters
                    .into_iter()
                    .map(str::to_ascii_lowercase)
                    .collect(),
                quality,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_what_the_client_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, wanted) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;version=9.0.0", Format::Text),
            (
                "application/openmetrics-text;q=0.1,text/plain;q=0.9",
                Format::Text,
            ),
            ("application/openmetrics-text;q=x", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                 application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::Protobuf,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                Format::Text,
            ),
            ("application/vnd.google.protobuf", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.1,text/plain",
                Format::Text,
            ),
        ] {
            assert_eq!(
                super::wanted(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])),
                wanted,
                "{accept}"
            );
        }
    }
}
