//! What is remembered of one stream of an exporter: its templates, its sampling, sets that wait for a template, and its sequence.
//!
//! A session is (source address, source port, protocol, domain). Everything in it is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::flow::{Origin, Rate};
use crate::loss::Sequence;
use crate::template::plans::Plans;
use crate::template::{Clock, Field, LEAD, Template};

/// Most templates of one session; more are refused and counted.
pub const MOST_TEMPLATES: usize = 1_024;
/// Most sampler ids and most interfaces with a sampling rate of their own in one session.
const MOST_SAMPLERS: usize = 4_096;
/// Most octets of sets that wait for their template, in one session.
pub const MOST_WAITING_BYTES: usize = 1 << 20;
/// How long they wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One stream of an exporter.
#[derive(Debug, Default)]
pub struct Session {
    templates: HashMap<u16, Arc<Template>, RandomState>,
    /// Those that it has in common with other sessions.
    pub(crate) plans: Plans,
    /// Sampling rates that the exporter told in options.
    pub(crate) samplers: Samplers,
    /// Times of the last datagram.
    pub(crate) clock: Clock,
    /// Seconds after which it tells of a flow that goes on, as it told in options.
    pub(crate) active_timeout: Option<u32>,
    /// The exporter behind a relay, as it told in options (IE 130, 131): that of records which name none.
    pub(crate) exporter: Option<IpAddr>,
    /// Something of it that is worth keeping over a restart has changed.
    pub(crate) changed: bool,
    /// Its sequence numbers.
    pub(crate) sequence: Sequence,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    template_bytes: usize,
    /// What it may hold, where others leave less than [`MOST_WAITING_BYTES`] and its templates need; see [`Session::held`].
    room: Option<usize>,
    /// Sets that began to wait.
    pub kept_sets: u64,
    /// Sets that were given up: no room, or no template came.
    pub dropped_sets: u64,
}

#[derive(Debug)]
struct Waiting {
    template: u16,
    since: Instant,
    content: Box<[u8]>,
}

impl Session {
    /// The template with this id.
    pub(crate) fn template(&self, id: u16) -> Option<Arc<Template>> {
        self.templates.get(&id).cloned()
    }

    /// Takes a template over, in place of one with the same id; `false` when there are too many.
    pub(crate) fn define(&mut self, id: u16, template: Arc<Template>) -> bool {
        if self
            .templates
            .get(&id)
            .is_some_and(|known| *known == template)
        {
            return true;
        }
        let before = self.templates.get(&id).map(|known| known.bytes());
        if before.is_none() && self.templates.len() >= MOST_TEMPLATES {
            return false;
        }
        let held = self.held() - before.unwrap_or(0) + template.bytes();
        if self.room.is_some_and(|room| held > room) {
            return false;
        }
        self.template_bytes = self.template_bytes - before.unwrap_or(0) + template.bytes();
        self.templates.insert(id, template);
        self.changed = true;
        true
    }

    /// Takes a sampling rate over, if there is room for it.
    pub(crate) fn learn(&mut self, sampler: Option<u64>, interface: u32, rate: Option<u32>) {
        if self.room.is_none_or(|room| self.held() < room) {
            self.changed |= self.samplers.learn(sampler, interface, rate);
        }
    }

    /// Octets that it holds: sets that wait, templates and sampling rates.
    #[must_use]
    pub fn held(&self) -> usize {
        self.waiting_bytes + self.template_bytes + self.samplers.bytes()
    }

    /// Takes sampling rates over, if there is room for them.
    pub(crate) fn resume(&mut self, samplers: Samplers) {
        if self
            .room
            .is_none_or(|room| self.held() + samplers.bytes() <= room)
        {
            self.samplers = samplers;
        }
    }

    /// From now on it holds no more than this; what it holds already stays.
    pub(crate) fn limit(&mut self, room: usize) {
        self.room = Some(room);
    }

    /// What is worth keeping over a restart.
    pub(crate) fn restorable(&self) -> Restored {
        let mut templates: Vec<_> = self
            .templates
            .iter()
            .map(|(id, template)| (*id, template.options, template.fields().to_vec()))
            .collect();
        templates.sort_unstable_by_key(|(id, ..)| *id);
        Restored {
            templates,
            samplers: self.samplers.clone(),
            init_ms: self.clock.init_ms,
            active_timeout: self.active_timeout,
            exporter: self.exporter,
        }
    }

    /// Templates that are known.
    #[must_use]
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Ids of templates that sets wait for.
    #[must_use]
    pub fn missing_templates(&self) -> std::collections::BTreeSet<u16> {
        self.waiting.iter().map(|set| set.template).collect()
    }

    /// Each template as a line for a person, in the order of their ids.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut all: Vec<_> = self.templates.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        let line = |(id, template): (&u16, &Arc<Template>)| {
            let kind = if template.options {
                "options template"
            } else {
                "template"
            };
            let fields: Vec<String> = template.fields().iter().map(Field::describe).collect();
            format!("{kind} {id}: {}", fields.join(" "))
        };
        all.into_iter().map(line).collect()
    }

    /// Octets of sets that wait for a template.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Keeps a set until its template comes; without room the set is given up, not one that waits already.
    pub(crate) fn keep(&mut self, template: u16, content: &[u8], now: Instant) {
        self.give_up(now);
        let room = self
            .room
            .map_or(usize::MAX, |room| room.saturating_sub(self.held()));
        let bytes = LEAD + content.len();
        if self.waiting_bytes + bytes > MOST_WAITING_BYTES || bytes > room {
            self.dropped_sets += 1;
            return;
        }
        self.kept_sets += 1;
        self.waiting_bytes += bytes;
        self.waiting.push(Waiting {
            template,
            since: now,
            content: [&[0; LEAD], content].concat().into(),
        });
    }

    /// Takes the sets that waited for this template, in the order they came, each behind [`LEAD`] octets.
    pub(crate) fn waiting(&mut self, template: u16, now: Instant) -> Vec<Box<[u8]>> {
        self.give_up(now);
        let (ready, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|set| set.template == template);
        self.waiting = rest;
        self.waiting_bytes = self.waiting.iter().map(|set| set.content.len()).sum();
        ready.into_iter().map(|set| set.content).collect()
    }

    /// Gives up what has waited too long.
    pub(crate) fn give_up(&mut self, now: Instant) {
        let before = self.waiting.len();
        self.waiting
            .retain(|set| now.saturating_duration_since(set.since) < LONGEST_WAIT);
        if self.waiting.len() < before {
            self.dropped_sets += (before - self.waiting.len()) as u64;
            self.waiting_bytes = self.waiting.iter().map(|set| set.content.len()).sum();
        }
    }

    /// Takes over what other sessions of the same exporter and domain agree on: an exporter that restarts often sends from another port.
    /// It holds no more than `room`.
    pub(crate) fn inherit(others: &[&Self], room: usize) -> Self {
        let mut fresh = Self {
            room: Some(room),
            ..Self::default()
        };
        for other in others {
            for (id, template) in &other.templates {
                let agreed = others.iter().all(|other| {
                    other
                        .templates
                        .get(id)
                        .is_none_or(|theirs| theirs == template)
                });
                if agreed {
                    fresh.define(*id, Arc::clone(template));
                }
            }
        }
        if let [one] = others
            && fresh.held() + one.samplers.bytes() <= room
        {
            fresh.samplers = one.samplers.clone();
        }
        fresh
    }
}

/// Sampling rates by what they apply to.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Samplers {
    by_id: HashMap<u64, u32, RandomState>,
    by_interface: HashMap<u32, u32, RandomState>,
    domain: Option<u32>,
}

impl Samplers {
    /// Octets that they hold, about.
    fn bytes(&self) -> usize {
        (self.by_id.len() + self.by_interface.len()) * 32
    }

    /// Takes the rate of an options record over: that of a sampler, of an interface, or of the whole domain. Answers whether it is new.
    pub(crate) fn learn(
        &mut self,
        sampler: Option<u64>,
        interface: u32,
        rate: Option<u32>,
    ) -> bool {
        let Some(rate) = rate else { return false };
        match (sampler, interface) {
            (Some(id), _) => bounded(&mut self.by_id, id, rate),
            (None, 0) => self.domain.replace(rate) != Some(rate),
            (None, interface) => bounded(&mut self.by_interface, interface, rate),
        }
    }

    /// The rate of a record that states none itself.
    #[inline]
    pub(crate) fn rate(&self, sampler: Option<u64>, input: u32) -> Rate {
        if self.domain.is_none() && self.by_id.is_empty() && self.by_interface.is_empty() {
            return Rate::default();
        }
        self.told_rate(sampler, input)
    }

    fn told_rate(&self, sampler: Option<u64>, input: u32) -> Rate {
        let only = || match self.by_id.len() {
            1 => self.by_id.values().next().copied(),
            _ => None,
        };
        let named = sampler.and_then(|id| self.by_id.get(&id).copied());
        let one_in = named
            .or_else(|| self.by_interface.get(&input).copied())
            .or(self.domain)
            // A record that names another sampler is not measured by the only one that is known.
            .or_else(|| sampler.is_none().then(only).flatten());
        one_in.map_or_else(Rate::default, |one_in| Rate {
            one_in,
            origin: Origin::Options,
        })
    }
}

fn bounded<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, u32, RandomState>,
    key: K,
    rate: u32,
) -> bool {
    let room = map.len() < MOST_SAMPLERS || map.contains_key(&key);
    room && map.insert(key, rate) != Some(rate)
}

/// What of a session outlives a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Restored {
    /// Id, whether it is one of options, and its fields.
    pub(crate) templates: Vec<(u16, bool, Vec<Field>)>,
    pub(crate) samplers: Samplers,
    pub(crate) init_ms: Option<u64>,
    pub(crate) active_timeout: Option<u32>,
    #[serde(default)]
    pub(crate) exporter: Option<IpAddr>,
}

impl Restored {
    /// Gives a new session what the exporter has not told it again yet.
    pub(crate) fn into_session(self, session: &mut Session) {
        for (id, options, fields) in self.templates {
            if session.template(id).is_none()
                && let Some(template) = Template::new(fields, options).filter(|_| id >= 256)
            {
                let template = session.plans.share(template);
                session.define(id, template);
            }
        }
        session.resume(self.samplers);
        session.clock.init_ms = session.clock.init_ms.or(self.init_ms);
        session.active_timeout = session.active_timeout.or(self.active_timeout);
        session.exporter = session.exporter.or(self.exporter);
    }
}
