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

    /// 24 streams of up to 300 alerts: whatever comes in whatever order, no bound is ever passed. Counted anew from the starts alone.
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
