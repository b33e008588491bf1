//! How good the data are, and how the figures are made of them.

use pdf::Column;

use crate::words::{length, local};

use super::front::DEVICES;
use super::{Paper, VERSION};

impl Paper<'_> {
    pub(super) fn quality(&mut self) {
        self.heading("Quality of the data", "Jakość danych");
        let (report, language) = (self.report, self.language);
        let samples: u64 = report.devices.iter().map(|device| device.samples).sum();
        let devices = language.counted(report.devices.len(), DEVICES.0, DEVICES.1);
        let known = language.percent(report.network.known());
        let gap = length(report.gaps.iter().map(|gap| gap.length()).sum());
        self.say(
            format!(
                "{samples} samples of {devices}. Known of the time outside maintenance: {known}. Nothing was known of any device for {gap}."
            ),
            format!(
                "Liczba próbek: {samples}, {devices}. Znana część czasu poza pracami: {known}. O żadnym urządzeniu nic nie było wiadomo \
                 przez {gap}."
            ),
        );
        if report.planned_unknown > 0 {
            let length = length(report.planned_unknown);
            self.say(
                format!(
                    "For {length}, all devices together, it is not known whether maintenance was under way; it is counted as if there was \
                     none."
                ),
                format!(
                    "Przez {length}, wszystkie urządzenia razem, nie wiadomo, czy trwały prace; czas ten liczy się tak, jakby ich nie było."
                ),
            );
        }
        if report.nameless > 0 {
            let count = report.nameless;
            self.say(
                format!("{count} series of ping_up name no device and are in no figure."),
                format!(
                    "Serie ping_up bez nazwy urządzenia, których nie ma w żadnej liczbie: {count}."
                ),
            );
        }
        for warning in &report.warnings {
            self.say(
                format!("Prometheus warned: {warning}"),
                format!("Prometheus ostrzegł: {warning}"),
            );
        }
        for part in &report.missing {
            let (what, from, to, why) = (&part.what, &part.from, &part.to, &part.why);
            self.say(
                format!("Missing: {what} from {from} to {to}: {why}"),
                format!("Brakuje: {what} od {from} do {to}: {why}"),
            );
        }
        let mut nobody = Vec::new();
        for (asked, name) in [
            (report.changes.is_some(), "Loki"),
            (report.repairs.is_some(), "remediator"),
        ] {
            if !asked {
                nobody.push(name);
            }
        }
        if !nobody.is_empty() {
            let names = nobody.join(", ");
            self.say(
                format!("Not asked, since the configuration does not name them: {names}."),
                format!("Nie pytano, bo konfiguracja ich nie wymienia: {names}."),
            );
        }
        self.unknown();
    }

    fn unknown(&mut self) {
        let (report, language) = (self.report, self.language);
        let mut least: Vec<_> = report
            .devices
            .iter()
            .filter(|device| device.totals.unknown > 0)
            .collect();
        if least.is_empty() {
            return self.say(
                "Of every device it is known all the time whether it answered.",
                "O każdym urządzeniu przez cały czas wiadomo, czy odpowiadało.",
            );
        }
        least.sort_by_key(|device| (std::cmp::Reverse(device.totals.unknown), &device.name));
        let seen = |time: Option<i64>| {
            time.map_or_else(
                || language.none().to_owned(),
                |time| local(time, &report.zone),
            )
        };
        let rows = least.iter().map(|device| {
            vec![
                self.named(&device.name),
                length(device.totals.unknown),
                language.percent(device.totals.known()),
                device.samples.to_string(),
                seen(device.seen.map(|(first, _)| first)),
                seen(device.seen.map(|(_, last)| last)),
            ]
        });
        let rows = rows.collect();
        let of = |english, polish| language.of(english, polish);
        let columns = vec![
            Column::left(of("Device", "Urządzenie")),
            Column::right(of("Not known", "Nieznane")),
            Column::right(of("Known", "Znane")),
            Column::right(of("Samples", "Próbki")),
            Column::left(of("First sample", "Pierwsza próbka")),
            Column::left(of("Last sample", "Ostatnia próbka")),
        ];
        let order = ("what is known least first", "od najmniej znanych");
        self.put(columns, rows, "devices.csv", order);
    }

    pub(super) fn method(&mut self) {
        self.heading("Method", "Metoda");
        let report = self.report;
        let zone = report.zone.iana_name().unwrap_or("UTC");
        let (start, end) = (
            local(report.period.start, &report.zone),
            local(report.period.end, &report.zone),
        );
        let hours = report.period.length() / 3_600_000;
        let stale = length(report.stale_after);
        self.say(
            format!(
                "The month runs from {start} to before {end}, midnight to midnight in {zone}; it has {hours} hours."
            ),
            format!(
                "Miesiąc trwa od {start} do chwili przed {end}, od północy do północy w strefie {zone}; ma {hours} h."
            ),
        );
        self.say(
            format!(
                "Each stored sample of ping_up holds until the next one, but no longer than {stale}; after that the device is not known, \
                 which is neither up nor down. 1 is up, 0 is down, anything else is not known. A device that is watched over several \
                 addresses or by several probers is up while one of them says so, and down while one says that and none says up."
            ),
            format!(
                "Każda zapisana próbka ping_up obowiązuje do następnej, lecz nie dłużej niż {stale}; potem stan urządzenia jest nieznany, \
                 co nie jest ani dostępnością, ani niedostępnością. 1 to dostępne, 0 niedostępne, wszystko inne to stan nieznany. \
                 Urządzenie nadzorowane przez kilka adresów lub kilka sond jest dostępne, gdy mówi tak jedna z nich, a niedostępne, gdy \
                 mówi tak jedna i żadna nie mówi, że jest dostępne."
            ),
        );
        self.say(
            "Maintenance are the windows of the inventory, as sotp_device_maintenance has them; a silence of an alert is none. They are \
             left out of the availability and listed with what the device did in them.",
            "Planowane prace to okna z inwentarza, tak jak podaje je sotp_device_maintenance; wyciszenie alertu nim nie jest. Nie wchodzą \
             do dostępności i są wymienione razem z tym, co urządzenie wtedy robiło.",
        );
        self.say(
            "Availability = up / (up + down). Worst case = up / (up + down + not known). A site is all its devices together, each for as \
             long as it is known; a whole site is down while at least one of its devices is down and none is up. Error budget left = \
             (up + down) × (1 − target) − down. Figures are computed in whole milliseconds; percentages are cut, not rounded, so that \
             100.000 % is all.",
            "Dostępność = dostępne / (dostępne + niedostępne). Najgorszy przypadek = dostępne / (dostępne + niedostępne + nieznane). \
             Lokalizacja to wszystkie jej urządzenia razem, każde przez czas, przez który jego stan jest znany; cała lokalizacja jest \
             niedostępna, gdy choć jedno jej urządzenie jest niedostępne i żadne nie jest dostępne. Pozostały budżet błędów = \
             (dostępne + niedostępne) × (1 − cel) − niedostępne. Liczy się w całych milisekundach; procenty są ucinane, a nie \
             zaokrąglane, więc 100,000 % znaczy wszystko.",
        );
        self.say(
            "An incident is a device that is down outside maintenance, from its first sample that says so to the first one that does not. \
             MTTR is the mean length of the incidents that began in the month and ended with an answer; MTBF is the time that devices were \
             up for each incident that began in the month.",
            "Awaria to urządzenie niedostępne poza planowanymi pracami, od pierwszej próbki, która to mówi, do pierwszej, która mówi co \
             innego. MTTR to średnia długość awarii, które zaczęły się w tym miesiącu i skończyły odpowiedzią; MTBF to czas dostępności \
             urządzeń przypadający na jedną awarię, która zaczęła się w tym miesiącu.",
        );
        if report.has_log || report.changes.is_some() || report.repairs.is_some() {
            self.say(
                "The cause of an incident is what the log says of its device from five minutes before its beginning to two minutes after \
                 it, the likeliest kind of event first; nobody confirmed it. A repair belongs to an incident when it was made for its \
                 device from its beginning to a quarter of an hour after its end, for an alert that began before that end.",
                "Przyczyną awarii jest to, co log mówi o jej urządzeniu od pięciu minut przed jej początkiem do dwóch minut po nim, \
                 najpierw najbardziej prawdopodobny rodzaj zdarzenia; nikt tego nie potwierdzał. Naprawa należy do awarii, gdy utworzono \
                 ją dla tego urządzenia od początku awarii do kwadransa po jej końcu, dla alertu sprzed tego końca.",
            );
        }
        if !report.links.is_empty() {
            self.say(
                "Utilisation is of means of five minutes, in bits per second. The 95th percentile is by nearest rank: of the n means that \
                 there are, in ascending order, the one at rank n − (n / 20 cut to a whole number); no value between two is made up, and links.csv says how many \
                 means are missing. A link is up while ifOperStatus is 1 and down while it is 2, 6 or 7; time in which ifAdminStatus is 2 \
                 or its device is in maintenance is left out.",
                "Wykorzystanie liczy się ze średnich pięciominutowych, w bitach na sekundę. 95. percentyl jest wartością o najbliższej \
                 randze: z n istniejących średnich, ustawionych rosnąco, ta o numerze n − (n / 20 ucięte do całości); nie tworzy się wartości pośrednich, a \
                 links.csv podaje, ilu średnich brakuje. Łącze jest dostępne, gdy ifOperStatus wynosi 1, a niedostępne, gdy 2, 6 lub 7; \
                 czas, w którym ifAdminStatus wynosi 2 lub w urządzeniu trwają prace, jest pominięty.",
            );
        }
        if !report.services.is_empty() {
            self.say(
                "A service that needs all of its devices is down while one of them is; one that needs one of them is down while all are. \
                 Where that hangs on a device that is not known, the service is not known. A device in maintenance is left out; while all \
                 are, the service is in maintenance.",
                "Usługa, która wymaga wszystkich swoich urządzeń, jest niedostępna, gdy jedno z nich jest; usługa, która wymaga jednego, \
                 gdy niedostępne są wszystkie. Gdy zależy to od urządzenia o nieznanym stanie, stan usługi jest nieznany. Urządzenie w \
                 pracach się pomija; gdy pracami objęte są wszystkie, objęta jest nimi usługa.",
            );
        }
        self.say(
            format!(
                "Made by {VERSION}; manifest.json names the files with their SHA-256, and that of the intervals that the figures are made \
                 of. The same samples give the same bytes."
            ),
            format!(
                "Utworzył {VERSION}; manifest.json wymienia pliki z ich SHA-256 oraz SHA-256 przedziałów, z których powstały liczby. Te \
                 same próbki dają te same bajty."
            ),
        );
    }
}
