//! Every fixture of the web configuration: the good ones are taken, each bad one is refused with its own words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn fixtures(verdict: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/web-config");
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = entries
        .filter(|path| path.to_string_lossy().ends_with(verdict))
        .collect();
    all.sort();
    all
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn good_fixtures_are_taken() {
    let all = fixtures(".good.yml");
    assert!(all.len() >= 10, "fixtures are missing");
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = toolkit::web_config::parse(&text, &path);
        assert!(
            parsed.is_ok(),
            "{}: {}",
            path.display(),
            parsed.unwrap_err()
        );
    }
}

#[test]
fn bad_fixtures_are_refused_with_their_own_words() {
    let expected = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/web-config/errors.txt"),
    )
    .unwrap();
    let expected: BTreeMap<&str, &str> = expected
        .lines()
        .map(|line| line.split_once(':').unwrap())
        .collect();
    let mut found = BTreeMap::new();
    for path in fixtures(".bad.yml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let error = toolkit::web_config::parse(&text, Path::new(&name(&path)))
            .unwrap_err()
            .to_string();
        found.insert(name(&path), error);
    }
    let found: String = found.values().map(|error| format!("{error}\n")).collect();
    let wanted: String = expected
        .iter()
        .map(|(file, rest)| format!("{file}:{rest}\n"))
        .collect();
    assert_eq!(found, wanted, "found:\n{found}");
}

#[test]
fn relative_files_are_beside_the_configuration() {
    let path = Path::new("/etc/sotp/web.yml");
    let parsed = toolkit::web_config::parse(
        "tls_server_config: {cert_file: a.crt, key_file: /keys/a.key}",
        path,
    )
    .unwrap();
    assert_eq!(
        parsed.files(),
        [Path::new("/etc/sotp/a.crt"), Path::new("/keys/a.key")]
    );
}

#[test]
fn debug_shows_no_secret() {
    let text = "tls_server_config: {cert: PUBLIC, key: PRIVATE}\nbasic_auth_users: {a: $2y$04$kWy2nqC0bS1zUfXvV1F3.eYc0H8HqgW8h3o5v0bP0S6hG1l0QXZpm}";
    let parsed = toolkit::web_config::parse(text, Path::new("web.yml")).unwrap();
    let shown = format!("{parsed:?}");
    assert!(
        !shown.contains("PRIVATE") && !shown.contains("kWy2"),
        "{shown}"
    );
}
