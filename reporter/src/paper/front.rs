//! Page one.

use pdf::{Column, Table, Tile};

use crate::figures::GroupRow;
use crate::words::{length, local};

use super::Paper;

/// Sites on page one.
const WORST: usize = 6;
/// Incidents on page one.
const LONGEST: usize = 5;
/// Characters of a cause on page one, which are one line; the list of incidents has all.
const CAUSE: usize = 36;
/// Parts and gaps that page one names.
const NAMED: usize = 4;

pub(super) const DEVICES: ([&str; 2], [&str; 3]) = (
    ["device", "devices"],
    ["urządzenie", "urządzenia", "urządzeń"],
);

impl Paper<'_> {
    pub(super) fn front(&mut self) {
        let report = self.report;
        let zone = report.zone.iana_name().unwrap_or("UTC");
        let owner = match &*self.look.organisation {
            "" => String::new(),
            name => format!("{name}, "),
        };
        let below = format!(
            "{owner}{}: {} {} {} ({zone}, {} h)",
            report.month,
            local(report.period.start, &report.zone),
            self.language.of("to", "do"),
            local(report.period.end, &report.zone),
            report.period.length() / 3_600_000,
        );
        self.document.title(&self.look.title, &below);
        self.missing();
        self.gaps();
        self.tiles();
        let text = self.sentence();
        self.document.paragraph(&text);
        self.heading("Availability by day", "Dostępność w kolejnych dniach");
        self.days();
        self.worst();
        self.longest();
    }

    /// What is not in the figures, before any figure.
    fn missing(&mut self) {
        let missing = &self.report.missing;
        if missing.is_empty() {
            return;
        }
        let language = self.language;
        let mut lines: Vec<String> = missing
            .iter()
            .take(NAMED)
            .map(|part| {
                let (from, to) = language.of(("from", "to"), ("od", "do"));
                format!(
                    "{} {from} {} {to} {}: {}",
                    part.what, part.from, part.to, part.why
                )
            })
            .collect();
        if missing.len() > NAMED {
            let more = missing.len() - NAMED;
            lines.push(language.of(
                format!("and {more} more, which manifest.json names"),
                format!("oraz {more} dalszych, wymienionych w manifest.json"),
            ));
        }
        lines.push(
            language
                .of(
                    "These parts are counted as not known; nothing was put in their place.",
                    "Te części liczą się jako nieznane; niczym ich nie zastąpiono.",
                )
                .to_owned(),
        );
        let title = language.of(
            "Incomplete: not every part was answered",
            "Niepełny: nie na wszystkie pytania była odpowiedź",
        );
        self.document.warning(title, &lines);
    }

    fn gaps(&mut self) {
        let (report, language) = (self.report, self.language);
        if report.gaps.is_empty() {
            return;
        }
        let total: i64 = report.gaps.iter().map(|gap| gap.length()).sum();
        let mut lines: Vec<String> = report
            .gaps
            .iter()
            .take(NAMED)
            .map(|gap| {
                let (start, end) = (local(gap.start, &report.zone), local(gap.end, &report.zone));
                format!(
                    "{start} {} {end} ({})",
                    language.of("to", "do"),
                    length(gap.length())
                )
            })
            .collect();
        if report.gaps.len() > NAMED {
            let more = report.gaps.len() - NAMED;
            lines.push(language.of(format!("and {more} more"), format!("oraz {more} dalszych")));
        }
        let title = language.of(
            format!("Nothing was measured for {} of the month", length(total)),
            format!("Przez {} miesiąca nic nie mierzono", length(total)),
        );
        self.document.warning(&title, &lines);
    }

    fn tiles(&mut self) {
        let (report, language) = (self.report, self.language);
        let tile = |english: &str, polish: &str, value: String, note: String| Tile {
            label: language.of(english, polish).to_owned(),
            value,
            note,
        };
        let availability = report.network.availability();
        let budget = report.network.budget_left(report.target);
        let devices = i64::try_from(report.devices.len().max(1)).unwrap_or(i64::MAX);
        let before = report.month.before();
        let trend = match (report.previous, availability) {
            (Some(last), Some(now)) => (
                language.points(last, now),
                format!("{before}: {}", language.percent(Some(last))),
            ),
            _ => (
                language.none().to_owned(),
                language.of(
                    format!("nothing is known of {before}"),
                    format!("brak danych o {before}"),
                ),
            ),
        };
        let target = language.percent(Some(report.target));
        let verdict = self.verdict(availability, report.target);
        let reliability = &report.reliability;
        let repaired = usize::try_from(reliability.repaired).unwrap_or(usize::MAX);
        self.document.tiles(&[
            tile(
                "Availability",
                "Dostępność",
                language.percent(availability),
                format!("{} {target}: {verdict}", language.of("target", "cel")),
            ),
            tile(
                "Error budget left",
                "Pozostały budżet błędów",
                length(budget / devices),
                if budget < 0 {
                    language.of("per device: it is overdrawn", "na urządzenie: przekroczony")
                } else {
                    language.of("per device", "na urządzenie")
                }
                .to_owned(),
            ),
            tile(
                "Against the month before",
                "Wobec poprzedniego miesiąca",
                trend.0,
                trend.1,
            ),
        ]);
        self.document.tiles(&[
            tile(
                "Mean time to repair",
                "Średni czas naprawy (MTTR)",
                language.mean(reliability.mttr()),
                language.of(
                    format!(
                        "MTTR, of {}",
                        language.counted(repaired, ["incident", "incidents"], [""; 3])
                    ),
                    format!("liczba awarii: {}", reliability.repaired),
                ),
            ),
            tile(
                "Mean time between failures",
                "Średni czas między awariami (MTBF)",
                language.mean(reliability.mtbf(report.network.up)),
                language
                    .of("MTBF, of a device", "dla jednego urządzenia")
                    .to_owned(),
            ),
            tile(
                "Known of the time",
                "Znana część czasu",
                language.percent(report.network.known()),
                format!(
                    "{} {}",
                    language.of("worst case", "najgorszy przypadek"),
                    language.percent(report.network.worst_case())
                ),
            ),
        ]);
    }

    fn sentence(&self) -> String {
        let (report, language) = (self.report, self.language);
        let below = |totals: &crate::figures::Totals, target: f64| {
            totals.availability().is_some_and(|share| share < target)
        };
        let missed = report
            .sites
            .iter()
            .filter(|one| below(&one.totals, one.target));
        let missed = missed.count();
        let unknown = report.devices.iter();
        let unknown = unknown.filter(|one| one.totals.availability().is_none());
        let unknown = unknown.count();
        let (down, planned) = (length(report.network.down), length(report.network.planned));
        let devices = language.counted(report.devices.len(), DEVICES.0, DEVICES.1);
        let sites = language.counted(
            report.sites.len(),
            ["site", "sites"],
            ["lokalizacja", "lokalizacje", "lokalizacji"],
        );
        let incidents = language.counted(
            report.incidents.len(),
            ["incident", "incidents"],
            ["awaria", "awarie", "awarii"],
        );
        let mut text = language.of(
            format!(
                "{devices} at {sites} were watched. There were {incidents} with {down} of down time in all; {planned} of maintenance \
                 were planned, which are left out of the availability and listed. {} below target.",
                language.counted(missed, ["site was", "sites were"], [""; 3])
            ),
            format!(
                "Nadzorem objęto: {devices}, {sites}. Odnotowano: {incidents}, łączny czas niedostępności {down}. Planowane prace trwały \
                 {planned}; nie wchodzą do dostępności i są wymienione osobno. Poniżej celu: {}.",
                language.counted(missed, [""; 2], ["lokalizacja", "lokalizacje", "lokalizacji"])
            ),
        );
        if unknown > 0 {
            text.push(' ');
            let unknown_devices = language.counted(unknown, DEVICES.0, DEVICES.1);
            text.push_str(&language.of(
                format!("Of {unknown_devices} nothing is known outside maintenance."),
                format!("Bez żadnych danych poza pracami: {unknown_devices}."),
            ));
        }
        text
    }

    fn worst(&mut self) {
        let room = self.document.rows_left();
        if room == 0 {
            return;
        }
        self.heading(
            "Sites with the lowest availability",
            "Lokalizacje o najniższej dostępności",
        );
        let language = self.language;
        let mut sites: Vec<&GroupRow> = self.report.sites.iter().collect();
        let key = |site: &GroupRow| site.totals.availability().unwrap_or(2.0);
        sites.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        let rows = sites
            .iter()
            .take(WORST.min(room))
            .map(|site| {
                let availability = site.totals.availability();
                vec![
                    self.named(&site.name),
                    site.devices.to_string(),
                    language.percent(availability),
                    language.percent(Some(site.target)),
                    self.verdict(availability, site.target).to_owned(),
                    length(site.totals.down),
                    length(site.outage),
                ]
            })
            .collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Site", "Lokalizacja")),
            Column::right(of("Devices", "Urządzenia")),
            Column::right(of("Availability", "Dostępność")),
            Column::right(of("Target", "Cel")),
            Column::right(of("Target is", "Cel jest")),
            Column::right(of("Down, all devices", "Niedostępność razem")),
            Column::right(of("Whole site down", "Cała lokalizacja")),
        ];
        self.document.table(&Table { columns, rows });
    }

    /// What there is room for: page one is one page.
    fn longest(&mut self) {
        let rows = self.document.rows_left();
        if rows == 0 {
            return;
        }
        self.heading("Longest incidents", "Najdłuższe awarie");
        let (report, language) = (self.report, self.language);
        let all = self.longest_first();
        if all.is_empty() {
            return;
        }
        let rows = all
            .iter()
            .take(LONGEST.min(rows))
            .map(|(one, known)| {
                vec![
                    self.named(&one.device),
                    self.named(&one.site),
                    local(one.start, &report.zone),
                    length(one.end - one.start),
                    self.cause(known).chars().take(CAUSE).collect(),
                ]
            })
            .collect();
        let of = |english, polish| language.of(english, polish);
        let mut columns = vec![
            Column::left(of("Device", "Urządzenie")),
            Column::left(of("Site", "Lokalizacja")),
            Column::left(of("Began", "Początek")),
            Column::right(of("Duration", "Czas")),
        ];
        if report.has_log || report.changes.is_some() {
            columns.push(Column::left(of("Cause, by the log", "Przyczyna wg logu")));
        }
        self.document.table(&Table { columns, rows });
    }
}
