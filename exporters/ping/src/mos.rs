//! What a call over the path would sound like: the E-model of ITU-T G.107 with all but delay and loss at its defaults.

/// R of an unimpaired call with the defaults of G.107.
const R_DEFAULT: f64 = 93.2;
/// Robustness of G.711 with packet loss concealment against random loss (ITU-T G.113, table I.4).
const BPL: f64 = 25.1;

/// Mean opinion score, 1 to 4.5, of a call with this mouth-to-ear delay in seconds and this part (0 to 1) of its packets lost.
///
/// `R = 93.2 - Id - Ie,eff` (G.107, 7.1), where 93.2 is `Ro - Is` at the defaults, with `A` = 0. `Id` is in the simplified form of Cole and
/// Rosenbluth ("Voice over IP Performance Monitoring", ACM CCR 31, 2001), within 1.1 of that of G.107 up to 0.3 s. `Ie,eff` is that of G.711
/// with concealment (`Ie` = 0) under random loss (`BurstR` = 1; G.107, 7.5). The score is that of Annex B.
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

    /// `Id` of G.107, 7.4, for this mouth-to-ear delay in milliseconds, with every other parameter at its default: echo of the talker
    /// (`TELR` = 65) and of the listener (`WEPL` = 110), and what delay does without any echo.
    fn delay_impairment(millis: f64) -> f64 {
        // With the defaults of table 2 both are the same: `15 - 1.5 (SLR + No)` and `-1.5 (No - RLR)`, with `No` = -61.179.
        let (ro, roe) = (94.769, 94.769);
        let terv = 65.0 - 40.0 * ((1.0 + millis / 10.0) / (1.0 + millis / 150.0)).log10()
            + 6.0 * (-0.3 * millis * millis).exp();
        let re = 80.0 + 2.5 * (terv - 14.0);
        let half = (roe - re) / 2.0;
        let talker = (half + (half * half + 100.0).sqrt() - 1.0) * (1.0 - (-millis).exp());
        let rle = 10.5 * (110.0 + 7.0) * (2.0 * millis + 1.0).powf(-0.25);
        let half = (ro - rle) / 2.0;
        let listener = half + (half * half + 169.0).sqrt();
        let x = (millis / 100.0).max(1.0).log2();
        let root = |base: f64| (1.0 + base.powi(6)).powf(1.0 / 6.0);
        let absolute = 25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0);
        talker + listener + absolute
    }

    #[test]
    fn the_simplified_delay_is_near_that_of_the_recommendation() {
        for millis in (0..=400).map(f64::from) {
            let simple = 0.024 * millis + 0.11 * (millis - 177.3).max(0.0);
            let bound = if millis <= 300.0 { 1.1 } else { 3.2 };
            let whole = delay_impairment(millis);
            assert!(
                (simple - whole).abs() < bound,
                "{millis} ms: {simple} {whole}"
            );
        }
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
