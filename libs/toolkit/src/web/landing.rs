//! The landing page.

use crate::Identity;
use crate::app::Link;

use super::response::escape_html;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1{margin-bottom:0}p.about{margin-top:.25rem}small{color:#555}dt{margin-top:.75rem;font-weight:600}dd{margin:0}a{color:#0b57a4}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181c}small{color:#aaa}a{color:#8ab8ff}}";

/// The page as HTML, complete in itself.
pub(crate) fn page(identity: &Identity, telemetry: &str, links: &[Link]) -> String {
    let own = [
        (telemetry, "Metrics", "Prometheus and OpenMetrics"),
        ("/-/healthy", "Healthy", "200 while the process answers"),
        (
            "/-/ready",
            "Ready",
            "200 once everything it waits for is there",
        ),
        ("/config", "Configuration", "what runs now, secrets masked"),
    ];
    let own = own.into_iter().map(|(path, title, text)| Link {
        path: path.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
    });
    let mut entries = String::new();
    for Link { path, title, text } in links.iter().cloned().chain(own) {
        let (path, title, text) = (escape_html(&path), escape_html(&title), escape_html(&text));
        entries.push_str(&format!(
            "<dt><a href=\"{path}\">{title}</a></dt><dd>{text}</dd>\n"
        ));
    }
    let [title, name, about, version, docs] = [
        identity.title,
        identity.name,
        identity.about,
        identity.version,
        identity.docs,
    ]
    .map(escape_html);
    let revision = escape_html(Identity::REVISION);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<p class=\"about\">{about}</p>\n<dl>\n{entries}</dl>\n\
         <p><small>{name} {version}, revision {revision}. Reload: <code>POST /-/reload</code>. Documentation: {docs}</small></p>\n</body>\n</html>\n"
    )
}
