//! What the network carried and what was done to it: links, round trips, repairs, capacity, configurations.

use pdf::Column;

use crate::figures::LinkRow;
use crate::material::Path;
use crate::words::local;

use super::Paper;

/// Most rows of a table of the worst.
const WORST: usize = 20;

impl Paper<'_> {
    pub(super) fn links(&mut self) {
        let (report, language) = (self.report, self.language);
        if report.links.is_empty() {
            return;
        }
        self.heading("Links", "Łącza");
        let mut all: Vec<&LinkRow> = report.links.iter().collect();
        let key = |link: &LinkRow| link.utilisation().unwrap_or(-1.0);
        all.sort_by(|a, b| key(b).total_cmp(&key(a)));
        let rows = all.iter().map(|link| {
            let rate = |rate: &crate::material::Rate| {
                if rate.samples > 0 {
                    language.bits(rate.p95)
                } else {
                    language.none().to_owned()
                }
            };
            vec![
                self.named(&link.device),
                link.name.clone(),
                link.alias.clone(),
                link.speed
                    .map_or_else(|| language.none().to_owned(), |speed| language.bits(speed)),
                rate(&link.incoming),
                rate(&link.outgoing),
                language.percent(link.utilisation()),
                language.percent(link.totals.availability()),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Device", "Urządzenie")),
            Column::left(of("Interface", "Interfejs")),
            Column::left(of("Description", "Opis")),
            Column::right(of("Speed", "Przepustowość")),
            Column::right(of("95th in", "95. percentyl do")),
            Column::right(of("95th out", "95. percentyl z")),
            Column::right(of("Utilisation", "Wykorzystanie")),
            Column::right(of("Availability", "Dostępność")),
        ];
        let order = (
            "the highest utilisation first, the busier direction's 95th percentile of five-minute means as a share of the speed",
            "od najwyższego wykorzystania: 95. percentyl średnich pięciominutowych bardziej obciążonego kierunku jako część przepustowości",
        );
        self.put(columns, rows, "links.csv", order);
    }

    pub(super) fn worst_paths(&mut self) {
        let (report, language) = (self.report, self.language);
        if report.paths.is_empty() {
            return;
        }
        self.heading("Loss and round trip", "Straty i opóźnienia");
        let of = |english, polish| language.of(english, polish);
        let columns = || {
            vec![
                Column::left(of("Device", "Urządzenie")),
                Column::right(of("Loss", "Straty")),
                Column::right(of("Lost", "Utracone")),
                Column::right(of("Requests", "Zapytania")),
                Column::right(of("Mean round trip", "Średnie opóźnienie")),
            ]
        };
        let row = |path: &&Path| {
            vec![
                self.named(&path.device),
                language.percent(path.loss()),
                path.lost.to_string(),
                path.requests.to_string(),
                path.round_trip().map_or_else(
                    || language.none().to_owned(),
                    |seconds| format!("{} ms", language.number(seconds * 1_000.0, 3)),
                ),
            ]
        };
        let worst = |key: fn(&Path) -> Option<f64>| {
            let mut all: Vec<&Path> = report
                .paths
                .iter()
                .filter(|one| key(one).is_some())
                .collect();
            let by = |path: &Path| key(path).unwrap_or(-1.0);
            all.sort_by(|a, b| by(b).total_cmp(&by(a)));
            all.iter().take(WORST).map(row).collect::<Vec<_>>()
        };
        let (loss, slow) = (worst(Path::loss), worst(Path::round_trip));
        let order = (
            "the 20 with the highest loss; down time and maintenance are in it",
            "20 z największymi stratami; łącznie z czasem niedostępności i prac",
        );
        self.put(columns(), loss, "round_trips.csv", order);
        let order = (
            "the 20 with the longest mean round trip",
            "20 z największym średnim opóźnieniem",
        );
        if !slow.is_empty() {
            self.document.space(8.0);
            self.put(columns(), slow, "round_trips.csv", order);
        }
    }

    pub(super) fn repairs(&mut self) {
        let (report, language) = (self.report, self.language);
        let Some(repairs) = &report.repairs else {
            return;
        };
        self.heading("Repairs", "Naprawy");
        if repairs.is_empty() {
            return self.say(
                "The remediator had no job.",
                "Nie było żadnego zadania naprawczego.",
            );
        }
        let rows = repairs.iter().map(|one| {
            let target = format!("{} {}", one.device, one.port);
            vec![
                local(one.created, &report.zone),
                target.trim_end().to_owned(),
                one.runbook.clone(),
                self.outcome(&one.state),
                match &*one.requester {
                    "" => language.of("an alert", "alert").to_owned(),
                    who => who.to_owned(),
                },
                one.approver.clone(),
                one.id.clone(),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Made", "Utworzone")),
            Column::left(of("Target", "Obiekt")),
            Column::left(of("Runbook", "Procedura")),
            Column::left(of("Outcome", "Wynik")),
            Column::left(of("Requested by", "Zlecił")),
            Column::left(of("Approved by", "Zatwierdził")),
            Column::left(of("Job", "Zadanie")),
        ];
        self.put(columns, rows, "repairs.csv", ("by time", "według czasu"));
    }

    /// What came of a job, in the language of the report.
    pub(super) fn outcome(&self, state: &str) -> String {
        let polish = match state {
            "succeeded" => "naprawione",
            "failed" => "nieudane",
            "rolled_back" => "wycofane",
            "escalated" => "przekazane ludziom",
            "rejected" => "odrzucone",
            "cancelled" => "odwołane",
            "expired" => "przedawnione",
            "suppressed" => "wstrzymane",
            "observed" | "proposed" => "tylko zaproponowane",
            "unknown" => "nieznany",
            _ => state,
        };
        let english = state.replace('_', " ");
        self.language.of(english, polish.to_owned())
    }

    pub(super) fn capacity(&mut self) {
        let (report, language) = (self.report, self.language);
        if report.capacity.is_empty() {
            return;
        }
        self.heading("Capacity", "Pojemność");
        let days = |days: Option<u64>| {
            let date = |days: u64| {
                let span = jiff::Span::new().try_days(i64::try_from(days).ok()?).ok()?;
                report.month.after().first().checked_add(span).ok()
            };
            days.map_or_else(
                || {
                    language
                        .of("not within 180 d", "nie w ciągu 180 d")
                        .to_owned()
                },
                |days| match date(days) {
                    Some(date) => format!("{date} ({days} d)"),
                    None => format!("{days} d"),
                },
            )
        };
        let rows = report.capacity.iter().map(|one| {
            vec![
                self.named(&one.device),
                one.name.clone(),
                match &*one.direction {
                    "in" => language.of("in", "do").to_owned(),
                    "out" => language.of("out", "z").to_owned(),
                    other => other.to_owned(),
                },
                days(one.half),
                days(one.sure),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Device", "Urządzenie")),
            Column::left(of("Interface", "Interfejs")),
            Column::left(of("Direction", "Kierunek")),
            Column::right(of("Full by, as likely as not", "Pełne do (50 %)")),
            Column::right(of("Full by, with 90 %", "Pełne do (90 %)")),
        ];
        let order = (
            "as the forecast said when the month ended, the first to fill up first",
            "według prognozy z końca miesiąca, najbliższe najpierw",
        );
        self.put(columns, rows, "capacity.csv", order);
    }

    pub(super) fn changes(&mut self) {
        let (report, language) = (self.report, self.language);
        let Some(changes) = &report.changes else {
            return;
        };
        self.heading("Configuration changes", "Zmiany konfiguracji");
        if changes.is_empty() {
            return self.say(
                "No configuration was changed.",
                "Żadnej konfiguracji nie zmieniono.",
            );
        }
        let rows = changes.iter().map(|one| {
            vec![
                local(one.at, &report.zone),
                self.named(&one.device),
                one.user.clone(),
                one.text.clone(),
                one.commit.chars().take(12).collect(),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Seen", "Zauważona")),
            Column::left(of("Device", "Urządzenie")),
            Column::left(of("By", "Kto")),
            Column::left(of("Change", "Zmiana")),
            Column::left(of("Version", "Wersja")),
        ];
        self.put(columns, rows, "changes.csv", ("by time", "według czasu"));
    }

    pub(super) fn compliance(&mut self) {
        let (report, language) = (self.report, self.language);
        if report.compliance.is_empty() {
            return;
        }
        self.heading("Configuration rules", "Zgodność konfiguracji z regułami");
        let broken = report
            .compliance
            .iter()
            .filter(|one| !one.rules.is_empty())
            .count();
        let all = report.compliance.len();
        self.say(
            format!(
                "When the month ended, {} of {all} devices kept every rule.",
                all - broken
            ),
            format!(
                "Na koniec miesiąca wszystkie reguły spełniało {} z {all} urządzeń.",
                all - broken
            ),
        );
        let mut rows: Vec<_> = report
            .compliance
            .iter()
            .filter(|one| one.broken > 0)
            .collect();
        rows.extend(
            report
                .compliance
                .iter()
                .filter(|one| one.broken == 0 && !one.rules.is_empty()),
        );
        if rows.is_empty() {
            return;
        }
        rows.sort_by(|a, b| (b.broken, &a.device).cmp(&(a.broken, &b.device)));
        let rows = rows.iter().map(|one| {
            let kept = one.hours.saturating_sub(one.broken) as f64 / one.hours.max(1) as f64;
            vec![
                self.named(&one.device),
                language.percent((one.hours > 0).then_some(kept)),
                one.broken.to_string(),
                one.rules.join(", "),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Device", "Urządzenie")),
            Column::right(of("Rules kept", "Zgodna część czasu")),
            Column::right(of("Hours broken", "Godziny niezgodne")),
            Column::left(of("Broken when the month ended", "Niespełnione na koniec")),
        ];
        let order = (
            "looked at when each hour ends, the longest first",
            "stan na koniec każdej godziny, od najdłuższych",
        );
        self.put(columns, rows, "compliance.csv", order);
    }
}
