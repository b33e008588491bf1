//! Any text as a template and an answer to it, with a NUL byte between.

use ::ssh::Template;

crate::target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (template, answer) = text.split_once('\0').unwrap_or((&text, ""));
    let Ok(template) = Template::parse(template) else {
        return;
    };
    let lines: Vec<&str> = answer.lines().collect();
    if let Some(records) = template.records(&lines) {
        let width = template.names().count();
        assert!(records.iter().all(|record| record.len() == width));
        assert!(records.len() <= lines.len() + 1);
    }
});
