//! The public workflows: their form, since nothing here runs them.

use serde_json::Value;
use sotp_checks::root;

/// Every image of ours is in the matrix, with the base that `compose.yaml` gives it; what is pushed is signed by its digest.
#[test]
fn a_release_hands_out_every_image_with_parts_list_and_signature() {
    let read = |file: &str| -> (String, Value) {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let value = serde_saphyr::from_str(&text).unwrap();
        (text, value)
    };
    let (text, release) = read(".github/workflows/release.yml");
    assert!(text.contains("THIS FILE HAS NOT BEEN RUN"));
    let compose = read("compose.yaml").1;
    let mut expected: Vec<(String, String)> = compose["services"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, service)| service["build"]["args"]["BIN"].is_string())
        // Who renews is who gives: one image.
        .filter(|(app, _)| *app != "certs-renewal")
        .map(|(app, service)| {
            let base = service["build"]["args"]["BASE"]
                .as_str()
                .unwrap_or("scratch");
            (app.clone(), base.to_owned())
        })
        .collect();
    let images = &release["jobs"]["images"];
    let matrix = images["strategy"]["matrix"]["include"].as_array().unwrap();
    let mut found: Vec<(String, String)> = matrix
        .iter()
        .map(|entry| {
            let field = |name: &str| entry[name].as_str().unwrap().to_owned();
            (field("app"), field("base"))
        })
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let steps = images["steps"].as_array().unwrap();
    let build = steps.iter().find(|step| step["id"] == "build").unwrap();
    assert_eq!(build["with"]["platforms"], "linux/amd64,linux/arm64");
    assert_eq!(
        (&build["with"]["sbom"], &build["with"]["push"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    let signed = steps.iter().find(|step| {
        step["run"]
            .as_str()
            .is_some_and(|run| run.starts_with("cosign sign"))
    });
    let image = signed.unwrap()["env"]["IMAGE"].as_str().unwrap();
    assert!(
        image.ends_with("@${{ steps.build.outputs.digest }}"),
        "{image}"
    );
    // A job has no right that it does not name.
    assert_eq!(
        release["permissions"],
        serde_json::json!({"contents": "read"})
    );
    for (name, job) in release["jobs"].as_object().unwrap() {
        for step in job["steps"].as_array().unwrap() {
            if let Some(action) = step["uses"].as_str() {
                assert!(action.contains("@v"), "{name}: {action} has no version");
            }
        }
    }
}
