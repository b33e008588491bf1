//! Which name to ask for next: the one that waits longest, with places kept free for names that were answered last time.

use std::collections::{BTreeSet, HashMap};

use inventory::Text;
use tokio::time::Instant;

/// Lookups at a time.
const AT_ONCE: usize = 64;
/// Of them, lookups of names whose last one failed: those take until a timeout, and are not to keep the others waiting.
const DOUBTFUL: usize = AT_ONCE / 2;

/// Names by the time at which they are to be asked for. Each is in it once, or taken.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Names whose last lookup was answered, and names that nobody asked for yet.
    sound: BTreeSet<(Instant, Text)>,
    /// Names whose last lookup failed.
    doubtful: BTreeSet<(Instant, Text)>,
    places: HashMap<Text, (Instant, bool)>,
    /// Lookups under way, of sound and of doubtful names.
    busy: [usize; 2],
}

impl Queue {
    /// Puts a name in, or to another time.
    pub(super) fn put(&mut self, name: &Text, due: Instant, doubtful: bool) {
        self.remove(name);
        self.places.insert(name.clone(), (due, doubtful));
        self.side(doubtful).insert((due, name.clone()));
    }

    /// Takes a name out, if it is there.
    pub(super) fn remove(&mut self, name: &Text) {
        if let Some((due, doubtful)) = self.places.remove(name) {
            self.side(doubtful).remove(&(due, name.clone()));
        }
    }

    /// Takes the next name whose lookup may begin now; [`done`](Self::done) ends it, with what is answered here.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Text, bool)> {
        if self.busy.iter().sum::<usize>() >= AT_ONCE {
            return None;
        }
        let ready =
            |side: &BTreeSet<(Instant, Text)>| side.first().filter(|(due, _)| *due <= now).cloned();
        let sound = ready(&self.sound);
        let doubtful = ready(&self.doubtful).filter(|_| self.busy[1] < DOUBTFUL);
        let ((_, name), is_doubtful) = match (sound, doubtful) {
            (Some(sound), Some(doubtful)) if doubtful < sound => (doubtful, true),
            (Some(sound), _) => (sound, false),
            (None, Some(doubtful)) => (doubtful, true),
            (None, None) => return None,
        };
        self.remove(&name);
        self.busy[usize::from(is_doubtful)] += 1;
        Some((name, is_doubtful))
    }

    /// A lookup has ended, of a name that was doubtful or not when it was taken.
    pub(super) fn done(&mut self, doubtful: bool) {
        let busy = &mut self.busy[usize::from(doubtful)];
        *busy = busy.saturating_sub(1);
    }

    /// When there is something to take if no lookup ends before; `None`: not until then.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.busy.iter().sum::<usize>() >= AT_ONCE {
            return None;
        }
        let doubtful = self.doubtful.first().filter(|_| self.busy[1] < DOUBTFUL);
        let first = [self.sound.first(), doubtful].into_iter().flatten();
        first.map(|(due, _)| *due).min()
    }

    fn side(&mut self, doubtful: bool) -> &mut BTreeSet<(Instant, Text)> {
        if doubtful {
            &mut self.doubtful
        } else {
            &mut self.sound
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(number: usize) -> Text {
        format!("n{number}.example.org").into()
    }

    #[test]
    fn names_that_fail_leave_places_to_the_others() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for number in 0..1_000 {
            queue.put(&name(number), start, true);
        }
        let mut taken = 0;
        while queue.take(start).is_some() {
            taken += 1;
        }
        assert_eq!(taken, DOUBTFUL);
        assert_eq!(queue.next(), None, "until one of them has ended");
        queue.put(&"late.example.org".into(), start, false);
        assert_eq!(queue.next(), Some(start));
        assert_eq!(queue.take(start).unwrap().0, Text::from("late.example.org"));
        queue.done(true);
        assert!(queue.take(start).unwrap().1);
    }

    #[test]
    fn who_waits_longest_comes_first_and_nobody_before_the_time() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        queue.put(&name(1), after(3), false);
        queue.put(&name(2), after(1), true);
        queue.put(&name(3), after(2), false);
        queue.put(&name(3), after(5), false);
        assert_eq!(queue.take(start), None);
        assert_eq!(queue.next(), Some(after(1)));
        let order: Vec<Text> =
            std::iter::from_fn(|| queue.take(after(9)).map(|(name, _)| name)).collect();
        assert_eq!(order, [name(2), name(1), name(3)]);
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn every_name_has_its_turn_however_many_fail() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for number in 0..500 {
            queue.put(&name(number), start, false);
        }
        // Each lookup lasts a second and fails but for every tenth name; a failed name is due again a second later.
        let (mut asked, mut running) = (BTreeSet::new(), Vec::new());
        for second in 0..40 {
            let now = start + Duration::from_secs(second);
            for (name, doubtful) in std::mem::take(&mut running) {
                queue.done(doubtful);
                queue.put(&name, now + Duration::from_secs(1), true);
            }
            while let Some((name, doubtful)) = queue.take(now) {
                asked.insert(name.clone());
                running.push((name, doubtful));
            }
        }
        assert_eq!(asked.len(), 500);
    }
}
