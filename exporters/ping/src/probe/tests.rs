use std::path::Path;

use toolkit::Labels;
use toolkit::http::Method;

use super::*;
use crate::accounting::Timing;
use crate::counters::{Counters, State};
use crate::engine::{ProbeProfile, Spec};
use crate::targets::Rows;

fn asked(query: &str) -> Result<Asked, String> {
    let request = Request::new(Method::GET, &format!("/probe?{query}"), "").unwrap();
    Asked::read(&request, false)
}

fn module() -> Module {
    config("").modules["icmp"]
}

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("ping.yaml")).unwrap()
}

#[test]
fn parameters_are_checked() {
    let good = asked("target=192.0.2.1&module=lan&debug=true").unwrap();
    assert_eq!(
        (good.target.as_str(), good.module.as_str(), good.debug),
        ("192.0.2.1", "lan", true)
    );
    assert_eq!(asked("target=a").unwrap().module, "icmp");
    for (query, said) in [
        ("module=icmp", "Target parameter is missing"),
        ("target=", "Target parameter is missing"),
        ("target=a&target=b", "once"),
        ("target=a&colour=red", "\"colour\""),
    ] {
        let error = asked(query).unwrap_err();
        assert!(error.contains(said), "{query}: {error}");
    }
}

#[test]
fn the_deadline_is_half_a_second_before_that_of_the_scrape() {
    let limit = |seconds: f64| {
        let timeout = Some(Duration::from_secs_f64(seconds));
        Asked {
            timeout,
            ..asked("target=a").unwrap()
        }
        .limit(&module(), Duration::from_millis(500))
    };
    assert_eq!(limit(3.0), Duration::from_millis(2_500));
    assert_eq!(limit(60.0), Duration::from_secs(5), "the module's");
    assert_eq!(
        limit(0.2),
        Duration::from_secs(5),
        "no time is left: the module's"
    );
}

fn prober(view: View) -> Prober {
    let config = Live::fixed(config(""));
    let view = Arc::new(ArcSwap::from_pointee(view));
    let offset = Duration::from_millis(500);
    Prober::new(view, config, Mode::Unprivileged, offset, &Registry::new()).unwrap()
}

async fn body(prober: &Prober, query: &str) -> (u16, String) {
    use http_body_util::BodyExt as _;
    let request = Request::new(Method::GET, &format!("/probe?{query}"), "").unwrap();
    let response = prober.answer(request).await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn followed(counters: &Counters, interval: u64) -> View {
    let address = "198.18.0.1".parse().unwrap();
    let profile = ProbeProfile {
        family: Family::V4,
        timing: Timing {
            interval,
            burst: 1,
            spacing: interval,
            timeout: 2_000_000_000,
            down_after: 3,
        },
        size: 56,
        out: netio::control::Outgoing::default(),
    };
    let row = Row {
        labels: Labels::none().clone(),
        says_address: true,
        zone: None,
        spec: Spec {
            profile: Arc::new(profile),
            address: Some(address),
            phase: 0,
        },
        counters: Arc::default(),
    };
    row.counters.publish(counters);
    let mut rows = Rows::default();
    rows.add(row, &["r1".into()]);
    rows.view()
}

#[tokio::test]
async fn a_followed_target_is_answered_without_a_packet() {
    let mut counters = Counters {
        requests: 3,
        in_flight: 1,
        hop_limit: 61,
        state: State::Up,
        ..Counters::default()
    };
    counters.observe(1_500_000);
    counters.observe(2_500_000);
    let prober_up = prober(followed(&counters, 1_000_000_000));
    for target in ["198.18.0.1", "r1"] {
        let (status, page) = body(&prober_up, &format!("target={target}")).await;
        assert_eq!(status, 200);
        for line in [
            "probe_success 1\n",
            "probe_icmp_duration_seconds{phase=\"rtt\"} 0.0025\n",
            "probe_icmp_reply_hop_limit 61\n",
            "probe_ip_protocol 4\n",
        ] {
            assert!(page.contains(line), "{target}: {line} in\n{page}");
        }
    }
    counters.failures = 1;
    counters.requests += 1;
    counters.lost += 1;
    let down = prober(followed(&counters, 1_000_000_000));
    let (_, page) = body(&down, "target=r1").await;
    assert!(
        page.contains("probe_success 0\n") && !page.contains("hop_limit"),
        "{page}"
    );
    let labels = |prober: &Prober, answer| prober.answered.with_label_values(&[answer]).get();
    assert_eq!(
        (
            labels(&prober_up, "followed"),
            labels(&prober_up, "own_request")
        ),
        (2, 0)
    );
    let (status, _) = body(&down, "target=r1&module=none").await;
    assert_eq!((status, labels(&down, "unknown_module")), (400, 1));
}

#[test]
fn what_is_probed_otherwise_or_rarely_is_no_answer() {
    let fits_with = |change: &dyn Fn(&mut Module), interval: u64| {
        let view = followed(&Counters::default(), interval);
        let mut module = module();
        change(&mut module);
        fits(&view.rows[0], &module)
    };
    assert!(fits_with(&|_| {}, 1_000_000_000));
    assert!(fits_with(&|m| m.size = Some(56), 1_000_000_000));
    assert!(!fits_with(&|_| {}, 60_000_000_000));
    assert!(!fits_with(&|m| m.size = Some(1_400), 1_000_000_000));
    assert!(!fits_with(&|m| m.ttl = Some(3), 1_000_000_000));
    assert!(!fits_with(&|m| m.dont_fragment = true, 1_000_000_000));
}
