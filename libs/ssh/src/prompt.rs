//! The prompt of a device, as it was learned.

use std::sync::OnceLock;

use regex::bytes::Regex;

use crate::driver::Driver;

/// What the device writes when it waits for a command.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// The learned text, without trailing spaces.
    exec: Vec<u8>,
    /// A pattern of the prompts of configuration mode, made from the learned text.
    configure: Option<String>,
    /// The same, made when it is first wanted: most sessions change nothing.
    made: OnceLock<Option<Regex>>,
}

impl Prompt {
    /// The prompt whose text is `line`.
    pub(crate) fn learned(line: &[u8], driver: &Driver) -> Self {
        let base = driver.prompt_base(line);
        Self {
            exec: line.to_vec(),
            configure: driver.configure_prompt(&base),
            made: OnceLock::new(),
        }
    }

    fn configure(&self) -> Option<&Regex> {
        let make = || Regex::new(self.configure.as_ref()?).ok();
        self.made.get_or_init(make).as_ref()
    }

    /// The learned text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.exec
    }

    /// Whether `line` is the prompt, whole; in configuration mode, or of what follows it, when `configuring`.
    pub(crate) fn is(&self, line: &[u8], configuring: bool) -> bool {
        line == self.exec
            || configuring
                && self.configure().is_some_and(|regex| {
                    regex
                        .find(line)
                        .is_some_and(|found| found.start() == 0 && found.end() == line.len())
                })
    }

    /// What stands after the prompt at the beginning of `line`, without the spaces between.
    pub(crate) fn after<'a>(&self, line: &'a [u8], configuring: bool) -> Option<&'a [u8]> {
        if let Some(rest) = line.strip_prefix(&*self.exec) {
            return Some(rest.trim_ascii_start());
        }
        let regex = configuring.then(|| self.configure())??;
        let found = regex.find(line).filter(|found| found.start() == 0)?;
        Some(line[found.end()..].trim_ascii_start())
    }
}
