//! What happened when, counted from the cut.

use std::fmt::Write;

use serde::Serialize;
use tokio::time::Instant;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    /// What.
    pub(super) what: &'static str,
    /// When, seconds after the cut.
    pub(super) seconds: f64,
}

/// All that happened, in order.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    start: Instant,
    events: Vec<Event>,
}

impl Timeline {
    /// A timeline that begins now, with its first event.
    pub(super) fn begin(what: &'static str) -> Self {
        let mut timeline = Self {
            start: Instant::now(),
            events: Vec::new(),
        };
        timeline.events.push(Event { what, seconds: 0.0 });
        timeline
    }

    /// Something happens now.
    pub(super) fn add(&mut self, what: &'static str) {
        self.add_at(what, Instant::now());
    }

    /// Something happened at `when`.
    pub(super) fn add_at(&mut self, what: &'static str, when: Instant) {
        let seconds = when.saturating_duration_since(self.start).as_secs_f64();
        self.events.push(Event { what, seconds });
    }

    /// A line each, with the time since the cut and since the event before.
    pub(super) fn render(&self) -> String {
        let mut text = String::from("\n  after the cut   after the line above\n");
        let mut before = 0.0;
        for Event { what, seconds } in &self.events {
            let _ = writeln!(
                text,
                "  {seconds:10.2} s   {:18.2} s   {what}",
                seconds - before
            );
            before = *seconds;
        }
        text
    }

    /// The events as JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(&self.events).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn times_are_counted_from_the_cut_and_from_the_event_before() {
        let mut timeline = Timeline::begin("cut");
        tokio::time::advance(Duration::from_millis(2500)).await;
        timeline.add("down");
        tokio::time::advance(Duration::from_secs(1)).await;
        timeline.add("firing");
        let text = timeline.render();
        assert!(
            text.contains("        2.50 s                 2.50 s   down"),
            "{text}"
        );
        assert!(
            text.contains("        3.50 s                 1.00 s   firing"),
            "{text}"
        );
        assert!(timeline.json().contains("\"seconds\": 3.5"));
    }
}
