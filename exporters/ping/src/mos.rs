//! What a call over the path would sound like: the E-model of ITU-T G.107 with all but delay and loss at its defaults.

/// R of an unimpaired call with the defaults of G.107.
const R_DEFAULT: f64 = 93.2;
/// Robustness of G.711 with packet loss concealment against random loss (ITU-T G.113, table I.4).
const BPL: f64 = 25.1;

/// Mean opinion score, 1 to 4.5, of a call with this mouth-to-ear delay in seconds and this part (0 to 1) of its
/// packets lost: G.107 with the delay impairment in the simplified form of Cole and Rosenbluth, and equipment
/// impairment of G.711 (`Ie` = 0).
pub fn mos(delay_seconds: f64, loss: f64) -> f64 {
    let millis = delay_seconds * 1e3;
    let echo = 0.024 * millis + 0.11 * (millis - 177.3).max(0.0);
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let equipment = 95.0 * percent / (percent + BPL);
    let r = R_DEFAULT - echo - equipment;
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_of_the_model() {
        let near =
            |value: f64, wanted: f64| assert!((value - wanted).abs() < 0.005, "{value} {wanted}");
        // R = 93.2, the value G.107 gives for its defaults.
        near(mos(0.0, 0.0), 4.409);
        // R = 93.2 - 0.024 * 150 = 89.6.
        near(mos(0.150, 0.0), 4.326);
        // R = 93.2 - 95 / (1 + 25.1) = 89.56.
        near(mos(0.0, 0.01), 4.325);
        assert_eq!(mos(0.0, 1.0), mos(0.0, 2.0));
        assert_eq!(mos(10.0, 0.0), 1.0);
    }

    #[test]
    fn worse_is_never_better() {
        for step in 0..100 {
            let (delay, loss) = (f64::from(step) * 0.01, f64::from(step) * 0.01);
            assert!(mos(delay + 0.01, 0.0) <= mos(delay, 0.0));
            assert!(mos(0.0, loss + 0.01) <= mos(0.0, loss));
        }
    }
}
