//! The pages behind the first: sites, roles, services, devices, incidents, maintenance.

use std::collections::BTreeMap;

use pdf::{Column, Table};

use crate::figures::{Ended, GroupRow, Known, Needs};
use crate::words::{clock, length, local};

use super::Paper;

/// Most rows of a table on paper; the CSV has all.
const ROWS: usize = 200;

impl Paper<'_> {
    pub(super) fn details(&mut self) {
        self.document.page();
        self.months();
        self.sites();
        self.roles();
        self.services();
        self.devices();
        self.links();
        self.worst_paths();
        self.incidents();
        self.repairs();
        self.capacity();
        self.changes();
        self.compliance();
        self.planned();
        self.quality();
        self.method();
    }

    /// Puts a table, and says where the rest of it is.
    pub(super) fn put(
        &mut self,
        columns: Vec<Column>,
        rows: Vec<Vec<String>>,
        csv: &str,
        order: (&str, &str),
    ) {
        let count = rows.len();
        let rows: Vec<_> = rows.into_iter().take(ROWS).collect();
        self.document.table(&Table { columns, rows });
        let (english, polish) = order;
        let which = if count > ROWS {
            self.language.of(
                format!("{ROWS} of {count} rows, {english}; {csv} has all of them."),
                format!("{ROWS} z {count} wierszy, {polish}; {csv} ma wszystkie."),
            )
        } else {
            self.language.of(
                format!("{english}. {csv} has the same with all digits."),
                format!("{polish}. {csv} ma to samo ze wszystkimi cyframi."),
            )
        };
        self.document.remark(&capital(&which));
    }

    fn group(&mut self, first: &str, rows: &[GroupRow], csv: &str) {
        let language = self.language;
        let rows = rows.iter().map(|row| {
            let availability = row.totals.availability();
            vec![
                self.named(&row.name),
                row.devices.to_string(),
                language.percent(availability),
                self.verdict(availability, row.target).to_owned(),
                language.percent(row.totals.worst_case()),
                length(row.totals.down),
                length(row.totals.unknown),
                length(row.totals.planned),
                language.mean(row.reliability.mttr()),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(first),
            Column::right(of("Devices", "Urządzenia")),
            Column::right(of("Availability", "Dostępność")),
            Column::right(of("Target is", "Cel jest")),
            Column::right(of("Worst case", "Najgorzej")),
            Column::right(of("Down", "Niedostępne")),
            Column::right(of("Not known", "Nieznane")),
            Column::right(of("Maintenance", "Prace")),
            Column::right("MTTR"),
        ];
        self.put(columns, rows, csv, ("by name", "według nazwy"));
    }

    fn sites(&mut self) {
        self.heading("Sites", "Lokalizacje");
        let first = self.language.of("Site", "Lokalizacja");
        self.group(first, &self.report.sites, "sites.csv");
    }

    fn roles(&mut self) {
        self.heading("Roles", "Role");
        let first = self.language.of("Role", "Rola");
        self.group(first, &self.report.roles, "roles.csv");
    }

    fn services(&mut self) {
        let (report, language) = (self.report, self.language);
        if report.services.is_empty() {
            return;
        }
        self.heading("Services", "Usługi");
        let rows = report.services.iter().map(|row| {
            let availability = row.totals.availability();
            let needs = match row.service.needs {
                Needs::All => language.of("all of", "wszystkie:"),
                Needs::Any => language.of("one of", "jedno z:"),
            };
            vec![
                row.service.name.clone(),
                format!("{needs} {}", row.service.devices.join(", ")),
                language.percent(availability),
                language.percent(Some(row.service.target)),
                self.verdict(availability, row.service.target).to_owned(),
                length(row.totals.down),
                length(row.totals.unknown),
                length(row.totals.planned),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Service", "Usługa")),
            Column::left(of("Needs", "Wymaga")),
            Column::right(of("Availability", "Dostępność")),
            Column::right(of("Target", "Cel")),
            Column::right(of("Target is", "Cel jest")),
            Column::right(of("Down", "Niedostępna")),
            Column::right(of("Not known", "Nieznane")),
            Column::right(of("Maintenance", "Prace")),
        ];
        let order = (
            "in the order of the configuration",
            "w kolejności konfiguracji",
        );
        self.put(columns, rows, "services.csv", order);
    }

    fn devices(&mut self) {
        self.heading("Devices", "Urządzenia");
        let language = self.language;
        let mut all: Vec<_> = self.report.devices.iter().collect();
        let key = |availability: Option<f64>| availability.unwrap_or(2.0);
        all.sort_by(|a, b| {
            let (one, two) = (a.totals.availability(), b.totals.availability());
            key(one)
                .total_cmp(&key(two))
                .then_with(|| a.name.cmp(&b.name))
        });
        let rows = all.iter().map(|device| {
            let availability = device.totals.availability();
            vec![
                self.named(&device.name),
                self.named(&device.site),
                self.named(&device.role),
                language.percent(availability),
                self.verdict(availability, device.target).to_owned(),
                length(device.totals.down),
                length(device.totals.unknown),
                length(device.totals.planned),
                device.incidents.to_string(),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Device", "Urządzenie")),
            Column::left(of("Site", "Lokalizacja")),
            Column::left(of("Role", "Rola")),
            Column::right(of("Availability", "Dostępność")),
            Column::right(of("Target is", "Cel jest")),
            Column::right(of("Down", "Niedostępne")),
            Column::right(of("Not known", "Nieznane")),
            Column::right(of("Maintenance", "Prace")),
            Column::right(of("Incidents", "Awarie")),
        ];
        let order = ("the lowest availability first", "od najniższej dostępności");
        self.put(columns, rows, "devices.csv", order);
    }

    fn incidents(&mut self) {
        self.heading("Incidents", "Awarie");
        let (report, language) = (self.report, self.language);
        let all = self.longest_first();
        if all.is_empty() {
            return;
        }
        let known = report.has_log || report.changes.is_some() || report.repairs.is_some();
        let rows = all.iter().map(|(one, about)| {
            let began = if one.began_before {
                language
                    .of("before the month", "przed początkiem miesiąca")
                    .to_owned()
            } else {
                local(one.start, &report.zone)
            };
            let ended = match one.ended {
                Ended::Up => language.of("up", "odpowiedzią"),
                Ended::Unknown => language.of("unknown", "brakiem danych"),
                Ended::Planned => language.of("maintenance", "pracami"),
                Ended::Month => language.of("end of month", "końcem miesiąca"),
            };
            let mut row = vec![self.named(&one.device)];
            // Beside what is known of it there is no room for the site, which incidents.csv has.
            if !known {
                row.push(self.named(&one.site));
            }
            row.extend([
                began,
                local(one.end, &report.zone),
                length(one.end - one.start),
                ended.to_owned(),
            ]);
            if known {
                let repair = about.repair.as_ref();
                row.extend([
                    self.cause(about),
                    repair.map_or_else(String::new, |done| {
                        format!("{} ({})", done.runbook, self.outcome(&done.state))
                    }),
                    about.approver.clone(),
                ]);
            }
            row
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let mut columns = vec![Column::left(of("Device", "Urządzenie"))];
        if !known {
            columns.push(Column::left(of("Site", "Lokalizacja")));
        }
        columns.extend([
            Column::left(of("Began", "Początek")),
            Column::left(of("Ended", "Koniec")),
            Column::right(of("Duration", "Czas")),
            Column::left(of("Ended with", "Zakończona")),
        ]);
        if known {
            columns.extend([
                Column::left(of("Cause, by the log", "Przyczyna wg logu")),
                Column::left(of("Repair", "Naprawa")),
                Column::left(of("Approved by", "Zatwierdził")),
            ]);
        }
        let order = ("the longest first", "od najdłuższej");
        self.put(columns, rows, "incidents.csv", order);
    }

    /// What may have been the cause: its kind in the language of the report, what the device said in its own.
    pub(super) fn cause(&self, known: &Known) -> String {
        let Some(cause) = &known.cause else {
            return String::new();
        };
        let said = format!("{} ({})", cause.text, clock(cause.at, &self.report.zone));
        let Some(kind) = cause.kind else {
            return said;
        };
        let english = kind.replace('_', " ");
        format!(
            "{}: {said}",
            self.language.of(english, polish(kind).to_owned())
        )
    }

    /// Windows of several devices stand in one row.
    fn planned(&mut self) {
        self.heading("Planned maintenance", "Planowane prace");
        let (report, language) = (self.report, self.language);
        if report.planned.is_empty() {
            return self.say(
                "No maintenance was under way.",
                "Nie było planowanych prac.",
            );
        }
        let mut windows: BTreeMap<(i64, i64), (Vec<&str>, i64)> = BTreeMap::new();
        for work in &report.planned {
            let (devices, down) = windows.entry((work.start, work.end)).or_default();
            devices.push(&work.device);
            *down += work.down;
        }
        let rows = windows.iter().map(|((start, end), (devices, down))| {
            vec![
                local(*start, &report.zone),
                local(*end, &report.zone),
                length(end - start),
                devices.len().to_string(),
                devices.join(", "),
                length(*down),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("From", "Od")),
            Column::left(of("To", "Do")),
            Column::right(of("Duration", "Czas")),
            Column::right(of("Devices", "Urządzenia")),
            Column::left(of("Which", "Które")),
            Column::right(of("Down in it, all", "W tym niedostępne")),
        ];
        self.put(
            columns,
            rows,
            "maintenance.csv",
            ("by time", "według czasu"),
        );
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// A kind of event in Polish.
fn polish(kind: &str) -> &str {
    match kind {
        "configuration_change" => "zmiana konfiguracji",
        "upgrade" => "aktualizacja",
        "reboot" => "ponowne uruchomienie",
        "hardware" => "sprzęt",
        "environment" => "zasilanie lub chłodzenie",
        "process_crash" => "awaria procesu",
        "stack" => "stos przełączników",
        "optics" => "optyka",
        "interface_state" => "stan portu",
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_cause_has_its_polish_words() {
        for kind in crate::figures::KINDS {
            assert_ne!(polish(kind), kind);
        }
    }
}
