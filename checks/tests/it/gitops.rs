//! GitOps: what Argo CD is told, and that a commit of the image updater changes an image and nothing else.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};
use sotp_checks::{manifests, root, tools};
use testkit::TempDir;

fn gitops() -> Vec<Value> {
    let root = root();
    let folder = root.join("kustomize/gitops/argocd");
    manifests::build(&tools::kubectl(&root), &folder).unwrap().1
}

fn of_kind(kind: &str) -> Value {
    let found = gitops().into_iter().find(|one| one["kind"] == kind);
    found.unwrap()
}

#[test]
fn the_application_applies_in_order_prunes_last_and_keeps_volumes() {
    let application = of_kind("Application");
    let spec = &application["spec"];
    assert_eq!(application["metadata"]["finalizers"], Value::Null);
    let options: Vec<&str> = spec["syncPolicy"]["syncOptions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for option in [
        "ServerSideApply=true",
        "PruneLast=true",
        "SkipDryRunOnMissingResource=true",
    ] {
        assert!(options.contains(&option), "{option}: {options:?}");
    }
    let automated = json!({"prune": true, "selfHeal": true, "allowEmpty": false});
    assert_eq!(spec["syncPolicy"]["automated"], automated);
    assert!(spec["syncPolicy"]["retry"]["limit"].as_u64() >= Some(1));
    let path = spec["source"]["path"].as_str().unwrap();
    assert!(
        root().join(path).join("kustomization.yaml").is_file(),
        "{path}"
    );
    // The patches that keep data are good ones, and hit every claim and the namespace.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("argocd");
    let folder = sotp_checks::deployments::overlay(&root(), &scratch, path, &[]).unwrap();
    let file = folder.join("kustomization.yaml");
    let mut overlay: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    overlay["patches"] = spec["source"]["kustomize"]["patches"].clone();
    overlay.as_object_mut().unwrap().remove("components");
    std::fs::write(&file, overlay.to_string()).unwrap();
    let objects = manifests::build(&tools::kubectl(&root()), &folder)
        .unwrap()
        .1;
    for object in &objects {
        let kept = object["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
            == "Prune=false,Delete=false";
        let expected = object["kind"] == "PersistentVolumeClaim" || object["kind"] == "Namespace";
        assert_eq!(kept, expected, "{}", manifests::name(object));
    }
}

/// The form of `ImageUpdater` (argoproj-labs/argocd-image-updater, api/v1alpha1), as far as it is used here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Updater {
    namespace: String,
    common_update_settings: Settings,
    write_back_config: WriteBack,
    application_refs: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    update_strategy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WriteBack {
    method: String,
    git_config: Git,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Git {
    branch: String,
    write_back_target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reference {
    name_pattern: String,
    images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Image {
    alias: String,
    image_name: String,
    manifest_targets: Targets,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Targets {
    kustomize: Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    name: String,
}

#[test]
fn the_image_updater_writes_every_image_of_ours_into_git() {
    let application = of_kind("Application");
    let updater: Updater = serde_json::from_value(of_kind("ImageUpdater")["spec"].clone()).unwrap();
    assert_eq!(updater.namespace, application["metadata"]["namespace"]);
    assert_eq!(updater.common_update_settings.update_strategy, "digest");
    assert_eq!(updater.write_back_config.method, "git");
    assert_eq!(
        updater.write_back_config.git_config.branch,
        application["spec"]["source"]["targetRevision"]
    );
    assert_eq!(
        updater.write_back_config.git_config.write_back_target,
        "kustomization"
    );
    let [reference] = &updater.application_refs[..] else {
        panic!("one application was expected");
    };
    assert_eq!(reference.name_pattern, application["metadata"]["name"]);
    let path = root().join(application["spec"]["source"]["path"].as_str().unwrap());
    let overlay: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(path.join("kustomization.yaml")).unwrap())
            .unwrap();
    let mut ours: Vec<&str> = overlay["images"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|image| image["name"].as_str())
        .filter(|name| name.starts_with("sotp/"))
        .collect();
    ours.sort_unstable();
    let mut written: Vec<&str> = reference
        .images
        .iter()
        .map(|image| &*image.manifest_targets.kustomize.name)
        .collect();
    written.sort_unstable();
    assert_eq!(written, ours);
    for image in &reference.images {
        let name = &image.manifest_targets.kustomize.name;
        assert_eq!(*name, format!("sotp/{}", image.alias));
        assert!(
            image.image_name.contains(&format!("/{name}:")),
            "{}",
            image.image_name
        );
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=updater",
            "-c",
            "user.email=updater@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The overlay's entry of an image, with a digest in place of what it had, as `kustomize edit set image` writes it.
fn with_digest(overlay: &Path, image: &str, digest: &str) {
    let text = std::fs::read_to_string(overlay).unwrap();
    let at = text.find(&format!("  - name: {image}\n")).unwrap();
    let begin = at + text[at..].find('\n').unwrap() + 1;
    let end = begin + text[begin..].find('\n').unwrap() + 1;
    std::fs::write(
        overlay,
        format!("{}    digest: {digest}\n{}", &text[..begin], &text[end..]),
    )
    .unwrap();
}

/// Argo CD renders the path of the Application at each commit: from the one of the updater only the digest is another.
#[test]
fn a_commit_of_the_image_updater_changes_an_image_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let (bare, work) = (folder.join("bare.git"), folder.join("work"));
    git(
        folder.path(),
        &["init", "-q", "--bare", &bare.display().to_string()],
    );
    git(
        folder.path(),
        &[
            "clone",
            "-q",
            &bare.display().to_string(),
            &work.display().to_string(),
        ],
    );
    for part in ["kustomize", "dashboards", "alerts"] {
        tools::run(
            "cp",
            &[
                "-r",
                &root().join(part).display().to_string(),
                &work.display().to_string(),
            ],
        )
        .unwrap();
    }
    let application = of_kind("Application");
    let path = application["spec"]["source"]["path"].as_str().unwrap();
    let overlay = work.join(path).join("kustomization.yaml");
    let digests = ["a", "b"].map(|digit| format!("sha256:{}", digit.repeat(64)));
    let mut commits = Vec::new();
    for digest in &digests {
        with_digest(&overlay, "sotp/ping", digest);
        git(&work, &["add", "-A"]);
        git(
            &work,
            &["commit", "-q", "-m", "build: automatic update of sotp"],
        );
        git(&work, &["push", "-q", "origin", "HEAD:main"]);
        commits.push(git(&work, &["rev-parse", "HEAD"]));
    }
    let rendered = commits.iter().map(|commit| {
        let place = folder.join(commit);
        git(
            folder.path(),
            &[
                "clone",
                "-q",
                &bare.display().to_string(),
                &place.display().to_string(),
            ],
        );
        git(&place, &["checkout", "-q", commit]);
        manifests::build(&tools::kubectl(&root()), &place.join(path))
            .unwrap()
            .0
    });
    let rendered: Vec<String> = rendered.collect();
    let lines: Vec<Vec<&str>> = rendered.iter().map(|text| text.lines().collect()).collect();
    assert_eq!(lines[0].len(), lines[1].len());
    let changed: Vec<(&str, &str)> = lines[0]
        .iter()
        .zip(&lines[1])
        .filter(|(before, after)| before != after)
        .map(|(before, after)| (before.trim(), after.trim()))
        .collect();
    let image = |digest: &str| format!("image: sotp/ping@{digest}");
    assert_eq!(changed, [(&*image(&digests[0]), &*image(&digests[1]))]);
    // And the commit itself is one line of one file.
    let stat = git(&work, &["show", "--numstat", "--format=", &commits[1]]);
    assert_eq!(stat, format!("1\t1\t{path}/kustomization.yaml"));
}
