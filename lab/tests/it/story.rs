//! Steps of the story that are quickly told: each must be ok, with what was asked and answered.

use serde_json::Value;
use testkit::TempDir;

use crate::demo::run;
use crate::processes::among_others;

/// Over 5 s: a network is built, and things are done to it.
#[test]
fn steps_of_the_story_are_ok_within_their_bounds_and_leave_their_evidence() {
    let _machine = among_others();
    let folder = TempDir::new().unwrap();
    let timeline = folder.join("of/the/story.json");
    let steps = ["selfheal", "change", "compliance", "syslog", "secret"];
    let chosen = format!("--steps={}", steps.join(","));
    let file = format!("--timeline={}", timeline.display());
    let output = run("test-story", &folder, &[&chosen, &file]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");

    let text = std::fs::read_to_string(&timeline).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> = entries.iter().filter_map(|e| e["step"].as_str()).collect();
    assert_eq!(names, steps, "{said}");
    let answer = |step: usize, what: &str| {
        let evidence = entries[step]["evidence"].as_array().unwrap();
        let found = evidence.iter().find(|seen| seen["what"] == what);
        let found = found.unwrap_or_else(|| panic!("{what}: {text}"));
        assert!(found["asked"].is_string(), "{found}");
        found["answer"].clone()
    };
    for entry in &entries {
        let (seconds, bound) = (entry["seconds"].as_f64(), entry["bound"].as_f64());
        assert!(entry["ok"] == true && seconds <= bound, "{entry}");
        assert!(entry.get("error").is_none(), "{entry}");
    }
    let job = answer(0, "the job with every step");
    assert_eq!(job["state"], "succeeded");
    assert!(job["rows"].as_array().unwrap().len() > 3, "{job}");
    let router = answer(0, "the router says that it is up");
    assert!(router.as_str().unwrap().contains("line protocol is up"));
    let commit = answer(1, "the commit");
    let commit = commit.as_str().unwrap();
    assert!(commit.lines().any(|line| line == "alice"), "{commit}");
    assert!(
        commit
            .lines()
            .any(|line| line == "+ description typed by alice")
    );
    let broken = answer(2, "the series says so");
    assert_eq!(broken[0]["metric"]["rule"], "frr-interface-description");
    assert!(
        said.contains("every router answers to the new one"),
        "{said}"
    );
}
