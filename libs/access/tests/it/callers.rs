//! Who is let in: every role with every verb and every kind of token, against a Grafana that signs them.

mod wrong;

use std::path::Path;
use std::time::Duration;

use access::caller::{Access, AccessConfig, Caller, Denied, Object, Role, Verb, Via};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use testkit::grafana::{Basic, Grafana, Keys, Setup, Signer, Token, User};
use toolkit::web::ClientCertificate;
use toolkit::{Request, yaml};

use wrong::wrong;

const READ: Verb = Verb::new("device.read", Role::Viewer);
const CHANGE: Verb = Verb::new("device.change", Role::Operator);
const REMOVE: Verb = Verb::new("device.remove", Role::Operator);
const GRANT: Verb = Verb::new("access.change", Role::Admin);
const VERBS: [Verb; 4] = [READ, CHANGE, REMOVE, GRANT];

async fn grafana() -> Grafana {
    let users = Basic::ALL.map(|role| User::new(login(role), role)).to_vec();
    Grafana::start(Setup {
        users,
        ..Setup::default()
    })
    .await
    .unwrap()
}

fn login(role: Basic) -> &'static str {
    match role {
        Basic::None => "nora",
        Basic::Viewer => "vic",
        Basic::Editor => "ed",
        Basic::Admin => "ann",
    }
}

fn access(text: &str) -> Access {
    let config: AccessConfig = yaml::parse(text, Path::new("access.yaml")).unwrap();
    config.check(&VERBS).unwrap()
}

fn refusal(text: &str) -> String {
    let config: AccessConfig = yaml::parse(text, Path::new("access.yaml")).unwrap();
    config.check(&VERBS).unwrap_err().to_string()
}

fn request() -> Request {
    Request::new(Method::POST, "/api/v1/devices/r1", "").unwrap()
}

fn with(request: Request, name: &'static str, value: &str) -> Request {
    request.with_header(
        HeaderName::from_static(name),
        HeaderValue::from_str(value).unwrap(),
    )
}

fn forwarded(token: &str) -> Request {
    with(request(), "x-grafana-id", token)
}

fn certificate(subject: &str) -> ClientCertificate {
    ClientCertificate::new(subject, ["dns:probe.example.net".to_owned()])
}

async fn ask(
    access: &Access,
    request: &Request,
    verb: &Verb,
    groups: &[String],
) -> Result<Caller, Denied> {
    let object = Object {
        kind: "device",
        name: "r1",
        groups,
    };
    access.authorise(request, verb, &object).await
}

fn reason(asked: &Result<Caller, Denied>) -> &'static str {
    asked.as_ref().map_or_else(Denied::reason, |_| "allowed")
}

/// Role by verb by group by token by what else the request brings: decided by a table of the test's own.
#[tokio::test]
async fn matrix_of_role_verb_and_token() {
    let grafana = grafana().await;
    let text = format!(
        "grafana: {{url: '{}'}}
web_users: {{root: admin}}
certificates: {{'CN=root': admin}}
rules:
  - {{verbs: [device.change], role: operator, device_groups: [access]}}
  - {{verbs: [device.change], role: admin}}
",
        grafana.url()
    );
    let access = access(&text);
    let other = Signer::new().unwrap().named(grafana.signer().kid());
    let groups = [
        Vec::new(),
        vec!["core".to_owned()],
        vec!["core".to_owned(), "access".to_owned()],
    ];
    let beside: [fn(Request) -> Request; 4] = [
        |request| request,
        |request| request.with_user("root"),
        |request| request.with_client_certificate(certificate("CN=root")),
        |request| {
            with(
                with(request, "x-grafana-user", "root"),
                "x-grafana-context",
                "{\"OrgRole\":\"Admin\"}",
            )
        },
    ];
    let (mut allowed, mut refused) = (0, 0);
    for role in Basic::ALL {
        let right = grafana.draft(login(role));
        let mut tokens = wrong(&right, &grafana.signer(), &other);
        tokens.push(("right", grafana.token(login(role)), ""));
        tokens.push((
            "within the leeway",
            right.clone().moved(20).signed(&grafana.signer()),
            "",
        ));
        for verb in &VERBS {
            for groups in &groups {
                for (kind, token, why) in &tokens {
                    for beside in beside {
                        let asked = ask(&access, &beside(forwarded(token)), verb, groups).await;
                        let may = match (role, verb.name()) {
                            (Basic::None, _) => "role_not_mapped",
                            (Basic::Admin, _) | (_, "device.read") => "allowed",
                            (Basic::Editor, "device.remove") => "allowed",
                            (Basic::Editor, "device.change")
                                if groups.contains(&"access".to_owned()) =>
                            {
                                "allowed"
                            }
                            _ => "forbidden",
                        };
                        let wanted = if why.is_empty() { may } else { why };
                        assert_eq!(
                            reason(&asked),
                            wanted,
                            "{role:?} {} {groups:?} {kind}",
                            verb.name()
                        );
                        match asked {
                            Ok(caller) => {
                                allowed += 1;
                                assert_eq!(caller.via, Via::GrafanaToken);
                                assert_eq!(caller.display, login(role));
                                assert_eq!(caller.subject, grafana.subject(login(role)));
                            }
                            Err(denied) => {
                                refused += 1;
                                // Grafana turns a 401 of a data source into a 400.
                                assert_eq!(denied.status(), StatusCode::FORBIDDEN);
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(allowed > 150 && refused > 8000, "{allowed} {refused}");
    // The first token, and once for all those with unknown keys.
    assert!(grafana.key_fetches() <= 3, "{}", grafana.key_fetches());
}

#[tokio::test]
async fn what_grafana_does_not_sign_is_not_believed() {
    let grafana = grafana().await;
    let text = format!(
        "grafana: {{url: '{}'}}\nweb_users: {{ann: admin}}\n",
        grafana.url()
    );
    let (access, right) = (access(&text), grafana.token("ann"));
    for (name, value) in [
        ("x-grafana-user", "ann"),
        (
            "x-grafana-context",
            "{\"Login\":\"ann\",\"OrgRole\":\"Admin\"}",
        ),
        ("x-grafana-referer", ""),
        ("x-grafana-org-id", "1"),
    ] {
        for request in [request(), request().with_user("ann")] {
            let asked = ask(&access, &with(request, name, value), &READ, &[]).await;
            assert_eq!(reason(&asked), "token_missing", "{name}");
        }
    }
    let twice = with(forwarded(&right), "x-grafana-id", &right);
    assert_eq!(
        reason(&ask(&access, &twice, &READ, &[]).await),
        "token_malformed"
    );
    for (name, value) in [
        ("x-grafana-user", "root"),
        ("authorization", "Bearer x"),
        ("x-forwarded-user", "root"),
    ] {
        let asked = ask(&access, &with(forwarded(&right), name, value), &READ, &[]).await;
        assert_eq!(asked.unwrap().display, "ann");
    }
}

#[tokio::test]
async fn users_groups_and_carriers_decide() {
    let grafana = grafana().await;
    let text = format!(
        "grafana:
  url: '{}'
  carried_by: {{web_users: [grafana], certificates: ['CN=grafana']}}
  roles: {{Viewer: viewer}}
  groups: {{noc: operator}}
  users: {{ann: viewer, 'user:3': admin, 'user:99': admin}}
",
        grafana.url()
    );
    let access = access(&text);
    let sign = |token: Token| token.signed(&grafana.signer());
    let carried = |token: &str| forwarded(token).with_user("grafana");
    let role = async |token: String| {
        access
            .identify(&carried(&token))
            .await
            .map(|caller| caller.role)
    };
    assert_eq!(role(grafana.token("vic")).await, Ok(Role::Viewer));
    assert_eq!(
        role(grafana.token("ann")).await,
        Ok(Role::Viewer),
        "a named user is what the name says"
    );
    assert_eq!(role(grafana.token("ed")).await, Ok(Role::Admin));
    let vic = grafana.draft("vic");
    let groups = serde_json::json!(["other", "noc"]);
    assert_eq!(
        role(sign(vic.clone().claim("groups", groups))).await,
        Ok(Role::Operator)
    );
    let disguised = sign(vic.clone().claim("username", "user:3"));
    assert_eq!(
        role(disguised).await,
        Ok(Role::Viewer),
        "a login is no subject"
    );
    let token = grafana.token("ed");
    for (request, wanted) in [
        (forwarded(&token), "token_carrier"),
        (forwarded(&token).with_user("ed"), "token_carrier"),
        (
            forwarded(&token).with_client_certificate(certificate("CN=ed")),
            "token_carrier",
        ),
        (
            forwarded(&token).with_client_certificate(certificate("CN=grafana")),
            "allowed",
        ),
        (request().with_user("grafana"), "user_not_mapped"),
    ] {
        assert_eq!(reason(&access.identify(&request).await), wanted);
    }
}

#[tokio::test]
async fn certificates_and_web_users_are_callers() {
    let access = access(
        "web_users: {bob: operator}
certificates: {'CN=probe,O=NOC': viewer, 'dns:probe.example.net': operator}
",
    );
    let by = |request: Request| {
        let access = &access;
        async move { access.identify(&request).await }
    };
    let bob = by(request().with_user("bob")).await.unwrap();
    assert_eq!(
        (bob.subject.as_str(), bob.role, bob.via),
        ("bob", Role::Operator, Via::WebUser)
    );
    let probe = by(request().with_client_certificate(certificate("CN=probe,O=NOC")))
        .await
        .unwrap();
    assert_eq!(
        (probe.role, probe.via),
        (Role::Viewer, Via::ClientCertificate)
    );
    let named = by(request().with_client_certificate(certificate("CN=other")))
        .await
        .unwrap();
    assert_eq!(
        (named.subject.as_str(), named.role),
        ("CN=other", Role::Operator)
    );
    assert!(
        !bob.is_same(&probe)
            && bob.is_same(&Caller {
                role: Role::Viewer,
                ..bob.clone()
            })
    );
    for (request, wanted) in [
        (request(), "no_credentials"),
        (request().with_user("eve"), "user_not_mapped"),
        (request().with_user("Bob"), "user_not_mapped"),
        (
            request().with_client_certificate(ClientCertificate::new("CN=probe", [])),
            "certificate_not_mapped",
        ),
        (forwarded("x").with_user("bob"), "token_not_configured"),
        (
            with(
                request().with_user("bob"),
                "origin",
                "https://evil.example.net",
            ),
            "cross_site",
        ),
        (
            with(request().with_user("bob"), "origin", "null"),
            "cross_site",
        ),
        (
            with(request().with_user("bob"), "sec-fetch-site", "cross-site"),
            "cross_site",
        ),
        (
            with(
                with(request().with_user("bob"), "origin", "https://sotp:19870"),
                "host",
                "sotp:19870",
            ),
            "allowed",
        ),
    ] {
        let asked = by(request).await;
        assert_eq!(reason(&asked), wanted);
        if let Err(denied) = asked {
            let answer = denied.response();
            let direct = !matches!(denied, Denied::Unknown { proxied: true, .. });
            assert_eq!(
                answer.status() == StatusCode::UNAUTHORIZED,
                direct,
                "{wanted}"
            );
            assert_eq!(answer.headers().contains_key("www-authenticate"), direct);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
    let nobody = AccessConfig::default().check(&VERBS).unwrap();
    assert_eq!(
        reason(&nobody.identify(&request().with_user("bob")).await),
        "user_not_mapped"
    );
}

async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn keys_are_fetched_when_needed_and_not_more_often() {
    let grafana = grafana().await;
    let access = access(&format!("grafana: {{url: '{}'}}\n", grafana.url()));
    let asks = (0..50).map(|_| async { access.identify(&forwarded(&grafana.token("ann"))).await });
    let asked = futures_util::future::join_all(asks).await;
    assert!(asked.iter().all(Result::is_ok));
    assert_eq!(grafana.key_fetches(), 1, "fifty at a time fetch once");
    grafana.rotate().unwrap();
    let new = grafana.token("ann");
    assert_eq!(
        reason(&access.identify(&forwarded(&new)).await),
        "token_key",
        "asked a moment ago"
    );
    later(Duration::from_secs(11)).await;
    assert_eq!(reason(&access.identify(&forwarded(&new)).await), "allowed");
    assert_eq!(grafana.key_fetches(), 2);
    later(Duration::from_secs(11)).await;
    let other = Signer::new().unwrap();
    for n in 0..200 {
        let token = grafana
            .draft("ann")
            .header("kid", format!("k{n}"))
            .signed(&other);
        assert_eq!(
            reason(&access.identify(&forwarded(&token)).await),
            "token_key"
        );
    }
    assert_eq!(
        grafana.key_fetches(),
        3,
        "two hundred unknown keys fetch once"
    );
    // Another configuration with the same Grafana has the same keys.
    let again = self::access(&format!(
        "grafana: {{url: '{}', audience: 'org:1'}}\n",
        grafana.url()
    ));
    assert_eq!(reason(&again.identify(&forwarded(&new)).await), "allowed");
    assert_eq!(grafana.key_fetches(), 3);
}

#[tokio::test]
async fn without_keys_nobody_is_let_in() {
    let big = format!("{{\"keys\":[{}]}}", "1,".repeat(100_000) + "1");
    let bodies = [
        Keys::Answer(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
        Keys::Answer(StatusCode::FOUND, Bytes::new()),
        Keys::Answer(StatusCode::OK, Bytes::from("<html>")),
        Keys::Answer(StatusCode::OK, Bytes::from("{\"keys\":null}")),
        Keys::Answer(StatusCode::OK, Bytes::from(big)),
        Keys::Silence,
    ];
    for keys in bodies {
        let grafana = grafana().await;
        let access = access(&format!("grafana: {{url: '{}'}}\n", grafana.url()));
        grafana.set_keys(keys.clone());
        let token = grafana.token("ann");
        let asked = access.identify(&forwarded(&token)).await;
        assert_eq!(reason(&asked), "keys_unavailable", "{keys:?}");
        assert_eq!(
            asked.unwrap_err().response().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        grafana.set_keys(Keys::Own);
        assert_eq!(
            reason(&access.identify(&forwarded(&token)).await),
            "keys_unavailable"
        );
        later(Duration::from_secs(11)).await;
        assert_eq!(
            reason(&access.identify(&forwarded(&token)).await),
            "allowed"
        );
        // Grafana goes away: the keys are good for an hour.
        grafana.set_keys(Keys::Answer(StatusCode::BAD_GATEWAY, Bytes::new()));
        later(Duration::from_secs(3500)).await;
        assert_eq!(
            reason(&access.identify(&forwarded(&token)).await),
            "allowed"
        );
        later(Duration::from_secs(101)).await;
        assert_eq!(
            reason(&access.identify(&forwarded(&token)).await),
            "keys_unavailable"
        );
    }
}

#[tokio::test]
async fn keys_that_cannot_sign_are_no_keys() {
    let grafana = grafana().await;
    let right = grafana.signer().jwk();
    let (kid, other) = (grafana.signer().kid().to_owned(), Signer::new().unwrap());
    let changed = |name: &str, value: &str| {
        let mut jwk = right.clone();
        jwk[name] = value.into();
        jwk
    };
    for (set, wanted) in [
        (vec![right.clone(), other.jwk()], "allowed"),
        (vec![right.clone(), right.clone()], "allowed"),
        (
            vec![right.clone(), other.named(&kid).jwk()],
            "keys_unavailable",
        ),
        (vec![other.jwk()], "token_key"),
        (vec![other.named(&kid).jwk()], "token_signature"),
        (vec![changed("alg", "ES384"), other.jwk()], "token_key"),
        (vec![changed("use", "enc"), other.jwk()], "token_key"),
        (vec![changed("crv", "P-384"), other.jwk()], "token_key"),
        (vec![changed("kty", "RSA"), other.jwk()], "token_key"),
        (vec![changed("x", "AAAA"), other.jwk()], "token_key"),
        (
            vec![changed("x", &"A".repeat(43)), other.jwk()],
            "token_signature",
        ),
    ] {
        let body = serde_json::json!({ "keys": set }).to_string();
        let one = self::grafana().await;
        one.set_keys(Keys::Answer(StatusCode::OK, Bytes::from(body.clone())));
        let text = format!(
            "grafana: {{url: '{}', issuer: '{}'}}\n",
            one.url(),
            grafana.url()
        );
        let asked = access(&text)
            .identify(&forwarded(&grafana.token("ann")))
            .await;
        assert_eq!(reason(&asked), wanted, "{body}");
    }
}

#[test]
fn section_that_cannot_be_meant_is_refused() {
    for (text, wanted) in [
        (
            "rules: [{verbs: [device.chage], role: viewer}]",
            "rules[0].verbs[0]: expected one of device.read, device.change, device.remove, access.change",
        ),
        (
            "rules: [{verbs: [devices.*], role: viewer}]",
            "rules[0].verbs[0]: expected one of",
        ),
        (
            "rules: [{verbs: [], role: viewer}]",
            "rules[0].verbs: expected at least one verb",
        ),
        (
            "grafana: {url: 'grafana:3000'}",
            "grafana.url: expected an address",
        ),
        (
            "grafana: {url: 'http://a:b@grafana/'}",
            "grafana.url: expected an address",
        ),
        (
            "grafana: {url: 'http://grafana/', issuer: x}",
            "grafana.issuer: expected an address",
        ),
        (
            "grafana: {url: 'http://grafana/', roles: {Operator: admin}}",
            "grafana.roles.Operator: expected Viewer",
        ),
        (
            "grafana: {url: 'http://grafana/', carried_by: {web_users: [g]}}\nweb_users: {g: viewer}",
            "web_users.g: expected a login of its own",
        ),
        (
            "grafana: {url: 'http://grafana/', carried_by: {certificates: ['CN=g']}}\ncertificates: {'CN=g': viewer}",
            "certificates.\"CN=g\": expected a login of its own",
        ),
        ("web_users: {'': viewer}", "web_users.\"\": expected a name"),
    ] {
        let found = refusal(text);
        assert!(found.starts_with(wanted), "{text}: {found}");
    }
    for text in [
        "web_user: {}",
        "web_users: {a: root}",
        "rules: [{role: admin}]",
        "grafana: {}",
    ] {
        assert!(
            yaml::parse::<AccessConfig>(text, Path::new("x")).is_err(),
            "{text}"
        );
    }
}
