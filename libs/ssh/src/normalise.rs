//! A configuration without what changes by itself.

use std::borrow::Cow;

use crate::Driver;

/// Longest name of who made a change.
const LONGEST_AUTHOR: usize = 64;

impl Driver {
    /// `lines` without volatile lines and parts, without trailing spaces, and with at most one empty line or bare comment sign
    /// in a row: where a volatile line was is then not to be seen. Lines that go on in the next become one.
    #[must_use]
    pub fn normalise<L: AsRef<str>>(&self, lines: &[L]) -> String {
        let mut text = String::new();
        let mut gap = true;
        let mut sign = false;
        for line in self.joined(lines) {
            let line = line.trim_end();
            if self.drop.as_ref().is_some_and(|drop| drop.is_match(line)) {
                continue;
            }
            if line.is_empty() {
                if !gap {
                    text.push('\n');
                }
                gap = true;
                continue;
            }
            gap = false;
            if std::mem::replace(&mut sign, line == self.comment) && sign {
                continue;
            }
            let mut line = Cow::Borrowed(line);
            for replace in &self.replace {
                if let Cow::Owned(other) = replace.pattern.replace_all(&line, &replace.with) {
                    line = other.into();
                }
            }
            text.push_str(&line);
            text.push('\n');
        }
        while text.ends_with("\n\n") {
            text.pop();
        }
        text
    }

    /// The lines, where one that ends with the platform's sign for it is one with the next.
    fn joined<'a, L: AsRef<str>>(&self, lines: &'a [L]) -> Vec<Cow<'a, str>> {
        let Some(sign) = self.continued.as_deref() else {
            return lines
                .iter()
                .map(|line| Cow::Borrowed(line.as_ref()))
                .collect();
        };
        let mut joined: Vec<Cow<'a, str>> = Vec::new();
        let mut open = false;
        for line in lines.iter().map(AsRef::as_ref) {
            let (part, more) = match line.trim_end().strip_suffix(sign) {
                Some(part) => (part, true),
                None => (line, false),
            };
            match joined.last_mut().filter(|_| open) {
                Some(last) => last.to_mut().push_str(part.trim_start()),
                None => joined.push(Cow::Borrowed(part)),
            }
            open = more;
        }
        joined
    }

    /// Who made the last change, where the device writes that into its configuration.
    #[must_use]
    pub fn author<L: AsRef<str>>(&self, lines: &[L]) -> Option<String> {
        let line = |line: &str| {
            let found = self.author.iter().find_map(|regex| regex.captures(line))?;
            let name: String = found
                .name("user")?
                .as_str()
                .chars()
                .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
                .take(LONGEST_AUTHOR)
                .collect();
            Some(name.trim().to_owned()).filter(|name| !name.is_empty())
        };
        lines.iter().map(AsRef::as_ref).find_map(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_on_are_one_and_the_state_of_the_device_is_left_out() {
        let driver = Driver::load("routeros").unwrap();
        let lines: Vec<String> = "# 2025-12-01 14:37:04 by RouterOS 7.18.2\n# model = RB\n/ip\n# not ready\nadd a=\\\n    b c=\\\n    d\n"
            .lines()
            .map(str::to_owned)
            .collect();
        assert_eq!(
            driver.normalise(&lines),
            "# by RouterOS 7.18.2\n# model = RB\n/ip\nadd a=b c=d\n"
        );
    }

    #[test]
    fn author_is_named_where_the_device_does_so() {
        let author = |platform: &str, line: &str| {
            let driver = Driver::load(platform).unwrap();
            driver.author(&["!".to_owned(), line.to_owned()])
        };
        let named = Some("alice".to_owned());
        let ios = "! Last configuration change at 10:00:00 UTC Mon Dec 1 2025 by alice";
        assert_eq!(author("ios", ios), named);
        assert_eq!(author("ios", ios.strip_suffix(" by alice").unwrap()), None);
        let junos = "## Last commit: 2024-12-06 11:41:05 UTC by alice";
        assert_eq!(author("junos", junos), named);
    }
}
