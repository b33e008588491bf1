//! What a device says of itself: model, version, serial number, and numbers that its driver names.

use crate::driver::Fact;

/// Longest text that is taken over.
const LONGEST: usize = 80;
/// Names of values that say the same, as templates call them.
const MODEL: [&str; 5] = ["MODEL", "HARDWARE", "PLATFORM", "BOARD_NAME", "CHASSIS"];
const VERSION: [&str; 5] = ["VERSION", "OS", "SOFTWARE_VERSION", "IMAGE", "RELEASE"];
const SERIAL: [&str; 3] = ["SERIAL", "SERIAL_NUMBER", "SERIALNUM"];

/// What a device says of itself. Texts are printable ASCII without quotes and backslashes, of at most 80 bytes; what is anything else counts as not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// What the device is.
    pub model: Option<String>,
    /// The version of its software.
    pub version: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Numbers, under the names that the driver has for them.
    pub numbers: Vec<(String, f64)>,
}

impl Facts {
    /// Takes over what `lines` tell, the answer to the command of `fact`.
    pub(crate) fn read(&mut self, fact: &Fact, lines: &[String]) {
        let Some(records) = fact.template.records(lines) else {
            return;
        };
        let find = |wanted: &str| {
            let index = fact.template.names().position(|name| name == wanted)?;
            records.iter().find_map(|record| record[index].first())
        };
        let said = |names: &[&str]| names.iter().find_map(|name| find(name)).and_then(checked);
        self.model = self.model.take().or_else(|| said(&MODEL));
        self.version = self.version.take().or_else(|| said(&VERSION));
        self.serial = self.serial.take().or_else(|| said(&SERIAL));
        for name in &fact.numbers {
            let number = find(name).and_then(|text| text.parse::<f64>().ok());
            if let Some(number) = number.filter(|number| number.is_finite()) {
                self.numbers.push((name.to_ascii_lowercase(), number));
            }
        }
    }
}

/// `text` as it may stand in a label.
fn checked(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\');
    (!text.is_empty() && text.len() <= LONGEST && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Template;

    #[test]
    fn texts_are_bounded_and_numbers_are_numbers() {
        let template = "Value MODEL (.*)\nValue VERSION (.*)\nValue LOAD (\\S+)\nValue ODD (\\S+)\n\nStart\n  ^model ${MODEL}\n  ^version ${VERSION}\n  ^load ${LOAD}\n  ^odd ${ODD}\n";
        let fact = Fact {
            command: "show version".to_owned(),
            template: Template::parse(template).unwrap(),
            numbers: vec!["LOAD".to_owned(), "ODD".to_owned()],
        };
        let lines: Vec<String> = [
            "model C9200 \"x\"",
            "version 17.9.4a",
            "load 12.5",
            "odd inf",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut facts = Facts::default();
        facts.read(&fact, &lines);
        assert_eq!(
            facts,
            Facts {
                model: None,
                version: Some("17.9.4a".to_owned()),
                serial: None,
                numbers: vec![("load".to_owned(), 12.5)],
            }
        );
        facts.read(&fact, &[format!("model {}", "x".repeat(81))]);
        assert_eq!(facts.model, None);
        facts.read(&fact, &["model C9300".to_owned()]);
        assert_eq!(facts.model.as_deref(), Some("C9300"));
    }
}
