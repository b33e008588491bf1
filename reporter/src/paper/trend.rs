//! Availability over time as bars: the days of the month, and the months up to it.

use pdf::{Bar, Bars};

use super::Paper;

impl Paper<'_> {
    pub(super) fn days(&mut self) {
        let days = self.report.days.iter().map(|day| {
            let (name, label) = (day.date.to_string(), day.date.day().to_string());
            (name, label, day.totals.availability())
        });
        let ground = self.shares(days.collect());
        let text = self.language.of(
            format!(
                "All devices together, maintenance left out. The ground line is {ground}, the line across is the target; days that miss \
                 it are red. A dash: nothing is known of the day."
            ),
            format!(
                "Wszystkie urządzenia razem, bez planowanych prac. Linia dolna to {ground}, linia w poprzek to cel; dni poniżej celu są \
                 czerwone. Kreska: brak danych o tym dniu."
            ),
        );
        self.document.remark(&text);
    }

    /// The year up to this month; nothing where no other month is known.
    pub(super) fn months(&mut self) {
        let known = self.report.trend.iter().filter(|(_, one)| one.is_some());
        if known.count() < 2 {
            return;
        }
        self.heading("Availability by month", "Dostępność w kolejnych miesiącach");
        let months = self.report.trend.iter().map(|(month, totals)| {
            let share = totals.and_then(|totals| totals.availability());
            (month.to_string(), month.to_string(), share)
        });
        let ground = self.shares(months.collect());
        let text = self.language.of(
            format!(
                "As above, month by month; months that miss this month's target are red. The ground line is {ground}. A dash: no report \
                 of the month is kept. months.csv has the same with all digits."
            ),
            format!(
                "Jak wyżej, miesiąc po miesiącu; miesiące poniżej celu tego miesiąca są czerwone. Linia dolna to {ground}. Kreska: nie ma \
                 raportu z tego miesiąca. months.csv ma to samo ze wszystkimi cyframi."
            ),
        );
        self.document.remark(&text);
    }

    /// Bars of shares, each with its name, a short one for below it, and its value; says what the ground line is.
    fn shares(&mut self, shares: Vec<(String, String, Option<f64>)>) -> String {
        let (report, language) = (self.report, self.language);
        let known = shares.iter().filter_map(|(_, _, share)| *share);
        let lowest = known.fold(report.target, f64::min);
        // The ground line is not 0: what matters are the last digits. It says what it is.
        let low = [0.999, 0.995, 0.99, 0.95, 0.9, 0.75, 0.5]
            .into_iter()
            .find(|low| lowest > *low)
            .unwrap_or(0.0);
        let mut words = Vec::new();
        let bars = shares
            .into_iter()
            .map(|(name, label, value)| {
                words.push(format!("{name}: {}", language.percent(value)));
                Bar { label, value }
            })
            .collect();
        let ground = language.percent(Some(low));
        self.document.bars(&Bars {
            bars,
            low,
            high: 1.0,
            high_label: "100 %".to_owned(),
            low_label: ground.clone(),
            goal: Some((report.target, language.percent(Some(report.target)))),
            text: words.join("; "),
        });
        ground
    }
}
