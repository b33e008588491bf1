//! The fate of each packet of one direction.

use std::time::Instant;

use crate::topology::Shape;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Lost,
    /// Delivered then; never before the one ahead of it.
    Delivered(Instant),
}

/// The generator of fates of one direction.
#[derive(Debug)]
pub(super) struct Impairment {
    random: fastrand::Rng,
    last: Option<Instant>,
}

impl Impairment {
    pub(super) fn new(seed: u64, link: &str, direction: u8) -> Self {
        // FNV-1a, so that each link and direction has a sequence of its own that stays the same between builds.
        let start = 0xcbf2_9ce4_8422_2325_u64;
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = seed
            .to_le_bytes()
            .into_iter()
            .chain(link.bytes())
            .chain([direction])
            .fold(start, mix);
        Self {
            random: fastrand::Rng::with_seed(hash),
            last: None,
        }
    }

    /// The fate of the next packet, which comes now.
    pub(super) fn next(&mut self, now: Instant, shape: Shape) -> Outcome {
        // Both are drawn always: the sequence must not depend on what came out before.
        let (loss, jitter) = (self.random.f64(), self.random.f64());
        if loss < shape.loss {
            return Outcome::Lost;
        }
        let due = now + shape.delay + shape.jitter.mul_f64(jitter);
        let due = self.last.map_or(due, |last| due.max(last));
        self.last = Some(due);
        Outcome::Delivered(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SHAPE: Shape = Shape {
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(10),
        loss: 0.1,
    };

    fn fates(seed: u64, direction: u8) -> Vec<Option<Duration>> {
        let mut impairment = Impairment::new(seed, "r1-r2", direction);
        let start = Instant::now();
        (0..10_000)
            .map(|packet| {
                let now = start + Duration::from_millis(packet);
                match impairment.next(now, SHAPE) {
                    Outcome::Lost => None,
                    Outcome::Delivered(due) => Some(due - start),
                }
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_another_direction_others() {
        assert_eq!(fates(1, 0), fates(1, 0));
        assert_ne!(fates(1, 0), fates(1, 1));
        assert_ne!(fates(1, 0), fates(2, 0));
    }

    #[test]
    fn delay_jitter_and_loss_are_what_the_shape_says_and_order_is_kept() {
        let fates = fates(7, 0);
        let lost = fates.iter().filter(|fate| fate.is_none()).count();
        // Binomial: 1,000 expected, standard deviation 30.
        assert!((850..=1_150).contains(&lost), "{lost} of 10,000 lost");
        let mut last = Duration::ZERO;
        for (packet, fate) in fates.iter().enumerate() {
            let Some(due) = *fate else { continue };
            let sent = Duration::from_millis(packet as u64);
            assert!(due >= sent + SHAPE.delay, "packet {packet} too early");
            assert!(
                due <= sent + SHAPE.delay + SHAPE.jitter,
                "packet {packet} too late"
            );
            assert!(due >= last, "packet {packet} overtook");
            last = due;
        }
    }
}
