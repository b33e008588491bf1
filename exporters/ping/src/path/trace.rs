//! One trace: which hop limit to send next, and when it is over.

use std::net::IpAddr;

/// Requests of one trace on their way at a time.
const WINDOW: usize = 8;
/// Hops in a row without an answer after which it goes no further.
const GAP: u8 = 5;
/// Requests of one trace that are sent a second time.
const RETRIES: u8 = 4;

/// Who answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A router at which the hop limit ran out.
    Expired(IpAddr),
    /// The target.
    Reached(IpAddr),
    /// A router that knows no way on.
    Refused(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Silent,
    Answered(IpAddr, u64),
}

/// A trace under way.
#[derive(Debug, Clone)]
pub struct Trace {
    most: u8,
    sent: Vec<State>,
    end: Option<(u8, bool)>,
    /// Requests that may be sent again, and the hop that was last.
    retries: u8,
    retried: (u8, u8),
}

/// What a trace found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Who answered from each hop, and after how many nanoseconds. When the target was reached it is the last; else the last one that
    /// answered is.
    pub hops: Vec<Option<(IpAddr, u64)>>,
    /// The target answered.
    pub reached: bool,
}

impl Trace {
    /// A trace of up to `most` hops.
    pub fn new(most: u8) -> Self {
        Self {
            most,
            sent: Vec::new(),
            end: None,
            retries: RETRIES,
            retried: (0, 0),
        }
    }

    /// The hop limit of the request to send now; `None` while answers are waited for, and when it is over.
    pub fn next(&self) -> Option<u8> {
        let waiting = self
            .sent
            .iter()
            .filter(|state| **state == State::Waiting)
            .count();
        if let Some(again) = self.again() {
            return Some(again);
        }
        let next = u8::try_from(self.sent.len()).ok()?.checked_add(1)?;
        let limit = match self.end {
            Some((end, _)) => end,
            None => self.most.min(self.answered_until().saturating_add(GAP)),
        };
        (waiting < WINDOW && next <= limit).then_some(next)
    }

    /// The hop before the target that is silent, while it may be asked again: it may be the target itself, of which one answer was lost,
    /// and the path a hop shorter.
    fn again(&self) -> Option<u8> {
        let (end, _) = self.end.filter(|(_, reached)| *reached)?;
        let before = end.checked_sub(1).filter(|&hop| hop > 0)?;
        let silent = self.sent.get(usize::from(before) - 1) == Some(&State::Silent);
        let twice = self.retried.0 == before && self.retried.1 >= 2;
        (silent && !twice && self.retries > 0).then_some(before)
    }

    /// The request with this hop limit, which [`next`](Self::next) said, was sent.
    pub fn sent(&mut self, hop: u8) {
        if usize::from(hop) > self.sent.len() {
            self.sent.push(State::Waiting);
            return;
        }
        self.retries = self.retries.saturating_sub(1);
        self.retried = if self.retried.0 == hop {
            (hop, self.retried.1 + 1)
        } else {
            (hop, 1)
        };
        if let Some(state) = self.state(hop) {
            *state = State::Waiting;
        }
    }

    /// A request was answered.
    pub fn answered(&mut self, hop: u8, answer: Answer, nanos: u64) {
        let Some(state) = self.state(hop) else { return };
        if *state != State::Waiting {
            return;
        }
        let (from, end) = match answer {
            Answer::Expired(from) => (from, None),
            Answer::Reached(from) => (from, Some(true)),
            Answer::Refused(from) => (from, Some(false)),
        };
        *state = State::Answered(from, nanos);
        // Every request with a larger limit gets to the target too: the smallest counts.
        if let Some(reached) = end
            && self
                .end
                .is_none_or(|(known, was)| hop < known || (reached && !was))
        {
            self.end = Some((hop, reached));
        }
    }

    /// A request was not answered in time.
    pub fn silent(&mut self, hop: u8) {
        if let Some(state) = self.state(hop)
            && *state == State::Waiting
        {
            *state = State::Silent;
        }
    }

    /// Nothing is to be sent, and nothing that matters is waited for.
    pub fn is_over(&self) -> bool {
        let end = self
            .end
            .map_or(self.sent.len(), |(end, _)| usize::from(end));
        let waiting = self
            .sent
            .iter()
            .take(end)
            .any(|state| *state == State::Waiting);
        !waiting && self.next().is_none()
    }

    /// What it found so far.
    pub fn outcome(&self) -> Outcome {
        let (end, reached) = self.end.unwrap_or((self.answered_until(), false));
        let hop = |state: &State| match *state {
            State::Answered(from, nanos) => Some((from, nanos)),
            _ => None,
        };
        Outcome {
            hops: self.sent.iter().take(end.into()).map(hop).collect(),
            reached,
        }
    }

    fn state(&mut self, hop: u8) -> Option<&mut State> {
        self.sent.get_mut(usize::from(hop).checked_sub(1)?)
    }

    fn answered_until(&self) -> u8 {
        let last = self
            .sent
            .iter()
            .rposition(|state| matches!(state, State::Answered(..)));
        last.map_or(0, |at| u8::try_from(at + 1).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn router(hop: u8) -> IpAddr {
        IpAddr::from([198, 18, hop, 1])
    }

    fn target() -> IpAddr {
        IpAddr::from([198, 18, 200, 1])
    }

    proptest! {
        /// A network of `length` hops of which some are silent, and answers in any order: what is found is what is there.
        #[test]
        fn the_outcome_is_the_network(
            length in 1_u8..40,
            most in 1_u8..33,
            silent in proptest::collection::hash_set(1_u8..40, 0..12),
            dead in any::<bool>(),
            order in any::<u64>(),
        ) {
            let mut trace = Trace::new(most);
            let mut under_way = Vec::new();
            let mut random = order;
            let mut sent = 0_u32;
            while !trace.is_over() {
                while let Some(hop) = trace.next() {
                    trace.sent(hop);
                    under_way.push(hop);
                    sent += 1;
                    prop_assert!(under_way.len() <= WINDOW);
                }
                prop_assert!(!under_way.is_empty(), "it waits for nothing");
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let hop = under_way.swap_remove((random >> 33) as usize % under_way.len());
                let reached = hop >= length;
                if silent.contains(&hop) && !reached || reached && dead {
                    trace.silent(hop);
                } else if reached {
                    trace.answered(hop, Answer::Reached(target()), 7);
                    trace.answered(hop, Answer::Expired(router(99)), 9);
                } else {
                    trace.answered(hop, Answer::Expired(router(hop)), u64::from(hop));
                }
            }
            prop_assert!(sent <= u32::from(most) + u32::from(RETRIES));
            let found = trace.outcome();
            // A run of silence longer than the gap ends it.
            let speaks = |hop: &u8| !silent.contains(hop);
            let mut last = 0;
            for hop in (1..length).filter(speaks) {
                if hop - last <= GAP && hop <= most {
                    last = hop;
                }
            }
            let reached = !dead && length <= most && length - last <= GAP;
            prop_assert_eq!(found.reached, reached);
            let end = if reached { length } else { last };
            prop_assert_eq!(found.hops.len(), usize::from(end));
            for (hop, answer) in (1..).zip(&found.hops) {
                let expected = if hop == length {
                    Some((target(), 7))
                } else if speaks(&hop) {
                    Some((router(hop), u64::from(hop)))
                } else {
                    None
                };
                prop_assert_eq!(*answer, expected);
            }
        }
    }

    #[test]
    fn a_lost_answer_of_the_target_makes_no_path_longer() {
        let mut trace = Trace::new(30);
        for _ in 0..4 {
            let hop = trace.next().unwrap();
            trace.sent(hop);
        }
        trace.answered(1, Answer::Expired(router(1)), 1);
        trace.answered(4, Answer::Reached(target()), 1);
        trace.silent(2);
        trace.silent(3);
        for lost in [true, false] {
            assert_eq!(trace.next(), Some(3), "asked again");
            trace.sent(3);
            assert_eq!(trace.next(), None);
            if lost {
                trace.silent(3);
            } else {
                trace.answered(3, Answer::Reached(target()), 1);
            }
        }
        assert_eq!(trace.next(), Some(2));
        trace.sent(2);
        trace.answered(2, Answer::Reached(target()), 1);
        assert!(trace.is_over());
        assert_eq!(trace.outcome().hops.len(), 2);
    }

    #[test]
    fn a_refusal_ends_it() {
        let mut trace = Trace::new(30);
        for _ in 0..3 {
            let hop = trace.next().unwrap();
            trace.sent(hop);
        }
        trace.answered(1, Answer::Expired(router(1)), 1);
        trace.answered(3, Answer::Refused(router(2)), 1);
        trace.answered(2, Answer::Refused(router(2)), 1);
        assert!(trace.is_over());
        let found = trace.outcome();
        assert_eq!((found.hops.len(), found.reached), (2, false));
    }
}
