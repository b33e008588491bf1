//! Web vitals: what they are called, what is good, and what can be true.
//!
//! Thresholds: <https://web.dev/articles/vitals>, the pages of each metric.

use toolkit::Buckets;

/// A web vital.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vital {
    /// Largest contentful paint.
    Lcp,
    /// First contentful paint.
    Fcp,
    /// Time to first byte.
    Ttfb,
    /// Interaction to next paint.
    Inp,
    /// First input delay, of older agents.
    Fid,
    /// Cumulative layout shift, without a unit.
    Cls,
}

/// How good a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rating {
    /// As it should be.
    Good,
    /// Between the thresholds.
    NeedsImprovement,
    /// Beyond both.
    Poor,
}

impl Rating {
    /// As the label says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NeedsImprovement => "needs-improvement",
            Self::Poor => "poor",
        }
    }
}

impl Vital {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Lcp,
        Self::Fcp,
        Self::Ttfb,
        Self::Inp,
        Self::Fid,
        Self::Cls,
    ];

    /// The key of a Faro measurement of type `web-vitals`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Lcp => "lcp",
            Self::Fcp => "fcp",
            Self::Ttfb => "ttfb",
            Self::Inp => "inp",
            Self::Fid => "fid",
            Self::Cls => "cls",
        }
    }

    /// The name of its family and what that is.
    #[must_use]
    pub fn family(self) -> (&'static str, &'static str) {
        match self {
            Self::Lcp => (
                "rum_web_vital_lcp_seconds",
                "Largest contentful paint of a page, by application, route and rating",
            ),
            Self::Fcp => (
                "rum_web_vital_fcp_seconds",
                "First contentful paint of a page, by application, route and rating",
            ),
            Self::Ttfb => (
                "rum_web_vital_ttfb_seconds",
                "Time to the first byte of a page, by application, route and rating",
            ),
            Self::Inp => (
                "rum_web_vital_inp_seconds",
                "Interaction to next paint of a page, by application, route and rating",
            ),
            Self::Fid => (
                "rum_web_vital_fid_seconds",
                "First input delay of a page, by application, route and rating",
            ),
            Self::Cls => (
                "rum_web_vital_cls_score",
                "Cumulative layout shift of a page, without a unit, by application, route and rating",
            ),
        }
    }

    /// Up to where it is good, and from where it is poor, in its base unit.
    #[must_use]
    pub fn thresholds(self) -> (f64, f64) {
        match self {
            Self::Lcp => (2.5, 4.0),
            Self::Fcp => (1.8, 3.0),
            Self::Ttfb => (0.8, 1.8),
            Self::Inp => (0.2, 0.5),
            Self::Fid => (0.1, 0.3),
            Self::Cls => (0.1, 0.25),
        }
    }

    /// The rating of a value in its base unit: the first threshold is still good, the second still in between.
    #[must_use]
    pub fn rating(self, value: f64) -> Rating {
        let (good, poor) = self.thresholds();
        if value <= good {
            Rating::Good
        } else if value <= poor {
            Rating::NeedsImprovement
        } else {
            Rating::Poor
        }
    }

    /// A value as a browser tells it (milliseconds, or a score) in its base unit; `None` when no page can have it: negative, not finite,
    /// or more than ten minutes or a score of 100.
    #[must_use]
    pub fn value(self, told: f64) -> Option<f64> {
        let (value, most) = match self {
            Self::Cls => (told, 100.0),
            _ => (told / 1_000.0, 600.0),
        };
        (0.0..=most).contains(&value).then_some(value)
    }

    /// The buckets of its histogram; its thresholds are among them.
    #[must_use]
    pub fn buckets(self) -> Buckets {
        Buckets::new(match self {
            Self::Lcp | Self::Fcp | Self::Ttfb => &[
                0.1, 0.25, 0.5, 0.8, 1.2, 1.8, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0,
            ],
            Self::Inp | Self::Fid => &[0.008, 0.016, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0],
            Self::Cls => &[0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thresholds_are_bounds_of_the_buckets_and_belong_to_the_better_side() {
        for vital in Vital::ALL {
            let (good, poor) = vital.thresholds();
            for bound in [good, poor] {
                assert!(
                    vital.buckets().bounds().contains(&bound),
                    "{vital:?} {bound}"
                );
            }
            assert_eq!(vital.rating(good), Rating::Good);
            assert_eq!(vital.rating(poor), Rating::NeedsImprovement);
            assert_eq!(vital.rating(poor * 1.001), Rating::Poor);
        }
    }

    #[test]
    fn what_no_page_can_have_is_no_value() {
        assert_eq!(Vital::Lcp.value(2_500.0), Some(2.5));
        assert_eq!(Vital::Cls.value(0.1), Some(0.1));
        for told in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Vital::Lcp.value(told), None);
            assert_eq!(Vital::Cls.value(told), None);
        }
    }
}
