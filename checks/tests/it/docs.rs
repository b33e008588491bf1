//! The documents: every link leads somewhere.

use std::path::Path;

use sotp_checks::{files, links, root};

#[test]
fn every_link_leads_somewhere() {
    let documents = files(&root(), ".md").unwrap();
    assert!(documents.len() > 10, "there are documents");
    let problems: Vec<String> = documents
        .iter()
        .flat_map(|path| links::problems(path).unwrap())
        .collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn lost_links_are_found() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("links.md");
    std::fs::write(
        &path,
        "# One\n[a](#one) [b](#two) [c](links.md#one) [d](gone.md) [e](https://example.com)\n",
    )
    .unwrap();
    let problems = links::problems(&path).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].ends_with("`#two` names a heading that is not there"));
    assert!(problems[1].ends_with("`gone.md` points at nothing"));
}
