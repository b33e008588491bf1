use std::time::Duration;

use super::*;
use crate::config::{Credential, Credentials};

fn read(text: &str) -> Result<Config, Error> {
    parse(text, Path::new("snmp.yml"), Options::default())
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

const AUTHS: &str = "auths: {public_v2: {}}\n";

#[test]
fn defaults_are_those_of_snmp_exporter() {
    let config = read("auths: {a: {}}\nmodules: {m: {metrics: []}}\n").unwrap();
    let (auth, module) = (&config.auths["a"], &config.modules["m"]);
    assert_eq!(
        (auth.version, auth.credentials.community.reveal()),
        (2, &b"public"[..])
    );
    assert_eq!(
        (module.max_repetitions, module.retries, module.timeout),
        (25, 3, Duration::from_secs(5))
    );
    let config =
        read("auths: {a: {}}\nmodules: {m: {max_repetitions: 0, retries: 0, timeout: 1m30s}}\n")
            .unwrap();
    let module = &config.modules["m"];
    assert_eq!(
        (module.max_repetitions, module.retries, module.timeout),
        (0, 0, Duration::from_secs(90))
    );
}

#[test]
fn enumeration_names_that_look_like_other_types_are_text() {
    let text = format!(
        "{AUTHS}modules:\n  m:\n    metrics:\n    - name: a\n      oid: 1.3\n      type: EnumAsInfo\n      help: h\n      \
         enum_values: {{1: true, 2: no, 3: 5, 4: 1.50, 010: x, -1: '~'}}\n"
    );
    let config = read(&text).unwrap();
    let values = &config.modules["m"].metrics[0].enum_values;
    let shown: Vec<(i64, &str)> = values
        .iter()
        .map(|(key, name)| (*key, name.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (-1, "~"),
            (1, "true"),
            (2, "no"),
            (3, "5"),
            (4, "1.50"),
            (8, "x")
        ]
    );
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    let cases = [
        (
            "auths: {a: {version: 4}}\nmodules: {m: {}}\n",
            "snmp.yml:1:12: auths.a: version: 4 is no SNMP version: expected 1, 2 or 3",
        ),
        (
            "auths: {a: {version: 3}}\nmodules: {m: {}}\n",
            "username is missing: version 3 with noAuthNoPriv needs it",
        ),
        (
            "auths:\n  a: {version: 3, username: u, security_level: authpriv}\nmodules: {m: {}}\n",
            "snmp.yml:2:6: auths.a: security_level: `authpriv`",
        ),
        (
            "auths:\n  a: {version: 3, username: u, security_level: authNoPriv}\nmodules: {m: {}}\n",
            "password is missing",
        ),
        (
            "auths: {a: {}}\nmodules: {m: {walk: [1.3.x]}}\n",
            "snmp.yml:2:22: modules.m.walk[0]: `1.3.x`: expected numbers",
        ),
        (
            "auths: {a: {}}\nmodules:\n  m:\n    walks: []\n",
            "snmp.yml:4:5: modules.m: unknown key \"walks\"",
        ),
        (
            "auths: {a: {}}\nmodules: {m: {timeout: 5}}\n",
            "expected a duration such as 300ms, 1.5s or 2m45s, found \"5\"",
        ),
        ("strict: true\nauths: {a: {}}\n", "snmp.yml: no modules"),
        ("modules: {}\nauths: {}\n", "snmp.yml: no modules"),
        ("modules: {m: {}}\n", "snmp.yml: no auths"),
        ("auths: {a: {}, a: {}}\nmodules: {m: {}}\n", "duplicate"),
        (
            "auths: {a: {community: x, community_env: X}}\nmodules: {m: {}}\n",
            "expected only one of community, community_file and community_env",
        ),
        (
            "auths: {a: {community_env: SOTP_NOT_SET}}\nmodules: {m: {}}\n",
            "SOTP_NOT_SET: environment variable not found",
        ),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(message.contains(expected), "\n{message}\nlacks\n{expected}");
    }
}

#[test]
fn index_types_and_expressions_are_checked_where_they_stand() {
    let metric = |rest: &str| {
        format!(
            "{AUTHS}modules:\n  m:\n    metrics:\n    - name: a\n      oid: 1.3\n      type: gauge\n      help: h\n{rest}"
        )
    };
    let message = refusal(&metric(
        "      indexes:\n      - labelname: i\n        type: Foo\n",
    ));
    assert!(
        message.starts_with("snmp.yml:11:15: modules.m.metrics[0].indexes[0].type: `Foo` is no index type: expected Integer32"),
        "{message}"
    );
    let message = refusal(&metric(
        "      regex_extracts:\n        Value:\n        - regex: 'a('\n",
    ));
    assert!(
        message.starts_with("snmp.yml:11:18: modules.m.metrics[0].regex_extracts.Value[0].regex: regular expression `^(?:a()$`: unclosed group"),
        "{message}"
    );
    let message = refusal(&metric(
        "      indexes:\n      - labelname: __i\n        type: gauge\n",
    ));
    assert!(
        message.starts_with("snmp.yml:5:7: modules.m: metrics.a: `__i` is no label name"),
        "{message}"
    );
}

#[test]
fn files_from_before_the_auth_split_get_a_pointer() {
    let old = "if_mib:\n  walk: [1.3.6.1.2.1.2]\n  version: 2\n  auth: {community: x}\n";
    assert!(
        refusal(old).contains("since snmp_exporter 0.23 credentials stand below `auths`"),
        "{}",
        refusal(old)
    );
    let mixed = "auths: {a: {}}\nmodules:\n  if_mib:\n    version: 2\n";
    assert!(
        refusal(mixed).contains("since snmp_exporter 0.23"),
        "{}",
        refusal(mixed)
    );
    assert!(!refusal("auths: {a: {}}\nmodules: {m: {walks: []}}\n").contains("0.23"));
}

#[test]
fn several_files_make_one_configuration_and_must_not_repeat_a_name() {
    let folder = std::env::temp_dir().join(format!("sotp-snmp-read-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("1.yml"), AUTHS).unwrap();
    std::fs::write(folder.join("2.yml"), "modules: {m: {}}\n").unwrap();
    let pattern = |name: &str| folder.join(name).display().to_string();
    let config = load(
        &[pattern("*.yml"), pattern("none*.yml")],
        Options::default(),
    )
    .unwrap();
    assert_eq!(
        (
            config.auths.len(),
            config.modules.len(),
            config.unmatched.len()
        ),
        (1, 1, 1)
    );
    std::fs::write(folder.join("3.yml"), "modules: {m: {}}\n").unwrap();
    let message = load(&[pattern("*.yml")], Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("3.yml:1:14: modules.m: another file has a module of this name"),
        "{message}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn every_credential_comes_from_the_file_itself_another_file_or_the_environment_for_all_or_one_target()
 {
    // Cargo gives tests this variable.
    const VARIABLE: &str = "CARGO_PKG_NAME";
    let from_environment = std::env::var(VARIABLE).unwrap();
    let folder = std::env::temp_dir().join(format!("sotp-snmp-credentials-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("secret"), "of-a-file\n").unwrap();
    type Get = fn(&Credentials) -> &Credential;
    let fields: [(&str, Get); 4] = [
        ("community", |all| &all.community),
        ("username", |all| &all.username),
        ("password", |all| &all.password),
        ("priv_password", |all| &all.priv_password),
    ];
    for (field, get) in fields {
        for (given, value) in [
            (format!("{field}: literal"), "literal"),
            (format!("{field}_file: secret"), "of-a-file"),
            (format!("{field}_env: {VARIABLE}"), &from_environment),
        ] {
            let text = format!(
                "auths: {{a: {{{given}}}, b: {{targets: {{r1: {{{given}}}}}}}}}\nmodules: {{m: {{}}}}\n"
            );
            let config = parse(&text, &folder.join("snmp.yml"), Options::default()).unwrap();
            let (all, one) = (&config.auths["a"], &config.auths["b"]);
            assert_eq!(get(&all.credentials).reveal(), value.as_bytes(), "{given}");
            assert_eq!(
                get(&one.targets["r1"]).reveal(),
                value.as_bytes(),
                "{given}"
            );
            assert_ne!(get(&one.credentials).reveal(), value.as_bytes(), "{given}");
            let shown = format!("{}{config:?}", config.masked());
            assert!(field == "username" || !shown.contains(value), "{shown}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn secrets_come_from_files_and_never_show() {
    let folder = std::env::temp_dir().join(format!("sotp-snmp-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("community"), "hidden\n").unwrap();
    let text = "auths: {a: {community_file: community, targets: {198.18.0.1: {community: other}}}}\nmodules: {m: {}}\n";
    let config = parse(text, &folder.join("snmp.yml"), Options::default()).unwrap();
    let auth = &config.auths["a"];
    assert_eq!(auth.credentials.community.reveal(), b"hidden");
    assert_eq!(auth.targets["198.18.0.1"].community.reveal(), b"other");
    assert_eq!(config.files, [folder.join("community")]);
    let shown = format!("{}{config:?}", config.masked());
    assert!(
        !shown.contains("hidden") && !shown.contains("other"),
        "{shown}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_environment_is_expanded_on_request_and_only_for_the_three_fields() {
    let path = std::env::var("PATH").unwrap();
    let text =
        "auths: {a: {version: 3, username: 'x${PATH}y', community: '$PATH'}}\nmodules: {m: {}}\n";
    let config = parse(
        text,
        Path::new("snmp.yml"),
        Options {
            expand_environment: true,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(
        config.auths["a"].credentials.username.reveal(),
        format!("x{path}y").as_bytes()
    );
    assert_eq!(config.auths["a"].credentials.community.reveal(), b"$PATH");
    let text = "auths: {a: {version: 3, username: $SOTP_NOT_SET}}\nmodules: {m: {}}\n";
    let message = parse(
        text,
        Path::new("snmp.yml"),
        Options {
            expand_environment: true,
            ..Options::default()
        },
    )
    .unwrap_err()
    .to_string();
    assert!(
        message.ends_with("username: SOTP_NOT_SET: environment variable not found"),
        "{message}"
    );
}

#[test]
fn what_is_shown_reads_back() {
    let text = format!(
        "{AUTHS}modules:\n  m:\n    walk: [1.3.6]\n    metrics:\n    - name: a\n      oid: 1.3.6\n      type: EnumAsInfo\n      help: \"say \\\"x\\\"\\n- 1.3\"\n      \
         indexes: [{{labelname: i, type: gauge}}]\n      lookups: [{{labels: [i], labelname: l, oid: 1.3.7, type: DisplayString}}, {{labels: [], labelname: i}}]\n      \
         regex_extracts: {{'': [{{regex: '(a)\\d', value: $1}}]}}\n      enum_values: {{1: 'no'}}\n      scale: 0.1\n"
    );
    let shown = read(&text).unwrap().masked();
    let again = shown.replace("community: <secret>", "community: public");
    assert_eq!(
        read(&again)
            .unwrap()
            .masked()
            .replace("^(?:^(?:(a)\\\\d)$)$", "^(?:(a)\\\\d)$"),
        shown
    );
}

#[test]
fn credentials_alone_come_with_the_built_in_modules() {
    let config = parse(
        "auths: {mine: {community: x}}",
        Path::new("snmp.yml"),
        Options::default(),
    )
    .unwrap();
    assert_eq!(config.auths.keys().collect::<Vec<_>>(), ["mine"]);
    assert!(config.modules.contains_key("if_mib") && config.modules.contains_key("bgp"));
}

#[test]
fn keys_without_a_value_are_as_if_they_were_not_there() {
    for keys in [
        "type: , help: ",
        "type: gauge, help: h, indexes: ",
        "type: gauge, help: h, lookups: ",
        "type: gauge, help: h, enum_values: ",
        "type: gauge, help: h, regex_extracts: {T: [{regex: , value: '1'}]}",
    ] {
        let text = format!(
            "{AUTHS}modules:\n  m:\n    walk:\n    filters:\n    metrics:\n    - {{name: x, oid: 1.3, {keys}}}\n"
        );
        let config = read(&text).unwrap();
        assert_eq!(config.modules["m"].metrics[0].name, "x", "{keys}");
    }
}

#[test]
fn names_are_escaped_as_prometheus_does() {
    let text = format!(
        "{AUTHS}modules:\n  m:\n    metrics:\n    - name: if-in.öctets\n      oid: 1.3\n      type: counter\n      help: h\n      \
         indexes: [{{labelname: 9-Index, type: gauge}}]\n      lookups: [{{labels: [9-Index], labelname: if-Name, oid: 1.4, type: DisplayString}}]\n"
    );
    let config = read(&text).unwrap();
    let metric = &config.modules["m"].metrics[0];
    assert_eq!(metric.name, "if_in__ctets");
    assert_eq!(metric.indexes[0].labelname, "__Index");
    assert_eq!(metric.lookups[0].labels, ["__Index"]);
    assert_eq!(metric.lookups[0].labelname, "if_Name");
}
