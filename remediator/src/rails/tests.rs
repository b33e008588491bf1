use proptest::prelude::*;

use super::*;

fn subject(device: u8, port: u8) -> Subject {
    let runbook = format!("runbook{}", port % 2);
    Subject {
        key: format!("{runbook} d{device} p{port}"),
        runbook,
        device: format!("d{device}"),
        site: format!("s{}", device / 4),
        role: format!("r{}", device / 8),
    }
}

/// What happens next: so many milliseconds later an incident of this target.
fn event() -> impl Strategy<Value = (i64, u8, u8)> {
    (
        prop_oneof![0..2_000_i64, 0..120_000_i64, 0..2_000_000_i64],
        0..16_u8,
        0..4_u8,
    )
}

/// Most events of `times` within any span that ends at one of them.
fn most_within(times: &[i64], span: i64) -> usize {
    let counts = times.iter().map(|end| {
        times
            .iter()
            .filter(|at| **at > end - span && **at <= *end)
            .count()
    });
    counts.max().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// 24 long streams of up to 300 alerts: whatever comes in whatever order, no bound is ever passed. Counted anew from the starts alone.
    #[test]
    fn no_stream_of_alerts_passes_a_bound(events in prop::collection::vec(event(), 1..300)) {
        let bounds = Bounds { cooldown: vec![Duration::from_secs(60), Duration::from_secs(600)], flap_count: 1_000, ..Bounds::default() };
        let mut rails = Rails::default();
        let mut now = 1_700_000_000_000;
        let mut started: Vec<(i64, Subject)> = Vec::new();
        for (later, device, port) in events {
            now += later;
            let subject = subject(device, port);
            rails.incident(&subject.key, now);
            match rails.try_start(&bounds, &subject, 100, now) {
                Ok(()) => started.push((now, subject)),
                Err(Held { until: Some(until), .. }) => prop_assert!(until > now, "held until a time that is over"),
                Err(_) => {}
            }
        }
        let times = |same: &dyn Fn(&Subject) -> bool| -> Vec<i64> {
            started.iter().filter(|(_, subject)| same(subject)).map(|(at, _)| *at).collect()
        };
        let span = 600_000;
        prop_assert!(most_within(&times(&|_| true), 60_000) <= 10);
        for (_, one) in &started {
            prop_assert!(most_within(&times(&|s| s.device == one.device), span) <= 3);
            prop_assert!(most_within(&times(&|s| s.site == one.site), span) <= 5);
            prop_assert!(most_within(&times(&|s| s.role == one.role), span) <= 10);
            prop_assert!(most_within(&times(&|s| s.runbook == one.runbook), 3_600_000) <= 30);
            let own = times(&|s| s.key == one.key);
            for (n, pair) in own.windows(2).enumerate() {
                let gone = own.iter().filter(|at| **at <= pair[1] - DAY).count();
                let pause = [60_000, 600_000].get(n.saturating_sub(gone)).copied().unwrap_or_default();
                prop_assert!(pair[1] - pair[0] >= pause, "{} started again after {} ms", one.key, pair[1] - pair[0]);
            }
            prop_assert!(most_within(&own, DAY) <= 3, "three starts a day, then people look");
        }
    }

    #[test]
    fn what_is_held_until_a_time_may_start_then(events in prop::collection::vec(event(), 1..60)) {
        let bounds = Bounds { flap_count: 1_000, cooldown: vec![Duration::from_secs(1); 1_000], ..Bounds::default() };
        let mut rails = Rails::default();
        let mut now = 1_700_000_000_000;
        for (later, device, port) in events {
            now += later;
            let subject = subject(device, port);
            // Another rail may hold it then; each names a later time, and there are six.
            for _ in 0..40 {
                match rails.try_start(&bounds, &subject, 100, now) {
                    Ok(()) => break,
                    Err(held) => now = held.until.ok_or_else(|| TestCaseError::fail("held for good"))?,
                }
            }
            prop_assert!(rails.started_near(&subject.device, now, 0), "never started");
        }
    }
}

#[test]
fn target_that_comes_and_goes_is_left_to_people() {
    let (bounds, mut rails) = (Bounds::default(), Rails::default());
    let (subject, now) = (subject(1, 1), 1_700_000_000_000);
    for n in 0..2 {
        rails.incident(&subject.key, now + n * 60_000);
        // The same incident told again is no other one.
        rails.incident(&subject.key, now + n * 60_000);
    }
    assert_eq!(rails.check(&bounds, &subject, 10, now + 120_000), Ok(()));
    rails.incident(&subject.key, now + 120_000);
    let held = Held {
        rail: Rail::Flap,
        until: None,
    };
    assert_eq!(rails.check(&bounds, &subject, 10, now + 120_000), Err(held));
    assert_eq!(
        rails.check(&bounds, &subject, 10, now + 3_700_000),
        Ok(()),
        "an hour later it is calm"
    );
}

#[test]
fn nothing_starts_while_a_third_of_the_network_is_down() {
    let (bounds, mut rails) = (Bounds::default(), Rails::default());
    let now = 1_700_000_000_000;
    for device in 0..6_u8 {
        rails.alert(&format!("f{device}"), &format!("d{device}"), true, now);
        // Two alerts of one device are one device.
        rails.alert(&format!("g{device}"), &format!("d{device}"), true, now);
    }
    let held = Err(Held {
        rail: Rail::Correlated,
        until: None,
    });
    assert_eq!(rails.check(&bounds, &subject(1, 1), 19, now), held);
    assert_eq!(
        rails.check(&bounds, &subject(1, 1), 100, now),
        Ok(()),
        "six of a hundred are no outage"
    );
    rails.alert("f0", "d0", false, now);
    assert_eq!(
        rails.check(&bounds, &subject(1, 1), 19, now),
        held,
        "its other alert still fires"
    );
    rails.alert("g0", "d0", false, now);
    assert_eq!(
        rails.check(&bounds, &subject(1, 1), 19, now),
        Ok(()),
        "five devices never are"
    );
}

#[test]
fn alert_whose_end_was_lost_holds_nothing_back_for_ever() {
    let (bounds, mut rails) = (Bounds::default(), Rails::default());
    let now = 1_700_000_000_000;
    for device in 0..6_u8 {
        rails.alert(&format!("f{device}"), &format!("d{device}"), true, now);
    }
    let rail = |at| {
        rails
            .check(&bounds, &subject(1, 1), 6, at)
            .err()
            .map(|held| held.rail)
    };
    assert_eq!(rail(now + DAY - 1), Some(Rail::Correlated));
    assert_eq!(rail(now + DAY), None, "nobody told of it for a day");
}

#[test]
fn each_of_a_pair_with_its_own_beginning_makes_no_flapping() {
    let (bounds, mut rails) = (Bounds::default(), Rails::default());
    let (subject, now) = (subject(1, 1), 1_700_000_000_000);
    for n in 0..2 {
        for peer in [0, 40, 14_000] {
            rails.incident(&subject.key, now + n * 60_000 + peer);
        }
    }
    assert_eq!(rails.check(&bounds, &subject, 10, now + 120_000), Ok(()));
}

/// What every rail that counts says about one start, counted anew from everything that happened: the slow and plain way.
struct Plain {
    bounds: Bounds,
    devices: usize,
    started: Vec<(i64, Subject)>,
    begun: Vec<(String, i64)>,
    firing: Vec<(String, String, i64)>,
}

impl Plain {
    fn within(&self, now: i64, span: Duration, same: impl Fn(&Subject) -> bool) -> u32 {
        let from = now - millis(span);
        let near = self
            .started
            .iter()
            .filter(|(at, subject)| *at > from && same(subject));
        u32::try_from(near.count()).unwrap()
    }

    /// Whether the subject may start now.
    fn allows(&self, subject: &Subject, now: i64) -> bool {
        let bounds = &self.bounds;
        let of_key = self
            .started
            .iter()
            .filter(|(at, one)| one.key == subject.key && *at > now - DAY);
        let of_key: Vec<i64> = of_key.map(|(at, _)| *at).collect();
        let cooled = match of_key.last() {
            None => true,
            Some(last) => bounds
                .cooldown
                .get(of_key.len() - 1)
                .is_some_and(|pause| last + millis(*pause) <= now),
        };
        let from = now - millis(bounds.flap_span);
        let flaps = self
            .begun
            .iter()
            .filter(|(key, at)| *key == subject.key && *at >= from);
        let hit: HashSet<&str> = self
            .firing
            .iter()
            .filter(|(.., at)| *at > now - DAY)
            .map(|(_, device, _)| device.as_str())
            .collect();
        let least = usize::try_from(bounds.correlated_least).unwrap();
        let correlated =
            hit.len() > least && hit.len() as f64 / self.devices as f64 > bounds.correlated_share;
        cooled
            && flaps.count() < usize::try_from(bounds.flap_count).unwrap()
            && !correlated
            && self.within(now, bounds.span, |one| one.device == subject.device) < bounds.per_device
            && self.within(now, bounds.span, |one| one.site == subject.site) < bounds.per_site
            && self.within(now, bounds.span, |one| one.role == subject.role) < bounds.per_role
            && self.within(now, Duration::from_secs(60), |_| true) < bounds.per_minute
            && self.within(now, Duration::from_secs(3_600), |one| {
                one.runbook == subject.runbook
            }) < bounds.per_runbook_hour
    }
}

/// One random stream of alerts under random bounds; answers how often a rail held something back.
fn stream(seed: u64) -> usize {
    let mut chance = fastrand::Rng::with_seed(seed);
    let some = |chance: &mut fastrand::Rng, most: u32| chance.u32(1..=most);
    let bounds = Bounds {
        per_device: some(&mut chance, 5),
        per_site: some(&mut chance, 8),
        per_role: some(&mut chance, 12),
        span: Duration::from_secs(chance.u64(1..1_200)),
        per_minute: some(&mut chance, 12),
        per_runbook_hour: some(&mut chance, 40),
        correlated_share: chance.f64(),
        correlated_least: some(&mut chance, 8),
        cooldown: (0..=chance.usize(0..4))
            .map(|_| Duration::from_millis(chance.u64(1..4_000_000)))
            .collect(),
        flap_count: some(&mut chance, 6) + 1,
        flap_span: Duration::from_secs(chance.u64(1..7_200)),
    };
    let mut plain = Plain {
        bounds: bounds.clone(),
        devices: 16,
        started: Vec::new(),
        begun: Vec::new(),
        firing: Vec::new(),
    };
    let (mut rails, mut now, mut held) = (Rails::default(), 1_700_000_000_000, 0);
    for _ in 0..chance.usize(1..60) {
        now += [
            chance.i64(0..2_000),
            chance.i64(0..120_000),
            chance.i64(0..40_000_000),
        ][chance.usize(0..3)];
        let subject = subject(chance.u8(0..16), chance.u8(0..4));
        let (fingerprint, firing) = (
            format!("{} {}", subject.device, chance.u8(0..2)),
            chance.u8(0..4) > 0,
        );
        rails.alert(&fingerprint, &subject.device, firing, now);
        plain.firing.retain(|(known, ..)| *known != fingerprint);
        if !firing {
            continue;
        }
        plain
            .firing
            .push((fingerprint, subject.device.clone(), now));
        // Told late, or by another one of a pair with a beginning of its own.
        let begun = now - chance.i64(0..3) * chance.i64(0..20_000);
        rails.incident(&subject.key, begun);
        let known = plain
            .begun
            .iter()
            .any(|(key, at)| *key == subject.key && (at - begun).abs() < TOGETHER);
        if !known {
            plain.begun.push((subject.key.clone(), begun));
        }
        let allowed = plain.allows(&subject, now);
        let started = rails.try_start(&bounds, &subject, plain.devices, now);
        assert_eq!(
            started.is_ok(),
            allowed,
            "stream {seed}: {started:?} of {subject:?} at {now} under {bounds:?}"
        );
        match started {
            Ok(()) => plain.started.push((now, subject)),
            Err(_) => held += 1,
        }
    }
    held
}

/// Some thousands of random streams under random bounds, a million in `make soak`: each start is what the plain count says.
#[test]
fn rails_hold_back_what_a_plain_count_does_and_nothing_else() {
    let streams = std::env::var("SOTP_STREAMS")
        .ok()
        .and_then(|text| text.parse().ok());
    let held: usize = (0..streams.unwrap_or(4_000)).map(stream).sum();
    assert!(held > 1_000, "{held}");
}
